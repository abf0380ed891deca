// explain_placement(): one client planned as the navigator would, with the reasons; and the counters of placement.
// Nothing here writes a wish.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/place/navigator_plan.hpp"
#include "pg/place/navigator_queue.hpp"
#include "pg/place/sessions.hpp"
#include "pg/predict/api.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::place {

namespace {

/// A column that may be null.
struct Field {
  std::optional<double> number{};
  std::optional<std::string> text{};
  std::optional<int> count{};
};

/// A row of explain_placement().
struct Row {
  std::optional<std::string> node{};
  std::optional<double> probability{}, earliest_s{}, eta_s{}, arrivals_per_h{}, lead_s{}, value{};
  std::optional<int> rank{};
  std::optional<std::string> tier{}, policy{};
  std::string decision, reason;
};

void put(FunctionCallInfo fcinfo, const Row &r) {
  const Field fields[] = {{{}, r.node}, {r.probability}, {r.earliest_s}, {r.eta_s}, {r.arrivals_per_h}, {r.lead_s}, {r.value},
                          {{}, {}, r.rank}, {{}, r.tier}, {{}, r.policy}, {{}, r.decision}, {{}, r.reason}};
  bridge::pg_call([&] {
    Datum values[std::size(fields)] = {};
    bool nulls[std::size(fields)] = {};
    for (size_t i = 0; i < std::size(fields); i++) {
      nulls[i] = !fields[i].number && !fields[i].text && !fields[i].count;
      if (fields[i].number) values[i] = Float8GetDatum(*fields[i].number);
      if (fields[i].count) values[i] = Int32GetDatum(*fields[i].count);
      if (fields[i].text) values[i] = CStringGetTextDatum(fields[i].text->c_str());
    }
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  });
}

/// What holds for the client as a whole.
void put_remark(FunctionCallInfo fcinfo, const std::string &decision, const std::string &reason, const std::string &policy = "") {
  Row row;
  row.decision = decision;
  row.reason = reason;
  if (!policy.empty()) row.policy = policy;
  put(fcinfo, row);
}

std::string seconds(double s) {
  char text[64];
  if (s > 1e9) return "for ever";
  snprintf(text, sizeof text, "for %.0f s", std::max(0.0, s));
  return text;
}

/// The verdict in words. What stands in tables already and what would be written read alike: the navigator writes at
/// once when a report comes.
std::string words(const Decision &d, double now_s) {
  switch (d.verdict) {
    case Verdict::wish: return "wish " + seconds(d.until_s - now_s);
    case Verdict::covered: return "wished " + seconds(d.until_s - now_s);
    case Verdict::end: return "end the wish";
    case Verdict::refused: break;
  }
  return "no wish";
}

Plan plan_of(const std::string &client) {
  Subject s;
  if (auto known = telemetry::known_in_memory(client); known && known->motion.at_s > 0) {
    s = {*known, true, false, silent_s(*known)};
  } else if (auto motion = telemetry::motion_of(client)) {
    s.known.motion = *motion;
    s.moving = true;
  }
  s.known.client = client;
  s.known.arrived = false;
  bridge::AsSuperuser rights;
  std::vector<Subject> one;
  one.push_back(std::move(s));
  return std::move(make_plans(std::move(one)).front());
}

std::string names(const std::vector<NodeId> &nodes, const NodeMap &map) {
  std::string out;
  for (NodeId node : nodes) out += (out.empty() ? "" : ", ") + predict::node_name(map, node);
  return out;
}

/// Policies that exclude each other are refused where they are given, but not what two nodes are given at the same time, or what is left when nodes go.
bool nowhere_allowed(const Plan &plan, const NodeMap &map, double now_s) {
  auto banned = [&](NodeId node, const Policy &p) {
    if (now_s < p.from_s || now_s >= p.to_s || p.soon) return false;
    if (p.kind == PolicyKind::never) return p.node == node;
    return p.kind == PolicyKind::region && std::find(p.nodes.begin(), p.nodes.end(), node) == p.nodes.end();
  };
  return !map.sites().empty() && std::all_of(map.sites().begin(), map.sites().end(), [&](const auto &site) {
    return std::any_of(plan.policies.begin(), plan.policies.end(), [&](const Policy &p) { return banned(site.node, p); });
  });
}

/// Policies that are about no single node.
void put_policies(FunctionCallInfo fcinfo, const Plan &plan, const NodeMap &map) {
  double now_s = telemetry::clients_now();
  for (const Policy &p : plan.policies) {
    if (now_s < p.from_s || now_s >= p.to_s) continue;
    if (p.kind == PolicyKind::region)
      put_remark(fcinfo, p.soon ? "nothing new elsewhere: it comes into the geofence" : "bound to a region", "on nodes " + names(p.nodes, map) + " alone", p.name);
    if (p.kind == PolicyKind::copies)
      put_remark(fcinfo, "at least " + std::to_string(p.copies) + " copies", "on nodes that answer, the home among them", p.name);
  }
  if (nowhere_allowed(plan, map, now_s)) put_remark(fcinfo, "no node may hold it", "its bans and regions leave none: its home keeps what it has");
}

/// The place of a decision among those that were weighed by value, 1 the best; null if nothing was weighed.
std::optional<int> rank_of(const Decision &d, const std::vector<Decision> &all) {
  if (d.eta_s == 0 || d.value >= kPriceless) return {};
  auto better = [&](const Decision &o) { return o.eta_s != 0 && o.value < kPriceless && o.value > d.value; };
  return 1 + static_cast<int>(std::count_if(all.begin(), all.end(), better));
}

Row row_of(const Decision &d, const Plan &plan, const NodeMap &map, double now_s) {
  Row row;
  row.node = predict::node_name(map, d.node);
  row.lead_s = d.lead_s;
  row.decision = words(d, now_s);
  row.reason = d.reason;
  row.rank = rank_of(d, plan.decisions);
  if (row.rank) row.value = d.value;
  if (!d.policy.empty()) row.policy = d.policy;
  if (auto held = plan.held.find(d.node); held != plan.held.end()) row.tier = held->second == "live" ? "hot" : held->second;
  double age_s = plan.subject.silent_s > 0 ? 0 : now_s - plan.subject.known.motion.at_s;  // else their times are from now on
  for (const auto &c : plan.candidates) {
    if (c.node != d.node) continue;
    row.probability = c.confidence;
    row.earliest_s = std::max(0.0, c.earliest_s - age_s);
    row.eta_s = std::max(0.0, c.median_s - age_s);
    row.arrivals_per_h = c.rate_per_s * 3600;
  }
  return row;
}

/// What holds for the client as a whole, before the nodes one by one.
void put_situation(FunctionCallInfo fcinfo, const Plan &plan, const NodeMap &map) {
  if (plan.home == kNoNode) {
    put_remark(fcinfo, "nothing to place", "no row of the client was inserted on any node");
    return;
  }
  if (bridge::guc::placement_mode == bridge::guc::kPlacementOff)
    put_remark(fcinfo, "nothing is written", "vectorshard.placement_mode is off");
  if (bridge::guc::placement_mode == bridge::guc::kPlacementDryRun)
    put_remark(fcinfo, "nothing is written", "vectorshard.placement_mode is dry_run");
  put_policies(fcinfo, plan, map);
  if (plan.serving) return;
  std::string who = plan.served_by == kNoNode ? "no report of the client came to this node"
                                              : "node " + predict::node_name(map, plan.served_by) + " serves the client, and plans for it";
  put_remark(fcinfo, "not planned here", who);
}

/// Of a client that this node served last and that is silent: else nothing would be said of this node.
void put_rest(FunctionCallInfo fcinfo, const Plan &plan, const NodeMap &map, double now_s) {
  NodeId self = bridge::self_node();
  auto here = [&](const auto &each) { return each.node == self; };
  if (!plan.serving || plan.home == kNoNode || std::any_of(plan.decisions.begin(), plan.decisions.end(), here)) return;
  Decision rest{self};
  rest.lead_s = plan.lead_s;
  auto wish = std::find_if(plan.wishes.begin(), plan.wishes.end(), here);
  if (wish != plan.wishes.end() && wish->until_s > now_s) {
    rest.verdict = Verdict::covered;
    rest.until_s = wish->until_s;
  }
  char text[96];
  snprintf(text, sizeof text, "served it last, and has heard nothing of it for %.0f s", plan.subject.silent_s);
  rest.reason = text;
  put(fcinfo, row_of(rest, plan, map, now_s));
}

/// Of a client whose session ended here: when it will be back, and where its rows are for that.
void put_expected(FunctionCallInfo fcinfo, const Plan &plan, const NodeMap &map) {
  std::optional<Expectation> back;
  {
    bridge::AsSuperuser rights;
    bridge::Spi spi;
    back = expectation_of(spi, plan.subject.known.client);
  }
  if (!back) return;
  Row row;
  row.node = predict::node_name(map, back->node);
  row.probability = back->chance;
  row.eta_s = back->eta_s;
  row.arrivals_per_h = back->rate_per_s * 3600;
  row.lead_s = back->lead_s;
  row.value = back->value;
  if (auto held = plan.held.find(back->node); held != plan.held.end()) row.tier = held->second == "live" ? "hot" : held->second;
  row.decision = "expected back";
  row.reason = back->reason;
  put(fcinfo, row);
}

void explain(FunctionCallInfo fcinfo, const std::string &client) {
  Plan plan = plan_of(client);
  if (plan.home == kNoNode && !plan.subject.moving)
    bridge::raise_sqlstate(ERRCODE_UNDEFINED_OBJECT, "client \"" + client + "\" is not known",
                           "No report of it came to this node, and no row of it was inserted on any node.",
                           "Insert a row of the client, or call vectorshard.report() where it is served.");
  const NodeMap &map = predict::node_map();
  double now_s = telemetry::clients_now();
  put_situation(fcinfo, plan, map);
  put_rest(fcinfo, plan, map, now_s);
  put_expected(fcinfo, plan, map);
  for (const Decision &d : plan.decisions) put(fcinfo, row_of(d, plan, map, now_s));
  for (const OtherWish &w : plan.others) {
    Row row;
    row.node = predict::node_name(map, w.node);
    row.decision = "wished " + seconds(w.until_s - now_s);
    row.reason = "by node " + predict::node_name(map, w.planner) + ": " + w.reason;
    if (auto held = plan.held.find(w.node); held != plan.held.end()) row.tier = held->second == "live" ? "hot" : held->second;
    put(fcinfo, row);
  }
}

}  // namespace

}  // namespace vectorshard::place

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_explain_placement) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC); });
    place::explain(fcinfo, bridge::text_argument(fcinfo, 0));
    return 0;
  });
}

/// placement_counters(): arrivals, hits, copies, wasted, wishes, active clients, motion dropped.
VECTORSHARD_FUNCTION(vectorshard_placement_counters) {
  return bridge::entry([&]() -> Datum {
    place::PlaceCounters p = place::place_counters();
    telemetry::Counters t = telemetry::counters();
    size_t active = telemetry::active_clients(telemetry::kSessionGapS);
    bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      Datum values[7] = {
          Int64GetDatum(static_cast<int64>(t.arrivals)), Int64GetDatum(static_cast<int64>(t.hits)),
          Int64GetDatum(static_cast<int64>(p.copies)),   Int64GetDatum(static_cast<int64>(p.wasted)),
          Int64GetDatum(static_cast<int64>(p.wishes)),   Int64GetDatum(static_cast<int64>(active)),
          Int64GetDatum(static_cast<int64>(t.dropped))};
      bool nulls[7] = {};
      tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    });
    return 0;
  });
}
