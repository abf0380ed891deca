// What a store's refusal means: see complaints.hpp.
#include "core/store/complaints.hpp"

#include <cstdlib>

#include "core/store/retry.hpp"
#include "core/store/web_time.hpp"
#include "core/store/xml.hpp"

namespace vectorshard::store {

namespace {

struct Meaning {
  const char *code;
  Errc error;
  const char *words;  // a clause, without a full stop
  const char *hint;
};

constexpr const char *kMapping = "Give the right one with ALTER USER MAPPING … SERVER … OPTIONS (SET …).";
constexpr const char *kClock = "Set the clock of this server right (NTP).";
constexpr const char *kRegion = "Make the store anew with region=… in its URL.";
constexpr const char *kRights = "Let the key read, write, list and delete there.";
// Ceph's gateway, where it gives out session tokens, says AccessDenied of keys and tokens that are wrong too.
constexpr const char *kKeyOrRights =
    "Let the key read, write, list and delete there, or give the right one with ALTER USER MAPPING … SERVER … OPTIONS (SET …).";
constexpr const char *kMake = "Make it, or make the store anew with the right name in its URL.";
constexpr const char *kThaw = "It has to be thawed first, which takes the store up to some hours.";

constexpr Meaning kMeanings[] = {
    {"SignatureDoesNotMatch", Errc::denied, "the secret access key is wrong", kMapping},
    {"InvalidAccessKeyId", Errc::denied, "the store does not know the access key id", kMapping},
    {"ExpiredToken", Errc::denied, "the session token has expired", kMapping},
    {"InvalidToken", Errc::denied, "the session token is not valid", kMapping},
    {"AuthenticationFailed", Errc::denied, "the account key or SAS token is wrong or has expired", kMapping},
    {"RequestTimeTooSkewed", Errc::clock_skew, "the clocks of this server and of the store differ too much", kClock},
    {"AccessDenied", Errc::denied, "the key, or its session token, is not accepted or has no right to do this", kKeyOrRights},
    {"AuthorizationFailure", Errc::denied, "the key has no right to do this", kRights},
    {"AuthorizationPermissionMismatch", Errc::denied, "the SAS token or key has no right to do this", kRights},
    {"AuthorizationProtocolMismatch", Errc::denied, "the SAS token wants https", kRights},
    {"AuthorizationServiceMismatch", Errc::denied, "the SAS token is of another service", kRights},
    {"AuthorizationResourceTypeMismatch", Errc::denied, "the SAS token is not for containers and objects", kRights},
    {"AuthorizationSourceIPMismatch", Errc::denied, "the SAS token is not for this server's address", kRights},
    {"InsufficientAccountPermissions", Errc::denied, "the key has no right to do this", kRights},
    {"KeyBasedAuthenticationNotPermitted", Errc::denied, "the account takes no account key", "Give a SAS token."},
    {"NoSuchBucket", Errc::io, "the bucket does not exist", kMake},
    {"ContainerNotFound", Errc::io, "the container does not exist", kMake},
    {"ContainerBeingDeleted", Errc::io, "the container is being deleted", kMake},
    {"AuthorizationHeaderMalformed", Errc::invalid_argument, "the bucket is in another region", kRegion},
    {"PermanentRedirect", Errc::invalid_argument, "the bucket is in another region", kRegion},
    {"TemporaryRedirect", Errc::invalid_argument, "the bucket is in another region", kRegion},
    {"InvalidObjectState", Errc::archived, "the object is in an archive", kThaw},
    {"BlobArchived", Errc::archived, "the object is in an archive", kThaw},
    {"BlobBeingRehydrated", Errc::archived, "the object is being thawed", "Wait for it."},
    {"InvalidStorageClass", Errc::invalid_argument, "the store does not know this storage class", "Make the store anew with another class=…."},
    {"QuotaExceeded", Errc::no_space, "the quota is used up", "Free space there, or have the quota raised."},
    {"InsufficientStorage", Errc::no_space, "the store is full", "Free space there."},
    {"NoSuchKey", Errc::not_found, "there is no such object", ""},
    {"BlobNotFound", Errc::not_found, "there is no such object", ""},
    {"BlobAlreadyExists", Errc::conflict, "there is such an object already", ""},
    {"PreconditionFailed", Errc::conflict, "there is such an object already", ""},
    {"BadDigest", Errc::io, "the bytes changed on their way", "Look for a fault of the network."},
    {"XAmzContentSHA256Mismatch", Errc::io, "the bytes changed on their way", "Look for a fault of the network."},
    {"Md5Mismatch", Errc::io, "the bytes changed on their way", "Look for a fault of the network."},
    {"SlowDown", Errc::unreachable, "the store wants fewer requests", "Try again later."},
};

constexpr Meaning kByStatus[] = {
    {"301", Errc::invalid_argument, "the bucket is in another region", kRegion},
    {"307", Errc::invalid_argument, "the bucket is in another region", kRegion},
    {"401", Errc::denied, "the store does not accept the key", kMapping},
    {"403", Errc::denied, "the store refuses the key, or the key has no right to do this", kRights},
    {"404", Errc::not_found, "there is no such object, bucket or container", ""},
    {"409", Errc::conflict, "something else happens to the object", "Try again."},
    {"412", Errc::conflict, "there is such an object already", ""},
    {"507", Errc::no_space, "the store is full", "Free space there."},
};

Meaning meaning_of_fault(HttpFault fault) {
  constexpr const char *kRuns = "Check that the store runs and that its address is right.";
  switch (fault) {
    case HttpFault::resolve: return {"", Errc::unreachable, "the name of its host is not known", kRuns};
    case HttpFault::refused: return {"", Errc::unreachable, "there is no connection to it", kRuns};
    case HttpFault::timeout: return {"", Errc::unreachable, "it does not answer in time", "Check the store and the network, or raise vectorshard.store_timeout_ms."};
    case HttpFault::reset: return {"", Errc::unreachable, "the connection broke", kRuns};
    case HttpFault::short_body: return {"", Errc::unreachable, "its answer ended early", kRuns};
    case HttpFault::tls: return {"", Errc::unreachable, "there is no TLS connection that can be trusted", "Check the certificate of the store, and the certificates that this server trusts."};
    case HttpFault::cancelled: return {"", Errc::io, "the request was cancelled", ""};
    default: return {"", Errc::io, "the request could not be sent", ""};
  }
}

Meaning meaning_of(const std::string &code, int status) {
  for (const Meaning &m : kMeanings)
    if (code == m.code) return m;
  std::string number = std::to_string(status);
  for (const Meaning &m : kByStatus)
    if (number == m.code) return m;
  return {"", status >= 500 || status == 429 ? Errc::unreachable : Errc::io, "it answered with an error", ""};
}

std::string without(std::string text, const std::vector<std::string> &secrets) {
  constexpr size_t kShortest = 6;  // what is shorter is no secret, and occurs in words
  for (const std::string &s : secrets)
    for (size_t at = s.size() < kShortest ? std::string::npos : text.find(s); at != std::string::npos; at = text.find(s, at + 3))
      text.replace(at, s.size(), "***");
  for (char &c : text)
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  return text;
}

constexpr int64_t kSkewS = 300;

}  // namespace

Error error_of(const HttpResponse &r, const std::string &what, int64_t now_unix_s, const std::vector<std::string> &secrets) {
  if (r.fault != HttpFault::none) {
    Meaning m = meaning_of_fault(r.fault);
    std::string more = r.fault_text.empty() ? "" : " (" + r.fault_text + ")";
    return {m.error, what, without(std::string("Of the store: ") + m.words + more + ".", secrets), m.hint};
  }
  std::string code = complaint_code(r);
  std::string said = read_complaint(r.body).message;
  // Azurite says so of a wrong key, under another code than Azure.
  bool unknown_key = said.find("failed to authenticate") != std::string::npos;
  Meaning m = meaning_of(unknown_key ? "AuthenticationFailed" : code, r.status);
  std::string words = m.words, hint = m.hint;
  if (auto theirs = read_time(r.header("date")); theirs && m.error == Errc::denied && std::abs(*theirs - now_unix_s) > kSkewS) {
    m.error = Errc::clock_skew;
    words = "the clocks of this server and of the store differ by " + std::to_string(std::abs(*theirs - now_unix_s)) + " s";
    hint = kClock;
  }
  if (std::string region = r.header("x-amz-bucket-region"); !region.empty() && hint == kRegion)
    words = "the bucket is in region " + region;
  std::string detail = "Of the store: " + words + " (HTTP status " + std::to_string(r.status);
  if (!code.empty()) detail += ", " + code;
  if (!said.empty()) detail += ": " + said.substr(0, 200);
  return {m.error, what, without(detail + ").", secrets), hint};
}

}  // namespace vectorshard::store
