// Rests and session starts: see sessions.hpp.
#include "pg/place/sessions.hpp"

#include <ctime>

#include "core/place/session_start.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/place/economy.hpp"
#include "pg/place/policies.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::steady_s;

using bridge::p_int4;
using bridge::p_text;
using bridge::p_text_array;

constexpr double kLookEveryS = 1, kSilentEveryS = 2;  // between looks, whatever the time of day is
constexpr size_t kMost = 256;  // in one transaction
constexpr double kStaysS = 30;  // a wish lasts a little longer than until it is decided anew
constexpr double kStoreLookS = 20;  // a client that may be put into a store is looked at so often while it takes long to come back

// Who else says since when that it serves the client.
constexpr char kBeginQuery[] = R"(
  SELECT r.client, encode(r.state, 'hex'), extract(epoch FROM r.ended_at)::float8,
         coalesce((SELECT extract(epoch FROM min(o.at))::float8
                     FROM (SELECT to_timestamp(((w._version >> 22) + 1577836800000) / 1000.0) AS at FROM vectorshard.wish w
                            WHERE w.client = r.client AND w.planner = w.node AND w.node <> $2 AND w.reason = $3) o
                    WHERE o.at > r.ended_at), 0)
    FROM vectorshard.rest r WHERE r.client = ANY ($1) AND r.ended_at IS NOT NULL)";
constexpr char kBeganStatement[] = R"(
  UPDATE vectorshard.rest r SET state = decode(u.state, 'hex'), ended_at = NULL, look_at = NULL
    FROM unnest($1::text[], $2::text[]) AS u(client, state) WHERE r.client = u.client)";
constexpr char kSilentStatement[] = R"(
  INSERT INTO vectorshard.rest AS r (client, state, ended_at, look_at)
  SELECT u.client, '', to_timestamp(u.at::float8), now() FROM unnest($1::text[], $2::text[]) AS u(client, at)
   ORDER BY u.client COLLATE "C"
  ON CONFLICT (client) DO UPDATE SET ended_at = excluded.ended_at, look_at = excluded.look_at)";
const std::string kRestQuery = R"(
  SELECT r.client, encode(r.state, 'hex'), extract(epoch FROM r.ended_at)::float8, c.home,
         coalesce((SELECT max(h.bytes) FROM vectorshard.holder h WHERE h.client = r.client), 0),
         (SELECT coalesce(h.store, '') FROM vectorshard.holder h WHERE h.client = r.client AND h.node = c.home AND h.state = 'cold')
    FROM vectorshard.rest r JOIN vectorshard.client c ON c.client = r.client WHERE )";
const std::string kDueQuery = kRestQuery + "r.look_at <= now() ORDER BY r.look_at LIMIT 256";
const std::string kOneQuery = kRestQuery + "r.client = $1 AND r.ended_at IS NOT NULL";
constexpr char kLookStatement[] = R"(
  UPDATE vectorshard.rest r SET look_at = to_timestamp(u.at::float8)
    FROM unnest($1::text[], $2::text[]) AS u(client, at) WHERE r.client = u.client)";
// Nobody's habits last for ever; and of a client that is gone nothing is looked at.
constexpr char kForgetStatement[] = R"(
  DELETE FROM vectorshard.rest r
   WHERE r.look_at <= now() AND (r.ended_at < now() - make_interval(days => 40) * (1 / $1::text::float8)
      OR NOT EXISTS (SELECT FROM vectorshard.client c WHERE c.client = r.client)))";

double scale() { return bridge::guc::time_scale; }

std::string number(double v) {
  char text[64];
  snprintf(text, sizeof text, "%.6f", v);
  return text;
}

std::string hex(const std::string &bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    char two[3];
    snprintf(two, sizeof two, "%02x", c);
    out += two;
  }
  return out;
}

RestHabit habit_of(const std::string &hex_state) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex_state.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex_state.substr(i, 2), nullptr, 16));
  return RestHabit::decode(bytes).value_or(RestHabit());
}

std::string clock_of(double at_s) {
  char text[32];
  auto at = static_cast<time_t>(at_s / scale());
  tm when{};
  gmtime_r(&at, &when);
  snprintf(text, sizeof text, "%02d:%02d", when.tm_hour, when.tm_min);
  return text;
}

std::string reason_of(const RestPlan &plan) {
  char text[120];
  snprintf(text, sizeof text, "expected back at about %s UTC, as often before (%.2f starts in an hour of copies)", clock_of(plan.eta_s).c_str(),
           plan.rate_per_s * 3600);
  return text;
}

