// Objects of this node in stores: see objects.hpp.
#include "pg/tier/objects.hpp"

#include <signal.h>

#include <cerrno>
#include <functional>
#include <map>
#include <set>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/fabric/api.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

struct DeadObject {
  std::string segment, store, key, sha256;
};

/// Some snapshot, on this server or on a standby that tells, may not see this transaction or later ones: as for VACUUM, whatever holds a row back holds back
/// the object that it names.
TransactionId oldest_unsettled() {
  return bridge::pg_call([] {
    Relation rel = table_open(get_relname_relid("segment", get_namespace_oid("vectorshard", false)), AccessShareLock);
    TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
    table_close(rel, AccessShareLock);
    return oldest;
  });
}

/// Those that nobody can read any more: what an old snapshot sees in the manifest is there. `held`: how many others are old enough.
std::vector<DeadObject> dead_segments(int64_t dead_s, size_t *held) {
  bridge::WorkerTransaction tx;
  std::vector<DeadObject> out;
  {
    bridge::Spi spi;
    // What a row was last changed by is what marked it, or later.
    bridge::Rows rows = spi.query_kept("SELECT segment, store, object_key, sha256, xmin::text::int8 FROM vectorshard.segment "
                                       "WHERE home = $1 AND state = 'dead' "
                                       "AND vectorshard.version_time(_version) <= now() - make_interval(secs => $2::float8)",
                                       {p_int4(bridge::self_node()), p_int8(dead_s)});
    const TransactionId oldest = oldest_unsettled();
    for (size_t i = 0; i < rows.size(); i++)
      if (TransactionIdPrecedes(static_cast<TransactionId>(rows.int8(i, 4)), oldest)) out.push_back({rows.at(i, 0), rows.at(i, 1), rows.at(i, 2), rows.at(i, 3)});
    *held = rows.size() - out.size();
  }
  tx.commit();
  return out;
}

std::vector<std::string> store_names() {
  bridge::WorkerTransaction tx;
  std::vector<std::string> out;
  {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept("SELECT store FROM vectorshard.store ORDER BY store");
    for (size_t i = 0; i < rows.size(); i++) out.push_back(rows.at(i, 0));
  }
  tx.commit();
  return out;
}

void forget_made(const std::string &store, const std::string &key) {
  bridge::Spi spi;
  spi.execute("DELETE FROM vectorshard.made_object WHERE store = $1 AND object_key = $2", {p_text(store), p_text(key)});
}

// Lists of stores elsewhere are paid for.
constexpr double kListEveryS = 3600;
// No probe takes that long.
constexpr int64_t kProbeS = 3600;

bool due(const std::string &name, const store::Store &store) {
  if (!store.local_path("x").empty()) return true;
  static std::map<std::string, double> next_s;
  double &next = next_s[name];
  if (bridge::steady_s() < next) return false;
  next = bridge::steady_s() + kListEveryS;
  return true;
}

/// The process that began to write a file of a store on this machine.
bool writer_lives(const std::string &tag) {
  int pid = atoi(tag.c_str());
  return pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH);
}

/// What puts that were cut off have left. Only this process puts large objects there, and it does not at this moment.
Result<int> sweep(const std::string &name, bool now) {
  bridge::WorkerTransaction tx;
  auto opened = try_open_store(name, store_entry(name));
  if (!opened.ok()) return opened.error();
  if (!now && !due(name, *opened.value())) return 0;
  store::Store &store = *opened.value();
  auto swept = store.sweep(own_folder(), writer_lives);
  // Objects of check_store() and create_store() stay when their process is killed.
  auto probes = store.list(own_folder(), own_folder() + "/probe");
  if (probes.ok())
    for (const store::ObjectInfo &o : probes.value())
      if (o.key.starts_with(own_folder() + "/probe-") && o.age_s > kProbeS) (void)store.remove(o.key).ok();
  tx.commit();
  return swept;
}

/// Whether an object of these bytes is in the manifest: the same rows, moved once more, have the same copy, which somebody may be about to read.
bool is_segment(const std::string &sha256) {
  bridge::Spi spi;
  return spi.query_kept("SELECT EXISTS (SELECT FROM vectorshard.segment WHERE sha256 = $1)", {p_text(sha256)}).boolean(0, 0);
}

