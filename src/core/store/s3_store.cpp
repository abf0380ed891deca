// A store in a bucket: see s3_store.hpp. Multipart uploads: s3_upload.cpp.
#include "core/store/s3_store.hpp"

#include <algorithm>

#include "core/store/digests.hpp"
#include "core/store/web_time.hpp"
#include "core/store/xml.hpp"

namespace vectorshard::store {

namespace {

bool archive_class(const std::string &name) { return name == "GLACIER" || name == "DEEP_ARCHIVE"; }

}  // namespace

bool S3Store::archives() const { return archive_class(url_.tier); }

Result<void> S3Store::sign(HttpRequest &request, int64_t unix_s) {
  std::string sha256 = sha256_hex(request.body);
  request.set_header("x-amz-content-sha256", sha256);
  sign_v4(request, credentials_, {url_.region, "s3"}, unix_s, sha256);
  return {};
}

/// What an object is given when it is made. An archive's class comes by settle() only: nothing in it could be verified.
void S3Store::describe(HttpRequest &request, const ObjectContent &content) const {
  request.set_header("x-amz-meta-sha256", content.sha256);
  if (!url_.tier.empty() && !archives()) request.set_header("x-amz-storage-class", url_.tier);
}

/// Sends what must not overwrite: by condition where the store knows it. Swift does not; put() has looked before.
HttpResponse S3Store::send_once(HttpRequest r) {
  if (conditional_) r.set_header("if-none-match", "*");
  HttpResponse answer = send(r);
  bool unknown = answer.status == 501 || complaint_code(answer) == "NotImplemented";
  if (!conditional_ || answer.fault != HttpFault::none || !unknown) return answer;
  conditional_ = false;
  std::erase_if(r.headers, [](const auto &h) { return h.first == "if-none-match"; });
  return send(std::move(r));
}

Result<void> S3Store::put_whole(const std::string &key, std::string bytes, const ObjectContent &content) {
  HttpRequest r = request("PUT", key);
  r.set_header("content-type", "application/vnd.apache.parquet");
  r.set_header("content-md5", base64(md5(bytes)));
  describe(r, content);
  r.body = std::move(bytes);
  HttpResponse answer = send_once(std::move(r));
  if (!answer.success()) return failure(answer, "write", key);
  return {};
}

Result<std::vector<ObjectInfo>> S3Store::list(const std::string &prefix, const std::string &after) {
  std::vector<ObjectInfo> out;
  std::string token, folder = folder_name(prefix);
  while (true) {
    HttpRequest r = request("GET", "");
    r.query = {{"list-type", "2"}, {"prefix", folder}, {"delimiter", "/"}, {"max-keys", std::to_string(kListMax)},
               {"encoding-type", "url"}};
    if (!token.empty()) r.query.emplace_back("continuation-token", token);
    // A key is later than `after` by its bytes; some servers begin with `after` itself.
    if (token.empty() && !after.empty()) r.query.emplace_back("start-after", folder + after.substr(after.rfind('/') + 1));
    HttpResponse answer = send(std::move(r));
    if (!answer.success()) return failure(answer, "list", "");
    auto root = read_xml(answer.body);
    if (!root || root->name != "ListBucketResult")
      return Error{Errc::io, "could not list bucket \"" + url_.bucket + "\"", "The store's answer is no list.", ""};
    bool encoded = root->child_text("EncodingType") == "url";
    for (const XmlNode &c : root->children) {
      if (c.name != "Contents") continue;
      std::string name = c.child_text("Key");
      add_listed(out, {encoded ? percent_decode(name) : name, c.child_text("Size"), c.child_text("LastModified"), c.child_text("ETag")}, after, answer);
    }
    std::string next = root->child_text("NextContinuationToken");
    if (root->child_text("IsTruncated") != "true" || next.empty() || next == token || out.size() >= kListMax) break;
    token = next;
  }
  std::sort(out.begin(), out.end(), [](const auto &a, const auto &b) { return a.key < b.key; });
  if (out.size() > kListMax) out.resize(kListMax);
  return out;
}

ObjectState S3Store::state_of(const HttpResponse &head) const {
  ObjectState out;
  out.tier = head.header("x-amz-storage-class");
  bool archived = archive_class(out.tier) || !head.header("x-amz-archive-status").empty();
  if (!archived) return out;
  std::string restore = head.header("x-amz-restore");
  out.availability = Availability::archived;
  if (restore.find("ongoing-request=\"true\"") != std::string::npos) out.availability = Availability::thawing;
  if (restore.find("ongoing-request=\"false\"") == std::string::npos) return out;
  out.availability = Availability::online;
  const std::string word = "expiry-date=\"";
  if (size_t at = restore.find(word); at != std::string::npos)
    out.until_unix_s = read_time(std::string_view(restore).substr(at + word.size())).value_or(0);
  return out;
}

Result<void> S3Store::thaw(const std::string &key) {
  auto found = find(key);
  if (!found.ok()) return found.error();
  if (found.value().state.availability != Availability::archived) return {};
  HttpRequest r = request("POST", key);
  r.query = {{"restore", ""}};
  r.body = "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>" + std::to_string(url_.thaw_days) +
           "</Days><GlacierJobParameters><Tier>" + url_.thaw + "</Tier></GlacierJobParameters></RestoreRequest>";
  r.set_header("content-type", "application/xml");
  r.set_header("content-md5", base64(md5(r.body)));
  HttpResponse answer = send(std::move(r));
  if (answer.success() || complaint_code(answer) == "RestoreAlreadyInProgress") return {};
  return failure(answer, "thaw", key);
}

/// A copy onto itself in the archive's class. (Up to 5 GB, which is more than a segment has.)
Result<void> S3Store::settle(const std::string &key) {
  if (!archives()) return {};
  auto found = find(key);
  if (!found.ok()) return found.error();
  if (archive_class(found.value().state.tier)) return {};
  HttpRequest r = request("PUT", key);
  r.set_header("x-amz-copy-source", "/" + url_.bucket + "/" + percent_encode(folder_name(key).substr(0, folder_name(key).size() - 1), true));
  r.set_header("x-amz-storage-class", url_.tier);
  r.set_header("x-amz-metadata-directive", "COPY");
  HttpResponse answer = send(std::move(r));
  if (!answer.success() || !read_complaint(answer.body).code.empty()) return failure(answer, "archive", key);
  return {};
}

}  // namespace vectorshard::store
