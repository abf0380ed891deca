// Whether a store does what is needed of it, step by step, with an object that is made for it and removed.
#pragma once
#include <string>
#include <vector>

#include "core/store/types.hpp"

namespace vectorshard::store {

struct StoreCheck {
  std::string step;  // list, write, look, read, range, delete
  Result<void> result;
};

/// Tries each step. When the store does not answer the rest is left out; what needs the object is left out when it could not
/// be written. `key` is one that nobody uses.
std::vector<StoreCheck> check_store(Store &store, const std::string &key);

}  // namespace vectorshard::store
