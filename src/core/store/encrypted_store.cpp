// A store of encrypted objects: see encrypted_store.hpp.
#include "core/store/encrypted_store.hpp"

#include <algorithm>

#include "core/store/sha256.hpp"

namespace vectorshard::store {

namespace {

/// The sealed object that a plain source becomes; the same bytes each time it is rewound.
class SealingSource : public ByteSource {
 public:
  SealingSource(ByteSource &plain, const Seal &seal) : plain_(plain), seal_(seal), out_(seal.header()) {}
  Result<size_t> read(char *out, size_t max) override {
    if (at_ == out_.size() && frame_ < seal_.frames())
      if (auto r = next_frame(); !r.ok()) return r.error();
    size_t n = out_.copy(out, max, at_);
    at_ += n;
    return n;
  }
  Result<void> rewind() override {
    out_ = seal_.header();
    at_ = 0;
    frame_ = 0;
    return plain_.rewind();
  }
  /// The hash of the plain bytes that were read since they were asked for from the beginning.
  Sha256 &plain_sha() { return sha_; }
  /// Whether the source ends where it was said to.
  Result<bool> ended() {
    char byte;
    auto n = plain_.read(&byte, 1);
    if (!n.ok()) return n.error();
    return n.value() == 0;
  }

 private:
  Result<void> next_frame() {
    std::string plain(seal_.frame_bytes(frame_), '\0');
    for (size_t got = 0; got < plain.size();) {
      auto n = plain_.read(plain.data() + got, plain.size() - got);
      if (!n.ok()) return n.error();
      if (n.value() == 0) return Error{Errc::corrupt, "the bytes to store changed while they were stored", "They ended early.", ""};
      got += n.value();
    }
    if (!again_) sha_.add(plain);
    out_ = seal_.close_frame(frame_++, plain);
    at_ = 0;
    if (frame_ == seal_.frames()) again_ = true;
    return {};
  }

  ByteSource &plain_;
  const Seal &seal_;
  std::string out_;
  size_t at_ = 0;
  int64_t frame_ = 0;
  bool again_ = false;  // the plain bytes were hashed
  Sha256 sha_;
};

/// Takes a sealed object, gives out its plain bytes frame by frame.
class OpeningSink : public ByteSink {
 public:
  OpeningSink(const KeyRing &ring, const std::string &key, ByteSink &plain) : ring_(ring), key_(key), plain_(plain) {}
  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      size_t n = std::min(bytes.size(), wanted() - held_.size());
      if (wanted() == 0) return too_long();
      held_.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      if (held_.size() == wanted())
        if (auto r = take(); !r.ok()) return r;
    }
    return {};
  }
  /// Once all has come.
  Result<void> end() {
    if (!seal_.empty() && frame_ == seal_.front().frames() && held_.empty()) return {};
    if (seal_.empty()) return key_id_of(key_, held_).ok() ? ends_early() : key_id_of(key_, held_).error();
    return ends_early();
  }

 private:
  size_t wanted() const {
    if (seal_.empty()) return kSealHeaderBytes;
    return frame_ < seal_.front().frames() ? seal_.front().frame_bytes(frame_) + kTagBytes : 0;
  }
  Result<void> take() {
    std::string held = std::move(held_);
    held_.clear();
    if (seal_.empty()) {
      auto seal = Seal::open(ring_, key_, held);
      if (!seal.ok()) return seal.error();
      seal_.push_back(std::move(seal).value());
      return {};
    }
    auto plain = seal_.front().open_frame(frame_++, held);
    if (!plain.ok()) return plain.error();
    return plain_.write(plain.value());
  }
  Error too_long() const {
    return {Errc::corrupt, "encrypted object \"" + key_ + "\" is damaged", "Object \"" + key_ + "\" is longer than its header says.",
            "Restore the object from its backup."};
  }
  Error ends_early() const {
    return {Errc::corrupt, "encrypted object \"" + key_ + "\" is damaged", "Object \"" + key_ + "\" ends early.",
            "Restore the object from its backup."};
  }

  const KeyRing &ring_;
  const std::string &key_;
  ByteSink &plain_;
  std::vector<Seal> seal_;  // none before the header came
  std::string held_;
  int64_t frame_ = 0;
};

class HashingSink : public ByteSink {
 public:
  Result<void> write(std::string_view b) override {
    sha_.add(b);
    bytes += static_cast<int64_t>(b.size());
    return {};
  }
  std::string hex() { return sha_.hex(); }
  int64_t bytes = 0;

 private:
  Sha256 sha_;
};

/// What a source gives as a whole, read to its end.
Result<ObjectContent> content_of(ByteSource &source) {
  std::string block(1 << 16, '\0');
  Sha256 sha;
  ObjectContent out;
  while (true) {
    auto n = source.read(block.data(), block.size());
    if (!n.ok()) return n.error();
    if (n.value() == 0) break;
    sha.add(std::string_view(block.data(), n.value()));
    out.bytes += static_cast<int64_t>(n.value());
  }
  out.sha256 = sha.hex();
  return out;
}

}  // namespace