std::vector<std::string> orphans_of(const std::string &store, int64_t dead_s) {
  bridge::WorkerTransaction tx;
  std::vector<std::string> out;
  {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT o.object_key FROM vectorshard.made_object o WHERE o.store = $1 AND o.made_at <= now() - make_interval(secs => $2::float8) "
        "AND NOT EXISTS (SELECT FROM vectorshard.segment s WHERE s.store = o.store AND s.object_key = o.object_key) "
        "AND NOT EXISTS (SELECT FROM vectorshard.tier_move m WHERE m.state NOT IN ('done', 'failed') AND m.detail -> 'objects' ? o.object_key)",
        {p_text(store), p_int8(dead_s)});
    for (size_t i = 0; i < rows.size(); i++) out.push_back(rows.at(i, 0));
  }
  tx.commit();
  return out;
}

/// Removes what this node made and nothing names; gives how many, or why the store could not be asked. What others made is not looked
/// at: this may be the copy of a server that still runs.
Result<int> collect_orphans(const std::string &name, int64_t dead_s, bool now) {
  auto swept = sweep(name, now);
  if (!swept.ok() && now) return swept.error();
  int removed = 0;
  for (const std::string &key : orphans_of(name, dead_s)) {
    bridge::WorkerTransaction tx;
    auto opened = try_open_store(name, store_entry(name), now ? Patience::usual : Patience::little);
    if (!opened.ok()) return opened.error();
    if (Result<void> gone = opened.value()->remove(key); !gone.ok()) return gone.error();
    forget_made(name, key);
    tx.commit();
    removed++;
  }
  return removed;
}

/// A node that never uses a store may have no credentials for it.
bool has_objects_in(const std::string &name) {
  bridge::WorkerTransaction tx;
  bool out = false;
  {
    bridge::Spi spi;
    out = spi.query_kept("SELECT EXISTS (SELECT FROM vectorshard.segment WHERE store = $1 AND home = $2) OR "
                         "EXISTS (SELECT FROM vectorshard.tier_move WHERE store = $1 AND kind = 'client' AND direction = 'cold')",
                         {p_text(name), p_int4(bridge::self_node())})
              .boolean(0, 0);
  }
  tx.commit();
  return out;
}

/// Calls `take` with the name of each file of the spool directory's folders, which begins with the SHA-256 of what it is a copy of.
void each_copy(const std::function<void(const std::string &sha256, const std::string &path)> &take) {
  constexpr size_t kDigits = 64;
  auto folders = posix_files().list(spool_directory());
  if (!folders.ok()) return;
  for (const store::FileInfo &folder : folders.value()) {
    if (!folder.directory) continue;
    auto files = posix_files().list(spool_directory() + "/" + folder.name);
    if (!files.ok()) continue;
    for (const store::FileInfo &f : files.value())
      if (f.name.find_first_not_of("0123456789abcdef") >= kDigits && f.name.size() > kDigits)
        take(f.name.substr(0, kDigits), spool_directory() + "/" + folder.name + "/" + f.name);
  }
}

}  // namespace

std::string select_list(Oid relid) {
  return bridge::pg_call([&] {
    StringInfoData list;
    initStringInfo(&list);
    Relation rel = table_open(relid, AccessShareLock);
    TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++)
      if (!TupleDescAttr(desc, i)->attisdropped)
        appendStringInfo(&list, "%s%s", list.len ? ", " : "", quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)));
    table_close(rel, NoLock);
    return list.data;
  });
}

/// Of a whole heap it is known about how large it is.
static void begin_writing(const RowSource &source) {
  if (!source.sql.empty()) return begin_phase(Phase::writing, 0, 0);
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT vectorshard.expected_rows($1), pg_table_size($1)", {bridge::p_oid(source.relid)});
  begin_phase(Phase::writing, rows.int8(0, 0), rows.int8(0, 1));
}

