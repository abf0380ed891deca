// Segments written anew: see rewrite.hpp. As a pack: the new object's key is on record, the object is stored and read back, and one
// transaction makes it count. Old snapshots go on with the old objects, which are kept as those of all dead segments are.
#include "pg/tier/rewrite.hpp"

#include <algorithm>
#include <map>

#include "core/tier/compaction.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/fabric/api.hpp"
#include "pg/tier/client_condition.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/move_row.hpp"
#include "pg/tier/objects.hpp"
#include "pg/tier/segment_digest.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;
using bridge::p_text_array;

/// A segment that is replaced, and what counts in it.
struct Old {
  Segment segment;
  std::string content;
  std::vector<ColdShare> live;
};

std::string literal(const std::string &s) {
  return bridge::pg_call([&] { return quote_literal_cstr(s.c_str()); });
}

/// The columns of a relation with their types, as segment_rows() is told them.
std::string declaration(Oid relid) {
  return bridge::pg_call([&] {
    StringInfoData list;
    initStringInfo(&list);
    Relation rel = table_open(relid, AccessShareLock);
    TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++) {
      Form_pg_attribute a = TupleDescAttr(desc, i);
      if (a->attisdropped) continue;
      appendStringInfo(&list, "%s%s %s", list.len ? ", " : "", quote_identifier(NameStr(a->attname)), 
                       format_type_extended(a->atttypid, a->atttypmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
    }
    table_close(rel, NoLock);
    return list.data;
  });
}

bool same_columns(const std::vector<ManifestColumn> &a, const std::vector<ManifestColumn> &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ManifestColumn &x, const ManifestColumn &y) {
    return x.name == y.name && x.kind == y.kind && x.scale == y.scale && x.srid == y.srid;
  });
}

class Rewrite {
 public:
  explicit Rewrite(std::string without) : without_(std::move(without)) {}
  ~Rewrite() {
    if (!path_.empty()) remove_file(path_);
  }
  void run(const std::vector<std::string> &segments);

 private:
  void load(const std::vector<std::string> &segments);
  void check_old(const Old &old) const;
  std::string rows_of(const Old &old, const bridge::EnrolledTable &table) const;
  bool write();
  void check_new() const;
  void store_and_verify();
  void publish();
  void give_up(const std::string &error);

  std::string without_;
  std::vector<Old> old_;
  int64_t move_ = 0;
  Oid relid_ = InvalidOid;
  NewSegment new_;
  std::string path_;
};

void Rewrite::load(const std::vector<std::string> &segments) {
  for (const std::string &name : segments) {
    Old old{find_segment(name), {}, {}};
    bridge::Spi spi;
    old.content = spi.query_kept("SELECT content FROM vectorshard.segment WHERE segment = $1", {p_text(name)}).at(0, 0);
    bridge::Rows rows = spi.query_kept("SELECT client, rows, digest FROM vectorshard.cold_client WHERE segment = $1 AND client <> $2 ORDER BY client",
                                       {p_text(name), p_text(without_)});
    for (size_t i = 0; i < rows.size(); i++) old.live.push_back({rows.at(i, 0), rows.int8(i, 1), rows.at(i, 2)});
    old_.push_back(std::move(old));
  }
}

/// What is written anew is no better than what it was read from.
void Rewrite::check_old(const Old &old) const {
  const Segment &s = old.segment;
  std::unique_ptr<store::Store> store = open_store(s.store);
  // Forgetting somebody who was in an archive asks for the object, and goes on when it is there.
  OnArchived on_archived = without_.empty() ? OnArchived::raise : OnArchived::thaw;
  RowDigest found = stored_digest(readable_path(*store, s.key, s.sha256, s.bytes, on_archived), s.columns);
  if (found.hex() == old.content) return;
  bridge::raise({Errc::corrupt, "segment object \"" + s.key + "\" does not hold what was written",
                 "Its rows have digest " + found.hex() + ", the manifest says " + old.content + ".",
                 "Restore the object of store \"" + s.store + "\" from its backup."});
}