/// Two sealed objects of the same content differ, so what is there is opened and compared.
Result<void> EncryptedStore::check_same(const std::string &key, const ObjectContent &content) {
  HashingSink found;
  if (auto r = get(key, found); !r.ok()) return r;
  if (found.bytes == content.bytes && found.hex() == content.sha256) return {};
  return Error{Errc::conflict, "object \"" + key + "\" exists with other content",
               "It has " + std::to_string(found.bytes) + " bytes, the new one " + std::to_string(content.bytes) + ".",
               "Somebody else writes into this store: look at the object, then remove it."};
}

Result<void> EncryptedStore::put(const std::string &key, ByteSource &source, const ObjectContent &content) {
  if (inner_->head(key).ok()) return check_same(key, content);
  auto seal = Seal::make(ring_, key, content.bytes);
  if (!seal.ok()) return seal.error();
  SealingSource sealed(source, seal.value());
  auto whole = content_of(sealed);
  if (!whole.ok()) return whole.error();
  auto ended = sealed.ended();
  if (!ended.ok()) return ended.error();
  if (!ended.value() || sealed.plain_sha().hex() != content.sha256)
    return Error{Errc::corrupt, "the bytes to store changed while they were stored", "They are not those that were announced.", ""};
  if (auto r = sealed.rewind(); !r.ok()) return r;
  Result<void> done = inner_->put(key, sealed, whole.value());
  // Somebody else was faster, or the answer to our own first try was lost.
  if (!done.ok() && done.error().code == Errc::conflict) return check_same(key, content);
  return done;
}

Result<void> EncryptedStore::get(const std::string &key, ByteSink &sink) {
  OpeningSink opening(ring_, key, sink);
  if (auto r = inner_->get(key, opening); !r.ok()) return r;
  return opening.end();
}

Result<const Seal *> EncryptedStore::seal_of(const std::string &key) {
  auto at = seals_.find(key);
  if (at == seals_.end()) {
    auto header = inner_->get_range(key, 0, kSealHeaderBytes);
    if (!header.ok()) return header.error();
    auto seal = Seal::open(ring_, key, header.value());
    if (!seal.ok()) return seal.error();
    at = seals_.emplace(key, std::move(seal).value()).first;
  }
  return &at->second;
}

Result<std::string> EncryptedStore::get_range(const std::string &key, int64_t offset, size_t length) {
  auto found = seal_of(key);
  if (!found.ok()) return found.error();
  const Seal &seal = *found.value();
  constexpr auto kFrame = static_cast<int64_t>(kFrameBytes);
  int64_t end = offset >= seal.plain_bytes() ? offset : std::min(seal.plain_bytes(), offset + static_cast<int64_t>(std::min<size_t>(length, INT64_MAX / 2)));
  if (offset < 0 || end <= offset) return std::string();
  int64_t first = offset / kFrame, last = (end - 1) / kFrame;
  int64_t from = Seal::frame_at(first), to = Seal::frame_at(last) + static_cast<int64_t>(seal.frame_bytes(last) + kTagBytes);
  auto sealed = inner_->get_range(key, from, static_cast<size_t>(to - from));
  if (!sealed.ok()) return sealed.error();
  std::string out;
  std::string_view rest = sealed.value();
  for (int64_t frame = first; frame <= last; frame++) {
    std::string_view piece = rest.substr(0, seal.frame_bytes(frame) + kTagBytes);
    rest.remove_prefix(piece.size());
    auto plain = seal.open_frame(frame, piece);
    if (!plain.ok()) return plain.error();
    out += plain.value();
  }
  return out.substr(static_cast<size_t>(offset - first * kFrame), static_cast<size_t>(end - offset));
}

Result<ObjectInfo> EncryptedStore::head(const std::string &key) {
  auto info = inner_->head(key);
  if (!info.ok()) return info;
  auto plain = plain_bytes(info.value().bytes);
  if (!plain)
    return Error{Errc::corrupt, "encrypted object \"" + key + "\" is damaged",
                 "No encrypted object has " + std::to_string(info.value().bytes) + " bytes.", "Restore the object from its backup."};
  ObjectInfo out = info.value();
  out.bytes = *plain;
  return out;
}

Result<void> EncryptedStore::remove(const std::string &key) {
  seals_.erase(key);
  return inner_->remove(key);
}

Result<std::vector<ObjectInfo>> EncryptedStore::list(const std::string &prefix, const std::string &after) {
  auto objects = inner_->list(prefix, after);
  if (!objects.ok()) return objects;
  std::vector<ObjectInfo> out = std::move(objects).value();
  for (ObjectInfo &o : out) o.bytes = plain_bytes(o.bytes).value_or(o.bytes);
  return out;
}

Result<std::string> EncryptedStore::key_id(const std::string &key) {
  auto header = inner_->get_range(key, 0, kSealHeaderBytes);
  if (!header.ok()) return header.error();
  return key_id_of(key, header.value());
}

}  // namespace vectorshard::store
