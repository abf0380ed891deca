// Azure Blob's SharedKey signature: see azure_sign.hpp.
#include "core/store/azure_sign.hpp"

#include <map>

#include "core/store/digests.hpp"
#include "core/store/web_time.hpp"

namespace vectorshard::store {

std::string string_to_sign_shared_key(const HttpRequest &request, const std::string &account) {
  std::map<std::string, std::string> headers(request.headers.begin(), request.headers.end());
  auto value = [&](const char *name) { return headers.contains(name) ? headers[name] : std::string(); };
  std::string out = request.method + "\n" + value("content-encoding") + "\n" + value("content-language") + "\n";
  out += (request.body.empty() ? "" : std::to_string(request.body.size())) + "\n";
  // The date stands in x-ms-date, so its own place is empty.
  out += value("content-md5") + "\n" + value("content-type") + "\n\n";
  for (const char *name : {"if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"})
    out += value(name) + "\n";
  for (const auto &[name, text] : headers)
    if (name.starts_with("x-ms-")) out += name + ":" + text + "\n";
  out += "/" + account + request.path;
  std::map<std::string, std::string> query(request.query.begin(), request.query.end());  // sorted; values not encoded
  for (const auto &[name, text] : query) out += "\n" + name + ":" + text;
  return out;
}

Result<void> sign_shared_key(HttpRequest &request, const std::string &account, const std::string &account_key,
                             int64_t unix_s) {
  auto key = from_base64(account_key);
  if (!key)
    return Error{Errc::invalid_argument, "option account_key of the user mapping is no base64", "",
                 "Copy the whole key, with the \"=\" at its end."};
  std::erase_if(request.headers, [](const auto &h) { return h.first == "authorization"; });
  request.set_header("x-ms-date", http_time(unix_s));
  std::string signature = base64(hmac_sha256(*key, string_to_sign_shared_key(request, account)));
  request.headers.emplace_back("authorization", "SharedKey " + account + ":" + signature);
  return {};
}

}  // namespace vectorshard::store
