// Names of things in the fabric: node numbers, generations, clients. Plain data, no behaviour.
#pragma once
#include <cstdint>
#include <string>

namespace vectorshard {

using NodeId = int32_t;      // 1..1023; 0 = none
using Version = int64_t;     // a row version (base/version.hpp); 0 = none
using Generation = int64_t;  // of a residency: a version, so each new residency of a client on a node is larger
using ClientName = std::string;

constexpr NodeId kNoNode = 0;
constexpr NodeId kNodeMax = 1023;

}  // namespace vectorshard
