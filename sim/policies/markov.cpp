// The policies of Bellmann et al., as their published configurations name them: variable-order Markov chains over the nodes of a
// session (VOMM-2: the longest context of up to two nodes that is known), and fused chains of five orders crossed with
// weekday and time of day (FOMM-5). Each client learns for itself, online. The notes in docs/simulator.md say what was read
// where; written anew from the description.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "../policies.hpp"

namespace vectorshard::sim {

namespace {

constexpr double kShare = 0.9;  // candidates are taken until their probabilities reach this

/// What came after a context: in the order in which it was first seen. kNoNode: the session ended.
struct Outcomes {
  struct Next {
    NodeId node;
    uint32_t count;
    double dwell_s;  // sum over the counts
  };
  std::vector<Next> next;
  uint32_t total = 0;

  void add(NodeId node, double dwell_s) {
    auto it = std::find_if(next.begin(), next.end(), [&](const Next &n) { return n.node == node; });
    if (it == next.end()) it = next.insert(next.end(), Next{node, 0, 0});
    it->count++;
    it->dwell_s += dwell_s;
    total++;
  }
};

struct Scored {
  NodeId node;
  double score;
};

/// Likeliest first, equal ones as they came, until they make up the share; only then the end of the session is left out.
void take_share(std::vector<Scored> &all, std::vector<Want> &wants) {
  std::stable_sort(all.begin(), all.end(), [](const Scored &a, const Scored &b) { return a.score > b.score; });
  double sum = 0;
  for (const Scored &s : all) {
    if (s.node != kNoNode) wants.push_back({s.node, kNoEnd});
    if ((sum += s.score) >= kShare) return;
  }
}

/// The distinct consecutive nodes of a session, as far back as the order goes.
struct Context {
  std::vector<NodeId> nodes;  // oldest first
  double since_s = 0, last_s = 0, session_s = 0;

  void push(NodeId node, size_t order) {
    nodes.push_back(node);
    if (nodes.size() > order) nodes.erase(nodes.begin());
  }
};

/// Key of the last `depth` nodes.
uint64_t key_of(const Context &c, size_t depth, uint64_t more) {
  uint64_t h = 1469598103934665603ULL ^ (depth << 8) ^ more;
  for (size_t i = c.nodes.size() - depth; i < c.nodes.size(); i++) h = (h ^ static_cast<uint64_t>(c.nodes[i])) * 1099511628211ULL;
  return h ^ (h >> 29);
}

using Table = std::unordered_map<uint64_t, Outcomes>;

size_t bytes_of(const Table &t) {
  size_t bytes = 0;
  for (auto &[key, outcomes] : t) bytes += sizeof key + sizeof outcomes + outcomes.next.capacity() * sizeof(Outcomes::Next) + 2 * sizeof(void *);
  return bytes;
}

/// What both have in common: a client's context and what it learned, step by step. First learn, then predict.
class Chains : public Policy {
 public:
  Chains(const Trace &trace, size_t order) : clients_(trace.clients.size()), order_(order) {}

  void decide(const Step &step, std::vector<Want> &wants) override {
    Client &c = clients_[step.fix->client];
    double now = step.fix->at_s;
    if (step.starts) {
      c.context = {};
      c.context.session_s = now;
    }
    if (c.context.nodes.empty() || c.context.nodes.back() != step.serving) {
      learn(c, step.serving, now);
      c.context.push(step.serving, order_);
      c.context.since_s = now;
    }
    c.context.last_s = now;
    predict(c, now, step.transfer_s, wants);
  }
  void session_ends(uint32_t client) override { learn(clients_[client], kNoNode, clients_[client].context.last_s); }
  size_t bytes_per_client() const override {
    size_t bytes = 0;
    for (const Client &c : clients_) bytes += sizeof c + bytes_of(c.table);
    return clients_.empty() ? 0 : bytes / clients_.size();
  }

 protected:
  struct Client {
    Context context;
    Table table;
  };
  /// The context was followed by `next`.
  virtual void learn(Client &c, NodeId next, double now) = 0;
  virtual void predict(Client &c, double now, double transfer_s, std::vector<Want> &wants) = 0;

  std::vector<Scored> scored_;  // of the client at hand

