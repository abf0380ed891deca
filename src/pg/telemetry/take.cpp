// Taking a report: the usual one touches shared memory alone; the first of a client here, and the first after another
// node served it, look into the tables for what is known of it. Reports do not belong to the transaction that brings
// them: one that aborts does not take them back.
#include "core/predict/kalman.hpp"
#include "core/telemetry/intake.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/telemetry/api.hpp"
#include "pg/telemetry/motions.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::telemetry {

namespace {

constexpr int64_t kUnixToPgEpochUs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000000);

// The newest row of a planner about itself tells who served the client last.
constexpr char kKnownQuery[] = R"(
  SELECT (SELECT encode(m.state, 'hex') FROM vectorshard.motion m WHERE m.client = $1),
         coalesce((SELECT w.planner FROM vectorshard.wish w
                    WHERE w.client = $1 AND w.planner = w.node AND w.reason = 'serves the client'
                    ORDER BY w._version DESC LIMIT 1), 0))";

bool reports_wait = false;

IntakeLimits limits() {
  return {bridge::guc::report_max_age_s, bridge::guc::report_max_ahead_s, bridge::guc::max_speed_mps};
}

std::string from_hex(const std::string &hex) {
  auto digit = [](char c) { return static_cast<char>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return out;
}

/// What the tables tell of a client: its motion, if its rows are here, with the node that served it last.
Motion known_in_tables(std::string_view client) {
  bridge::AsSuperuser rights;
  bridge::Spi spi;
  auto rows = spi.query_kept(kKnownQuery, {bridge::p_text(client)});
  Motion m;
  if (!rows.null(0, 0)) {
    auto stored = decode_motion(from_hex(rows.at(0, 0)));
    if (stored.ok()) m = stored.value();
  }
  if (NodeId serving = static_cast<NodeId>(rows.int8(0, 1)); serving != kNoNode) m.serving = serving;
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

void require_member() {
  bridge::require_preloaded();
  if (bridge::self_node() == kNoNode)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is not in a fabric", "",
                           "Call vectorshard.create_fabric() or vectorshard.join_fabric() first.");
}

/// Motion from after now is of another time_scale, or of a wrong clock: it would refuse every report.
void forget_future(Motion &m, double now_s) {
  if (m.at_s <= now_s + bridge::guc::report_max_ahead_s) return;
  NodeId serving = m.serving;
  m = {};
  m.serving = serving;
}

/// Checks and takes under the slot's lock. `check` gives the refusal, `accept` takes it into the motion.
template <class Check, class Accept>
bool take_into(HeldSlot &slot, const Motion *from_tables, Check check, Accept accept, NodeId *before) {
  NodeId self = bridge::self_node();
  double now_s = clients_now();
  Motion m = slot->motion;
  forget_future(m, now_s);
  if (from_tables) {
    Motion t = *from_tables;
    forget_future(t, now_s);
    NodeId serving = t.serving != kNoNode ? t.serving : m.serving;
    if (t.at_s > m.at_s) m = t;
    m.serving = serving;
  }
  std::optional<Refusal> refusal = check(m, now_s);
  if (refusal) {
    count(static_cast<Counter>(kRefusedFirst + static_cast<int>(*refusal)));
    return false;
  }
  *before = m.serving;
  accept(m);
  slot->motion = m;
  slot->received_at = GetCurrentTimestamp();
  slot->arrived |= *before != self;
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
bool take_any(std::string_view client, NodeId from, Check check, Accept accept) {
  NodeId before = kNoNode;
  bool taken = false, looked = false;
  if (from == kNoNode) {
    HeldSlot slot(client, HeldSlot::kChange);
    if (slot && slot->motion.serving == bridge::self_node()) {
      looked = true;
      taken = take_into(slot, nullptr, check, accept, &before);
    }
  }
  if (!looked) {
    Motion known = known_in_tables(client);
    if (from != kNoNode) known.serving = from;
    HeldSlot slot(client, HeldSlot::kMake);
    taken = take_into(slot, &known, check, accept, &before);
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

Result<bool> take_report(const RawReport &raw) {
  require_member();
  if (auto ok = check_client(raw.client); !ok) return ok.error();
  if (auto ok = check_observed(raw.observed_at); !ok) return ok.error();
  Report r{clients_seconds(raw.observed_at), raw.lat, raw.lon, raw.speed_mps, raw.heading_deg};
  if (auto ok = check_wellformed(r); !ok) return ok.error();
  NodeId self = bridge::self_node();
  return take_any(
      raw.client, kNoNode, [&](const Motion &m, double now_s) { return check_plausible(r, m, now_s, limits()); },
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
      client, from, [&](const Motion &m, double now_s) { return check_time(at_s, m, now_s, limits()); },
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
