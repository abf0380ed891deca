// The simulator on the demo's plan: see simulated.hpp.
#include "simulated.hpp"

#include "../sim/city.hpp"
#include "../sim/policies.hpp"

namespace vectorshard::demo {
namespace {

constexpr double kNoticedS = 0.02;  // a report waits about so long for the navigator's next round, and a wish for the holder's

sim::Trace trace_of(const Plan &plan) {
  sim::Trace trace;
  for (const ClientPlan &c : plan.clients) {
    for (const Step &s : c.steps) {
      if (s.kind != Step::Kind::report) continue;
      sim::Fix x = sim::fix_of(s.report, static_cast<uint32_t>(trace.clients.size()));
      x.at_s = plan.start_unix_s + s.at_s;
      trace.fixes.push_back(x);
    }
    trace.clients.push_back(c.client);
  }
  sim::sort_by_time(trace);
  return trace;
}

}  // namespace

Simulated simulate(const Fabric &fabric, const Plan &plan, double speed) {
  Connection core(fabric.conninfo_admin(fabric.core_index()));
  // A generation is a version, given when the copy was asked for; the upper bits of a version are milliseconds.
  const Rows took = core.run("SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY ((_version >> 22) - (generation >> 22)) / 1000.0), 0)"
                             "  FROM vectorshard.holder h WHERE state = 'live' AND node <> (SELECT home FROM vectorshard.client c WHERE c.client = h.client)");
  const double keep_s = std::stod(core.run("SELECT current_setting('vectorshard.keep_s')").str(0, 0));
  Simulated out;
  out.copy_s = (std::stod(took.str(0, 0)) + kNoticedS) * speed;
  const sim::Trace trace = trace_of(plan);
  const sim::Nodes nodes = sim::nodes_at(fabric.places());
  sim::PolicyOptions options;
  options.transfer_s = out.copy_s;
  options.session_gap_s = kSessionGapS;
  options.settings["linger"] = keep_s;
  sim::ReplaySettings how;
  how.transfer_s = out.copy_s;
  how.session_gap_s = kSessionGapS;
  const sim::Metrics m = sim::replay(trace, nodes, how, *sim::make_policy("auto", trace, nodes, options));
  out.moves = m.moves;
  out.hit_ratio = m.ahr();
  out.surplus = m.surplus();
  return out;
}

}  // namespace vectorshard::demo
