// What is tried again, after which pauses, and what never; times and URLs as stores write them.
#include "core/store/retry.hpp"

#include <gtest/gtest.h>

#include "core/store/complaints.hpp"
#include "core/store/digests.hpp"
#include "core/store/store_url.hpp"
#include "core/store/web_time.hpp"
#include "store_fake_http.hpp"

namespace vectorshard::store {
namespace {

Result<void> unsigned_request(HttpRequest &) { return {}; }

HttpResponse send(FakeHttp &http, RetryRules rules = {}) {
  HttpRequest r;
  r.method = "GET";
  r.path = "/b/x";
  return send_patiently(http, rules, r, unsigned_request);
}

TEST(StoreRetry, TriesAgainWhatMayPass) {
  for (int status : {408, 429, 500, 502, 503, 504}) {
    FakeHttp http;
    http.objects["/b/x"] = {"y", {}};
    http.script = {answer(status), std::nullopt};
    EXPECT_EQ(send(http).status, 200) << status;
    EXPECT_EQ(http.waits.size(), 1u);
  }
  for (HttpFault fault : {HttpFault::refused, HttpFault::timeout, HttpFault::reset, HttpFault::short_body}) {
    FakeHttp http;
    http.script = {broken(fault), complains(400, "RequestTimeout"), complains(503, "SlowDown"), complains(409, "OperationAborted")};
    EXPECT_EQ(send(http).status, 404);
    EXPECT_EQ(http.sent.size(), 5u);
  }
}

TEST(StoreRetry, NeverWhatStays) {
  for (int status : {200, 204, 301, 400, 401, 403, 404, 405, 409, 412, 416, 501}) {
    FakeHttp http;
    http.script = {answer(status)};
    EXPECT_EQ(send(http).status, status);
    EXPECT_EQ(http.sent.size(), 1u) << status;
  }
  for (HttpFault fault : {HttpFault::cancelled, HttpFault::tls, HttpFault::resolve, HttpFault::sink}) {
    FakeHttp http;
    http.script = {broken(fault)};
    EXPECT_EQ(send(http).fault, fault);
    EXPECT_EQ(http.sent.size(), 1u);
  }
}

TEST(StoreRetry, EightTriesAndPatience) {
  FakeHttp http;
  for (int i = 0; i < 20; i++) http.script.push_back(answer(503));
  EXPECT_EQ(send(http, {8, 0.1, 20, 1000}).status, 503);
  EXPECT_EQ(http.sent.size(), 8u);
  double before = 0.1;
  for (double s : http.waits) {
    EXPECT_GE(s, 0.1);
    EXPECT_LE(s, std::min(20.0, 3 * before));
    before = s;
  }
  FakeHttp hasty;
  for (int i = 0; i < 20; i++) hasty.script.push_back(answer(503));
  send(hasty, {8, 0.1, 20, 0.5});
  EXPECT_LE(hasty.now, 0.5);
  EXPECT_LT(hasty.sent.size(), 8u);
}

TEST(StoreRetry, PausesAreBounded) {
  RetryRules rules;
  Backoff most(rules), least(rules);
  for (int i = 0; i < 30; i++) {
    EXPECT_LE(most.next_s(1), 20);
    EXPECT_DOUBLE_EQ(least.next_s(0), 0.1);
  }
  EXPECT_DOUBLE_EQ(most.next_s(1), 20);
}

TEST(StoreRetry, RetryAfter) {
  FakeHttp http;
  http.script = {answer(503, "", {{"retry-after", "7"}}), answer(429, "", {{"retry-after", http_time(http.unix_now + 9)}})};
  EXPECT_EQ(send(http).status, 404);
  EXPECT_EQ(http.waits, (std::vector<double>{7, 9}));
  FakeHttp long_wait;  // longer than anybody waits: the answer as it is
  long_wait.script = {answer(503, "", {{"retry-after", "3600"}})};
  EXPECT_EQ(send(long_wait).status, 503);
  EXPECT_TRUE(long_wait.waits.empty());
}

TEST(StoreRetry, ErrorsInWordsWithoutSecrets) {
  auto error = [](const HttpResponse &r) { return error_of(r, "could not read object \"x\"", 1600000000, {"top/secret"}); };
  EXPECT_EQ(error(complains(403, "SignatureDoesNotMatch")).code, Errc::denied);
  EXPECT_NE(error(complains(403, "SignatureDoesNotMatch")).detail.find("secret access key is wrong"), std::string::npos);
  EXPECT_EQ(error(complains(403, "RequestTimeTooSkewed")).code, Errc::clock_skew);
  EXPECT_EQ(error(complains(403, "InvalidObjectState")).code, Errc::archived);
  EXPECT_EQ(error(complains(404, "NoSuchBucket")).code, Errc::io);
  EXPECT_EQ(error(complains(404, "NoSuchKey")).code, Errc::not_found);
  EXPECT_EQ(error(answer(301, "", {{"x-amz-bucket-region", "eu-west-1"}})).detail,
            "Of the store: the bucket is in region eu-west-1 (HTTP status 301).");
  EXPECT_EQ(error(answer(403, "", {{"date", http_time(1600000000 + 7200)}})).code, Errc::clock_skew);
  EXPECT_EQ(error(answer(403, "", {{"x-ms-error-code", "AuthenticationFailed"}})).code, Errc::denied);
  HttpResponse echo = answer(403, "<Error><Code>X</Code><Message>your top/secret is\ntop/secret</Message></Error>");
  EXPECT_EQ(error(echo).detail.find("top/secret"), std::string::npos);
  EXPECT_EQ(error(broken(HttpFault::refused)).code, Errc::unreachable);
  EXPECT_EQ(error(answer(500, "not <xml")).code, Errc::unreachable);
}

TEST(StoreRetry, Times) {
  EXPECT_EQ(basic_time(1440938160), "20150830T123600Z");
  EXPECT_EQ(http_time(1440938160), "Sun, 30 Aug 2015 12:36:00 GMT");
  EXPECT_EQ(read_time("Sun, 30 Aug 2015 12:36:00 GMT"), 1440938160);
  EXPECT_EQ(read_time("2015-08-30T12:36:00.000Z"), 1440938160);
  EXPECT_FALSE(read_time("soon"));
  EXPECT_FALSE(read_time("2015-02-31T12:36:00Z"));
}

TEST(StoreUrls, S3) {
  StoreUrl u = read_store_url("s3://bucket/a/b/?endpoint=https%3A%2F%2Fhost:9000&region=eu-central-1&class=STANDARD_IA").value();
  EXPECT_EQ(u.base + u.base_path, "https://host:9000/bucket");
  EXPECT_EQ(u.prefix + " " + u.region + " " + u.tier, "a/b eu-central-1 STANDARD_IA");
  EXPECT_EQ(read_store_url("s3://bucket?region=eu-central-1").value().base, "https://bucket.s3.eu-central-1.amazonaws.com");
  EXPECT_EQ(read_store_url("s3://a.bucket").value().base_path, "/a.bucket");
  u = read_store_url("s3://bucket?endpoint=https://host:9000&style=virtual").value();
  EXPECT_EQ(u.base + u.base_path, "https://bucket.host:9000");
  for (const char *bad : {"s3://", "s3://x", "s3://bucket/../a", "s3://bucket?endpoint=host", "s3://bucket?style=other", "s3://bucket?x=1",
                          "s3://bucket?endpoint=https://user:word@host", "s3://bucket?thaw_days=0", "s3://bucket?region=a/b", "ftp://x",
                          "s3://bucket?endpoint=http://127.0.0.1:9000&style=virtual", "s3://bucket?endpoint=https://[::1]&style=virtual"})
    EXPECT_EQ(read_store_url(bad).error().code, Errc::invalid_argument) << bad;
}

TEST(StoreUrls, SecretsAreRefusedAndNotShown) {
  for (const char *bad : {"s3://bucket?secret_access_key=hush", "s3://bucket?unknown=hush", "azure://acc/cold?sig=hush",
                          "s3://bucket?endpoint=https://user:hush@host", "azure://acc/cold?sas_token=hush"}) {
    Error e = read_store_url(bad).error();
    EXPECT_EQ((e.message + e.detail + e.hint).find("hush"), std::string::npos) << bad;
  }
}

TEST(StoreUrls, AzureAndExposure) {
  StoreUrl u = read_store_url("azure://acc/cold/x?endpoint=http://127.0.0.1:10000/acc&tier=Cool").value();
  EXPECT_EQ(u.base + u.base_path, "http://127.0.0.1:10000/acc/cold");
  EXPECT_EQ(read_store_url("azure://acc/cold").value().base, "https://acc.blob.core.windows.net");
  EXPECT_FALSE(exposed(u));
  auto open = [](const std::string &host) { return exposed(read_store_url("s3://bucket?endpoint=http://" + host).value()); };
  EXPECT_FALSE(open("localhost:9000"));
  EXPECT_FALSE(open("localhost:9000&style=virtual"));
  EXPECT_FALSE(open("[::1]:9000"));
  EXPECT_TRUE(open("localhost.example.com"));
  EXPECT_TRUE(open("notlocalhost"));
  EXPECT_TRUE(open("10.0.0.1"));
  EXPECT_TRUE(open("127.0.0.1.example.com"));
  EXPECT_FALSE(exposed(read_store_url("s3://bucket").value()));
}

}  // namespace
}  // namespace vectorshard::store
