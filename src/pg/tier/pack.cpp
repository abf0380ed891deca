// A pack: see pack.hpp. planned -> fenced (the clients leave) -> exported (objects are durable) -> verified (read back and
// equal) -> done, in the transaction that removes the rows. The rows are in the heap until that commit, so whatever goes
// wrong before it, or kills the server, costs only the work.
#include "pg/tier/pack.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/tier/client_condition.hpp"
#include "pg/tier/idle.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/move_row.hpp"
#include "pg/tier/objects.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;
using bridge::p_text_array;

// Writers that are open longer than this keep all clients of the pack hot for now.
constexpr int kLeaveMs = 500;
constexpr char kNeeded[] = "every client of the move was needed meanwhile";

/// A client of the pack and what its rows were when they were exported.
struct Leaver {
  std::string name;
  std::string digest;  // apply::client_digest
};

/// A table's part of the pack.
struct Part {
  Oid relid = InvalidOid;
  NewSegment segment;
  std::string path;
};

class Pack {
 public:
  explicit Pack(int64_t move) : move_(move) {}
  ~Pack() {
    for (const Part &p : parts_) remove_file(p.path);
  }
  bool load();
  size_t run(bool again);
  void take_back(const std::string &error, bool for_good);

 private:
  Stays fence();
  void export_rows();
  bool export_table(const bridge::EnrolledTable &table);
  void store();
  void verify();
  size_t publish();
  std::vector<std::string> names() const;
  void keep_only_movable();

  int64_t move_;
  std::string store_;
  std::vector<std::string> planned_;  // clients of the move
  std::vector<std::string> fenced_;   // those that carry our leaving mark
  std::vector<Leaver> leavers_;       // those whose rows were exported
  std::vector<Part> parts_;
  bool needed_ = false;  // when they were read, none might leave any more
};

bool Pack::load() {
  return in_transaction([&] {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT m.store, c.client FROM vectorshard.tier_move m, jsonb_array_elements_text(m.detail -> 'clients') AS c(client) "
        "WHERE m.move = $1 AND m.kind = 'client' AND m.direction = 'cold' AND m.state = 'planned' ORDER BY c.client",
        {p_int8(move_)});
    for (size_t i = 0; i < rows.size(); i++) {
      store_ = rows.at(i, 0);
      planned_.push_back(rows.at(i, 1));
    }
    return !planned_.empty();
  });
}

std::vector<std::string> Pack::names() const {
  std::vector<std::string> out;
  for (const Leaver &l : leavers_) out.push_back(l.name);
  return out;
}

/// Marks the clients as leaving, one after the other; stops at the first for which writers do not end. Gives why the last one stays.
Stays Pack::fence() {
  Stays stays;
  in_transaction([&] { set_move_state(move_, "fenced"); });
  for (const std::string &client : planned_) {
    bool may = in_transaction([&] {
      bridge::Spi spi;
      return !spi.query_kept("SELECT FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client "
                             "WHERE r.client = $2 AND NOT r.leaving AND" + std::string(kMayLeave),
                             {p_int4(bridge::self_node()), p_text(client), p_text(store_)})
                  .empty();
    });
    if (!may) {
      stays = why_it_stays(client, store_);
      stays.why = "client \"" + client + "\" stays: " + stays.why;
      continue;
    }
    if (!apply::make_leave(client, kLeaveMs)) return {"transactions that may write client \"" + client + "\" are still open", true};
    fenced_.push_back(client);
  }
  return stays;
}

/// Leaves only those clients that may still leave, under the active snapshot.
void Pack::keep_only_movable() {
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT r.client FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client "
                                     "WHERE r.client = ANY ($2) AND r.leaving AND" + std::string(kMayLeave),
                                     {p_int4(bridge::self_node()), p_text_array(names()), p_text(store_)});
  std::set<std::string> may;
  for (size_t i = 0; i < rows.size(); i++) may.insert(rows.at(i, 0));
  std::erase_if(leavers_, [&](const Leaver &l) { return !may.contains(l.name); });
}

