// Trying a request again: see retry.hpp.
#include "core/store/retry.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "core/store/web_time.hpp"
#include "core/store/xml.hpp"

namespace vectorshard::store {

double Backoff::next_s(double random) {
  double low = rules_.first_pause_s, high = std::max(low, 3 * pause_s_);
  pause_s_ = std::min(rules_.most_pause_s, low + random * (high - low));
  return pause_s_;
}

std::string complaint_code(const HttpResponse &response) {
  if (std::string code = response.header("x-ms-error-code"); !code.empty()) return code;
  return read_complaint(response.body).code;
}

bool worth_retrying(const HttpResponse &r) {
  switch (r.fault) {
    case HttpFault::none: break;
    case HttpFault::refused:
    case HttpFault::timeout:
    case HttpFault::reset:
    case HttpFault::short_body: return true;
    default: return false;
  }
  static const std::set<int> kStatuses{408, 429, 500, 502, 503, 504};
  if (kStatuses.contains(r.status)) return true;
  // What stores say with another status, and what AWS says of two writers at once.
  static const std::set<std::string> kCodes{"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable",
                                            "OperationAborted", "ConditionalRequestConflict", "OperationTimedOut",
                                            "ServerBusy", "BadDigest", "XAmzContentSHA256Mismatch", "Md5Mismatch"};
  return (r.status == 200 || r.status == 400 || r.status == 409) && kCodes.contains(complaint_code(r));
}

std::optional<double> retry_after_s(const HttpResponse &response, int64_t now_unix_s) {
  std::string text = response.header("retry-after");
  if (text.empty()) return std::nullopt;
  char *end = nullptr;
  double seconds = strtod(text.c_str(), &end);
  if (end != text.c_str() && *end == '\0') return std::max(0.0, seconds);
  auto moment = read_time(text);
  if (!moment) return std::nullopt;
  return std::max<double>(0, static_cast<double>(*moment - now_unix_s));
}

HttpResponse send_patiently(HttpPort &port, const RetryRules &rules, HttpRequest request,
                            const std::function<Result<void>(HttpRequest &)> &prepare,
                            const std::function<bool(const HttpResponse &)> &again) {
  Backoff backoff(rules);
  std::optional<double> first_failure_s;
  for (int tries = 1;; tries++) {
    if (Result<void> r = prepare(request); !r.ok()) {
      HttpResponse failed;
      failed.fault = HttpFault::other;
      failed.fault_text = r.error().message;
      return failed;
    }
    HttpResponse response = port.send(request);
    if (!again(response) || tries >= rules.max_tries) return response;
    if (!first_failure_s) first_failure_s = port.steady_s();
    double pause_s = backoff.next_s(port.random());
    if (auto asked = retry_after_s(response, port.unix_s())) pause_s = std::max(pause_s, *asked);
    if (port.steady_s() + pause_s > *first_failure_s + rules.patience_s) return response;
    port.wait(pause_s);
  }
}

}  // namespace vectorshard::store
