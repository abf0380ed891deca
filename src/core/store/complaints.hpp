// What a store's refusal means, in words: class of error, sentence, and what to do.
#pragma once
#include <string>
#include <vector>

#include "core/store/http.hpp"

namespace vectorshard::store {

/// The error of an answer that is no success. `what`: "could not read object \"x\"". `now_unix_s` tells a clock that is off from a
/// wrong secret. No text of `secrets` ever appears in it, whatever the store sends back.
Error error_of(const HttpResponse &response, const std::string &what, int64_t now_unix_s, const std::vector<std::string> &secrets);

}  // namespace vectorshard::store
