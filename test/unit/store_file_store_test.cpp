// FileStore: an object is there whole and durable after put, or not at all; other content is never overwritten.
#include "core/store/file_store.hpp"

#include <gtest/gtest.h>

#include "core/store/check.hpp"
#include "core/store/sha256.hpp"
#include "store_bytes.hpp"
#include "store_memory_files.hpp"

namespace vectorshard::store {
namespace {

Result<void> put(MemoryFiles &files, const std::string &key, const std::string &bytes) {
  FileStore store(files, "/root", "t1");
  Source source(bytes);
  return store.put(key, source, content_of(bytes));
}

TEST(StoreFileStore, NothingIsRemovedFromAStoreThatIsNotThere) {
  MemoryFiles files;
  ASSERT_TRUE(put(files, "n1/a.parquet", "bytes").ok());
  FileStore store(files, "/root", "t");
  EXPECT_TRUE(store.remove("n1/b.parquet").ok());  // not there
  MemoryFiles away;
  FileStore unmounted(away, "/root", "t");
  EXPECT_EQ(unmounted.remove("n1/a.parquet").error().code, Errc::io);
  away.folders.clear();
  EXPECT_FALSE(unmounted.remove("n1/a.parquet").ok());
  EXPECT_FALSE(unmounted.sweep("n1", [](const std::string &) { return false; }).ok());
}

TEST(StoreFileStore, SweepsWhatDeadWritersLeft) {
  MemoryFiles files;
  ASSERT_TRUE(put(files, "n1/a.parquet", "bytes").ok());
  files.files["/root/n1/b.parquet.tmp-t1"] = "half";
  files.files["/root/n1/c.parquet.tmp-t2"] = "half";
  FileStore store(files, "/root", "t3");
  EXPECT_EQ(store.sweep("n1", [](const std::string &tag) { return tag == "t2"; }).value(), 1);
  EXPECT_EQ(store.sweep("n2", [](const std::string &) { return false; }).value(), 0);
  EXPECT_TRUE(files.files.contains("/root/n1/a.parquet"));
  EXPECT_TRUE(files.files.contains("/root/n1/c.parquet.tmp-t2"));
  EXPECT_FALSE(files.files.contains("/root/n1/b.parquet.tmp-t1"));
}

TEST(StoreFileStore, GivesBackWhatItTook) {
  MemoryFiles files;
  std::string bytes(200000, 'x');
  bytes[70000] = 'y';
  ASSERT_TRUE(put(files, "n1/a.parquet", bytes).ok());
  FileStore store(files, "/root", "t1");
  Sink sink;
  ASSERT_TRUE(store.get("n1/a.parquet", sink).ok());
  EXPECT_EQ(sink.bytes, bytes);
  EXPECT_EQ(store.get_range("n1/a.parquet", 69999, 3).value(), "xyx");
  EXPECT_EQ(store.get_range("n1/a.parquet", 199999, 10).value(), "x");
  EXPECT_EQ(store.head("n1/a.parquet").value().bytes, 200000);
  EXPECT_EQ(store.list("n1", "").value().size(), 1u);
  EXPECT_TRUE(store.list("n1", "n1/a.parquet").value().empty());
  EXPECT_TRUE(store.list("n2", "").value().empty());
  ASSERT_TRUE(store.remove("n1/a.parquet").ok());
  EXPECT_EQ(store.head("n1/a.parquet").error().code, Errc::not_found);
  EXPECT_TRUE(store.remove("n1/a.parquet").ok());
  EXPECT_EQ(files.open_handles(), 0u);
}

TEST(StoreFileStore, SurvivesACrashAfterPut) {
  MemoryFiles files;
  ASSERT_TRUE(put(files, "n1/a", "bytes").ok());
  files.crash();
  EXPECT_EQ(files.files["/root/n1/a"], "bytes");
}

TEST(StoreFileStore, SameContentTwiceIsFineOtherContentIsRefused) {
  MemoryFiles files;
  ASSERT_TRUE(put(files, "n1/a", "bytes").ok());
  EXPECT_TRUE(put(files, "n1/a", "bytes").ok());
  auto other = put(files, "n1/a", "other");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Errc::conflict);
  EXPECT_EQ(files.files["/root/n1/a"], "bytes");
}

TEST(StoreFileStore, ShortWritesAreContinued) {
  MemoryFiles files;
  files.short_write = 7;
  ASSERT_TRUE(put(files, "n1/a", std::string(1000, 'q')).ok());
  EXPECT_EQ(files.files["/root/n1/a"].size(), 1000u);
}

TEST(StoreFileStore, FullDiskLeavesNothing) {
  MemoryFiles files;
  files.space = 500;
  auto r = put(files, "n1/a", std::string(1000, 'q'));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, Errc::no_space);
  EXPECT_TRUE(files.files.empty());
  EXPECT_EQ(files.open_handles(), 0u);
}

TEST(StoreFileStore, AnErrorAtAnyCallNeverCountsAsStored) {
  MemoryFiles clean;
  ASSERT_TRUE(put(clean, "n1/a", "bytes").ok());
  for (int at = 0; at < clean.calls; at++) {
    MemoryFiles files;
    files.fail_call = at;
    EXPECT_FALSE(put(files, "n1/a", "bytes").ok()) << "call " << at;
    files.fail_call = -1;
    EXPECT_TRUE(put(files, "n1/a", "bytes").ok()) << "again after a fault at call " << at;
    files.crash();
    EXPECT_EQ(files.files["/root/n1/a"], "bytes") << "call " << at;
  }
}

TEST(StoreFileStore, SourceThatLiesIsRefused) {
  MemoryFiles files;
  FileStore store(files, "/root", "t1");
  Source source("bytez");
  auto r = store.put("a", source, content_of("bytes"));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, Errc::corrupt);
  EXPECT_TRUE(files.files.empty());
}

Result<void> probe(MemoryFiles &files, const std::string &root) {
  FileStore store(files, root, "t1");
  for (const StoreCheck &c : check_store(store, "n1/probe"))
    if (!c.result.ok()) return c.result;
  return {};
}

TEST(StoreFileStore, ProbeFindsAStoreThatCannotBeWritten) {
  MemoryFiles files;
  EXPECT_TRUE(probe(files, "/root").ok());
  EXPECT_TRUE(files.files.empty());
  files.space = 3;
  EXPECT_EQ(probe(files, "/root").error().code, Errc::no_space);
  EXPECT_FALSE(probe(files, "/nowhere").ok());
}

TEST(StoreKeys, OnlyPlainRelativePaths) {
  for (const char *good : {"a", "n1/a-b_c.parquet", "a/b/c"}) EXPECT_TRUE(valid_key(good)) << good;
  for (const char *bad : {"", "/a", "a/", "a//b", "../a", "a/../b", ".", "a b", "a\nb", "\xc3\xa4"})
    EXPECT_FALSE(valid_key(bad)) << bad;
}

TEST(StoreUrl, FileUrls) {
  EXPECT_EQ(path_of_url("file:///srv/x").value(), "/srv/x");
  EXPECT_EQ(path_of_url("file:///srv/x/").value(), "/srv/x");
  for (const char *bad : {"", "s3://bucket", "file://", "file:///", "file://srv/x", "file:///srv/../etc", "/srv"})
    EXPECT_EQ(path_of_url(bad).error().code, Errc::invalid_argument) << bad;
}

}  // namespace
}  // namespace vectorshard::store
