// Trying a request again: what deserves it, and the pauses between tries.
#pragma once
#include <functional>
#include <optional>

#include "core/store/http.hpp"

namespace vectorshard::store {

struct RetryRules {
  int max_tries = 8;
  double first_pause_s = 0.1;
  double most_pause_s = 20;
  /// After the first failure, no try begins later than this.
  double patience_s = 60;
};

/// Decorrelated jitter: each pause lies between the first one and three times the one before.
class Backoff {
 public:
  explicit Backoff(const RetryRules &rules) : rules_(rules), pause_s_(rules.first_pause_s) {}
  /// `random` from 0 to 1.
  double next_s(double random);

 private:
  RetryRules rules_;
  double pause_s_;
};

/// The code of an error answer: a header of Azure's, else the document's.
std::string complaint_code(const HttpResponse &response);

/// Whether the same request may be answered better in a moment. Never for 403, 404, 412.
bool worth_retrying(const HttpResponse &response);

/// Seconds that the store asks to wait, if it does.
std::optional<double> retry_after_s(const HttpResponse &response, int64_t now_unix_s);

/// Sends until the answer is not worth a retry, or tries or patience end. `prepare` is called before each try, to sign it anew.
HttpResponse send_patiently(HttpPort &port, const RetryRules &rules, HttpRequest request,
                            const std::function<Result<void>(HttpRequest &)> &prepare,
                            const std::function<bool(const HttpResponse &)> &again = worth_retrying);

}  // namespace vectorshard::store
