// URLs of requests: see http.hpp.
#include "core/store/http.hpp"

#include <algorithm>

namespace vectorshard::store {

namespace {

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
         c == '~';
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string percent_encode(std::string_view text, bool keep_slash) {
  static const char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    if (unreserved(c) || (keep_slash && c == '/')) {
      out.push_back(c);
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string HttpRequest::query_text() const {
  Pairs encoded;
  for (const auto &[name, value] : query) encoded.emplace_back(percent_encode(name, false), percent_encode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto &[name, value] : encoded) out += (out.empty() ? "?" : "&") + name + "=" + value;
  return out;
}

std::string HttpRequest::host() const {
  std::string_view rest = base;
  bool secure = rest.starts_with("https://");
  rest.remove_prefix(std::min(rest.size(), rest.find("://") + 3));
  std::string_view implied = secure ? ":443" : ":80";
  if (rest.ends_with(implied)) rest.remove_suffix(implied.size());
  return std::string(rest);
}

void HttpRequest::set_header(const std::string &name, const std::string &value) {
  std::erase_if(headers, [&](const auto &h) { return h.first == name; });
  headers.emplace_back(name, value);
}

}  // namespace vectorshard::store
