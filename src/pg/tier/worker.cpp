// The tiering worker: one round packs idle clients, brings back those that are wished, runs the moves that were asked
// for, tidies, and lets some clients be checked. A store that is away costs nothing but the moves to it: rows then stay in the heap.
#include "pg/apply/api.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/worker.hpp"
#include "pg/ship/api.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/erase.hpp"
#include "pg/tier/idle.hpp"
#include "pg/tier/move_row.hpp"
#include "pg/tier/objects.hpp"
#include "pg/tier/pack.hpp"
#include "pg/tier/partition_move.hpp"
#include "pg/tier/passes.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/rewrite.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::steady_s;
using bridge::p_text;

constexpr double kTidyEveryS = 60;
// Objects that only old snapshots need are looked at again so soon, then less and less often.
constexpr double kFirstRemovalS = 1;
// After a failed pack the next attempt waits this long, doubled each time.
constexpr double kFirstPauseS = 1;
constexpr double kMostPauseS = 300;
constexpr double kReturnRetryS = 10;
// What lies in an archive is asked for at the first try; then it is looked at again after this share of what the store takes.
constexpr double kThawShare = 0.02, kMostReturnRetryS = 300;
// A move that was asked for waits that long for what keeps its client here only for a while.
constexpr double kRequestS = 600;
constexpr double kMostRequestPauseS = 30;

class Tiering {
 public:
  long round();

 private:
  void start_up();
  void run_requested();
  long request_ms() const;
  void explain_returns();
  void bring_back_wished();
  std::vector<int64_t> plan_packs();
  void run_packs(const std::vector<int64_t> &packs);
  void note_run(size_t due);
  void make_pass();
  void tidy();
  void remove_dead();

  bool started_ = false;
  double next_look_s_ = 0, next_tidy_s_ = 0, next_removal_s_ = 0, removal_pause_s_ = 0, next_note_s_ = 0, no_pack_before_s_ = 0, pause_s_ = 0;
  IdleFinder idle_;
  PartitionMoves partitions_;
  std::map<std::string, double> return_not_before_s_;
  struct Pause {
    double until_s = 0, length_s = 0;
  };
  std::map<int64_t, Pause> pauses_;  // of moves that were asked for and could not be made yet
};

void Tiering::start_up() {
  purge_spool();
  recover_packs();
  { AtMove none(0); }  // that of a worker that was terminated
  // A table that somebody has locked must not hold up everybody else's moves.
  bridge::pg_call([] { SetConfigOption("lock_timeout", "2s", PGC_SUSET, PGC_S_OVERRIDE); });
  started_ = true;
}

/// Moves of clients that somebody asked for by move_to_cold(), or that a crash left planned. One whose client stays for now is run again.
void Tiering::run_requested() {
  struct Request {
    int64_t move;
    bool young;
  };
  std::vector<Request> requests = in_transaction([] {
    std::vector<Request> out;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept("SELECT move, started_at > now() - make_interval(secs => $1) FROM vectorshard.tier_move "
                                       "WHERE kind = 'client' AND direction = 'cold' AND state = 'planned' "
                                       "AND NOT EXISTS (SELECT FROM vectorshard.tier_policy p WHERE p.paused AND p.table_name = detail ->> 'policy') ORDER BY move",
                                       {bridge::p_float8(kRequestS)});
    for (size_t i = 0; i < rows.size(); i++) out.push_back({rows.int8(i, 0), rows.boolean(i, 1)});
    return out;
  });
  std::map<int64_t, Pause> pauses;  // of those that are still planned
  for (const Request &r : requests) {
    Pause p = pauses_[r.move];
    if (p.until_s <= steady_s()) {
      run_pack(r.move, r.young);
      p.length_s = std::clamp(p.length_s * 2, kFirstPauseS, kMostRequestPauseS);
      p.until_s = steady_s() + p.length_s;
    }
    pauses[r.move] = p;
  }
  pauses_ = std::move(pauses);
}

/// Milliseconds until the first of the requests that wait is to be run again; -1 if none waits.
long Tiering::request_ms() const {
  if (!bridge::guc::tiering) return -1;
  double until_s = -1;
  for (const auto &[move, p] : pauses_) until_s = until_s < 0 ? p.until_s : std::min(until_s, p.until_s);
  return until_s < 0 ? -1 : std::max(0L, static_cast<long>((until_s - steady_s()) * 1000));
}

