// Amazon's request signing: see sigv4.hpp.
#include "core/store/sigv4.hpp"

#include <map>

#include "core/store/digests.hpp"
#include "core/store/web_time.hpp"

namespace vectorshard::store {

namespace {

/// Without spaces at the ends, runs of spaces as one.
std::string folded(const std::string &value) {
  std::string out;
  for (char c : value) {
    bool space = c == ' ' || c == '\t';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out.push_back(space ? ' ' : c);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// By name, not by "name:value": a name may be the beginning of another.
std::map<std::string, std::string> sorted_headers(const HttpRequest &request) {
  std::map<std::string, std::string> out;
  for (const auto &[name, value] : request.headers) {
    auto [at, first] = out.try_emplace(name, folded(value));
    if (!first) at->second += "," + folded(value);
  }
  return out;
}

std::string signed_names(const HttpRequest &request) {
  std::string out;
  for (const auto &[name, value] : sorted_headers(request)) out += (out.empty() ? "" : ";") + name;
  return out;
}

std::string scope_text(const AwsScope &scope, int64_t unix_s) {
  return basic_time(unix_s).substr(0, 8) + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

}  // namespace

std::string canonical_request_v4(const HttpRequest &request, const std::string &payload_sha256) {
  std::string query = request.query_text();
  std::string out = request.method + "\n" + request.path + "\n" + (query.empty() ? "" : query.substr(1)) + "\n";
  for (const auto &[name, value] : sorted_headers(request)) out += name + ":" + value + "\n";
  return out + "\n" + signed_names(request) + "\n" + payload_sha256;
}

std::string string_to_sign_v4(const std::string &canonical_request, const AwsScope &scope, int64_t unix_s) {
  return "AWS4-HMAC-SHA256\n" + basic_time(unix_s) + "\n" + scope_text(scope, unix_s) + "\n" + sha256_hex(canonical_request);
}

void sign_v4(HttpRequest &request, const AwsCredentials &credentials, const AwsScope &scope, int64_t unix_s,
             const std::string &payload_sha256) {
  std::erase_if(request.headers, [](const auto &h) { return h.first == "authorization"; });
  request.set_header("host", request.host());
  request.set_header("x-amz-date", basic_time(unix_s));
  if (!credentials.session_token.empty()) request.set_header("x-amz-security-token", credentials.session_token);
  std::string to_sign = string_to_sign_v4(canonical_request_v4(request, payload_sha256), scope, unix_s);
  std::string key = hmac_sha256("AWS4" + credentials.secret_access_key, basic_time(unix_s).substr(0, 8));
  for (const std::string &part : {scope.region, scope.service, std::string("aws4_request")}) key = hmac_sha256(key, part);
  request.headers.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + "/" +
                                                    scope_text(scope, unix_s) + ", SignedHeaders=" + signed_names(request) +
                                                    ", Signature=" + hex(hmac_sha256(key, to_sign)));
}

}  // namespace vectorshard::store
