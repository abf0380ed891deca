// The steps of a partition's move: see partition_move.hpp. Until the swap the heap is the truth and every error takes
// the move back or repeats a step; from the swap on the object is, and only going on is left.
#include "pg/tier/partition_move.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/tier/move_row.hpp"
#include "pg/tier/objects.hpp"
#include "pg/tier/passes.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/relation.h"
#include "access/transam.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int8;
using bridge::p_text;
using bridge::steady_s;

constexpr long kPollMs = 200;        // a move that waits for old snapshots looks again
constexpr double kRetryS = 1;        // after an error
constexpr double kMostRetryS = 30;

constexpr char kUnfinished[] = R"(
  SELECT move, direction, state, subject, coalesce(store, ''), coalesce(segment, ''), (detail ->> 'relid')::bigint,
         coalesce((detail ->> 'heap')::bigint, 0),
         coalesce((detail ->> 'fence_xid')::bigint, 0),
         coalesce((detail ->> 'grace_s')::float8, 0) - extract(epoch FROM clock_timestamp() - changed_at)::float8,
         EXISTS (SELECT FROM vectorshard.tier_policy p WHERE p.paused AND p.table_name = detail ->> 'policy'),
         EXISTS (SELECT FROM vectorshard.tier_write w WHERE w.move = tier_move.move)
    FROM vectorshard.tier_move
   WHERE kind = 'partition' AND state NOT IN ('done', 'failed') ORDER BY move)";

std::vector<PartitionMove> unfinished() {
  return in_transaction([] {
    std::vector<PartitionMove> out;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(kUnfinished);
    for (size_t i = 0; i < rows.size(); i++) {
      auto state = move_state_of(rows.at(i, 2));
      if (!state) continue;
      PartitionMove m;
      m.move = rows.int8(i, 0);
      m.direction = rows.at(i, 1) == "cold" ? Direction::cold : Direction::hot;
      m.state = *state;
      m.subject = rows.at(i, 3);
      m.store = rows.at(i, 4);
      m.segment = rows.at(i, 5);
      m.relid = static_cast<Oid>(rows.int8(i, 6));
      m.heap = static_cast<Oid>(rows.int8(i, 7));
      m.fence_xid = static_cast<uint64_t>(rows.int8(i, 8));
      m.grace_left_s = rows.float8(i, 9);
      m.paused = rows.boolean(i, 10);
      m.written = rows.boolean(i, 11);
      out.push_back(std::move(m));
    }
    return out;
  });
}

/// True once no snapshot is left, on this server or on a standby that tells us, that is older than the transaction and
/// could be used on the heap `relid`.
bool settled(Oid relid, uint64_t xid) {
  return in_transaction([&] {
    return bridge::pg_call([&] {
      Relation rel = try_relation_open(relid, AccessShareLock);
      if (!rel) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the partition was dropped while it was moved")));
      TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
      relation_close(rel, AccessShareLock);
      return TransactionIdPrecedes(XidFromFullTransactionId(FullTransactionIdFromU64(xid)), oldest);
    });
  });
}

/// What repeating cannot mend.
bool permanent(int sqlstate) {
  switch (sqlstate) {
    case ERRCODE_FEATURE_NOT_SUPPORTED:
    case ERRCODE_WRONG_OBJECT_TYPE:
    case ERRCODE_UNDEFINED_TABLE:
    case ERRCODE_UNDEFINED_OBJECT:
    case ERRCODE_DATA_CORRUPTED:
    case ERRCODE_INVALID_TABLE_DEFINITION: return true;
    default: return false;
  }
}

std::string own_name(const PartitionMove &m) { return std::to_string(bridge::self_node()) + "-" + std::to_string(m.move) + "-1"; }

}  // namespace

/// The work of a step that is all SQL, with the next state, in one transaction.
void PartitionMoves::advance(const PartitionMove &m, const char *sql) {
  in_transaction([&] {
    if (sql) {
      bridge::Spi spi;
      spi.query(sql, {p_int8(m.move)});
    }
    set_move_state(m.move, move_state_name(*next_state(m.direction, m.state)));
  });
}