 private:
  std::vector<Client> clients_;
  size_t order_;
};

class Vomm2 : public Chains {
 public:
  explicit Vomm2(const Trace &trace) : Chains(trace, 2) {}

 private:
  void learn(Client &c, NodeId next, double) override {
    for (size_t depth = 1; depth <= c.context.nodes.size(); depth++) c.table[key_of(c.context, depth, 0)].add(next, 0);
  }
  void predict(Client &c, double, double, std::vector<Want> &wants) override {
    for (size_t depth = c.context.nodes.size(); depth > 0; depth--) {
      auto it = c.table.find(key_of(c.context, depth, 0));
      if (it == c.table.end()) continue;
      scored_.clear();
      for (const auto &n : it->second.next) scored_.push_back({n.node, double(n.count) / it->second.total});
      return take_share(scored_, wants);
    }
  }
};

class Fomm5 : public Chains {
 public:
  Fomm5(const Trace &trace, const PolicyOptions &o) : Chains(trace, kOrder), offset_s_(o.utc_offset_h * 3600), pause_s_(o.get("pause", 300)) {}

 private:
  static constexpr size_t kOrder = 5;
  // How finely weekdays and hours are told apart, and what such a table's word is worth.
  static constexpr struct { int days; double weight; } kDays[] = {{1, 0.3}, {2, 0.7}, {7, 1}};
  static constexpr struct { int parts; double weight; } kHours[] = {{1, 0.125}, {4, 0.25}, {24, 1}};

  /// Calls f(key, weight) for each of the tables of this depth, by when the session began.
  template <class F>
  void for_tables(const Context &c, size_t depth, F f) const {
    auto local = static_cast<int64_t>(std::floor(c.session_s + offset_s_));
    int weekday = static_cast<int>((local / 86400 + 3) % 7), hour = static_cast<int>(local % 86400 / 3600);  // Monday is 0
    for (size_t d = 0; d < 3; d++)
      for (size_t h = 0; h < 3; h++) {
        auto day = static_cast<uint64_t>(kDays[d].days == 1 ? 0 : kDays[d].days == 2 ? weekday >= 5 : weekday);
        auto part = static_cast<uint64_t>(hour * kHours[h].parts / 24);
        f(key_of(c, depth, (d * 3 + h + 1) << 40 | day << 32 | part << 24), kDays[d].weight * kHours[h].weight);
      }
  }
  void learn(Client &c, NodeId next, double now) override {
    for (size_t depth = 1; depth <= c.context.nodes.size(); depth++)
      for_tables(c.context, depth, [&](uint64_t key, double) { c.table[key].add(next, std::floor(now - c.context.since_s)); });
  }
  void predict(Client &c, double now, double transfer_s, std::vector<Want> &wants) override {
    scored_.clear();
    double total = 0, dwell = 0;
    for (size_t depth = 1; depth <= c.context.nodes.size(); depth++)
      for_tables(c.context, depth, [&](uint64_t key, double weight) {
        auto it = c.table.find(key);
        if (it == c.table.end()) return;
        double of_depth = weight * std::pow(2.0, -static_cast<double>(kOrder - depth)), seconds = 0;
        for (const auto &n : it->second.next) {
          double score = of_depth * n.count / it->second.total;
          auto same = std::find_if(scored_.begin(), scored_.end(), [&](const Scored &s) { return s.node == n.node; });
          if (same == scored_.end()) scored_.push_back({n.node, score});
          else same->score += score;
          total += score;
          seconds += n.dwell_s;
        }
        dwell += of_depth * seconds / it->second.total;
      });
    if (total <= 0) return;
    for (Scored &s : scored_) s.score /= total;
    if (dwell / total - pause_s_ - transfer_s > now - c.context.since_s) return;  // it stays for a while yet
    take_share(scored_, wants);
  }

  double offset_s_, pause_s_;
};

}  // namespace

std::unique_ptr<Policy> make_vomm2(const Trace &trace, const Nodes &, const PolicyOptions &) { return std::make_unique<Vomm2>(trace); }

std::unique_ptr<Policy> make_fomm5(const Trace &trace, const Nodes &, const PolicyOptions &options) {
  return std::make_unique<Fomm5>(trace, options);
}

}  // namespace vectorshard::sim
