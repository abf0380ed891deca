// The oracle: see replay.hpp. No policy, for it would have to act between reports: it counts what foresight could reach.
#include <algorithm>

#include "replay.hpp"

namespace vectorshard::sim {

namespace {

struct Course {
  bool seen = false;
  double session_s = 0, at_s = 0;  // began, last report
  double ready_s = 0;              // when the copy on the serving node was ready
  NodeId serving = kNoNode;
};

}  // namespace

Metrics oracle(const Trace &trace, const Nodes &nodes, const ReplaySettings &s) {
  Metrics m;
  std::vector<Course> clients(trace.clients.size());
  for (const Fix &x : trace.fixes) {
    Course &c = clients[x.client];
    NodeId serving = nodes.map->node_at(x.lat(), x.lon());
    m.reports++;
    m.clients += !c.seen;
    if (!c.seen || x.at_s - c.at_s > s.session_gap_s) {
      m.sessions++;
      m.transfers++;
      m.starts_again += c.seen;
      c = {true, x.at_s, x.at_s, x.at_s + s.transfer_s, serving};
      continue;
    }
    m.session_s += x.at_s - c.at_s;
    m.available_s += std::max(0.0, x.at_s - std::max(c.at_s, c.ready_s));
    if (serving != c.serving) {
      double begun_s = std::max(c.session_s, x.at_s - s.transfer_s);
      c.ready_s = begun_s + s.transfer_s;
      m.moves++;
      m.transfers++;
      m.surplus_s += x.at_s - begun_s;
      if (c.ready_s <= x.at_s) {
        m.hits++;
        m.leads_s.push_back(0);
      }
      c.serving = serving;
    }
    c.at_s = x.at_s;
  }
  return m;
}

}  // namespace vectorshard::sim