/// The key is on record before the object exists. The file's rows are those of every later snapshot: writes are fenced
/// and older snapshots gone.
void PartitionMoves::export_rows(const PartitionMove &m) {
  NewSegment segment;
  std::string path;
  bool any = in_transaction([&] {
    {
      bridge::Spi spi;
      spi.execute("UPDATE vectorshard.tier_move SET detail = detail || jsonb_build_object('mark', vectorshard.heap_mark($2::oid)) "
                  "WHERE move = $1",
                  {p_int8(m.move), bridge::p_oid(m.relid)});
    }
    RowSource source;
    source.relid = m.relid;
    return write_segment(source, m.subject, m.store, own_name(m), &segment, &path);
  });
  if (!any) bridge::raise_sqlstate(ERRCODE_WRONG_OBJECT_TYPE, "partition " + m.subject + " has no rows to move");
  SpoolFile file(path);
  segment.kind = "partition";
  in_transaction([&] { add_move_detail(m.move, "{\"objects\": [" + json_string(segment.segment.key) + "]}"); });
  in_transaction([&] {
    put_segment(segment, path);
    set_move_state(m.move, "exported");
  });
  exported_[m.move] = std::move(segment);
}

void PartitionMoves::verify(const PartitionMove &m) {
  in_transaction([&] {
    verify_segment(exported_.at(m.move), m.relid);
    set_move_state(m.move, "verified");
  });
}

void PartitionMoves::register_segment(const PartitionMove &m) {
  const NewSegment &s = exported_.at(m.move);
  in_transaction([&] {
    insert_segment(s);
    {
      bridge::Spi spi;
      spi.execute("UPDATE vectorshard.tier_move SET segment = $2, rows = $3, bytes = $4 WHERE move = $1",
                  {p_int8(m.move), p_text(s.segment.name), p_int8(s.segment.rows), p_int8(s.segment.bytes)});
    }
    set_move_state(m.move, "registered");
  });
}

/// Another process wrote the object: what it knew of it is gone, so it is written anew.
void PartitionMoves::export_again(const PartitionMove &m) {
  in_transaction([&] { set_move_state(m.move, "settled"); });
}

PartitionMoves::Step PartitionMoves::step_cold(const PartitionMove &m) {
  switch (m.state) {
    case MoveState::planned: advance(m, "SELECT vectorshard.fence_partition($1)"); break;
    case MoveState::fenced:
      if (!settled(m.relid, m.fence_xid)) return Step::wait;
      advance(m, nullptr);
      break;
    case MoveState::settled: export_rows(m); break;
    case MoveState::exported:
    case MoveState::verified:
      if (!exported_.contains(m.move))
        export_again(m);
      else if (m.state == MoveState::exported)
        verify(m);
      else
        register_segment(m);
      break;
    case MoveState::registered: advance(m, "SELECT vectorshard.swap_to_cold($1)"); break;
    case MoveState::swapped: advance(m, nullptr); break;
    case MoveState::grace:
      if (m.grace_left_s > 0) return Step::wait;
      advance(m, "SELECT vectorshard.finish_partition_move($1)");
      exported_.erase(m.move);
      break;
    default: return Step::wait;
  }
  return Step::moved;
}

PartitionMoves::Step PartitionMoves::step_hot(const PartitionMove &m) {
  switch (m.state) {
    case MoveState::planned: advance(m, "SELECT vectorshard.load_partition($1)"); break;
    case MoveState::loaded:
      // An older snapshot would not see the rows in the new heap.
      if (!settled(m.heap, m.fence_xid)) return Step::wait;
      advance(m, "SELECT vectorshard.swap_to_hot($1)");
      break;
    case MoveState::swapped: advance(m, nullptr); break;
    case MoveState::grace:
      if (m.grace_left_s > 0) return Step::wait;
      advance(m, "SELECT vectorshard.finish_partition_move($1)");
      break;
    default: return Step::wait;
  }
  return Step::moved;
}

PartitionMoves::Step PartitionMoves::step(const PartitionMove &m) {
  return m.direction == Direction::cold ? step_cold(m) : step_hot(m);
}

