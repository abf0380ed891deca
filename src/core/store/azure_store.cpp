// A store in a container of Azure Blob Storage: see azure_store.hpp.
#include "core/store/azure_store.hpp"

#include <algorithm>
#include <cstdio>

#include "core/store/azure_sign.hpp"
#include "core/store/digests.hpp"
#include "core/store/xml.hpp"

namespace vectorshard::store {

namespace {

constexpr const char *kVersion = "2021-12-02";  // the first with the tier Cold

std::vector<std::string> secrets_of(const AzureCredentials &c) {
  std::vector<std::string> out{c.account_key, c.sas_token};
  size_t at = c.sas_token.find("sig=");
  if (at != std::string::npos) {
    std::string signature = c.sas_token.substr(at + 4, c.sas_token.find('&', at) - at - 4);
    out.push_back(signature);
    out.push_back(percent_decode(signature));
  }
  return out;
}

/// Blocks have names of one length; the same upload gives them the same, so that sending one twice is harmless.
std::string block_name(size_t number, const ObjectContent &content) {
  char digits[16];
  snprintf(digits, sizeof digits, "%05zu", number);
  return base64(std::string(digits) + "-" + content.sha256.substr(0, 12));
}

}  // namespace

AzureStore::AzureStore(HttpPort &port, StoreUrl url, AzureCredentials credentials, RetryRules rules)
    : HttpStore(port, std::move(url), rules, secrets_of(credentials)), credentials_(std::move(credentials)) {
  std::string_view rest = credentials_.sas_token;
  if (rest.starts_with('?')) rest.remove_prefix(1);
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = std::min(pair.find('='), pair.size());
    sas_.emplace_back(percent_decode(pair.substr(0, equals)),
                      percent_decode(pair.substr(std::min(equals + 1, pair.size()))));
  }
}

Result<void> AzureStore::sign(HttpRequest &request, int64_t unix_s) {
  request.set_header("x-ms-version", kVersion);
  if (!credentials_.account_key.empty()) return sign_shared_key(request, url_.account, credentials_.account_key, unix_s);
  for (const auto &[name, value] : sas_) {
    std::erase_if(request.query, [&](const auto &q) { return q.first == name; });
    request.query.emplace_back(name, value);
  }
  return {};
}

/// What a blob is given when it is made. The archive comes by settle() only: nothing in it could be verified.
void AzureStore::describe(HttpRequest &request, const ObjectContent &content) const {
  request.set_header("x-ms-meta-sha256", content.sha256);
  if (!url_.tier.empty() && url_.tier != "Archive") request.set_header("x-ms-access-tier", url_.tier);
  request.set_header("if-none-match", "*");
}

Result<void> AzureStore::put_whole(const std::string &key, std::string bytes, const ObjectContent &content) {
  HttpRequest r = request("PUT", key);
  r.set_header("x-ms-blob-type", "BlockBlob");
  r.set_header("content-type", "application/vnd.apache.parquet");
  r.set_header("content-md5", base64(md5(bytes)));
  describe(r, content);
  r.body = std::move(bytes);
  HttpResponse answer = send(std::move(r));
  if (!answer.success()) return failure(answer, "write", key);
  return {};
}

/// Blocks of an upload that is never committed are dropped by Azure after a week.
Result<void> AzureStore::put_parts(const std::string &key, ByteSource &source, const ObjectContent &content) {
  PartReader reader(source, content);
  HttpRequest commit = request("PUT", key);
  commit.body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
  for (size_t number = 1;; number++) {
    auto bytes = reader.next(part_bytes(content.bytes));
    if (!bytes.ok()) return bytes.error();
    if (bytes.value().empty()) break;
    HttpRequest r = request("PUT", key);
    r.query = {{"comp", "block"}, {"blockid", block_name(number, content)}};
    r.set_header("content-type", "application/octet-stream");
    r.set_header("content-md5", base64(md5(bytes.value())));
    r.body = std::move(bytes).value();
    HttpResponse answer = send(std::move(r));
    if (!answer.success()) return failure(answer, "write", key);
    commit.body += "<Latest>" + block_name(number, content) + "</Latest>";
  }
  if (auto r = reader.check(); !r.ok()) return r;
  commit.body += "</BlockList>";
  commit.query = {{"comp", "blocklist"}};
  commit.set_header("content-type", "application/xml");
  commit.set_header("content-md5", base64(md5(commit.body)));
  commit.set_header("x-ms-blob-content-type", "application/vnd.apache.parquet");
  describe(commit, content);
  HttpResponse answer = send(std::move(commit));
  // Where the answer to a commit was lost, the next try hears that the blob is there: put() looks at it then.
  if (!answer.success()) return failure(answer, "write", key);
  return {};
}

Result<std::vector<ObjectInfo>> AzureStore::list(const std::string &prefix, const std::string &after) {
  std::vector<ObjectInfo> out;
  std::string marker;
  while (true) {
    HttpRequest r = request("GET", "");
    r.query = {{"restype", "container"}, {"comp", "list"}, {"prefix", folder_name(prefix)}, {"delimiter", "/"},
               {"maxresults", "5000"}};
    if (!marker.empty()) r.query.emplace_back("marker", marker);
    HttpResponse answer = send(std::move(r));
    if (!answer.success()) return failure(answer, "list", "");
    auto root = read_xml(answer.body);
    const XmlNode *blobs = root ? root->child("Blobs") : nullptr;
    if (!blobs)
      return Error{Errc::io, "could not list container \"" + url_.bucket + "\"", "The store's answer is no list.", ""};
    for (const XmlNode &blob : blobs->children) {
      const XmlNode *properties = blob.child("Properties");
      if (blob.name != "Blob" || !properties) continue;
      add_listed(out, {blob.child_text("Name"), properties->child_text("Content-Length"), properties->child_text("Last-Modified"), properties->child_text("Etag")}, after, answer);
    }
    std::string next = root->child_text("NextMarker");
    if (next.empty() || next == marker || out.size() >= kListMax) break;
    marker = next;
  }
  std::sort(out.begin(), out.end(), [](const auto &a, const auto &b) { return a.key < b.key; });
  if (out.size() > kListMax) out.resize(kListMax);
  return out;
}

ObjectState AzureStore::state_of(const HttpResponse &head) const {
  ObjectState out;
  out.tier = head.header("x-ms-access-tier");
  if (out.tier != "Archive") return out;
  out.availability = head.header("x-ms-archive-status").empty() ? Availability::archived : Availability::thawing;
  return out;
}

Result<void> AzureStore::set_tier(const std::string &key, const std::string &tier, const std::string &doing, bool thaw) {
  HttpRequest r = request("PUT", key);
  r.query = {{"comp", "tier"}};
  r.set_header("x-ms-access-tier", tier);
  if (thaw) r.set_header("x-ms-rehydrate-priority", url_.thaw);
  HttpResponse answer = send(std::move(r));
  if (answer.success() || complaint_code(answer) == "BlobBeingRehydrated") return {};
  return failure(answer, doing, key);
}

Result<void> AzureStore::thaw(const std::string &key) {
  auto found = find(key);
  if (!found.ok()) return found.error();
  if (found.value().state.availability != Availability::archived) return {};
  return set_tier(key, "Hot", "thaw", true);
}

Result<void> AzureStore::settle(const std::string &key) {
  if (url_.tier != "Archive") return {};
  auto found = find(key);
  if (!found.ok()) return found.error();
  if (found.value().state.tier == "Archive") return {};
  return set_tier(key, "Archive", "archive", false);
}

}  // namespace vectorshard::store
