// Asks a peer for digests of ranges of a table, over a connection of its own, without ever waiting: for payments of debt
// too large to be sent blindly. One question at a time.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "pg/bridge/key_range.hpp"
#include "pg/bridge/link.hpp"

namespace vectorshard::ship {

class RangeAsker {
 public:
  bool busy() const { return busy_; }
  /// Starts to ask. Needs an open transaction when there is no connection yet.
  void ask(NodeId peer, const std::string &client, const std::string &table, const std::vector<bridge::KeyRange> &ranges);
  /// Carries on; the digests, one a range, once they are there; or why there are none. Never waits.
  std::optional<Result<std::vector<std::string>>> poll();

 private:
  Result<std::vector<std::string>> give_up(const std::string &why);
  bool busy_ = false, connecting_ = false;
  std::unique_ptr<bridge::Link> link_;
  std::vector<std::string> params_, answer_;
  std::string failed_;
  size_t ranges_ = 0;
  int64_t deadline_us_ = 0;
};

}  // namespace vectorshard::ship