/// A client may have rows that count in one of the segments and such that do not in another: each has a condition of its own.
std::string Rewrite::rows_of(const Old &old, const bridge::EnrolledTable &table) const {
  std::vector<std::string> names;
  for (const ColdShare &c : old.live) names.push_back(c.client);
  ClientCondition condition = condition_on(table, names);
  std::string list;
  for (const std::string &c : condition.clients) list += (list.empty() ? "" : ", ") + literal(c);
  std::string where = condition.sql;
  where.replace(where.find("$1"), 2, "ARRAY[" + list + "]::text[]");
  return "SELECT " + select_list(table.relid) + " FROM vectorshard.segment_rows(" + literal(old.segment.name) + ", " + std::to_string(table.relid) +
         ") AS r(" + declaration(table.relid) + ") WHERE " + where;
}

/// False if nothing counts in the segments.
bool Rewrite::write() {
  const bridge::EnrolledTable *found = bridge::enrolled_table_by_name(old_.front().segment.table);
  std::erase_if(old_, [](const Old &o) { return o.live.empty(); });
  if (old_.empty()) return false;
  if (!found)
    bridge::raise({Errc::unavailable, "segment \"" + old_.front().segment.name + "\" cannot be written anew",
                   "Table " + old_.front().segment.table + " is not enrolled any more.", "Make the table anew and enrol it."});
  bridge::EnrolledTable table = *found;  // reading may refresh the cache
  relid_ = table.relid;
  for (const Old &old : old_) check_old(old);
  RowSource source;
  source.relid = table.relid;
  source.client_column = table.client_column;
  for (const Old &old : old_) source.sql += (source.sql.empty() ? "SELECT * FROM (" : " UNION ALL ") + rows_of(old, table);
  source.sql += ") AS u ORDER BY " + condition_on(table, {}).column;
  for (AttrNumber k : table.key)
    for (const auto &c : table.columns)
      if (c.attnum == k && c.attnum != table.client_attnum)
        source.sql += std::string(", ") + bridge::pg_call([&] { return quote_identifier(c.name.c_str()); });
  new_.kind = "client";
  std::string name = std::to_string(bridge::self_node()) + "-" + std::to_string(move_) + "-1";
  if (!write_segment(source, table.name, old_.front().segment.store, name, &new_, &path_))
    bridge::raise({Errc::corrupt, "segment \"" + old_.front().segment.name + "\" gave no rows to be written anew", "", ""});
  check_new();
  return true;
}

/// Every client that counts is there with all its rows, and nobody else.
void Rewrite::check_new() const {
  std::map<std::string, RowDigest> written(new_.clients.begin(), new_.clients.end());
  int64_t rows = 0;
  for (const Old &old : old_)
    for (const ColdShare &c : old.live) {
      rows += c.rows;
      auto at = written.find(c.client);
      bool same = at != written.end() && at->second.rows == c.rows &&
                  (!same_columns(old.segment.columns, new_.segment.columns) || at->second.hex() == c.digest);
      if (!same)
        bridge::raise({Errc::corrupt, "the rows of client \"" + c.client + "\" in segment \"" + old.segment.name + "\" are damaged",
                       "Read " + std::to_string(at == written.end() ? 0 : at->second.rows) + " rows, the manifest says " + std::to_string(c.rows) + " rows, " + c.digest + ".",
                       "Restore object \"" + old.segment.key + "\" of store \"" + old.segment.store + "\" from its backup."});
    }
  if (rows != new_.content.rows)
    bridge::raise({Errc::corrupt, "segments could not be written anew", "Rows that count: " + std::to_string(rows) + ", written: " + std::to_string(new_.content.rows) + ".", ""});
}

void Rewrite::store_and_verify() {
  in_transaction([&] { add_move_detail(move_, "{\"objects\": [" + json_string(new_.segment.key) + "]}"); });
  in_transaction([&] {
    put_segment(new_, path_);
    set_move_state(move_, "exported");
  });
  in_transaction([&] {
    verify_segment(new_, relid_);
    set_move_state(move_, "verified");
  });
}

