// Signatures: the vectors that AWS publishes (its test suite, and the examples of the S3 manual), and Azure's string to sign.
#include "core/store/sigv4.hpp"

#include <gtest/gtest.h>

#include "core/store/azure_sign.hpp"
#include "core/store/digests.hpp"

namespace vectorshard::store {
namespace {

const std::string kNothing = sha256_hex("");

std::string signature_of(const HttpRequest &r) {
  for (const auto &[name, value] : r.headers)
    if (name == "authorization") return value.substr(value.find("Signature=") + 10);
  return "";
}

HttpRequest suite(const std::string &method, const std::string &path, Pairs query = {}, Pairs headers = {}) {
  HttpRequest r;
  r.method = method;
  r.base = "https://example.amazonaws.com";
  r.path = path;
  r.query = std::move(query);
  r.headers = std::move(headers);
  return r;
}

/// Of AWS's test suite for version 4.
std::string sign_suite(HttpRequest r, const std::string &payload = kNothing, const std::string &token = "") {
  sign_v4(r, {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token}, {"us-east-1", "service"}, 1440938160, payload);
  return signature_of(r);
}

TEST(StoreSigV4, SuiteOfAws) {
  EXPECT_EQ(sign_suite(suite("GET", "/")), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(sign_suite(suite("GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}})),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  EXPECT_EQ(sign_suite(suite("GET", percent_encode("/\xE1\x88\xB4", true))),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
  EXPECT_EQ(sign_suite(suite("GET", percent_encode("/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", true))),
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
  EXPECT_EQ(sign_suite(suite("GET", "/", {}, {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}})),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
  EXPECT_EQ(sign_suite(suite("POST", "/")), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  EXPECT_EQ(sign_suite(suite("POST", "/", {}, {{"content-type", "application/x-www-form-urlencoded"}}), sha256_hex("Param1=value1")),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
  EXPECT_EQ(sign_suite(suite("POST", "/", {{"Param1", "value1"}})), "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11");
  EXPECT_EQ(sign_suite(suite("POST", "/", {}, {{"my-header1", "value1"}})),
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c");
  EXPECT_EQ(sign_suite(suite("POST", "/"), kNothing,
                       "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YU"
                       "uwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8Y"
                       "QcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2IC"
                       "CR/oLxBA=="),
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

/// Of the S3 manual, "Signature calculations for the Authorization header".
std::string sign_manual(const std::string &method, const std::string &path, Pairs query, Pairs headers, const std::string &body) {
  HttpRequest r;
  r.method = method;
  r.base = "https://examplebucket.s3.amazonaws.com:443";
  r.path = path;
  r.query = std::move(query);
  r.headers = std::move(headers);
  r.set_header("x-amz-content-sha256", sha256_hex(body));
  sign_v4(r, {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""}, {"us-east-1", "s3"}, 1369353600,
          sha256_hex(body));
  return signature_of(r);
}

TEST(StoreSigV4, ExamplesOfTheS3Manual) {
  EXPECT_EQ(sign_manual("GET", "/test.txt", {}, {{"range", "bytes=0-9"}}, ""),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(sign_manual("PUT", percent_encode("/test$file.text", true), {},
                        {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                        "Welcome to Amazon S3."),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(sign_manual("GET", "/", {{"lifecycle", ""}}, {}, ""),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(sign_manual("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, ""),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

// A header's name may be the beginning of another's: they are sorted by name, not by "name:value".
TEST(StoreSigV4, HeadersThatBeginAlike) {
  HttpRequest r = suite("PUT", "/", {}, {{"x-amz-copy-source-range", "bytes=0-1"}, {"x-amz-copy-source", "/a/b"}});
  std::string canonical = canonical_request_v4(r, kNothing);
  EXPECT_NE(canonical.find("x-amz-copy-source:/a/b\nx-amz-copy-source-range:bytes=0-1\n"), std::string::npos);
}

TEST(StoreAzureSign, StringToSign) {
  HttpRequest r;
  r.method = "PUT";
  r.base = "http://127.0.0.1:10000";
  r.path = "/acc/cold/a/b";
  r.query = {{"comp", "block"}, {"blockid", "MDA="}};
  r.headers = {{"x-ms-version", "2021-12-02"}, {"content-md5", "bWQ1"}, {"content-type", "text/plain"}, {"range", "bytes=0-1"},
               {"x-ms-date", "Sun, 30 Aug 2015 12:36:00 GMT"}, {"if-none-match", "*"}};
  r.body = "abc";
  EXPECT_EQ(string_to_sign_shared_key(r, "acc"),
            "PUT\n\n\n3\nbWQ1\ntext/plain\n\n\n\n*\n\nbytes=0-1\nx-ms-date:Sun, 30 Aug 2015 12:36:00 GMT\nx-ms-version:2021-12-02\n"
            "/acc/acc/cold/a/b\nblockid:MDA=\ncomp:block");
  r.body.clear();
  EXPECT_TRUE(string_to_sign_shared_key(r, "acc").starts_with("PUT\n\n\n\nbWQ1"));
  EXPECT_EQ(sign_shared_key(r, "acc", "no base64!", 0).error().code, Errc::invalid_argument);
  ASSERT_TRUE(sign_shared_key(r, "acc", base64("key"), 1440938160).ok());
}

}  // namespace
}  // namespace vectorshard::store