bool Pack::export_table(const bridge::EnrolledTable &table) {
  ClientCondition condition = condition_on(table, names());
  if (condition.clients.empty()) return false;
  RowSource source;
  source.relid = table.relid;
  source.clients = condition.clients;
  source.client_column = table.client_column;
  std::string order;
  for (AttrNumber k : table.key)
    for (const auto &c : table.columns)
      if (c.attnum == k && c.attnum != table.client_attnum)
        order += std::string(", ") + bridge::pg_call([&] { return quote_identifier(c.name.c_str()); });
  source.sql = "SELECT " + select_list(table.relid) + " FROM ONLY " + table.name + " WHERE " + condition.sql + " ORDER BY " +
               condition.column + order;
  Part part;
  part.relid = table.relid;
  part.segment.kind = "client";
  std::string name = std::to_string(bridge::self_node()) + "-" + std::to_string(move_) + "-" + std::to_string(parts_.size() + 1);
  if (!write_segment(source, table.name, store_, name, &part.segment, &part.path)) return false;
  parts_.push_back(std::move(part));
  return true;
}

/// All tables under one snapshot, into files of the spool directory.
void Pack::export_rows() {
  bridge::WorkerTransaction tx;
  for (const std::string &client : fenced_) leavers_.push_back({client, {}});
  keep_only_movable();
  needed_ = leavers_.empty();
  for (Leaver &l : leavers_) l.digest = apply::client_digest(l.name);
  std::vector<bridge::EnrolledTable> tables;  // copies: reading may refresh the cache
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (!t->reference) tables.push_back(*t);
  if (!leavers_.empty())
    for (const bridge::EnrolledTable &t : tables) export_table(t);
  std::set<std::string> with_rows;
  for (const Part &p : parts_)
    for (auto &[client, digest] : p.segment.clients) with_rows.insert(client);
  // A client without rows has nothing to gain, and nothing by which it could be told cold.
  std::erase_if(leavers_, [&](const Leaver &l) { return !with_rows.contains(l.name); });
  tx.commit();
}

/// The keys are on record before the objects exist, so that a crash leaves none that nobody knows.
void Pack::store() {
  std::string keys;
  for (const Part &p : parts_) keys += (keys.empty() ? "" : ", ") + json_string(p.segment.segment.key);
  in_transaction([&] { add_move_detail(move_, "{\"objects\": [" + keys + "]}"); });
  in_transaction([&] {
    for (const Part &p : parts_) put_segment(p.segment, p.path);
    set_move_state(move_, "exported");
  });
}

void Pack::verify() {
  in_transaction([&] {
    for (const Part &p : parts_) verify_segment(p.segment, p.relid);
    set_move_state(move_, "verified");
  });
}

/// The one transaction in which rows leave the heap. Clients that changed their mind meanwhile are left out: their rows
/// in the segments count for nothing without a cold_client row.
size_t Pack::publish() {
  bridge::WorkerTransaction tx;
  keep_only_movable();
  std::erase_if(leavers_, [&](const Leaver &l) {
    return !bridge::try_lock_client(l.name) || apply::client_digest(l.name) != l.digest;
  });
  if (leavers_.empty()) return 0;
  std::set<std::string> leaving;
  for (const Leaver &l : leavers_) leaving.insert(l.name);
  int64_t rows = 0, bytes = 0;
  for (const Part &p : parts_) {
    insert_segment(p.segment);
    bytes += p.segment.segment.bytes;
    bridge::Spi spi;
    for (auto &[client, digest] : p.segment.clients) {
      if (!leaving.contains(client)) continue;
      rows += digest.rows;
      spi.execute("INSERT INTO vectorshard.cold_client (client, segment, rows, digest) VALUES ($1, $2, $3, $4)",
                  {p_text(client), p_text(p.segment.segment.name), p_int8(digest.rows), p_text(digest.hex())});
    }
  }
  for (const Leaver &l : leavers_) {
    apply::remove_rows(l.name);
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.holder SET state = 'cold', store = $3 WHERE client = $1 AND node = $2",
                {p_text(l.name), p_int4(bridge::self_node()), p_text(store_)});
  }
  {
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.tier_move SET rows = $2, bytes = $3, segment = $4 WHERE move = $1",
                {p_int8(move_), p_int8(rows), p_int8(bytes), p_text(parts_.front().segment.segment.name)});
  }
  set_move_state(move_, "done");
  tx.commit();
  return leavers_.size();
}

