// Judging the answers of homes: see settled_homes.hpp.
#include "core/read/settled_homes.hpp"

#include <charconv>

namespace vectorshard::read {

namespace {

/// The newest epoch that a node knows of each client that it tells of.
class Known {
 public:
  explicit Known(const std::map<NodeId, std::vector<HomeMark>> &answers) {
    for (const auto &[node, marks] : answers) {
      auto &of_node = epochs_[node];
      for (const HomeMark &m : marks) {
        int64_t &epoch = of_node[m.client];
        epoch = std::max(epoch, m.epoch);
      }
    }
  }
  /// True if the node was not asked, too.
  bool knows(NodeId node, const std::string &client, int64_t epoch) const {
    auto of_node = epochs_.find(node);
    if (of_node == epochs_.end()) return true;
    auto it = of_node->second.find(client);
    return it != of_node->second.end() && it->second >= epoch;
  }
  bool asked(NodeId node) const { return epochs_.contains(node); }

 private:
  std::map<NodeId, std::map<std::string, int64_t>> epochs_;
};

template <class Number>
bool take(std::string_view &text, Number *out) {
  auto end = text.find(' ');
  if (end == std::string_view::npos) return false;
  auto r = std::from_chars(text.data(), text.data() + end, *out);
  if (r.ec != std::errc{} || r.ptr != text.data() + end) return false;
  text.remove_prefix(end + 1);
  return true;
}

}  // namespace

Result<HomeMark> parse_home_mark(std::string_view text) {
  HomeMark m;
  int fresh = 0;
  std::string whole(text);
  if (!take(text, &m.epoch) || !take(text, &m.home) || !take(text, &m.taken_from) || !take(text, &m.taken) || !take(text, &m.asked) || !take(text, &fresh))
    return Error{Errc::corrupt, "a node told of a move of a home what cannot be read", whole, "Look whether all nodes run the same version."};
  m.fresh = fresh != 0;
  m.client = text;
  return m;
}

Homes judge_homes(const std::map<NodeId, std::vector<HomeMark>> &answers, NodeId asker, const std::function<bool(const std::string &)> &reads_here,
                  const std::function<NodeId(const std::string &)> &home_now) {
  Known known(answers);
  Homes verdict = Homes::settled;
  for (const auto &[node, marks] : answers)
    for (const HomeMark &m : marks) {
      bool step = m.asked == kNoNode;
      if (step && !m.fresh) continue;
      // Nobody answered for it if the node that has it now took its snapshot before.
      if (m.home != node && m.home == asker && !reads_here(m.client)) {
        if (home_now(m.client) == asker) return Homes::came;
        verdict = Homes::moving;
      } else if (m.home != node && m.home != asker && !known.knows(m.home, m.client, m.epoch)) {
        verdict = Homes::moving;
      }
      // Two did if the node that it was taken from did.
      if (step && m.taken_from != asker && !known.knows(m.taken_from, m.client, m.taken)) verdict = Homes::moving;
      // So did the one that was asked, if it has taken the home; from when on it would tell of that no more, nobody knows.
      if (!step && m.home == node && m.asked != asker && known.asked(m.asked) && (!m.fresh || known.knows(m.asked, m.client, m.epoch + 1)))
        verdict = Homes::moving;
    }
  return verdict;
}

}  // namespace vectorshard::read