std::string reason_of(const ExpectedStart &start, const RestInput &in) {
  const StartOdds &o = start.odds;
  char why[160];
  if (o.by_pause)
    snprintf(why, sizeof why, "came back here %d of %d times that it had paused for %.0f s, within another %.0f s", o.began, o.silent, o.from_s - in.from_s,
             o.to_s - o.from_s);
  else
    snprintf(why, sizeof why, "came back here at that hour %d of %d times that it rested then", o.began, o.silent);
  std::string where = start.tier == PlaceTier::edge ? "hot on this node " : "out of the store at its home ";
  return "expected back between " + clock_of(o.from_s) + " and " + clock_of(o.to_s) + " UTC: " + why + "; " + where +
         (start.act_s <= in.now_s ? "now" : "from " + clock_of(start.act_s) + " UTC on");
}

/// A row of kRestQuery, and what decides about it.
struct Resting {
  std::string client;
  RestHabit habit;
  NodeId home = kNoNode;
  bool cold = false;   // in a store of its home
  double slow_s = 0;   // what the store takes that it lies in, or any that it may go to
  RestInput in;

  /// How it is there: here, at its home (rows that are hot there stay there by themselves, unless somebody moves idle ones into a store), or
  /// nothing is done for it.
  std::optional<PlaceTier> used(PlaceTier tier, bool banned, bool full) const {
    if (tier == PlaceTier::edge && !banned && !full) return PlaceTier::edge;
    if (tier != PlaceTier::cold && (cold || slow_s > 0)) return PlaceTier::home;
    return {};
  }
};

Resting resting(const bridge::Rows &rows, size_t i, const Economy &reckoning, double now_s) {
  NodeId self = bridge::self_node();
  Resting r{rows.at(i, 0), habit_of(rows.at(i, 1)), static_cast<NodeId>(rows.int8(i, 3)), !rows.null(i, 5), 0, {}};
  double bytes = rows.float8(i, 4);
  r.slow_s = r.cold ? reckoning.thaw_of(r.home, rows.at(i, 5)) : reckoning.thaw_at_most(r.home);
  r.in = {rows.float8(i, 2) * scale(), now_s, reckoning.lead_to(self, r.home, bytes, 0), r.cold ? r.slow_s : 0};
  r.in.miss_s = reckoning.miss_at(self, r.home, bytes);
  r.in.cold_miss_s = std::max(kMissS, r.slow_s);
  r.in.edge_cost_h = kCopyHourCost * reckoning.price_of(bytes);
  r.in.home_cost_h = std::max(0.0, cost_per_h(reckoning.home, bytes) - cost_per_h(reckoning.cold, bytes));
  return r;
}

double worth(const Resting &r, double rate_per_s, PlaceTier tier) {
  return worth_per_h(rate_per_s, tier == PlaceTier::edge ? r.in.miss_s : r.in.cold_miss_s, r.in.edge_cost_h / 3600, 1);
}

}  // namespace

void Sessions::begin(std::vector<Subject> &subjects) {
  std::map<std::string, Subject *> began;
  for (Subject &s : subjects)
    if (s.moving && s.known.motion.serving == bridge::self_node() && s.silent_s == 0 && !active_.contains(s.known.client))
      began[s.known.client] = &s;
  if (began.empty()) return;
  std::vector<std::string> names, clients, states;
  for (auto &[client, s] : began) names.push_back(client);
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kBeginQuery, {p_text_array(names), p_int4(bridge::self_node()), p_text(kServesReason)});
    for (size_t i = 0; i < rows.size(); i++) {
      Subject &s = *began.at(rows.at(i, 0));
      double ended_s = rows.float8(i, 2) * scale(), elsewhere_s = rows.float8(i, 3) * scale();
      if (s.known.motion.at_s <= ended_s) continue;  // not a new report: planned for another reason
      RestHabit habit = habit_of(rows.at(i, 1));
      bool here = elsewhere_s == 0 || elsewhere_s >= s.known.motion.session_s;
      habit.note(ended_s, here ? s.known.motion.session_s : elsewhere_s, here);
      clients.push_back(rows.at(i, 0));
      states.push_back(hex(habit.encode()));
      s.known.arrived = true;  // the wish that it rested by does not say that it is served
    }
    if (!clients.empty()) spi.execute(kBeganStatement, {p_text_array(clients), p_text_array(states)});
  }
  tx.commit();
}

