// From tables and motion to decisions: see navigator_plan.hpp. The policy itself is core/place/planner.
#include "pg/place/navigator_plan.hpp"

#include <map>

#include "core/base/version.hpp"
#include "core/place/attention.hpp"
#include "core/predict/kalman.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/place/economy.hpp"
#include "pg/place/navigator_queue.hpp"
#include "pg/predict/api.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_text;
using bridge::p_text_array;

constexpr char kHomesQuery[] = "SELECT client, home FROM vectorshard.client WHERE client = ANY ($1)";
constexpr char kWishesQuery[] = R"(
  SELECT client, node, planner, extract(epoch FROM until)::float8, reason, _version, until > now()
    FROM vectorshard.wish WHERE client = ANY ($1) AND (until > now() OR (planner = node AND reason = $2)))";
constexpr char kHoldersQuery[] =
    "SELECT client, node, state, bytes, coalesce(store, '') FROM vectorshard.holder WHERE client = ANY ($1) AND state IN ('copying', 'live', 'cold')";
// A forecast is made for each class of lead times.
constexpr size_t kLeadClasses = 3;

double scaled(double unix_s) { return unix_s * bridge::guc::time_scale; }

/// When a version was given, as a timestamptz.
int64_t version_wall_time(Version v) {
  return telemetry::wall_time(scaled(static_cast<double>(version_unix_ms(v)) / 1000));
}

/// A plan in the making.
struct Draft {
  ClientView view;
  Version own_serves = 0, other_serves = 0;  // newest rows by which a planner says that it serves the client
  NodeId other = kNoNode;
  double bytes = 0;   // of the client; 0: not known
  double thaw_s = 0;  // what the store takes that it lies in
};

using Drafts = std::map<std::string, std::pair<Plan *, Draft>, std::less<>>;

void load_wishes(bridge::Spi &spi, const bridge::Param &clients, Drafts &drafts) {
  NodeId self = bridge::self_node();
  auto rows = spi.query_kept(kWishesQuery, {clients, p_text(kServesReason)});
  for (size_t i = 0; i < rows.size(); i++) {
    auto &[plan, draft] = drafts.at(rows.at(i, 0));
    NodeId node = static_cast<NodeId>(rows.int8(i, 1)), planner = static_cast<NodeId>(rows.int8(i, 2));
    double until_s = scaled(rows.float8(i, 3));
    const std::string &reason = rows.at(i, 4);
    Version version = rows.int8(i, 5);
    bool serves = planner == node && reason == kServesReason;
    if (serves && planner == self) draft.own_serves = version;
    if (serves && planner != self && version > draft.other_serves) {
      draft.other_serves = version;
      draft.other = planner;
    }
    if (!rows.boolean(i, 6)) continue;
    if (planner == self)
      draft.view.wishes.push_back({node, until_s});
    else
      plan->others.push_back({node, planner, until_s, reason});
  }
}

void load(bridge::Spi &spi, const NodeMap &map, const Economy &economy, Drafts &drafts) {
  std::vector<std::string> names;
  for (auto &[client, draft] : drafts) names.push_back(client);
  bridge::Param clients = p_text_array(names);
  auto homes = spi.query_kept(kHomesQuery, {clients});
  for (size_t i = 0; i < homes.size(); i++)
    drafts.at(homes.at(i, 0)).first->home = static_cast<NodeId>(homes.int8(i, 1));
  load_wishes(spi, clients, drafts);
  for (auto &[client, policies] : policies_of(spi, clients, map)) drafts.at(client).second.view.policies = std::move(policies);
  auto holders = spi.query_kept(kHoldersQuery, {clients});
  for (size_t i = 0; i < holders.size(); i++) {
    auto &[plan, draft] = drafts.at(holders.at(i, 0));
    auto node = static_cast<NodeId>(holders.int8(i, 1));
    const std::string &state = holders.at(i, 2);
    draft.bytes = std::max(draft.bytes, holders.float8(i, 3));
    plan->held[node] = state;
    if (state == "cold") {
      draft.thaw_s = std::max(draft.thaw_s, economy.thaw_of(node, holders.at(i, 4)));
      continue;
    }
    draft.view.holders.push_back(node);
    if (state == "copying") draft.view.copying.push_back(node);
  }
}

