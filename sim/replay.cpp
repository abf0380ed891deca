// The replay: see replay.hpp.
#include "replay.hpp"

#include <algorithm>
#include <chrono>

namespace vectorshard::sim {

namespace {

struct Copy {
  NodeId node = kNoNode;
  double start_s = 0, ready_s = 0, until_s = kNoEnd;
  bool served = false;  // the client has been served there since the copy was begun
};

struct ClientState {
  bool seen = false, open = false;
  double at_s = 0;
  NodeId serving = kNoNode;
  std::vector<Copy> copies;
};

class Replay {
 public:
  Replay(const Trace &trace, const Nodes &nodes, const ReplaySettings &s, Policy &policy)
      : trace_(trace), nodes_(nodes), s_(s), policy_(policy), clients_(trace.clients.size()) {}

  Metrics run() {
    for (size_t i = 0; i < trace_.fixes.size(); i++) {
      report(i);
      if (s_.progress && i % 65536 == 0) s_.progress(i, trace_.fixes.size());
    }
    for (uint32_t c = 0; c < clients_.size(); c++)
      if (clients_[c].open) end_session(c, kNoEnd);
    m_.bytes_per_client = policy_.bytes_per_client();
    std::sort(m_.leads_s.begin(), m_.leads_s.end());
    return std::move(m_);
  }

 private:
  void drop(const Copy &copy) {
    m_.dropped++;
    m_.wasted += !copy.served;
  }

  /// Adds up the time from the client's last report until `now`, all within the session.
  void account(ClientState &c, double now) {
    m_.session_s += now - c.at_s;
    std::erase_if(c.copies, [&](const Copy &copy) {
      double end = std::min(now, copy.until_s), from = std::max(c.at_s, copy.start_s);
      double ready = std::max(0.0, end - std::max(from, copy.ready_s));
      if (copy.node == c.serving) {
        m_.available_s += ready;
      } else {
        m_.surplus_s += std::max(0.0, end - from);
        m_.surplus_ready_s += ready;
      }
      bool ended = copy.until_s <= now && copy.node != c.serving;
      if (ended) drop(copy);
      return ended;
    });
  }

  /// All copies go when a session ends, but the serving node's may be kept for a while. `until`: the next session's start.
  void end_session(uint32_t client, double until) {
    ClientState &c = clients_[client];
    std::erase_if(c.copies, [&](Copy &copy) {
      if (copy.node == c.serving && s_.keep_s > 0) {
        copy.until_s = c.at_s + s_.keep_s;
        double held = std::min(until, copy.until_s) - c.at_s;
        m_.surplus_s += held;
        m_.offline_s += held;
        if (copy.until_s > until) return false;
      }
      drop(copy);
      return true;
    });
    c.open = false;
    policy_.session_ends(client);
  }

  static Copy *copy_on(ClientState &c, NodeId node) {
    auto it = std::find_if(c.copies.begin(), c.copies.end(), [&](const Copy &k) { return k.node == node; });
    return it == c.copies.end() ? nullptr : &*it;
  }
  Copy &begin_copy(ClientState &c, NodeId node, double now) {
    m_.transfers++;
    return c.copies.emplace_back(Copy{node, now, now + s_.transfer_s, kNoEnd, false});
  }

  void arrive(ClientState &c, NodeId serving, const Step &step) {
    Copy *here = copy_on(c, serving);
    bool hit = here && here->ready_s <= step.fix->at_s;
    if (step.starts && c.seen) {
      m_.starts_again++;
      m_.start_hits += hit;
    }
    if (!step.starts && serving != step.before) {
      m_.moves++;
      m_.hits += hit;
      if (hit) m_.leads_s.push_back(static_cast<float>(step.fix->at_s - here->ready_s));
    }
    if (!here) here = &begin_copy(c, serving, step.fix->at_s);
    here->served = true;
    here->until_s = kNoEnd;
  }

  void follow(ClientState &c, NodeId serving, double now) {
    std::erase_if(c.copies, [&](Copy &copy) {
      if (copy.node == serving) return false;
      auto want = std::find_if(wants_.begin(), wants_.end(), [&](const Want &w) { return w.node == copy.node; });
      if (want == wants_.end()) {
        drop(copy);
        return true;
      }
      copy.until_s = want->until_s;
      return false;
    });
    for (const Want &w : wants_)
      if (w.node != serving && w.node != kNoNode && !copy_on(c, w.node)) begin_copy(c, w.node, now).until_s = w.until_s;
  }

  void report(size_t i) {
    const Fix &x = trace_.fixes[i];
    ClientState &c = clients_[x.client];
    bool continues = c.open && x.at_s - c.at_s <= s_.session_gap_s;
    if (continues)
      account(c, x.at_s);
    else if (c.open)
      end_session(x.client, x.at_s);
    Step step{&x, nodes_.map->node_at(x.lat(), x.lon()), continues ? c.serving : kNoNode, continues ? c.at_s : x.at_s, !continues,
              s_.transfer_s};
    arrive(c, step.serving, step);
    m_.clients += !c.seen;
    m_.sessions += step.starts;
    c.seen = c.open = true;
    c.at_s = x.at_s;
    c.serving = step.serving;
    wants_.clear();
    auto from = std::chrono::steady_clock::now();
    policy_.decide(step, wants_);
    m_.policy_us += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - from).count();
    m_.reports++;
    follow(c, step.serving, x.at_s);
  }

  const Trace &trace_;
  const Nodes &nodes_;
  const ReplaySettings &s_;
  Policy &policy_;
  std::vector<ClientState> clients_;
  std::vector<Want> wants_;
  Metrics m_;
};

}  // namespace

double Metrics::lead_s(double p) const {
  return leads_s.empty() ? 0 : leads_s[std::min(leads_s.size() - 1, static_cast<size_t>(p * static_cast<double>(leads_s.size())))];
}

Metrics replay(const Trace &trace, const Nodes &nodes, const ReplaySettings &settings, Policy &policy) {
  return Replay(trace, nodes, settings, policy).run();
}

}  // namespace vectorshard::sim
