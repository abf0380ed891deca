// The clients of one replay, and what the application knows of each: the writes that were acknowledged to it. At the
// end the fabric must hold exactly that. A client belongs to one thread; the atomics are read by the observer.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "plan.hpp"

namespace vectorshard::demo {

constexpr int kTilesAtStart = 7;
constexpr size_t kNowhere = SIZE_MAX;

struct FleetClient {
  std::string name;
  const ClientPlan *plan = nullptr;
  int64_t seq = 1;                    // of the profile, as last acknowledged
  int64_t last_rev = 1;               // of the newest tile
  std::map<int, int64_t> tiles;       // tile -> revision, as acknowledged
  bool outcome_unknown = false;       // a connection broke while a write was under way
  std::atomic<size_t> serving = kNowhere;  // edge node; kNowhere: no session
  std::atomic<const Report *> last_report = nullptr;
  std::atomic<bool> sent_to_store = false;  // and not needed since

  /// What the application remembers of all tiles in one number, to compare with what a node holds.
  int64_t sum_of_revs() const {
    int64_t sum = 0;
    for (const auto &[tile, rev] : tiles) sum += rev;
    return sum;
  }
};

struct Fleet {
  std::vector<std::unique_ptr<FleetClient>> clients;
  std::unordered_map<std::string, FleetClient *> by_name;

  std::string suffix;

  /// `suffix` sets the clients of one replay apart from those of another on the same fabric.
  Fleet(const Plan &plan, const std::string &suffix_) : suffix(suffix_) {
    for (const ClientPlan &p : plan.clients) {
      auto client = std::make_unique<FleetClient>();
      client->name = p.client + suffix;
      client->plan = &p;
      for (int tile = 1; tile <= kTilesAtStart; tile++) client->tiles[tile] = 1;
      by_name[client->name] = client.get();
      clients.push_back(std::move(client));
    }
  }
};

}  // namespace vectorshard::demo