/// Who serves the client. Rows of planners compare by version; only a report that is newer than the other's row says
/// that the client came back before its planner noticed.
void decide_who_serves(Plan &plan, Draft &draft) {
  telemetry::Known &known = plan.subject.known;
  NodeId self = bridge::self_node();
  if (!plan.subject.moving) {
    plan.served_by = draft.other_serves > draft.own_serves ? draft.other : kNoNode;
    return;
  }
  plan.served_since_s = telemetry::clients_seconds(version_wall_time(draft.other_serves));
  if (known.motion.serving != self) {
    plan.served_by = draft.other != kNoNode ? draft.other : known.motion.serving;
    return;
  }
  if (draft.other_serves > draft.own_serves && !known.arrived) {
    if (known.received_at <= version_wall_time(draft.other_serves)) {
      plan.served_by = draft.other;
      return;
    }
    known.arrived = true;  // the other planner must hear of it
  }
  plan.serving = true;
}

/// True if a planner that is alive serves the client now, by its wish.
bool served_by_other(const Plan &plan) {
  return std::any_of(plan.others.begin(), plan.others.end(), [](const OtherWish &w) {
    return w.node == w.planner && w.reason == kServesReason && !noted_dead(w.planner);
  });
}

/// Who serves the client sees to its least copies; while nobody does its home; and whoever holds it when that is dead.
void appoint_steward(const Plan &plan, ClientView &view, const NodeMap &map) {
  view.home = plan.home;
  if (!wants_copies(view.policies, view.now_s)) return;
  const telemetry::Motion &m = plan.subject.known.motion;
  bool reports = plan.serving && view.now_s - m.at_s <= serving_life_s(m);
  if (!reports && served_by_other(plan)) return;
  NodeId next = noted_dead(plan.home) ? kNoNode : plan.home;
  if (next == kNoNode)
    for (NodeId node : view.holders)
      if (!noted_dead(node) && (next == kNoNode || node < next)) next = node;
  view.steward = reports || next == view.self;
  const NodeSite *here = map.site(view.self);
  double lat = reports && m.reports > 0 ? m.lat : here ? here->lat : 0, lon = reports && m.reports > 0 ? m.lon : here ? here->lon : 0;
  view.near = live_nodes(map);
  std::stable_sort(view.near.begin(), view.near.end(), [&](NodeId a, NodeId b) {
    const NodeSite &x = *map.site(a), &y = *map.site(b);
    return telemetry::distance_m(lat, lon, x.lat, x.lon) < telemetry::distance_m(lat, lon, y.lat, y.lon);
  });
}

PlanSettings settings() {
  PlanSettings s;
  s.margin_s = bridge::guc::horizon_margin_s;
  s.max_candidates = bridge::guc::max_candidates;
  s.predict = bridge::guc::predictor != bridge::guc::kPredictorNone;
  return s;
}

/// Of each target as for its own lead time: what is likely when a copy there is ready.
std::vector<predict::Candidate> predicted_at(const telemetry::Known &client, const NodeMap &map, const std::vector<Target> &targets, double silent_s) {
  NodeId self = bridge::self_node();
  std::vector<double> leads;
  std::map<NodeId, double> lead;
  for (const Target &t : targets)
    if (t.node != self) leads.push_back(lead[t.node] = t.lead_s);
  if (leads.empty()) leads.push_back(0);
  std::vector<double> classes = lead_classes(std::move(leads), kLeadClasses);
  auto predicted = [&](double lead_s) { return predict::candidates(client.client, client.motion, self, map, lead_s, silent_s); };
  if (classes.size() == 1) return predicted(classes[0]);
  std::vector<predict::Candidate> out;
  for (double each : classes)
    for (const predict::Candidate &c : predicted(each))
      if (class_of(classes, lead[c.node]) == each) out.push_back(c);
  std::stable_sort(out.begin(), out.end(), [](auto &a, auto &b) { return a.rate_per_s > b.rate_per_s; });
  return out;
}

/// Times from now on. Nobody is asked about a client that cannot get to another node's area.
std::vector<predict::Candidate> candidates(Plan &plan, const NodeMap &map, double now_s, const std::vector<Target> &targets) {
  telemetry::Motion &motion = plan.subject.known.motion;
  double silent_s = plan.subject.silent_s, longest_s = longest_lead_s(targets), reported_s = motion.at_s;
  if (motion.reports == 0) {  // it is where it was until somebody says that it left
    motion.at_s = std::max(motion.at_s, now_s);
    silent_s = 0;
  }
  predict::Bounds bounds = predict::bounds(motion, bridge::self_node(), longest_s + silent_s);
  Outlook outlook{now_s, longest_s, bounds.ahead_s, bounds.stays ? bounds.clear_m : 0, bounds.speed_mps, {}};
  if (!bounds.stays) {
    outlook.candidates = predicted_at(plan.subject.known, map, targets, silent_s);
    for (predict::Candidate &c : outlook.candidates)
      for (double *s : {&c.earliest_s, &c.median_s}) *s = std::max(0.0, *s - silent_s);
  }
  motion.at_s = reported_s;
  plan.look_again_s = look_again_s(motion, outlook);
  return std::move(outlook.candidates);
}

