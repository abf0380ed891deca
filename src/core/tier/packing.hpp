// Which idle clients go into one pack: the longest idle first, bounded in bytes and clients, sorted by name, so that
// a pack's objects are sorted by client and a leave is short.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vectorshard::tier {

struct IdleClient {
  std::string name;
  double idle_s = 0;  // clients' seconds
  int64_t bytes = 0;  // estimate
};

struct PackLimits {
  int64_t bytes = 64 << 20;
  size_t clients = 256;
};

/// The packs, in the order in which to make them. A client larger than the limit has a pack of its own.
std::vector<std::vector<std::string>> choose_packs(std::vector<IdleClient> idle, const PackLimits &limits);

}  // namespace vectorshard::tier
