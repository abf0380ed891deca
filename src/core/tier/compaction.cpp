// Segments to be written anew: see compaction.hpp.
#include "core/tier/compaction.hpp"

#include <algorithm>
#include <map>

namespace vectorshard::tier {

namespace {

struct Batch {
  std::vector<std::string> names;
  int64_t bytes = 0;
  bool worn = false;
};

bool is_worn(const SegmentUse &s, const CompactionRules &rules) {
  return static_cast<double>(s.live_rows) < rules.live_share * static_cast<double>(s.rows);
}

}  // namespace

std::vector<std::vector<std::string>> choose_compactions(std::vector<SegmentUse> segments, const CompactionRules &rules) {
  std::map<std::pair<std::string, std::string>, std::vector<SegmentUse>> tables;
  for (SegmentUse &s : segments)
    if (s.live_rows > 0 && rules.live_share > 0 && (is_worn(s, rules) || s.live_bytes() < rules.small_bytes))
      tables[{s.store, s.table}].push_back(std::move(s));
  std::vector<std::vector<std::string>> out;
  for (auto &[table, candidates] : tables) {
    // Worn ones first: what must be written anyway takes small ones along.
    std::sort(candidates.begin(), candidates.end(), [&](const SegmentUse &a, const SegmentUse &b) {
      bool wa = is_worn(a, rules), wb = is_worn(b, rules);
      return wa != wb ? wa : a.name < b.name;
    });
    std::vector<Batch> batches;
    for (const SegmentUse &s : candidates) {
      if (batches.empty() || batches.back().bytes + s.live_bytes() > rules.most_bytes) batches.emplace_back();
      batches.back().names.push_back(s.name);
      batches.back().bytes += s.live_bytes();
      batches.back().worn |= is_worn(s, rules);
    }
    for (Batch &b : batches)
      if (b.worn || b.names.size() >= rules.small_many) out.push_back(std::move(b.names));
  }
  return out;
}

}  // namespace vectorshard::tier