/// Why clients came back that other nodes asked for: by then the wish, if there was one, has arrived too.
void Tiering::explain_returns() {
  in_transaction([] {
    bridge::Spi spi;
    spi.execute(R"(
      UPDATE vectorshard.tier_move m
         SET detail = jsonb_build_object('by', CASE WHEN EXISTS (
               SELECT FROM vectorshard.wish w
                WHERE w.client = m.subject AND vectorshard.version_time(w._version) <= m.started_at)
               THEN 'prediction' ELSE 'access' END)
       WHERE m.kind = 'client' AND m.direction = 'hot' AND m.detail ->> 'by' = 'copy'
         AND (m.started_at < now() - interval '2 s'
              OR EXISTS (SELECT FROM vectorshard.wish w
                          WHERE w.client = m.subject AND vectorshard.version_time(w._version) <= m.started_at)))");
  });
}

void Tiering::bring_back_wished() {
  std::map<std::string, double> thaw_s;
  std::vector<std::string> clients = in_transaction([&] {
    std::vector<std::string> out;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT k.client, max(s.thaw_s) FROM vectorshard.cold_client k JOIN vectorshard.segment g ON g.segment = k.segment "
        "LEFT JOIN vectorshard.store s ON s.store = g.store "
        "WHERE EXISTS (SELECT FROM vectorshard.wish w WHERE w.client = k.client AND w.until > now()) "
        "   OR EXISTS (SELECT FROM vectorshard.holder h WHERE h.client = k.client AND h.node <> $1 "
        "                 AND h.state IN ('copying', 'live')) GROUP BY 1",
        {p_int4(bridge::self_node())});
    for (size_t i = 0; i < rows.size(); i++) {
      out.push_back(rows.at(i, 0));
      thaw_s[out.back()] = rows.null(i, 1) ? 0 : rows.float8(i, 1);
    }
    return out;
  });
  std::erase_if(return_not_before_s_, [&](auto &entry) { return entry.second <= steady_s(); });
  for (const std::string &client : clients) {
    if (return_not_before_s_.contains(client)) continue;
    try {
      in_transaction([&] { bring_back(client); });
    } catch (const bridge::PgError &e) {
      // The transaction was aborted as a whole by its destructor, so the error may end here.
      return_not_before_s_[client] = steady_s() + std::clamp(thaw_s[client] * kThawShare, kReturnRetryS, kMostReturnRetryS);
      ereport(LOG, (errmsg("vectorshard tiering: client \"%s\" stays in the store: %s", client.c_str(), e.message.c_str()),
                    e.detail.empty() ? 0 : errdetail("%s", e.detail.c_str())));
    }
  }
}

/// Plans the packs that the policy of clients wants.
std::vector<int64_t> Tiering::plan_packs() {
  struct Policy {
    std::string store;
    double idle_s = 0;
  };
  std::optional<Policy> policy = in_transaction([]() -> std::optional<Policy> {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept("SELECT store, extract(epoch FROM move_after)::float8 FROM vectorshard.tier_policy "
                                       "WHERE table_name = '' AND NOT paused");
    if (rows.empty()) return std::nullopt;
    return Policy{rows.at(0, 0), rows.null(0, 1) ? bridge::guc::client_idle_s : rows.float8(0, 1)};
  });
  std::vector<int64_t> packs;
  if (!policy) return packs;
  std::vector<IdleClient> idle = idle_.find(policy->idle_s, policy->store);
  note_run(idle.size());
  for (const auto &clients : choose_packs(std::move(idle), {})) packs.push_back(plan_pack(clients, policy->store));
  return packs;
}

/// When clients were looked for, and how many were due; not at every look that finds nothing.
void Tiering::note_run(size_t due) {
  if (due == 0 && steady_s() < next_note_s_) return;
  next_note_s_ = steady_s() + kTidyEveryS;
  in_transaction([&] {
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.tier_policy SET last_run = clock_timestamp(), due = $1, last_error = NULL WHERE table_name = ''",
                {bridge::p_int8(static_cast<int64_t>(due))});
  });
}