bool write_segment(const RowSource &source, const std::string &table, const std::string &store, const std::string &name,
                   NewSegment *out, std::string *path) {
  ensure_spool();
  *path = spool_file("pack");
  begin_writing(source);
  remove_file(*path);
  WrittenFile file = write_file(source, *path);
  if (file.content.rows == 0) {
    remove_file(*path);
    return false;
  }
  out->segment.name = name;
  out->segment.store = store;
  out->segment.key = own_folder() + "/" + name + "-" + file.sha256.substr(0, 16) + ".parquet";
  out->segment.table = table;
  out->segment.sha256 = file.sha256;
  out->segment.bytes = file.bytes;
  out->segment.rows = file.content.rows;
  out->segment.columns = file.columns;
  out->content = file.content;
  out->zones = file.zones;
  out->blocks = file.blocks;
  out->clients = std::move(file.clients);
  return true;
}

void put_segment(const NewSegment &n, const std::string &path) {
  std::unique_ptr<store::Store> store = open_store(n.segment.store);
  FileSource source(path);
  begin_phase(Phase::storing, n.content.rows, n.segment.bytes);
  bridge::value_or_raise(store->put(n.segment.key, source, {n.segment.bytes, n.segment.sha256}));
}

void verify_segment(const NewSegment &n, Oid relid) {
  std::unique_ptr<store::Store> store = open_store(n.segment.store);
  // Only what was verified is moved to an archive, where it cannot be read again: a crash came after that.
  if (auto state = store->state(n.segment.key); state.ok() && state.value().availability != store::Availability::online) return;
  if (store->local_path(n.segment.key).empty()) remove_copies(n.segment.sha256);  // the store's bytes, not our copy of them
  begin_phase(Phase::verifying, n.content.rows, n.segment.bytes);
  std::string path = readable_path(*store, n.segment.key, n.segment.sha256, n.segment.bytes);
  RowDigest read = digest_file(path, n.segment.columns, relid);
  if (read == n.content) return bridge::value_or_raise(store->settle(n.segment.key));
  bridge::raise({Errc::corrupt, "segment object \"" + n.segment.key + "\" does not hold what was written",
                 "Written: " + std::to_string(n.content.rows) + " rows, digest " + n.content.hex() + "; read back: " +
                     std::to_string(read.rows) + " rows, digest " + read.hex() + ".",
                 "Nothing was removed from the table. Check the disk or the store."});
}

void remove_object(const std::string &name, const std::string &key, const std::string &sha256) {
  auto store = try_open_store(name, store_entry(name), Patience::little);
  if (store.ok() && store.value()->remove(key).ok()) forget_made(name, key);
  if (!sha256.empty() && !is_segment(sha256)) remove_copies(sha256);
}

void destroy_object(const std::string &name, const std::string &key, const std::string &sha256) {
  std::unique_ptr<store::Store> store = open_store(name);
  bridge::value_or_raise(store->remove(key));
  forget_made(name, key);
  each_copy([&](const std::string &of, const std::string &path) {
    if (of == sha256) remove_file(path);
  });
}

void destroy_orphans() {
  for (const std::string &store : store_names()) {
    auto removed = collect_orphans(store, 0, true);
    if (!removed.ok() && has_objects_in(store)) bridge::raise(removed.error());
  }
}

void purge_unknown_copies() {
  bridge::WorkerTransaction tx;
  std::set<std::string> known;
  {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept("SELECT DISTINCT sha256 FROM vectorshard.segment");
    for (size_t i = 0; i < rows.size(); i++) known.insert(rows.at(i, 0));
  }
  each_copy([&](const std::string &of, const std::string &path) {
    if (!known.contains(of)) remove_file(path);
  });
  tx.commit();
}

size_t remove_dead_segments(int64_t dead_s) {
  if (!fabric::certain()) return 0;  // a copy of the data directory must not remove what the original needs
  size_t held = 0;
  bool any = false;
  for (const DeadObject &d : dead_segments(dead_s, &held)) {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      spi.execute("DELETE FROM vectorshard.segment WHERE segment = $1 AND state = 'dead'", {p_text(d.segment)});
      spi.execute("DELETE FROM vectorshard.segment_client WHERE segment = $1", {p_text(d.segment)});
    }
    remove_object(d.store, d.key, d.sha256);
    tx.commit();
    any = true;
  }
  if (any) purge_unknown_copies();
  return held;
}

void collect_objects(int64_t dead_s) {
  if (!fabric::certain()) return;
  for (const std::string &store : store_names()) (void)collect_orphans(store, dead_s, false).ok();  // a store that is away: later
  purge_unknown_copies();
}

}  // namespace vectorshard::tier
