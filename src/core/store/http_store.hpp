// What stores that speak HTTP have in common: keys under a prefix, putting once, reading on after a break, checking ranges.
// S3Store and AzureStore add their requests. Parts of large objects are held in memory, never an object.
#pragma once
#include <functional>
#include <memory>

#include "core/store/retry.hpp"
#include "core/store/store_url.hpp"
#include "core/store/types.hpp"

namespace vectorshard::store {

class HttpStore : public Store {
 public:
  Result<void> put(const std::string &key, ByteSource &source, const ObjectContent &content) override;
  Result<void> get(const std::string &key, ByteSink &sink) override;
  Result<std::string> get_range(const std::string &key, int64_t offset, size_t length) override;
  Result<std::string> get_range_of(const std::string &key, const std::string &version, int64_t offset, size_t length) override;
  Result<ObjectInfo> head(const std::string &key) override;
  Result<void> remove(const std::string &key) override;
  Result<ObjectState> state(const std::string &key) override;
  std::string local_path(const std::string &) const override { return ""; }

 protected:
  /// `secrets` never appear in errors.
  HttpStore(HttpPort &port, StoreUrl url, RetryRules rules, std::vector<std::string> secrets)
      : port_(port), url_(std::move(url)), rules_(rules), secrets_(std::move(secrets)) {}

  struct Found {
    int64_t bytes = 0, age_s = 0;
    std::string version;
    std::string sha256;  // as put() noted it; empty: somebody else stored it
    ObjectState state;
  };

  // What the kinds do each in their way. Both puts: conflict if the key is taken.
  virtual Result<void> sign(HttpRequest &request, int64_t unix_s) = 0;
  virtual Result<void> put_whole(const std::string &key, std::string bytes, const ObjectContent &content) = 0;
  virtual Result<void> put_parts(const std::string &key, ByteSource &source, const ObjectContent &content) = 0;
  virtual const char *sha256_header() const = 0;
  virtual ObjectState state_of(const HttpResponse &head) const = 0;

  HttpRequest request(const std::string &method, const std::string &key) const;  // key empty: the bucket
  HttpResponse send(HttpRequest request);
  HttpResponse send(HttpRequest request, const std::function<bool(const HttpResponse &)> &again);
  Error failure(const HttpResponse &response, const std::string &doing, const std::string &key) const;
  Result<Found> find(const std::string &key);
  /// Success if the object that is there has this content.
  Result<void> check_same(const std::string &key, const ObjectContent &content);
  /// A page of names that begin with "<prefix>/": the key of each that is one of ours, once.
  std::string folder_name(const std::string &prefix) const;
  struct Listed {
    std::string name, bytes, written, version;
  };
  void add_listed(std::vector<ObjectInfo> &out, const Listed &listed, const std::string &after, const HttpResponse &response) const;

  HttpPort &port_;
  StoreUrl url_;
  RetryRules rules_;
  std::vector<std::string> secrets_;

 private:
  Result<std::string> get_piece(const std::string &key, const std::string &version, int64_t offset, size_t length);
  std::string name_of(const std::string &key) const { return url_.prefix.empty() ? key : url_.prefix + "/" + key; }
};

/// Parts are this large, larger where an object would have more than 9,000.
constexpr size_t kPartBytes = 8 << 20;
size_t part_bytes(int64_t object_bytes);

/// Up to `max` next bytes of a source, whole unless the source ends; hashes them.
class PartReader {
 public:
  PartReader(ByteSource &source, const ObjectContent &content);
  ~PartReader();
  Result<std::string> next(size_t max);
  /// Whether exactly `content` came. Call once, at the end.
  Result<void> check();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vectorshard::store
