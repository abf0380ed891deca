// A store in a container of Azure Blob Storage.
#pragma once
#include "core/store/http_store.hpp"

namespace vectorshard::store {

/// One of the two.
struct AzureCredentials {
  std::string account_key;  // base64, as the portal shows it
  std::string sas_token;    // "sv=…&sig=…", with or without '?'
};

class AzureStore : public HttpStore {
 public:
  AzureStore(HttpPort &port, StoreUrl url, AzureCredentials credentials, RetryRules rules = {});

  Result<std::vector<ObjectInfo>> list(const std::string &prefix, const std::string &after) override;
  Result<void> thaw(const std::string &key) override;
  Result<void> settle(const std::string &key) override;
  Result<int> sweep(const std::string &, const std::function<bool(const std::string &)> &) override {
    return 0;  // blocks that nobody commits can neither be listed nor removed; the service drops them after a week
  }

 protected:
  Result<void> sign(HttpRequest &request, int64_t unix_s) override;
  Result<void> put_whole(const std::string &key, std::string bytes, const ObjectContent &content) override;
  Result<void> put_parts(const std::string &key, ByteSource &source, const ObjectContent &content) override;
  const char *sha256_header() const override { return "x-ms-meta-sha256"; }
  ObjectState state_of(const HttpResponse &head) const override;

 private:
  void describe(HttpRequest &request, const ObjectContent &content) const;
  Result<void> set_tier(const std::string &key, const std::string &tier, const std::string &doing, bool thaw);

  AzureCredentials credentials_;
  Pairs sas_;
};

}  // namespace vectorshard::store
