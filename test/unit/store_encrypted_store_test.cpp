// EncryptedStore: what comes back is what was put, byte for byte, or an error that names object and key; whatever is changed in the store
// (bits, lengths, frames and objects that change places, keys) is noticed before a byte is given out.
#include "core/store/encrypted_store.hpp"

#include <gtest/gtest.h>

#include <random>

#include "core/store/check.hpp"
#include "core/store/digests.hpp"
#include "core/store/file_store.hpp"
#include "store_bytes.hpp"
#include "store_memory_files.hpp"

namespace vectorshard::store {
namespace {

KeyRing ring(std::vector<std::string> ids) {
  std::vector<StoreKey> keys;
  for (const std::string &id : ids) keys.push_back({id, std::string(kKeyBytes, id[0])});
  return KeyRing(std::move(keys));
}

struct Disk {
  MemoryFiles files;
  EncryptedStore store(KeyRing keys) { return EncryptedStore(std::make_unique<FileStore>(files, "/root", "t"), std::move(keys)); }
  Result<void> put(const std::string &key, const std::string &bytes, KeyRing keys = ring({"old", "new"})) {
    Source source(bytes);
    return store(std::move(keys)).put(key, source, {static_cast<int64_t>(bytes.size()), sha256_hex(bytes)});
  }
  std::string &object(const std::string &key) { return files.files["/root/" + key]; }
  Result<std::string> get(const std::string &key, KeyRing keys = ring({"old", "new"})) {
    Sink sink;
    auto r = store(std::move(keys)).get(key, sink);
    if (!r.ok()) return r.error();
    return sink.bytes;
  }
};

std::string noise(size_t n) {
  std::mt19937 random(7);
  std::string out(n, '\0');
  for (char &c : out) c = static_cast<char>(random());
  return out;
}

TEST(StoreEncrypted, GivesBackWhatItTook) {
  for (size_t n : {size_t{0}, size_t{1}, kFrameBytes - 1, kFrameBytes, kFrameBytes + 1, 3 * kFrameBytes + 7}) {
    Disk d;
    std::string bytes = noise(n);
    ASSERT_TRUE(d.put("n/a", bytes).ok()) << n;
    EXPECT_EQ(d.get("n/a").value(), bytes);
    EXPECT_EQ(d.store(ring({"new"})).head("n/a").value().bytes, static_cast<int64_t>(n));
    EXPECT_EQ(d.store(ring({"new"})).list("n", "").value()[0].bytes, static_cast<int64_t>(n));
    EXPECT_EQ(d.object("n/a").size(), static_cast<size_t>(sealed_bytes(static_cast<int64_t>(n))));
    if (n > 64) {
      EXPECT_EQ(d.object("n/a").find(bytes.substr(0, 64)), std::string::npos);
    }
  }
}

TEST(StoreEncrypted, RangesTakeTheFramesTheyNeed) {
  Disk d;
  std::string bytes = noise(3 * kFrameBytes + 100);
  ASSERT_TRUE(d.put("n/a", bytes).ok());
  // The second frame is damaged: what does not touch it can be read.
  d.object("n/a")[static_cast<size_t>(Seal::frame_at(1)) + 5] ^= 1;
  auto store = d.store(ring({"new"}));
  for (auto [at, length] : std::vector<std::pair<size_t, size_t>>{{0, 10}, {kFrameBytes - 10, 10}, {2 * kFrameBytes, kFrameBytes + 100},
                                                                   {3 * kFrameBytes + 90, 1000}, {3 * kFrameBytes + 100, 5}, {9 * kFrameBytes, 5}})
    EXPECT_EQ(store.get_range("n/a", static_cast<int64_t>(at), length).value(), at < bytes.size() ? bytes.substr(at, length) : "") << at;
  EXPECT_EQ(store.get_range("n/a", kFrameBytes - 10, 11).error().code, Errc::corrupt);
  EXPECT_EQ(store.get_range("n/a", 0, bytes.size()).error().code, Errc::corrupt);
  EXPECT_EQ(d.get("n/a").error().code, Errc::corrupt);
}

TEST(StoreEncrypted, EveryChangeIsNoticed) {
  Disk d;
  std::string bytes = noise(2 * kFrameBytes + 50);
  ASSERT_TRUE(d.put("n/a", bytes).ok());
  const std::string whole = d.object("n/a");
  auto broken = [&](const std::string &changed) {
    d.object("n/a") = changed;
    auto r = d.get("n/a");
    return !r.ok() && r.error().code == Errc::corrupt && r.error().detail.find("n/a") != std::string::npos;
  };
  size_t used_header = 148;  // the rest of it is padding, which says nothing
  for (size_t at = 0; at < used_header; at++) {
    std::string changed = whole;
    changed[at] ^= 1;
    d.object("n/a") = changed;
    EXPECT_FALSE(d.get("n/a").ok()) << at;
  }
  for (size_t at = kSealHeaderBytes; at < whole.size(); at += 99991) {
    std::string changed = whole;
    changed[at] ^= 0x40;
    EXPECT_TRUE(broken(changed)) << at;
  }
  size_t frame = kFrameBytes + kTagBytes;
  EXPECT_TRUE(broken(whole.substr(0, whole.size() - 1)));
  EXPECT_TRUE(broken(whole + "x"));
  EXPECT_TRUE(broken(whole.substr(0, kSealHeaderBytes + 2 * frame)));  // at a frame's end
  EXPECT_TRUE(broken(whole.substr(0, kSealHeaderBytes)));
  d.object("n/a") = whole.substr(0, 20);
  EXPECT_EQ(d.get("n/a").error().code, Errc::corrupt);
  d.object("n/a") = "";
  EXPECT_EQ(d.get("n/a").error().code, Errc::corrupt);
  EXPECT_TRUE(broken(whole.substr(0, kSealHeaderBytes) + whole.substr(kSealHeaderBytes + frame, frame) +
                     whole.substr(kSealHeaderBytes, frame) + whole.substr(kSealHeaderBytes + 2 * frame)));  // frames swapped
  d.object("n/a") = whole;
  EXPECT_EQ(d.get("n/a").value(), bytes);
}

TEST(StoreEncrypted, ObjectsCannotTakeEachOthersPlace) {
  Disk d;
  std::string a = noise(kFrameBytes + 9), b = std::string(kFrameBytes + 9, 'b');
  ASSERT_TRUE(d.put("n/a", a).ok());
  ASSERT_TRUE(d.put("n/b", b).ok());
  std::string frames_of_b = d.object("n/b").substr(kSealHeaderBytes);
  std::string header_of_a = d.object("n/a").substr(0, kSealHeaderBytes);
  d.object("n/a") = header_of_a + frames_of_b;
  EXPECT_EQ(d.get("n/a").error().code, Errc::corrupt);
  d.object("n/a") = d.object("n/b");
  EXPECT_EQ(d.get("n/a").error().code, Errc::corrupt);
  EXPECT_EQ(d.store(ring({"new"})).get_range("n/a", 0, 5).error().code, Errc::corrupt);
  d.object("n/a") = a;  // not encrypted at all
  EXPECT_NE(d.get("n/a").error().detail.find("not encrypted"), std::string::npos);
}

TEST(StoreEncrypted, KeysTurnOver) {
  Disk d;
  ASSERT_TRUE(d.put("n/a", "first", ring({"k1"})).ok());
  ASSERT_TRUE(d.put("n/b", "second", ring({"k1", "x2"})).ok());
  EXPECT_EQ(d.store(ring({"z"})).key_id("n/a").value(), "k1");
  EXPECT_EQ(d.store(ring({"z"})).key_id("n/b").value(), "x2");
  EXPECT_EQ(d.get("n/a", ring({"k1", "x2"})).value(), "first");
  EXPECT_EQ(d.get("n/b", ring({"x2"})).value(), "second");
  auto missing = d.get("n/a", ring({"x2"}));
  EXPECT_EQ(missing.error().code, Errc::denied);
  EXPECT_NE(missing.error().detail.find("\"n/a\" is encrypted with key \"k1\""), std::string::npos);
  auto wrong = d.get("n/a", KeyRing({{"k1", std::string(kKeyBytes, '?')}}));
  EXPECT_EQ(wrong.error().code, Errc::corrupt);
  EXPECT_NE(wrong.error().detail.find("\"k1\""), std::string::npos);
}

TEST(StoreEncrypted, PutTwice) {
  Disk d;
  ASSERT_TRUE(d.put("n/a", "bytes").ok());
  std::string first = d.object("n/a");
  ASSERT_TRUE(d.put("n/a", "bytes").ok());
  EXPECT_EQ(d.object("n/a"), first);
  EXPECT_EQ(d.put("n/a", "other").error().code, Errc::conflict);
  ASSERT_TRUE(d.put("n/b", "bytes").ok());
  EXPECT_NE(d.object("n/b").substr(kSealHeaderBytes), first.substr(kSealHeaderBytes));  // a key of its own
  Source source("abc");
  EXPECT_EQ(d.store(ring({"k"})).put("n/c", source, {4, sha256_hex("abcd")}).error().code, Errc::corrupt);
  Source longer("abcde");
  EXPECT_EQ(d.store(ring({"k"})).put("n/c", longer, {4, sha256_hex("abcd")}).error().code, Errc::corrupt);
  Source other("abce");
  EXPECT_EQ(d.store(ring({"k"})).put("n/c", other, {4, sha256_hex("abcd")}).error().code, Errc::corrupt);
  EXPECT_FALSE(d.files.files.contains("/root/n/c"));
}

TEST(StoreEncrypted, DoesWhatIsNeededOfAStore) {
  Disk d;
  auto store = d.store(ring({"k"}));
  for (const StoreCheck &check : check_store(store, "n/probe")) EXPECT_TRUE(check.result.ok()) << check.step;
  EXPECT_EQ(store.local_path("n/probe"), "");
}

TEST(StoreKeyRing, ReadsAFileOfKeys) {
  std::string k1 = base64(std::string(32, 'a')), k2 = hex(std::string(32, 'b'));
  auto r = read_key_ring("# keys of stores\n\n2025 " + k1 + "\n  2026-01\t" + k2 + "\r\n");
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r.value().newest().id, "2026-01");
  EXPECT_EQ(r.value().newest().key, std::string(32, 'b'));
  EXPECT_EQ(r.value().find("2025")->key, std::string(32, 'a'));
  EXPECT_EQ(r.value().find("2024"), nullptr);
  EXPECT_EQ(r.value().ids(), "2025, 2026-01");
}

TEST(StoreKeyRing, NamesTheLineThatIsWrongAndNotWhatItSays) {
  std::string good = "a " + base64(std::string(32, 'a')) + "\n";
  for (const std::string &line : {std::string("b"), "b " + base64("Hush4711"), "b " + base64(std::string(32, 'a')) + " c", "b/c " + base64(std::string(32, 'a')),
                                  "a " + base64(std::string(32, 'c')), "b " + std::string(64, 'x'), "b " + base64(std::string(32, 'a')).substr(0, 40)}) {
    auto r = read_key_ring(good + line);
    ASSERT_FALSE(r.ok()) << line;
    EXPECT_EQ(r.error().code, Errc::invalid_argument);
    EXPECT_NE(r.error().message.find("line 2"), std::string::npos);
    std::string secret = line.find(' ') == std::string::npos ? "" : line.substr(line.find(' ') + 1);
    if (!secret.empty()) {
      EXPECT_EQ((r.error().message + r.error().detail).find(secret), std::string::npos);
    }
  }
  EXPECT_FALSE(read_key_ring("").ok());
  EXPECT_FALSE(read_key_ring("# only words\n").ok());
}

}  // namespace
}  // namespace vectorshard::store
