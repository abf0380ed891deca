// Multipart uploads to S3: parts are checked one by one, an upload that fails is aborted, and a completion whose answer was
// lost, came twice, or says "200" with an error inside is judged by what is there afterwards.
#include "core/store/digests.hpp"
#include "core/store/s3_store.hpp"
#include "core/store/xml.hpp"

namespace vectorshard::store {

namespace {

/// An ETag is the part's MD5 unless the store encrypts by keys of its own.
bool etag_is_md5(const HttpResponse &r, const std::string &etag) {
  std::string encryption = r.header("x-amz-server-side-encryption");
  return (encryption.empty() || encryption == "AES256") && r.header("x-amz-server-side-encryption-customer-algorithm").empty() &&
         etag.size() == 32 && etag.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string unquoted(std::string text) {
  std::erase(text, '"');
  return text;
}

}  // namespace

Result<std::string> S3Store::begin_upload(const std::string &key, const ObjectContent &content) {
  HttpRequest r = request("POST", key);
  r.query = {{"uploads", ""}};
  r.set_header("content-type", "application/vnd.apache.parquet");
  describe(r, content);
  HttpResponse answer = send(std::move(r));
  if (!answer.success()) return failure(answer, "write", key);
  auto root = read_xml(answer.body);
  std::string id = root ? root->child_text("UploadId") : "";
  if (id.empty())
    return Error{Errc::io, "could not write object \"" + key + "\"", "The store's answer names no upload.", ""};
  return id;
}

Result<void> S3Store::put_part(const std::string &key, Upload &upload, std::string bytes) {
  std::string digest = md5(bytes), etag;
  HttpRequest r = request("PUT", key);
  r.query = {{"partNumber", std::to_string(upload.etags.size() + 1)}, {"uploadId", upload.id}};
  r.set_header("content-type", "application/octet-stream");
  r.set_header("content-md5", base64(digest));
  r.body = std::move(bytes);
  auto wrong = [&](const HttpResponse &a) {
    std::string tag = unquoted(a.header("etag"));
    return a.success() && (tag.empty() || (etag_is_md5(a, tag) && tag != hex(digest)));
  };
  HttpResponse answer = send(std::move(r), [&](const HttpResponse &a) { return worth_retrying(a) || wrong(a); });
  if (!answer.success()) return failure(answer, "write", key);
  if (wrong(answer))
    return Error{Errc::io, "could not write object \"" + key + "\"", "The store says another MD5 of a part than it was sent.",
                 "Look for a fault of the store or the network."};
  upload.etags.push_back(unquoted(answer.header("etag")));
  return {};
}

Result<void> S3Store::complete(const std::string &key, const Upload &upload, const ObjectContent &content) {
  HttpRequest r = request("POST", key);
  r.query = {{"uploadId", upload.id}};
  r.body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (size_t i = 0; i < upload.etags.size(); i++)
    r.body += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>\"" + upload.etags[i] + "\"</ETag></Part>";
  r.body += "</CompleteMultipartUpload>";
  r.set_header("content-type", "application/xml");
  HttpResponse answer = send_once(std::move(r));
  auto root = read_xml(answer.body);
  // Also when all seems well: it costs one request, and tells a store that lost a part.
  Result<void> there = check_same(key, content);
  if (there.ok()) return {};
  if (answer.success() && root && root->name == "CompleteMultipartUploadResult") return there;
  if (there.error().code == Errc::conflict) return there;
  if (answer.success() && !(root && root->name == "Error"))
    return Error{Errc::io, "could not write object \"" + key + "\"", "The store did not make the object of its parts.", ""};
  return failure(answer, "write", key);
}

Result<void> S3Store::put_parts(const std::string &key, ByteSource &source, const ObjectContent &content) {
  auto id = begin_upload(key, content);
  if (!id.ok()) return id.error();
  Upload upload{id.value(), {}};
  PartReader reader(source, content);
  Result<void> done;
  while (done.ok()) {
    auto bytes = reader.next(part_bytes(content.bytes));
    if (!bytes.ok()) done = bytes.error();
    if (!bytes.ok() || bytes.value().empty()) break;
    done = put_part(key, upload, std::move(bytes).value());
  }
  if (done.ok()) done = reader.check();
  if (done.ok()) done = complete(key, upload, content);
  if (done.ok()) return {};
  // Parts that nobody completes are paid for until somebody aborts them.
  HttpRequest abort = request("DELETE", key);
  abort.query = {{"uploadId", upload.id}};
  (void)send(std::move(abort));
  return done;
}

/// Uploads that were begun in this folder and neither completed nor aborted.
Result<int> S3Store::sweep(const std::string &folder, const std::function<bool(const std::string &)> &) {
  int removed = 0;
  for (int page = 0; page < 1000; page++) {
    HttpRequest r = request("GET", "");
    r.query = {{"uploads", ""}, {"prefix", folder_name(folder)}, {"max-uploads", "1000"}};
    HttpResponse answer = send(std::move(r));
    if (!answer.success()) return failure(answer, "list", "");
    auto root = read_xml(answer.body);
    if (!root || root->name != "ListMultipartUploadsResult")
      return Error{Errc::io, "could not list uploads to bucket \"" + url_.bucket + "\"", "The store's answer is no list.", ""};
    int before = removed;
    for (const XmlNode &u : root->children) {
      std::string name = u.child_text("Key"), id = u.child_text("UploadId");
      // The store was asked for that folder alone; what it lists beside is not ours.
      if (u.name != "Upload" || id.empty() || !name.starts_with(folder_name(folder))) continue;
      HttpRequest abort = request("DELETE", folder + name.substr(folder_name(folder).size() - 1));
      abort.query = {{"uploadId", id}};
      HttpResponse gone = send(std::move(abort));
      if (!gone.success() && gone.status != 404) return failure(gone, "abort the upload of", folder);
      removed++;
    }
    if (root->child_text("IsTruncated") != "true" || removed == before) break;
  }
  return removed;
}

}  // namespace vectorshard::store
