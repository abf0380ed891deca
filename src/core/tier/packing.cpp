// Packs of idle clients: see packing.hpp.
#include "core/tier/packing.hpp"

#include <algorithm>

namespace vectorshard::tier {

std::vector<std::vector<std::string>> choose_packs(std::vector<IdleClient> idle, const PackLimits &limits) {
  std::sort(idle.begin(), idle.end(), [](const IdleClient &a, const IdleClient &b) {
    return a.idle_s != b.idle_s ? a.idle_s > b.idle_s : a.name < b.name;
  });
  std::vector<std::vector<std::string>> packs;
  int64_t bytes = 0;
  for (const IdleClient &c : idle) {
    if (packs.empty() || packs.back().size() >= limits.clients || bytes + c.bytes > limits.bytes) {
      packs.emplace_back();
      bytes = 0;
    }
    packs.back().push_back(c.name);
    bytes += c.bytes;
  }
  for (auto &pack : packs) std::sort(pack.begin(), pack.end());
  return packs;
}

}  // namespace vectorshard::tier
