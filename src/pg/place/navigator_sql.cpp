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
#include "pg/predict/api.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::place {

namespace {

constexpr int kExplainColumns = 6;

struct Row {
  std::optional<std::string> node;
  std::optional<double> probability, eta_s, lead_s;
  std::string decision, reason;
};

void put(FunctionCallInfo fcinfo, const Row &row) {
  const char *node = row.node ? row.node->c_str() : nullptr, *decision = row.decision.c_str(), *reason = row.reason.c_str();
  bridge::pg_call([&] {
    Datum values[kExplainColumns] = {};
    bool nulls[kExplainColumns] = {};
    auto number = [&](int i, const std::optional<double> &v) {
      nulls[i] = !v;
      if (v) values[i] = Float8GetDatum(*v);
    };
    nulls[0] = !node;
    if (node) values[0] = CStringGetTextDatum(node);
    number(1, row.probability);
    number(2, row.eta_s);
    number(3, row.lead_s);
    values[4] = CStringGetTextDatum(decision);
    values[5] = CStringGetTextDatum(reason);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  });
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
    s = {*known, true, false};
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

/// What holds for the client as a whole, before the nodes one by one.
void put_situation(FunctionCallInfo fcinfo, const Plan &plan, const NodeMap &map) {
  if (plan.home == kNoNode) {
    put(fcinfo, {{}, {}, {}, {}, "nothing to place", "no row of the client was inserted on any node"});
    return;
  }
  if (bridge::guc::placement_mode == bridge::guc::kPlacementOff)
    put(fcinfo, {{}, {}, {}, {}, "nothing is written", "vectorshard.placement_mode is off"});
  if (bridge::guc::placement_mode == bridge::guc::kPlacementDryRun)
    put(fcinfo, {{}, {}, {}, {}, "nothing is written", "vectorshard.placement_mode is dry_run"});
  if (plan.serving) return;
  std::string who = plan.served_by == kNoNode ? "no report of the client came to this node"
                                              : "node " + predict::node_name(map, plan.served_by) + " serves the client, and plans for it";
  put(fcinfo, {{}, {}, {}, {}, "not planned here", who});
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
  double age_s = now_s - plan.subject.known.motion.at_s;
  for (const Decision &d : plan.decisions) {
    Row row{predict::node_name(map, d.node), {}, {}, d.lead_s, words(d, now_s), d.reason};
    for (const auto &c : plan.candidates)
      if (c.node == d.node) {
        row.probability = c.confidence;
        row.eta_s = std::max(0.0, c.median_s - age_s);
      }
    put(fcinfo, row);
  }
  for (const OtherWish &w : plan.others)
    put(fcinfo, {predict::node_name(map, w.node), {}, {}, {}, "wished " + seconds(w.until_s - now_s),
                 "by node " + predict::node_name(map, w.planner) + ": " + w.reason});
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