size_t Pack::run(bool again) {
  Stays stays = fence();
  if (fenced_.empty()) {
    take_back(stays.why, !again || !stays.passes);
    return 0;
  }
  export_rows();
  if (leavers_.empty()) {
    take_back(needed_ ? kNeeded : "no client of the move has rows here", !again || !needed_);
    return 0;
  }
  store();
  verify();
  size_t gone = publish();
  if (gone == 0) {
    take_back(kNeeded, !again);
    return 0;
  }
  std::set<std::string> cold;
  for (const Leaver &l : leavers_) cold.insert(l.name);
  for (const std::string &client : fenced_)
    if (!cold.contains(client)) apply::cancel_leave(client);
  return gone;
}

void Pack::take_back(const std::string &error, bool for_good) {
  for (const std::string &client : fenced_) apply::cancel_leave(client);
  in_transaction([&] {
    for (const Part &p : parts_) remove_object(store_, p.segment.segment.key, p.segment.segment.sha256);
    (void)count_move_error(move_, error);
    if (!for_good) add_move_detail(move_, "{\"objects\": []}");
    set_move_state(move_, for_good ? "failed" : "planned");
  });
}

}  // namespace

int64_t plan_pack(const std::vector<std::string> &clients, const std::string &store) {
  return in_transaction([&] {
    bridge::Spi spi;
    return spi
        .query_kept("INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail) "
                    "VALUES ('client', 'cold', $1, $2, 'planned', jsonb_build_object('clients', $3::text[], 'policy', '')) RETURNING move",
                    {p_text(clients.size() == 1 ? clients.front() : std::to_string(clients.size()) + " clients"),
                     p_text(store), p_text_array(clients)})
        .int8(0, 0);
  });
}

size_t run_pack(int64_t move, bool again) {
  Pack pack(move);
  if (!pack.load()) return 0;
  AtMove at(move);
  try {
    return pack.run(again);
  } catch (const bridge::PgError &e) {
    // Every transaction inside was aborted as a whole by its destructor, so the error may end here.
    ereport(LOG, (errmsg("vectorshard tiering: move %lld was taken back: %s", static_cast<long long>(move), e.message.c_str()),
                  e.detail.empty() ? 0 : errdetail("%s", e.detail.c_str())));
    bool passes = e.sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || e.sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE || e.sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED;
    pack.take_back(e.message + (e.detail.empty() ? "" : " (" + e.detail + ")"), bridge::guc::tiering && (!again || !passes));
    return 0;
  }
}

void recover_packs() {
  struct Cut {
    int64_t move;
    std::string store;
    std::vector<std::string> keys;
  };
  std::vector<std::string> leaving;
  std::vector<Cut> cut;
  in_transaction([&] {
    bridge::Spi spi;
    bridge::Rows rows = spi.query("SELECT r.client FROM vectorshard.resident r JOIN vectorshard.client c USING (client) "
                                  "WHERE r.leaving AND c.home = $1",
                                  {p_int4(bridge::self_node())});
    for (size_t i = 0; i < rows.size(); i++) leaving.push_back(rows.at(i, 0));
    rows = spi.query("SELECT m.move, m.store, o.key FROM vectorshard.tier_move m "
                     "LEFT JOIN jsonb_array_elements_text(coalesce(m.detail -> 'objects', '[]')) AS o(key) ON true "
                     "WHERE m.kind = 'client' AND m.direction = 'cold' AND m.state NOT IN ('planned', 'done', 'failed') "
                     "ORDER BY m.move");
    for (size_t i = 0; i < rows.size(); i++) {
      if (cut.empty() || cut.back().move != rows.int8(i, 0)) cut.push_back({rows.int8(i, 0), rows.at(i, 1), {}});
      if (!rows.null(i, 2)) cut.back().keys.push_back(rows.at(i, 2));
    }
  });
  for (const std::string &client : leaving) apply::cancel_leave(client);
  for (const Cut &c : cut)
    in_transaction([&] {
      for (const std::string &key : c.keys) remove_object(c.store, key, "");
      (void)count_move_error(c.move, "the server or the tiering worker stopped in the middle; nothing was moved");
      set_move_state(c.move, "failed");
    });
}

}  // namespace vectorshard::tier
