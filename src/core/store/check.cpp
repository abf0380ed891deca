// Whether a store does what is needed of it: see check.hpp.
#include "core/store/check.hpp"

#include <algorithm>

#include "core/store/digests.hpp"

namespace vectorshard::store {

namespace {

class StringSource : public ByteSource {
 public:
  explicit StringSource(std::string_view bytes) : bytes_(bytes), left_(bytes) {}
  Result<size_t> read(char *out, size_t max) override {
    size_t n = std::min(max, left_.size());
    left_.copy(out, n);
    left_.remove_prefix(n);
    return n;
  }
  Result<void> rewind() override {
    left_ = bytes_;
    return {};
  }

 private:
  std::string_view bytes_, left_;
};

class StringSink : public ByteSink {
 public:
  std::string bytes;
  Result<void> write(std::string_view b) override {
    bytes.append(b);
    return {};
  }
};

Result<void> same(const std::string &expected, const std::string &found) {
  if (expected == found) return {};
  return Error{Errc::corrupt, "the store gave back other bytes than it took", "", ""};
}

Result<void> read_whole(Store &store, const std::string &key, const std::string &bytes) {
  StringSink sink;
  if (auto r = store.get(key, sink); !r.ok()) return r;
  return same(bytes, sink.bytes);
}

Result<void> read_range(Store &store, const std::string &key, const std::string &bytes) {
  auto r = store.get_range(key, 3, 7);
  return r.ok() ? same(bytes.substr(3, 7), r.value()) : r.error();
}

Result<void> look(Store &store, const std::string &key, const std::string &bytes) {
  auto r = store.head(key);
  if (!r.ok()) return r.error();
  if (r.value().bytes == static_cast<int64_t>(bytes.size())) return {};
  return Error{Errc::corrupt, "the store tells another length than it was given", "", ""};
}

Result<void> list_folder(Store &store, const std::string &key) {
  auto r = store.list(key.substr(0, key.rfind('/')), "");
  return r.ok() ? Result<void>{} : r.error();
}

}  // namespace

std::vector<StoreCheck> check_store(Store &store, const std::string &key) {
  const std::string bytes = "vectorshard " + key;
  std::vector<StoreCheck> out;
  auto step = [&](const char *name, Result<void> result) {
    out.push_back({name, std::move(result)});
    return out.back().result.ok() || out.back().result.error().code != Errc::unreachable;
  };
  if (!step("list", list_folder(store, key))) return out;
  StringSource source(bytes);
  if (!step("write", store.put(key, source, {static_cast<int64_t>(bytes.size()), sha256_hex(bytes)}))) return out;
  if (!out.back().result.ok()) return out;
  step("look", look(store, key, bytes));
  step("read", read_whole(store, key, bytes));
  step("range", read_range(store, key, bytes));
  step("delete", store.remove(key));
  return out;
}

}  // namespace vectorshard::store