std::vector<Target> targets_of(const Plan &plan, const Draft &draft, const NodeMap &map, const Economy &economy) {
  std::vector<Target> targets;
  double price = economy.price_of(draft.bytes);
  for (const NodeSite &site : map.sites()) {
    Target t{site.node, economy.lead_to(site.node, plan.home, draft.bytes, draft.thaw_s)};
    if (auto state = economy.states.find(site.node); state != economy.states.end() && state->second.full()) {
      t.full = true;
      t.least_value = state->second.least_value;
    }
    t.miss_s = economy.miss_at(site.node, plan.home, draft.bytes);
    t.price = price;
    targets.push_back(t);
  }
  return targets;
}

void decide(Plan &plan, Draft &draft, const NodeMap &map, const Economy &economy) {
  if (plan.home == kNoNode) return;
  std::vector<Target> targets = targets_of(plan, draft, map, economy);
  plan.lead_s = economy.lead_to(bridge::self_node(), plan.home, draft.bytes, draft.thaw_s);
  const telemetry::Motion &motion = plan.subject.known.motion;
  ClientView &view = draft.view;
  view.now_s = telemetry::clients_now();
  view.self = bridge::self_node();
  view.motion = plan.subject.moving ? &motion : nullptr;
  view.serving = plan.serving;
  view.arrived = plan.serving && plan.subject.known.arrived;
  view.missed = plan.subject.missed;
  view.silent_s = plan.subject.silent_s;
  appoint_steward(plan, view, map);
  PlanSettings how = settings();
  how.fabric_full = economy.fabric_full();
  if (plan.serving && how.predict) view.candidates = candidates(plan, map, view.now_s, targets);
  plan.wishes = view.wishes;
  plan.policies = view.policies;
  plan.decisions = place::plan(view, targets, how);
  plan.candidates = std::move(view.candidates);
}

/// Which geofences the clients that are served here are in, and which they come into while a copy would be made.
void fence(bridge::Spi &spi, const Economy &economy, Drafts &drafts) {
  std::vector<Located> clients;
  double now_s = telemetry::clients_now();
  for (auto &[client, each] : drafts) {
    const Plan &plan = *each.first;
    const telemetry::Motion &m = plan.subject.known.motion;
    if (!plan.serving || m.reports == 0 || plan.home == kNoNode) continue;
    double lead = economy.lead_to(bridge::self_node(), plan.home, each.second.bytes, each.second.thaw_s);
    double ahead_s = now_s - m.at_s + lead + predict::look_ahead_s(m, bridge::guc::horizon_margin_s);
    clients.push_back({client, {m.lat, m.lon}, predict::position_after(m, ahead_s), &each.second.view.policies});
  }
  for (FenceCrossing &c : apply_fences(spi, clients)) drafts.at(c.client).first->crossings.push_back(c);
}

/// What would be in force had dry_run written it.
void add_would_be(Drafts &drafts, const WouldBe &would_be) {
  for (auto &[client, each] : drafts) {
    auto &wishes = each.second.view.wishes;
    for (const Wish &w : would_be.of(client, telemetry::clients_now()))
      if (std::none_of(wishes.begin(), wishes.end(), [&](const Wish &real) { return real.node == w.node; })) wishes.push_back(w);
  }
}

}  // namespace

double silent_s(const telemetry::Known &known) {
  constexpr int64_t kJustUs = 10 * USECS_PER_SEC;  // a round may wait for a lock meanwhile
  if (GetCurrentTimestamp() - known.received_at < kJustUs) return 0;
  return std::max(0.0, telemetry::clients_now() - known.motion.at_s);
}

std::vector<Plan> make_plans(std::vector<Subject> subjects, const WouldBe *would_be) {
  std::vector<Plan> plans(subjects.size());
  Drafts drafts;
  for (size_t i = 0; i < subjects.size(); i++) {
    plans[i].subject = std::move(subjects[i]);
    plans[i].arrived = plans[i].subject.known.arrived;
    drafts[plans[i].subject.known.client].first = &plans[i];
  }
  NodeMap map = predict::node_map();
  bridge::Spi spi;
  const Economy &reckoning = economy(spi);
  load(spi, map, reckoning, drafts);
  if (would_be) add_would_be(drafts, *would_be);
  for (auto &[client, each] : drafts) decide_who_serves(*each.first, each.second);
  fence(spi, reckoning, drafts);
  for (auto &[client, each] : drafts) decide(*each.first, each.second, map, reckoning);
  return plans;
}

}  // namespace vectorshard::place
