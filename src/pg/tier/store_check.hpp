// What operators ask of a store: whether it does what is needed, and for an object that lies in an archive.
#pragma once
#include <functional>
#include <string>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// Gives `take` each step, whether it went well, and in words why not. Raises only if there is no such store.
void check_store(const std::string &name, const std::function<void(const std::string &, bool, const std::string &)> &take);

/// Asks for the object of a segment; online, thawing or archived. Raises.
std::string thaw(const std::string &segment);

}  // namespace vectorshard::tier
