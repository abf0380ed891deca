// Taking a report: the usual one touches shared memory alone; the first of a client here, and the first after another
// node served it, look into the tables for what is known of it. Reports do not belong to the transaction that brings
// them: one that aborts does not take them back.
#include "core/place/types.hpp"
#include "core/predict/kalman.hpp"
#include "core/telemetry/intake.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/telemetry/api.hpp"
#include "pg/telemetry/motions.hpp"
#include <time.h>
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::telemetry {

namespace {

constexpr int64_t kUnixToPgEpochUs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000000);

bridge::FabricIndex motion_index{"motion", "motion_pkey"};
bridge::FabricIndex wish_index{"wish", "wish_pkey"};
enum MotionColumn : AttrNumber { kState = 2 };
enum WishColumn : AttrNumber { kNode = 2, kPlanner = 3, kReason = 5, kVersion = 6 };

bool reports_wait = false;

IntakeLimits limits() {
  return {bridge::guc::report_max_age_s, bridge::guc::report_max_ahead_s, bridge::guc::max_speed_mps};
}

/// The rows of a client in two tables, as plain data.
struct Stored {
  char state[1024];
  size_t state_bytes = 0;  // 0: none, or longer than any motion
  NodeId serving = kNoNode;
  int64 version = 0;
};

void read_state(TupleTableSlot *row, Stored &out) {
  bool isnull;
  Datum stored = slot_getattr(row, kState, &isnull);
  const text *state = isnull ? nullptr : DatumGetTextPP(stored);
  if (!state || bridge::view(state).size() > sizeof out.state) return;
  out.state_bytes = bridge::view(state).size();
  memcpy(out.state, bridge::view(state).data(), out.state_bytes);
}

/// The newest row of a planner about itself tells who served the client last.
void read_serving(TupleTableSlot *row, Stored &out) {
  bool isnull;
  NodeId planner = DatumGetInt32(slot_getattr(row, kPlanner, &isnull));
  int64 version = DatumGetInt64(slot_getattr(row, kVersion, &isnull));
  if (planner != DatumGetInt32(slot_getattr(row, kNode, &isnull)) || (out.serving != kNoNode && version <= out.version)) return;
  Datum reason = slot_getattr(row, kReason, &isnull);
  if (bridge::view(DatumGetTextPP(reason)) != place::kServesReason) return;
  out.serving = planner;
  out.version = version;
}

/// What the tables tell of a client: its motion, if its rows are here, with the node that served it last.
Motion known_in_tables(std::string_view client) {
  Stored stored;
  bridge::with_fresh_snapshot([&](Snapshot snapshot) {
    bridge::pg_call([&] {
      ScanKeyData key[1];
      bridge::name_key(&key[0], 1, client);
      bridge::lookup(motion_index, snapshot, key, 1, [&](TupleTableSlot *row) { read_state(row, stored); });
      bridge::lookup_each(wish_index, snapshot, key, 1, [&](TupleTableSlot *row) {
        read_serving(row, stored);
        return true;
      });
      pfree(DatumGetPointer(key[0].sk_argument));
    });
    return true;
  });
  Motion m;
  if (auto motion = decode_motion({stored.state, stored.state_bytes}); motion.ok()) m = motion.value();
  if (stored.serving != kNoNode) m.serving = stored.serving;
  return m;
}

Result<void> check_client(std::string_view client) {
  if (client.empty())
    return Error{Errc::invalid_argument, "client must not be empty", "",
                 "Give the value of the client column of the client's rows."};
  if (client.size() > kMaxClientBytes)
    return Error{Errc::invalid_argument, "name of the client is too long",
                 "It has " + std::to_string(client.size()) + " bytes, the limit is " + std::to_string(kMaxClientBytes) + ".",
                 "Use a shorter identifier of the client."};
  return {};
}

Result<void> check_observed(int64_t observed_at) {
  if (!TIMESTAMP_NOT_FINITE(observed_at)) return {};
  return Error{Errc::invalid_argument, "time of the report is not finite", "", "Give the time when the client was observed."};
}

Report in_clients_seconds(const RawReport &raw) {
  return {clients_seconds(raw.observed_at), raw.lat, raw.lon, raw.speed_mps, raw.heading_deg};
}

void require_member() {
  bridge::require_preloaded();
  if (bridge::self_node() == kNoNode)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is not in a fabric", "",
                           "Call vectorshard.create_fabric() or vectorshard.join_fabric() first.");
}

/// The clock as of its last tick, milliseconds ago at most: it costs a tenth, and does not hold up what waits for memory.
TimestampTz ticked() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME_COARSE, &t);
  return int64{t.tv_sec} * USECS_PER_SEC + t.tv_nsec / 1000 - kUnixToPgEpochUs;
}

/// The time to judge a report by: exact where a tick would matter.
TimestampTz now_for(double at_s) {
  TimestampTz now = ticked();
  return at_s > clients_seconds(now) + bridge::guc::report_max_ahead_s ? GetCurrentTimestamp() : now;
}

/// Motion from after now is of another time_scale, or of a wrong clock: it would refuse every report.
bool in_future(const Motion &m, double now_s) { return m.at_s > now_s + bridge::guc::report_max_ahead_s; }

void forget_future(Motion &m, double now_s) {
  if (!in_future(m, now_s)) return;
  NodeId serving = m.serving;
  m = {};
  m.serving = serving;
}

