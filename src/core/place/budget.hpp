// Budgets: what a node may hold and copy at once, what it tells the others of itself, and who goes when it is full. Pure.
// A budget never decides against invariant 6: whoever must go for another still asks its home.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "core/base/ids.hpp"
#include "core/place/lead.hpp"
#include "core/place/types.hpp"

namespace vectorshard::place {

/// What a node tells the others of itself.
struct NodeState {
  int64_t residents = 0;   // clients, homes among them
  int64_t copies = 0;      // of these, those whose home is elsewhere
  int64_t bytes = 0;       // of the copies
  int64_t max_copies = 0;  // most residents
  int64_t max_bytes = 0;   // 0: no limit
  int64_t max_transfers = 0;
  int64_t queue = 0;       // clients that wait to be copied
  double queue_s = 0;      // how long the last of them will wait
  double least_value = kPriceless;  // of the copies that it would give up for a better one; priceless: it has none
  std::map<NodeId, Path> paths;     // by source

  bool full() const { return residents >= max_copies || (max_bytes > 0 && bytes >= max_bytes); }
};

/// Whether others should hear of it: each row ships to every node.
bool notable(const NodeState &told, const NodeState &now);

/// The bytes that are kept for a copy of a client that had so many: it may have grown.
int64_t reserve_of(int64_t bytes);

/// A copy as its node judges it.
struct HeldValue {
  size_t which = 0;         // the caller's
  double value = 0;         // of the wishes in force; 0: none is
  int64_t bytes = 0;
  bool may_go = true;       // not the home, not leaving, not under way, not priceless
};

/// Whether a copy worth `held` goes for one worth `value`. Not for a little more: it costs two transfers.
bool worth_replacing(double value, double held);

/// Which copies go for one worth `value`, least valuable first, so that `copies` fewer and `bytes` less are held; empty: not
/// enough of them are worth less.
std::vector<size_t> replaced_for(double value, std::vector<HeldValue> held, int64_t copies, int64_t bytes);

/// Of what one node measures of its queue: how long one client takes, with those that are copied beside it.
class Pace {
 public:
  void note(double job_s, size_t clients);
  double queue_s(size_t waiting, size_t jobs_at_once) const;

 private:
  double client_s_ = 0;
};

}  // namespace vectorshard::place
