// Amazon's request signing, version 4 (header form), as S3 wants it: the path is encoded once. libcurl's own has faults in the
// versions that are in use.
#pragma once
#include <string>

#include "core/store/http.hpp"

namespace vectorshard::store {

struct AwsCredentials {
  std::string access_key_id, secret_access_key, session_token;
};

struct AwsScope {
  std::string region, service;
};

/// Sets host, x-amz-date, x-amz-security-token (if there is a token) and authorization. Every header that the request
/// has by then is signed. `payload_sha256`: hex, of the body.
void sign_v4(HttpRequest &request, const AwsCredentials &credentials, const AwsScope &scope, int64_t unix_s,
             const std::string &payload_sha256);

/// The first two steps, for tests: the canonical request, and the string to sign.
std::string canonical_request_v4(const HttpRequest &request, const std::string &payload_sha256);
std::string string_to_sign_v4(const std::string &canonical_request, const AwsScope &scope, int64_t unix_s);

}  // namespace vectorshard::store