void Sessions::note(const std::vector<Plan> &plans) {
  for (const Plan &p : plans) {
    if (!p.subject.moving) continue;
    if (!p.serving)
      active_.erase(p.subject.known.client);
    else if (p.home != kNoNode && p.subject.silent_s == 0 &&
             (active_.contains(p.subject.known.client) || active_.size() < static_cast<size_t>(bridge::guc::max_clients)))
      active_[p.subject.known.client] = p.subject.known.motion.at_s;
  }
}

void Sessions::fall_silent(bridge::Spi &spi) {
  if (steady_s() < next_silent_s_) return;
  double now_s = telemetry::clients_now();
  std::vector<std::string> clients, ends;
  for (auto it = active_.begin(); it != active_.end() && clients.size() < kMost;) {
    bool silent = it->second + telemetry::kSessionGapS < now_s;
    if (silent) {
      auto known = telemetry::known_in_memory(it->first);
      if (known && known->motion.at_s > it->second) {
        it->second = known->motion.at_s;
        silent = it->second + telemetry::kSessionGapS < now_s;
      }
    }
    if (!silent) {
      ++it;
      continue;
    }
    clients.push_back(it->first);
    ends.push_back(number(it->second / scale()));
    it = active_.erase(it);
  }
  if (!clients.empty()) spi.execute(kSilentStatement, {p_text_array(clients), p_text_array(ends)});
  next_silent_s_ = steady_s() + (clients.size() < kMost ? std::min(kSilentEveryS, telemetry::kSessionGapS / 6 / scale()) : 0);
}

std::vector<Plan> Sessions::rest(bridge::Spi &spi) {
  std::vector<Plan> plans;
  if (steady_s() < next_s_) return plans;
  next_s_ = steady_s() + kLookEveryS;
  fall_silent(spi);
  auto rows = spi.query_kept(kDueQuery);
  if (rows.empty()) return plans;
  spi.execute(kForgetStatement, {p_text(number(scale()))});
  const Economy &reckoning = economy(spi);
  std::vector<std::string> clients, looks;
  for (size_t i = 0; i < rows.size(); i++) clients.push_back(rows.at(i, 0));
  Bans banned = bans_here(spi, clients);
  bool on = bridge::guc::predictor != bridge::guc::kPredictorNone;
  NodeId self = bridge::self_node();
  double now_s = telemetry::clients_now();
  for (size_t i = 0; i < rows.size(); i++) {
    Resting r = resting(rows, i, reckoning, now_s);
    RestPlan rest = plan_rest(r.habit, r.in);
    double look_s = rest.until_s;
    if (!r.cold && r.slow_s > 0) look_s = std::max(now_s + kStoreLookS, look_s - r.slow_s);
    looks.push_back(number(look_s / scale()));
    auto tier = r.used(rest.tier, banned.contains(r.client), reckoning.fabric_full());
    // What is hot at home, and is not to come here, is looked at again and nothing more.
    if (!on || !tier) continue;
    Plan p;
    p.subject.known.client = r.client;
    p.home = r.home;
    p.decisions.push_back({*tier == PlaceTier::edge ? self : r.home, Verdict::wish, rest.until_s + kStaysS, reason_of(rest), worth(r, rest.rate_per_s, *tier),
                           rest.eta_s, r.in.lead_s});
    plans.push_back(std::move(p));
  }
  spi.execute(kLookStatement, {p_text_array(clients), p_text_array(looks)});
  if (rows.size() == kMost) next_s_ = 0;
  return plans;
}

std::optional<Expectation> expectation_of(bridge::Spi &spi, const std::string &client) {
  if (bridge::guc::predictor == bridge::guc::kPredictorNone) return {};
  auto rows = spi.query_kept(kOneQuery, {p_text(client)});
  if (rows.empty()) return {};
  const Economy &reckoning = economy(spi);
  Resting r = resting(rows, 0, reckoning, telemetry::clients_now());
  auto start = expected_start(r.habit, r.in);
  if (!start) return {};
  auto tier = r.used(start->tier, !bans_here(spi, {client}).empty(), reckoning.fabric_full());
  if (!tier) return {};
  start->tier = *tier;
  double rate = start->odds.rate(), eta_s = std::max(0.0, (start->odds.from_s + start->odds.to_s) / 2 - r.in.now_s);
  return Expectation{*tier == PlaceTier::edge ? bridge::self_node() : r.home, start->odds.chance(), eta_s, rate, r.in.lead_s, worth(r, rate, *tier),
                     reason_of(*start, r.in)};
}

}  // namespace vectorshard::place