/// What is known of a client from shared memory and the tables: the newer of both.
Motion merged(Motion m, Motion from_tables, double now_s) {
  forget_future(m, now_s);
  forget_future(from_tables, now_s);
  NodeId serving = from_tables.serving != kNoNode ? from_tables.serving : m.serving;
  if (from_tables.at_s > m.at_s) m = from_tables;
  m.serving = serving;
  return m;
}

/// Checks and takes under the slot's lock. `check` gives the refusal, `accept` takes it into the motion. The usual report
/// changes the motion where it is; nothing in here can fail.
template <class Check, class Accept>
bool take_into(HeldSlot &slot, const Motion *from_tables, TimestampTz now, Check check, Accept accept, NodeId *before) {
  Motion other, *m = &slot->motion;
  if (in_future(*m, clients_seconds(now))) now = GetCurrentTimestamp();
  double now_s = clients_seconds(now);
  if (from_tables || in_future(*m, now_s)) {
    other = merged(*m, from_tables ? *from_tables : Motion{}, now_s);
    m = &other;
  }
  std::optional<Refusal> refusal = check(*m, now_s);
  if (refusal) {
    count(static_cast<Counter>(kRefusedFirst + static_cast<int>(*refusal)));
    return false;
  }
  *before = m->serving;
  accept(*m);
  if (m == &other) slot->motion = other;
  slot->used = slot->received_at != 0;  // a client that comes once goes before one that comes again
  slot->received_at = now;
  slot->arrived |= *before != slot->motion.serving;
  slot.mark();
  count(kAccepted);
  return true;
}

void count_arrival(std::string_view client) {
  apply::Residency r = apply::residency_now(client);
  count(kArrivals);
  if (r.resident && !r.leaving) count(kHits);
}

template <class Check, class Accept>
bool take_any(const Spot &spot, std::string_view client, NodeId from, double at_s, Check check, Accept accept) {
  NodeId before = kNoNode;
  bool taken = false, looked = false;
  spot.approach();
  TimestampTz now = now_for(at_s);
  if (from == kNoNode) {
    HeldSlot slot(spot, HeldSlot::kChange);
    if (slot && slot->motion.serving == bridge::self_node()) {
      looked = true;
      taken = take_into(slot, nullptr, now, check, accept, &before);
    }
  }
  if (!looked) {
    Motion known = known_in_tables(client);
    if (from != kNoNode) known.serving = from;
    HeldSlot slot(spot, HeldSlot::kMake);
    taken = take_into(slot, &known, now, check, accept, &before);
  }
  reports_wait |= taken;
  if (taken && before != kNoNode && before != bridge::self_node()) count_arrival(client);
  return taken;
}

}  // namespace

double clients_seconds(int64_t timestamptz) {
  return static_cast<double>(timestamptz + kUnixToPgEpochUs) / 1e6 * bridge::guc::time_scale;
}

double clients_now() { return clients_seconds(GetCurrentTimestamp()); }

int64_t wall_time(double clients_s) {
  return static_cast<int64_t>(std::llround(clients_s / bridge::guc::time_scale * 1e6)) - kUnixToPgEpochUs;
}

Result<void> check_report(const RawReport &raw) {
  if (auto ok = check_client(raw.client); !ok) return ok;
  if (auto ok = check_observed(raw.observed_at); !ok) return ok;
  return check_wellformed(in_clients_seconds(raw));
}

bool refuse_malformed() noexcept {
  if (bridge::guc::malformed_reports != bridge::guc::kMalformedRefuse || bridge::self_node() == kNoNode) return false;
  count(static_cast<Counter>(kRefusedFirst + static_cast<int>(Refusal::malformed)));
  return true;
}

bool accepted_or_raise(Result<bool> taken) {
  if (!taken.ok() && refuse_malformed()) return false;
  return bridge::value_or_raise(std::move(taken));
}

Result<bool> take_report(const RawReport &raw) {
  require_member();
  Spot spot(raw.client);
  if (auto ok = check_report(raw); !ok) return ok.error();
  Report r = in_clients_seconds(raw);
  NodeId self = bridge::self_node();
  return take_any(
      spot, raw.client, kNoNode, r.at_s, [&](const Motion &m, double now_s) { return check_plausible(r, m, now_s, limits()); },
      [&](Motion &m) {
        take(r, self, m);
        predict::observe(r, m);
      });
}

Result<bool> take_handover(std::string_view client, NodeId from, int64_t observed_at) {
  require_member();
  if (auto ok = check_client(client); !ok) return ok.error();
  if (auto ok = check_observed(observed_at); !ok) return ok.error();
  NodeId self = bridge::self_node();
  double at_s = clients_seconds(observed_at);
  return take_any(
      Spot(client), client, from, at_s, [&](const Motion &m, double now_s) { return check_time(at_s, m, now_s, limits()); },
      [&](Motion &m) { take_handover(at_s, self, m); });
}

void flush_reports() noexcept {
  if (!reports_wait) return;
  reports_wait = false;
  bridge::wake(bridge::kNavigator);
}

std::optional<Motion> motion_of(std::string_view client) {
  bridge::require_preloaded();
  auto memory = known_in_memory(client);
  if (memory && memory->motion.at_s > 0 && memory->motion.serving == bridge::self_node()) return memory->motion;
  Motion table = known_in_tables(client);
  if (memory && memory->motion.at_s >= table.at_s) table = memory->motion;
  if (table.at_s == 0) return std::nullopt;
  return table;
}

}  // namespace vectorshard::telemetry