/// The first that fails ends it: what is wrong with the store is so for the others, which are forgotten.
void Tiering::run_packs(const std::vector<int64_t> &packs) {
  for (size_t i = 0; i < packs.size(); i++) {
    bool gone = run_pack(packs[i], false) > 0;
    pause_s_ = gone ? 0 : std::min(kMostPauseS, pause_s_ > 0 ? pause_s_ * 2 : kFirstPauseS);
    no_pack_before_s_ = gone ? 0 : steady_s() + pause_s_;
    if (gone) continue;
    in_transaction([&] {
      bridge::Spi spi;
      for (i++; i < packs.size(); i++)
        spi.execute("DELETE FROM vectorshard.tier_move WHERE move = $1 AND state = 'planned'", {bridge::p_int8(packs[i])});
    });
  }
}

/// What an operator has asked for: all policies now, whatever was tried in vain a moment ago. It counts as made once it is planned.
void Tiering::make_pass() {
  uint64_t asked = asked_pass();
  if (asked == last_pass()) return;
  std::vector<int64_t> packs;
  try {
    in_transaction([] {
      bridge::Spi spi;
      spi.query("SELECT vectorshard.plan_due_partitions()");
    });
    packs = plan_packs();
  } catch (...) {
    set_last_pass(asked);  // what fails must not keep moves waiting for ever
    throw;
  }
  set_last_pass(asked);
  run_packs(packs);
}

void Tiering::remove_dead() {
  if (steady_s() < next_removal_s_) return;
  bool held = remove_dead_segments(bridge::guc::object_retention_s) > 0;
  removal_pause_s_ = held ? std::clamp(removal_pause_s_ * 2, kFirstRemovalS, kTidyEveryS) : kTidyEveryS;
  next_removal_s_ = steady_s() + removal_pause_s_;
}

void Tiering::tidy() {
  if (steady_s() < next_tidy_s_) return;
  next_tidy_s_ = steady_s() + kTidyEveryS;
  in_transaction([] {
    bridge::Spi spi;
    spi.query("SELECT vectorshard.retire_segments()");
    if (bridge::guc::tiering) spi.query("SELECT vectorshard.plan_due_partitions()");
  });
  if (bridge::guc::tiering) compact_segments();
  next_removal_s_ = removal_pause_s_ = 0;
  remove_dead();
  collect_objects(bridge::guc::object_retention_s);
  purge_spool();
}

long Tiering::round() {
  if (bridge::self_node() == kNoNode) return bridge::guc::tiering_interval_ms;
  if (!started_) start_up();
  if (bridge::guc::tiering) {
    make_pass();
    run_requested();
  }
  long moves_ms = partitions_.run();
  long erase_ms = run_erasures();
  explain_returns();
  if (steady_s() >= next_look_s_) {
    next_look_s_ = steady_s() + bridge::guc::tiering_interval_ms / 1000.0;
    bring_back_wished();
    if (bridge::guc::tiering && steady_s() >= no_pack_before_s_) run_packs(plan_packs());
    tidy();
    remove_dead();
  }
  long check_ms = ship::check_round();
  double left_ms = std::min((next_look_s_ - steady_s()) * 1000, static_cast<double>(check_ms));
  for (long ms : {moves_ms, erase_ms, request_ms()})
    if (ms >= 0) left_ms = std::min(left_ms, static_cast<double>(ms));
  return std::clamp(static_cast<long>(left_ms) + 1, 1L, static_cast<long>(bridge::guc::tiering_interval_ms));
}

long tiering_round() {
  static Tiering tiering;
  return tiering.round();
}

}  // namespace

}  // namespace vectorshard::tier

using namespace vectorshard;

/// Trigger on tier_move.
VECTORSHARD_FUNCTION(vectorshard_wake_tiering) {
  return bridge::entry([&]() -> Datum {
    bridge::wake_at_commit(bridge::kTiering);
    return PointerGetDatum(nullptr);
  });
}

extern "C" __attribute__((visibility("default"))) void vectorshard_tiering_main(Datum) {
  static const bridge::WorkerSpec spec{bridge::kTiering, "vectorshard tiering", "vectorshard_tiering_main",
                                       tier::tiering_round};
  bridge::run_worker(spec);
}