/// Clients that came back meanwhile have no row any more, or it goes when ours are visible: what was written of them does not count.
void Rewrite::publish() {
  in_transaction([&] {
    if (!path_.empty()) insert_segment(new_);  // else nothing counts in any of them
    bridge::Spi spi;
    std::map<std::string, RowDigest> written(new_.clients.begin(), new_.clients.end());
    for (const Old &old : old_) {
      for (const ColdShare &c : old.live)
        spi.execute("UPDATE vectorshard.cold_client SET segment = $3, rows = $4, digest = $5 WHERE client = $1 AND segment = $2",
                    {p_text(c.client), p_text(old.segment.name), p_text(new_.segment.name), p_int8(c.rows), p_text(written[c.client].hex())});
    }
    spi.execute("UPDATE vectorshard.tier_move SET rows = $2, bytes = $3, segment = $4 WHERE move = $1",
                {p_int8(move_), p_int8(new_.content.rows), p_int8(new_.segment.bytes), p_text(new_.segment.name)});
    spi.execute("UPDATE vectorshard.segment s SET state = 'dead' FROM vectorshard.tier_move m WHERE m.move = $1 AND m.detail -> 'rewrites' ? s.segment "
                "AND s.state = 'live'",
                {p_int8(move_)});
    set_move_state(move_, "done");
  });
}

void Rewrite::give_up(const std::string &error) {
  in_transaction([&] {
    if (!new_.segment.key.empty()) remove_object(new_.segment.store, new_.segment.key, new_.segment.sha256);
    (void)count_move_error(move_, error);
    set_move_state(move_, "failed");
  });
}

void Rewrite::run(const std::vector<std::string> &segments) {
  in_transaction([&] { load(segments); });
  move_ = in_transaction([&] {
    bridge::Spi spi;
    return spi
        .query_kept("INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail) "
                    "VALUES ('client', 'cold', $1, $2, 'rewriting', jsonb_build_object('rewrites', $3::text[])) RETURNING move",
                    {p_text(segments.size() == 1 ? "segment " + segments.front() : std::to_string(segments.size()) + " segments"),
                     p_text(old_.front().segment.store), p_text_array(segments)})
        .int8(0, 0);
  });
  try {
    if (in_transaction([&] { return write(); })) store_and_verify();
    publish();
  } catch (const bridge::PgError &e) {
    // Every transaction inside was aborted as a whole by its destructor.
    give_up(e.message + (e.detail.empty() ? "" : " (" + e.detail + ")"));
    throw;
  }
}

std::vector<SegmentUse> segments_in_use() {
  return in_transaction([] {
    std::vector<SegmentUse> out;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT s.segment, s.store, s.table_name, s.bytes, s.rows, sum(k.rows)::bigint FROM vectorshard.segment s "
        "JOIN vectorshard.cold_client k ON k.segment = s.segment JOIN vectorshard.store t ON t.store = s.store "
        "WHERE s.home = $1 AND s.kind = 'client' AND s.state = 'live' AND t.thaw_s = 0 GROUP BY s.segment",  // what lies in an archive cannot be read
        {p_int4(bridge::self_node())});
    for (size_t i = 0; i < rows.size(); i++)
      out.push_back({rows.at(i, 0), rows.at(i, 1), rows.at(i, 2), rows.int8(i, 3), rows.int8(i, 4), rows.int8(i, 5)});
    return out;
  });
}

// Packs and returns wait meanwhile.
constexpr int kGroupsAtOnce = 4;
constexpr double kPauseS = 300;

}  // namespace

void rewrite_segments(const std::vector<std::string> &segments, const std::string &without) { Rewrite(without).run(segments); }

int compact_segments() {
  static double not_before_s = 0;
  if (bridge::steady_s() < not_before_s || bridge::guc::compact_below <= 0 || !fabric::certain()) return 0;
  CompactionRules rules;
  rules.live_share = bridge::guc::compact_below;
  int replaced = 0, groups = 0;
  for (const auto &segments : choose_compactions(segments_in_use(), rules)) {
    if (groups++ == kGroupsAtOnce) break;
    try {
      rewrite_segments(segments, "");
      replaced += static_cast<int>(segments.size());
    } catch (const bridge::PgError &e) {
      not_before_s = bridge::steady_s() + kPauseS;
      ereport(LOG, (errmsg("vectorshard tiering: segments were not written anew: %s", e.message.c_str()),
                    e.detail.empty() ? 0 : errdetail("%s", e.detail.c_str())));
      break;
    }
  }
  return replaced;
}

}  // namespace vectorshard::tier
