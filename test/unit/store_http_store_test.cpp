// Stores that speak HTTP, against answers that a test sets: what is put is there once and whole or an error says so, whatever the
// network and the store do.
#include <gtest/gtest.h>

#include "core/store/azure_store.hpp"
#include "core/store/check.hpp"
#include "core/store/s3_store.hpp"
#include "core/store/sha256.hpp"
#include "store_bytes.hpp"
#include "store_fake_http.hpp"

namespace vectorshard::store {
namespace {

struct Bucket {
  FakeHttp http;
  S3Store store{http, read_store_url("s3://bucket/pre?endpoint=https://host").value(), {"key", "hush", ""}};
  Result<void> put(const std::string &key, const std::string &bytes) {
    Source source(bytes);
    return store.put(key, source, content_of(bytes));
  }
  std::string get(const std::string &key) {
    Sink sink;
    return store.get(key, sink).ok() ? sink.bytes : "error";
  }
};

std::string large() {
  std::string bytes(kPartBytes * 2 + 12345, 'a');
  for (size_t i = 0; i < bytes.size(); i += 997) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

TEST(StoreS3, GivesBackWhatItTook) {
  Bucket b;
  std::string key = "node1/AZaz09-_.parquet", bytes = "bytes";
  ASSERT_TRUE(b.put(key, bytes).ok());
  ASSERT_TRUE(b.http.objects.contains("/bucket/pre/" + key));
  EXPECT_EQ(b.get(key), bytes);
  EXPECT_EQ(b.store.get_range(key, 1, 3).value(), "yte");
  EXPECT_EQ(b.store.get_range(key, 3, 10).value(), "es");
  EXPECT_EQ(b.store.get_range(key, 5, 10).value(), "");
  EXPECT_EQ(b.store.head(key).value().bytes, 5);
  EXPECT_EQ(b.store.head(key).value().age_s, 10);
  ASSERT_TRUE(b.store.remove(key).ok());
  ASSERT_TRUE(b.store.remove(key).ok());
  EXPECT_EQ(b.store.head(key).error().code, Errc::not_found);
  EXPECT_EQ(b.store.get_range(key, 0, 1).error().code, Errc::not_found);
  EXPECT_EQ(b.put("a/../b", bytes).error().code, Errc::invalid_argument);
  const HttpRequest &put = b.http.sent[1];
  EXPECT_EQ(FakeHttp::header(put, "x-amz-content-sha256"), sha256_hex(bytes));
  EXPECT_EQ(FakeHttp::header(put, "content-md5"), base64(md5(bytes)));
}

TEST(StoreS3, SweepsUploadsThatWereCutOff) {
  Bucket b;
  // The server dies after the first part: nobody aborts.
  b.http.script = {std::nullopt, std::nullopt, std::nullopt, broken(HttpFault::cancelled), broken(HttpFault::cancelled)};
  EXPECT_FALSE(b.put("node1/big", large()).ok());
  ASSERT_EQ(b.http.uploads.size(), 1u);
  EXPECT_EQ(b.store.sweep("node2", [](auto &) { return false; }).value(), 0);
  EXPECT_EQ(b.store.sweep("node1", [](auto &) { return false; }).value(), 1);
  EXPECT_EQ(b.http.uploads.size(), 0u);
  EXPECT_EQ(FakeHttp::query(b.http.sent.back(), "uploadId"), "u1");
}

TEST(StoreS3, SameContentTwiceIsFineOtherContentIsRefused) {
  Bucket b;
  ASSERT_TRUE(b.put("n/a", "bytes").ok());
  ASSERT_TRUE(b.put("n/a", "bytes").ok());
  EXPECT_EQ(b.http.count("PUT"), 1);
  EXPECT_EQ(b.put("n/a", "other").error().code, Errc::conflict);
  b.http.objects["/bucket/pre/n/b"] = {"bytes", {}};  // stored by somebody else: read and compared
  EXPECT_TRUE(b.put("n/b", "bytes").ok());
  b.http.objects["/bucket/pre/n/b"] = {"bytez", {}};
  EXPECT_EQ(b.put("n/b", "bytes").error().code, Errc::conflict);
  // Somebody is faster between the look and the put.
  b.http.script = {answer(404)};
  EXPECT_TRUE(b.put("n/a", "bytes").ok());
  b.http.script = {answer(404)};
  EXPECT_EQ(b.put("n/a", "other").error().code, Errc::conflict);
  EXPECT_EQ(b.get("n/a"), "bytes");
}

TEST(StoreS3, StoresWithoutConditions) {
  Bucket b;
  b.http.no_conditions = true;
  ASSERT_TRUE(b.put("n/a", "bytes").ok());
  ASSERT_TRUE(b.put("n/b", "bytes").ok());
  EXPECT_EQ(b.http.count("PUT"), 3);  // it is asked once
}

TEST(StoreS3, PutThroughFaults) {
  for (const HttpResponse &fault : {answer(500), answer(503), complains(503, "SlowDown"), broken(HttpFault::timeout),
                                    broken(HttpFault::reset), complains(400, "BadDigest")})
    for (bool done : {false, true}) {
      Bucket b;
      b.http.do_it_anyway = done;  // the store has it, only the answer was lost: the next try finds the key taken
      b.http.script = {answer(404), fault, fault};
      EXPECT_TRUE(b.put("n/a", "bytes").ok());
      EXPECT_EQ(b.http.objects["/bucket/pre/n/a"].bytes, "bytes");
    }
  Bucket b;
  b.http.script = {answer(404), complains(403, "SignatureDoesNotMatch")};
  EXPECT_EQ(b.put("n/a", "bytes").error().code, Errc::denied);
  EXPECT_TRUE(b.http.objects.empty());
  Source source("other");
  EXPECT_EQ(b.store.put("n/a", source, content_of("bytes")).error().code, Errc::corrupt);
  EXPECT_EQ(b.http.count("PUT"), 1);
}

TEST(StoreS3, ReadingGoesOnAfterABreak) {
  Bucket b;
  std::string bytes = large();
  b.http.objects["/bucket/pre/n/a"] = {bytes, {}};
  b.http.cut_after = 1000;
  EXPECT_EQ(b.get("n/a"), bytes);
  EXPECT_EQ(FakeHttp::header(b.http.sent.back(), "range"), "bytes=1000-");
  // A store that begins anew instead must not be believed.
  b.http.cut_after = 1000;
  b.http.sent.clear();
  Sink sink;
  struct Liar : FakeHttp {
    int n = 0;
    HttpResponse send(const HttpRequest &r) override {
      HttpRequest whole = r;
      std::erase_if(whole.headers, [](auto &h) { return h.first == "range"; });
      return FakeHttp::send(whole);
    }
  } liar;
  liar.objects = b.http.objects;
  liar.cut_after = 1000;
  S3Store store(liar, read_store_url("s3://bucket/pre?endpoint=https://host").value(), {"key", "hush", ""});
  EXPECT_EQ(store.get("n/a", sink).error().code, Errc::io);
  EXPECT_EQ(store.get_range("n/a", 5, 10).error().code, Errc::io);
  Sink full;
  full.full = true;
  EXPECT_EQ(b.store.get("n/a", full).error().code, Errc::no_space);
}

TEST(StoreS3, RangesAreChecked) {
  Bucket b;
  b.http.objects["/bucket/pre/n/a"] = {"0123456789", {}};
  b.http.script = {answer(206, "12", {{"content-range", "bytes 1-3/10"}})};  // short: asked again
  EXPECT_EQ(b.store.get_range("n/a", 1, 3).value(), "123");
  b.http.script = {answer(206, "234", {{"content-range", "bytes 2-4/10"}})};
  EXPECT_EQ(b.store.get_range("n/a", 1, 3).error().code, Errc::io);
  b.http.script = {answer(206, "1", {{"content-range", "bytes 1-1/10"}})};
  EXPECT_EQ(b.store.get_range("n/a", 1, 3).error().code, Errc::io);
  b.http.script = {answer(200, "0123456789")};
  EXPECT_EQ(b.store.get_range("n/a", 1, 3).error().code, Errc::io);
  b.http.script = {complains(403, "InvalidObjectState")};
  EXPECT_EQ(b.store.get_range("n/a", 1, 3).error().code, Errc::archived);
  std::string big = large();
  b.http.objects["/bucket/pre/n/b"] = {big, {}};
  EXPECT_EQ(b.store.get_range("n/b", 3, kBodyMax + 100).value(), big.substr(3, kBodyMax + 100));
}

TEST(StoreS3, RangesOfOneVersion) {
  Bucket b;
  ASSERT_TRUE(b.put("n/a", "0123456789").ok());
  auto part = [](const char *tag) { return answer(206, "123", {{"content-range", "bytes 1-3/10"}, {"etag", tag}}); };
  b.http.script = {part("\"v1\"")};
  EXPECT_EQ(b.store.get_range_of("n/a", "v1", 1, 3).value(), "123");
  EXPECT_EQ(FakeHttp::header(b.http.sent.back(), "if-match"), "\"v1\"");
  b.http.script = {answer(412)};
  EXPECT_EQ(b.store.get_range_of("n/a", "v1", 1, 3).error().code, Errc::conflict);
  b.http.script = {part("\"v2\"")};  // of a store that does not know the condition
  EXPECT_EQ(b.store.get_range_of("n/a", "v1", 1, 3).error().code, Errc::conflict);
  b.http.script = {part("\"v2\"")};
  EXPECT_EQ(b.store.get_range("n/a", 1, 3).value(), "123");
  EXPECT_EQ(FakeHttp::header(b.http.sent.back(), "if-match"), "");
  b.http.script = {answer(200, "", {{"content-length", "10"}, {"etag", "W/\"v3\""}})};
  EXPECT_EQ(b.store.head("n/a").value().version, "v3");
}

TEST(StoreS3, LargeObjectsInParts) {
  Bucket b;
  std::string bytes = large();
  ASSERT_TRUE(b.put("n/a", bytes).ok());
  EXPECT_EQ(b.http.objects["/bucket/pre/n/a"].bytes, bytes);
  EXPECT_TRUE(b.http.uploads.empty());
  EXPECT_EQ(b.http.count("PUT"), 3);
  ASSERT_TRUE(b.put("n/a", bytes).ok());  // there already
  EXPECT_EQ(b.http.count("PUT"), 3);
  EXPECT_GE(part_bytes(int64_t{1} << 40), (int64_t{1} << 40) / 10000);
}

TEST(StoreS3, PartsAreChecked) {
  Bucket b;
  std::string bytes = large();
  b.http.script = {answer(404), std::nullopt, answer(200, "", {{"etag", "\"00000000000000000000000000000000\""}})};
  ASSERT_TRUE(b.put("n/a", bytes).ok());
  EXPECT_EQ(b.http.count("PUT"), 4);  // that part again
  b.http.script = {answer(404), std::nullopt};
  for (int i = 0; i < 8; i++) b.http.script.push_back(answer(200, "", {{"etag", "\"00000000000000000000000000000000\""}}));
  EXPECT_EQ(b.put("n/b", bytes).error().code, Errc::io);
  EXPECT_TRUE(b.http.uploads.empty());  // aborted
}

TEST(StoreS3, FailedUploadsAreAborted) {
  Bucket b;
  std::string bytes = large();
  b.http.script = {answer(404), std::nullopt, std::nullopt, complains(403, "AccessDenied")};
  EXPECT_EQ(b.put("n/a", bytes).error().code, Errc::denied);
  EXPECT_TRUE(b.http.uploads.empty());
  Source source(bytes);
  EXPECT_EQ(b.store.put("n/a", source, {static_cast<int64_t>(bytes.size()), sha256_hex("x")}).error().code, Errc::corrupt);
  EXPECT_TRUE(b.http.uploads.empty());
  EXPECT_TRUE(b.http.objects.empty());
}

// After HEAD, begin and three parts, the completion.
std::deque<std::optional<HttpResponse>> at_completion(const HttpResponse &r) {
  return {answer(404), std::nullopt, std::nullopt, std::nullopt, std::nullopt, r};
}

TEST(StoreS3, CompletionsThatAreLostOrDoubtful) {
  std::string bytes = large();
  for (const HttpResponse &odd : {broken(HttpFault::timeout), broken(HttpFault::reset), answer(500), answer(200, ""),
                                  complains(200, "InternalError"), answer(200, "<garbage")})
    for (bool done : {false, true}) {
      Bucket b;
      b.http.script = at_completion(odd);
      if (done) {  // the store did it: the next completion hears NoSuchUpload
        b.http.do_it_anyway = true;
        for (auto &r : b.http.script)
          if (r && r->status == 404) r = std::nullopt;
      }
      bool lost = !done && odd.status == 200 && complaint_code(odd).empty();
      EXPECT_EQ(b.put("n/a", bytes).ok(), !lost) << odd.status << odd.body << done;
      EXPECT_EQ(b.http.objects.contains("/bucket/pre/n/a"), !lost);
      EXPECT_TRUE(b.http.uploads.empty());
    }
  Bucket b;
  b.http.script = at_completion(complains(200, "EntityTooSmall"));
  EXPECT_FALSE(b.put("n/a", bytes).ok());
  EXPECT_TRUE(b.http.uploads.empty());
}

TEST(StoreS3, ListsInPages) {
  Bucket b;
  b.http.page = 7;
  for (int i = 100; i < 150; i++) b.http.objects["/bucket/pre/n/k" + std::to_string(i)] = {"x", {}};
  b.http.objects["/bucket/pre/n/strange key%"] = {"x", {}};
  b.http.objects["/bucket/pre/other/k1"] = {"x", {}};
  auto all = b.store.list("n", "").value();
  ASSERT_EQ(all.size(), 50u);
  EXPECT_EQ(all[0].key, "n/k100");
  EXPECT_EQ(all[0].age_s, 10);
  EXPECT_EQ(b.store.list("n", "n/k147").value().size(), 2u);
  b.http.script = {answer(200, "<html>")};
  EXPECT_FALSE(b.store.list("n", "").ok());
}

TEST(StoreS3, Archives) {
  FakeHttp http;
  S3Store store(http, read_store_url("s3://bucket?endpoint=https://host&class=GLACIER&thaw=Bulk&thaw_days=3").value(), {"k", "s", ""});
  Source source("bytes");
  ASSERT_TRUE(store.put("n/a", source, content_of("bytes")).ok());
  EXPECT_EQ(FakeHttp::header(http.sent.back(), "x-amz-storage-class"), "");  // readable until it was verified
  ASSERT_TRUE(store.settle("n/a").ok());
  EXPECT_EQ(FakeHttp::header(http.sent.back(), "x-amz-storage-class"), "GLACIER");
  EXPECT_EQ(FakeHttp::header(http.sent.back(), "x-amz-copy-source"), "/bucket/n/a");
  auto archived = [](const std::string &restore) {
    Pairs headers{{"content-length", "5"}, {"x-amz-storage-class", "GLACIER"}};
    if (!restore.empty()) headers.emplace_back("x-amz-restore", restore);
    return answer(200, "", headers);
  };
  http.script = {archived("")};
  EXPECT_EQ(store.state("n/a").value().availability, Availability::archived);
  http.script = {archived("ongoing-request=\"true\"")};
  EXPECT_EQ(store.state("n/a").value().availability, Availability::thawing);
  http.script = {archived("ongoing-request=\"false\", expiry-date=\"Sun, 30 Aug 2015 12:36:00 GMT\"")};
  ObjectState thawed = store.state("n/a").value();
  EXPECT_EQ(thawed.availability, Availability::online);
  EXPECT_EQ(thawed.until_unix_s, 1440938160);
  http.script = {archived(""), answer(202)};
  ASSERT_TRUE(store.thaw("n/a").ok());
  EXPECT_NE(http.sent.back().body.find("<Days>3</Days>"), std::string::npos);
  EXPECT_NE(http.sent.back().body.find("<Tier>Bulk</Tier>"), std::string::npos);
  http.script = {archived(""), complains(409, "RestoreAlreadyInProgress")};
  EXPECT_TRUE(store.thaw("n/a").ok());
  http.script = {archived(""), complains(501, "NotImplemented")};
  EXPECT_FALSE(store.thaw("n/a").ok());
}

TEST(StoreS3, SessionTokensAreSignedAndSecretsNotTold) {
  FakeHttp http;
  S3Store store(http, read_store_url("s3://bucket?endpoint=https://host").value(), {"k", "hush/hush", "token9"});
  http.script = {complains(403, "hush/hush token9")};
  Error e = store.get_range("n/a", 0, 1).error();
  EXPECT_EQ((e.message + e.detail + e.hint).find("hush"), std::string::npos);
  EXPECT_EQ((e.message + e.detail + e.hint).find("token9"), std::string::npos);
  EXPECT_EQ(FakeHttp::header(http.sent[0], "x-amz-security-token"), "token9");
  EXPECT_NE(FakeHttp::header(http.sent[0], "authorization").find("x-amz-security-token"), std::string::npos);
}

TEST(StoreCheckSteps, TellEachStep) {
  auto steps = [](Bucket &b) {
    std::string out;
    for (const StoreCheck &c : check_store(b.store, "n/probe")) out += c.step + (c.result.ok() ? " " : "! ");
    return out;
  };
  Bucket fine, down, no_delete, wrong;
  EXPECT_EQ(steps(fine), "list write look read range delete ");
  EXPECT_TRUE(fine.http.objects.empty());
  for (int i = 0; i < 8; i++) down.http.script.push_back(broken(HttpFault::refused));
  EXPECT_EQ(steps(down), "list! ");
  no_delete.http.script = {std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt, complains(403, "AccessDenied")};
  EXPECT_EQ(steps(no_delete), "list write look read range delete! ");
  for (int i = 0; i < 8; i++) wrong.http.script.push_back(complains(403, "SignatureDoesNotMatch"));
  EXPECT_EQ(steps(wrong), "list! write! ");
}

const std::string kAccount = "azure://acc/cold/pre?endpoint=https://host/acc";

TEST(StoreAzure, Requests) {
  FakeHttp http;
  AzureStore store(http, read_store_url(kAccount + "&tier=Cool").value(), {base64("key"), ""});
  Source source("bytes");
  http.script = {answer(404, "", {{"x-ms-error-code", "BlobNotFound"}}), answer(201)};
  ASSERT_TRUE(store.put("n/a", source, content_of("bytes")).ok());
  const HttpRequest &put = http.sent[1];
  EXPECT_EQ(put.url(), "https://host/acc/cold/pre/n/a");
  EXPECT_EQ(FakeHttp::header(put, "x-ms-blob-type"), "BlockBlob");
  EXPECT_EQ(FakeHttp::header(put, "x-ms-access-tier"), "Cool");
  EXPECT_EQ(FakeHttp::header(put, "if-none-match"), "*");
  EXPECT_TRUE(FakeHttp::header(put, "authorization").starts_with("SharedKey acc:"));
  // Its answer was lost; it is there, with our content or another's.
  Pairs there{{"content-length", "5"}, {"x-ms-meta-sha256", sha256_hex("bytes")}};
  for (bool same : {true, false}) {
    http.script = {answer(404), broken(HttpFault::reset), answer(409, "", {{"x-ms-error-code", "BlobAlreadyExists"}}), answer(200, "", there)};
    Source again(same ? "bytes" : "other");
    EXPECT_EQ(store.put("n/a", again, content_of(same ? "bytes" : "other")).ok(), same);
  }
}

TEST(StoreAzure, BlocksAndTheirList) {
  FakeHttp http;
  AzureStore store(http, read_store_url(kAccount).value(), {base64("key"), ""});
  std::string bytes = large();
  Source source(bytes);
  http.script = {answer(404), answer(201), answer(503), answer(201), answer(201), answer(201)};
  ASSERT_TRUE(store.put("n/a", source, content_of(bytes)).ok());
  ASSERT_EQ(http.sent.size(), 6u);
  EXPECT_EQ(http.sent[2].url(), http.sent[3].url());
  std::string list = http.sent[5].body, names;
  for (int i : {1, 3, 4}) names += "<Latest>" + FakeHttp::query(http.sent[static_cast<size_t>(i)], "blockid") + "</Latest>";
  EXPECT_NE(list.find(names), std::string::npos);
  EXPECT_EQ(FakeHttp::header(http.sent[5], "x-ms-meta-sha256"), sha256_hex(bytes));
}

TEST(StoreAzure, SasTokens) {
  FakeHttp http;
  AzureStore store(http, read_store_url(kAccount).value(), {"", "?sv=2021&sig=hu%2Fshush"});
  http.script = {answer(403, "<Error><Code>AuthenticationFailed</Code><Message>sig=hu/shush hu%2Fshush</Message></Error>")};
  Error e = store.get_range("n/a", 0, 1).error();
  EXPECT_EQ(e.code, Errc::denied);
  EXPECT_EQ(e.detail.find("shush"), std::string::npos);
  EXPECT_EQ(http.sent[0].url(), "https://host/acc/cold/pre/n/a?sig=hu%2Fshush&sv=2021");
  EXPECT_EQ(FakeHttp::header(http.sent[0], "authorization"), "");
}

TEST(StoreAzure, ListsInPages) {
  FakeHttp http;
  AzureStore store(http, read_store_url(kAccount).value(), {base64("key"), ""});
  auto blob = [](const std::string &name) {
    return "<Blob><Name>pre/n/" + name + "</Name><Properties><Last-Modified>Sun, 13 Sep 2020 12:26:30 GMT</Last-Modified>"
           "<Content-Length>7</Content-Length></Properties></Blob>";
  };
  std::string head = "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>", tail = "</EnumerationResults>";
  http.script = {answer(200, head + blob("a") + "<BlobPrefix><Name>pre/n/x/</Name></BlobPrefix></Blobs><NextMarker>m</NextMarker>" + tail),
                 answer(200, head + blob("b") + "</Blobs><NextMarker/>" + tail)};
  auto all = store.list("n", "").value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].key, "n/b");
  EXPECT_EQ(all[1].bytes, 7);
  EXPECT_EQ(all[1].age_s, 10);
  EXPECT_EQ(FakeHttp::query(http.sent[1], "marker"), "m");
}

TEST(StoreAzure, Archives) {
  FakeHttp http;
  AzureStore store(http, read_store_url(kAccount + "&tier=Archive&thaw=High").value(), {base64("key"), ""});
  Pairs hot{{"content-length", "5"}, {"x-ms-access-tier", "Hot"}}, archive{{"content-length", "5"}, {"x-ms-access-tier", "Archive"}};
  http.script = {answer(200, "", hot), answer(200)};
  ASSERT_TRUE(store.settle("n/a").ok());
  EXPECT_EQ(FakeHttp::header(http.sent[1], "x-ms-access-tier"), "Archive");
  http.script = {answer(200, "", archive), answer(202)};
  ASSERT_TRUE(store.thaw("n/a").ok());
  EXPECT_EQ(FakeHttp::header(http.sent[3], "x-ms-rehydrate-priority"), "High");
  Pairs thawing = archive;
  thawing.emplace_back("x-ms-archive-status", "rehydrate-pending-to-hot");
  http.script = {answer(200, "", thawing), answer(200, "", archive), answer(409, "", {{"x-ms-error-code", "BlobArchived"}})};
  EXPECT_EQ(store.state("n/a").value().availability, Availability::thawing);
  EXPECT_EQ(store.state("n/a").value().availability, Availability::archived);
  Sink sink;
  EXPECT_EQ(store.get("n/a", sink).error().code, Errc::archived);
}

}  // namespace
}  // namespace vectorshard::store