void PartitionMoves::give_up(const PartitionMove &m, const char *state) {
  in_transaction([&] {
    bridge::Spi spi;
    spi.query("SELECT vectorshard.undo_partition_move($1)", {p_int8(m.move)});
    bridge::Rows keys = spi.query("SELECT o FROM vectorshard.tier_move, jsonb_array_elements_text(detail -> 'objects') o "
                                  "WHERE move = $1 AND segment IS NULL",
                                  {p_int8(m.move)});
    for (size_t i = 0; i < keys.size(); i++) remove_object(m.store, keys.at(i, 0), "");
    // Without the fence, whose removal has waited for all writers, there will be no more.
    spi.execute("DELETE FROM vectorshard.tier_write WHERE move = $1", {p_int8(m.move)});
    set_move_state(m.move, state);
  });
  exported_.erase(m.move);
}

/// True if a pause keeps the move where it is. Writers do not wait for its end: what has fenced them is taken back, unless only
/// the swap is missing. What has swapped keeps the old copy.
bool PartitionMoves::held(const PartitionMove &m) {
  if (bridge::guc::tiering && !m.paused) return false;
  if (m.state == MoveState::registered || m.state == MoveState::swapped) return false;
  if (m.direction == Direction::cold && leftovers(m.direction, m.state).fence) give_up(m, "planned");
  return true;
}

/// Somebody has written what is not in the object, or may not be.
void PartitionMoves::yield(const PartitionMove &m) {
  give_up(m);
  in_transaction([&] { (void)count_move_error(m.move, "rows of the partition were written while it was moved (vectorshard.tier_late_writes is abort)"); });
}

/// The failed step's transaction is gone; what becomes of the move is decided in a new one.
void PartitionMoves::failed(const PartitionMove &m, int sqlstate, const std::string &error) {
  int attempts = in_transaction([&] { return count_move_error(m.move, error); });
  not_before_s_[m.move] = steady_s() + std::min(kMostRetryS, kRetryS * attempts);
  // Changed between export or load and swap: what was exported or loaded is not what is there.
  if (sqlstate == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE && (m.state == MoveState::registered || m.state == MoveState::loaded))
    sqlstate = ERRCODE_WRONG_OBJECT_TYPE;
  if (on_error(m.direction, m.state, attempts, permanent(sqlstate)) == OnError::retry) return;
  ereport(LOG, (errmsg("vectorshard tiering: move %lld of %s was taken back: %s", static_cast<long long>(m.move),
                       m.subject.c_str(), error.c_str())));
  give_up(m);
}

long PartitionMoves::run() {
  long wait_ms = -1;
  auto wait = [&](double ms) { wait_ms = wait_ms < 0 ? static_cast<long>(ms) + 1 : std::min(wait_ms, static_cast<long>(ms) + 1); };
  bool any = true;
  while (any) {
    if (asked_pass() != last_pass()) return 0;  // of new moves, the operator waits for the plan
    any = false;
    for (const PartitionMove &m : unfinished()) {
      auto paused = not_before_s_.find(m.move);
      if (paused != not_before_s_.end() && paused->second > steady_s()) {
        wait((paused->second - steady_s()) * 1000);
        continue;
      }
      try {
        if (held(m)) continue;
        if (m.written && leftovers(m.direction, m.state).fence) {
          yield(m);
          any = true;
          continue;
        }
        AtMove at(m.move);
        if (step(m) == Step::moved)
          any = true;
        else
          wait(m.state == MoveState::grace ? m.grace_left_s * 1000 : kPollMs);
      } catch (const bridge::PgError &e) {
        // Every transaction inside was aborted as a whole by its destructor, so the error may end here.
        if (!bridge::guc::tiering) {
          wait(kPollMs);
          continue;
        }
        try {
          failed(m, e.sqlstate, e.message + (e.detail.empty() ? "" : " (" + e.detail + ")"));
        } catch (const bridge::PgError &again) {
          // Taking it back waits for somebody's lock.
          not_before_s_[m.move] = steady_s() + kRetryS;
          ereport(LOG, (errmsg("vectorshard tiering: move %lld cannot be taken back yet: %s", static_cast<long long>(m.move), again.message.c_str())));
        }
        wait(kRetryS * 1000);
      }
    }
  }
  return wait_ms;
}

}  // namespace vectorshard::tier
