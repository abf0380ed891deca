// Being the home of a client: what the holder worker needs of home_serve.cpp.
#pragma once
#include <cstdint>
#include <string>

#include "core/base/ids.hpp"

namespace vectorshard::place {

/// In the current transaction: this node, the home, which has asked `lost` to be the next, is the home of `epoch` from the commit and asks
/// nobody any more.
void go_on_as_home(const std::string &client, NodeId lost, int64_t epoch);

}  // namespace vectorshard::place
