// HTTP as a port, so that stores are tested without a network: one request, its answer, and the clock and pauses that
// tries need. The real one is src/pg/tier/http_curl.cpp.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/types.hpp"

namespace vectorshard::store {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What kept a request from being answered.
enum class HttpFault {
  none,
  resolve,     // the host's name is not known
  refused,     // no connection
  timeout,     // silent, or slower than the port bears
  reset,       // the connection broke before the answer was whole
  short_body,  // the answer ended early
  tls,         // the certificate or the handshake
  cancelled,   // the caller's wish
  sink,        // whoever takes the body refused it
  other,
};

struct HttpResponse {
  HttpFault fault = HttpFault::none;
  std::string fault_text;
  int status = 0;
  Pairs headers;     // names in lower case
  std::string body;  // unless it went into a sink; at most kBodyMax bytes
  /// The first header of that name, or "".
  std::string header(std::string_view name) const {
    for (const auto &[n, v] : headers)
      if (n == name) return v;
    return "";
  }
  bool success() const { return fault == HttpFault::none && status >= 200 && status < 300; }
};

/// Most bytes of a body that an answer holds; what is longer is cut off.
constexpr size_t kBodyMax = 8 << 20;

/// Takes the body of an answer with status 200 or 206.
class BodySink : public ByteSink {
 public:
  /// Called once before the body, when status and headers are there.
  virtual Result<void> begin(const HttpResponse &head) = 0;
};

struct HttpRequest {
  std::string method;
  std::string base;  // scheme://host[:port]
  std::string path;  // begins with '/', percent-encoded
  Pairs query;       // not encoded
  Pairs headers;     // names in lower case
  std::string body;
  BodySink *sink = nullptr;
  /// What is sent after the path, with '?', as it is signed: sorted and encoded.
  std::string query_text() const;
  std::string url() const { return base + path + query_text(); }
  /// host[:port], without the port that the scheme implies.
  std::string host() const;
  void set_header(const std::string &name, const std::string &value);
};

class HttpPort {
 public:
  virtual ~HttpPort() = default;
  virtual HttpResponse send(const HttpRequest &request) = 0;
  /// Seconds since 1970.
  virtual int64_t unix_s() = 0;
  /// A clock that never jumps.
  virtual double steady_s() = 0;
  /// From 0 to 1.
  virtual double random() = 0;
  /// Waits, unless the caller wants to end.
  virtual void wait(double seconds) = 0;
};

/// RFC 3986; '/' stays where `keep_slash`.
std::string percent_encode(std::string_view text, bool keep_slash);
std::string percent_decode(std::string_view text);

}  // namespace vectorshard::store
