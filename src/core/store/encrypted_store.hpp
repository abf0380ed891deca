// A store whose objects are encrypted before they leave the server, around any other. Sizes, ranges and contents are those of the plain
// object; what lies in the store is sealing.hpp's. Nothing is given out that was not authenticated.
#pragma once
#include <map>
#include <memory>

#include "core/store/sealing.hpp"
#include "core/store/types.hpp"

namespace vectorshard::store {

class EncryptedStore : public Store {
 public:
  EncryptedStore(std::unique_ptr<Store> inner, KeyRing ring) : inner_(std::move(inner)), ring_(std::move(ring)) {}

  /// Reads the source twice: what an object's bytes hash to must be known before they are stored.
  Result<void> put(const std::string &key, ByteSource &source, const ObjectContent &content) override;
  Result<void> get(const std::string &key, ByteSink &sink) override;
  Result<std::string> get_range(const std::string &key, int64_t offset, size_t length) override;
  Result<ObjectInfo> head(const std::string &key) override;
  Result<void> remove(const std::string &key) override;
  Result<std::vector<ObjectInfo>> list(const std::string &prefix, const std::string &after) override;
  Result<ObjectState> state(const std::string &key) override { return inner_->state(key); }
  Result<void> thaw(const std::string &key) override { return inner_->thaw(key); }
  Result<void> settle(const std::string &key) override { return inner_->settle(key); }
  std::string local_path(const std::string &) const override { return ""; }
  Result<std::string> key_id(const std::string &key) override;
  Result<int> sweep(const std::string &folder, const std::function<bool(const std::string &)> &alive) override {
    return inner_->sweep(folder, alive);
  }

 private:
  Result<const Seal *> seal_of(const std::string &key);
  Result<void> check_same(const std::string &key, const ObjectContent &content);

  std::unique_ptr<Store> inner_;
  KeyRing ring_;
  std::map<std::string, Seal> seals_;  // of the objects that were read in part
};

}  // namespace vectorshard::store
