// A store in a bucket that is spoken to by the S3 protocol: AWS, Ceph, Swift, MinIO and others.
#pragma once
#include "core/store/http_store.hpp"
#include "core/store/sigv4.hpp"

namespace vectorshard::store {

class S3Store : public HttpStore {
 public:
  S3Store(HttpPort &port, StoreUrl url, AwsCredentials credentials, RetryRules rules = {})
      : HttpStore(port, std::move(url), rules, {credentials.secret_access_key, credentials.session_token}),
        credentials_(std::move(credentials)) {}

  Result<std::vector<ObjectInfo>> list(const std::string &prefix, const std::string &after) override;
  Result<void> thaw(const std::string &key) override;
  Result<void> settle(const std::string &key) override;
  Result<int> sweep(const std::string &folder, const std::function<bool(const std::string &)> &) override;

 protected:
  Result<void> sign(HttpRequest &request, int64_t unix_s) override;
  Result<void> put_whole(const std::string &key, std::string bytes, const ObjectContent &content) override;
  Result<void> put_parts(const std::string &key, ByteSource &source, const ObjectContent &content) override;
  const char *sha256_header() const override { return "x-amz-meta-sha256"; }
  ObjectState state_of(const HttpResponse &head) const override;

 private:
  struct Upload {
    std::string id;
    std::vector<std::string> etags;
  };
  bool archives() const;
  void describe(HttpRequest &request, const ObjectContent &content) const;
  HttpResponse send_once(HttpRequest request);
  Result<std::string> begin_upload(const std::string &key, const ObjectContent &content);
  Result<void> put_part(const std::string &key, Upload &upload, std::string bytes);
  Result<void> complete(const std::string &key, const Upload &upload, const ObjectContent &content);

  AwsCredentials credentials_;
  bool conditional_ = true;  // until the store says that it cannot
};

}  // namespace vectorshard::store
