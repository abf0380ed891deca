// Azure Blob's SharedKey signature.
#pragma once
#include <string>

#include "core/store/http.hpp"

namespace vectorshard::store {

/// Sets x-ms-date and authorization; the headers that the request has by then are signed. Errors: invalid_argument if
/// `account_key` is no base64.
Result<void> sign_shared_key(HttpRequest &request, const std::string &account, const std::string &account_key, int64_t unix_s);

/// For tests.
std::string string_to_sign_shared_key(const HttpRequest &request, const std::string &account);

}  // namespace vectorshard::store
