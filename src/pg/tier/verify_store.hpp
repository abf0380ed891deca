// Whether the objects of this node are in their stores as the manifest says, for operators. Changes nothing.
#pragma once
#include <functional>
#include <string>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// About one object, or (without a key) a store that cannot be asked.
struct Finding {
  std::string store, segment, key, key_id;  // segment empty: no segment names the object; key_id empty: it is not encrypted
  bool ok = true;
  std::string problem;
};

/// Looks at the objects of `store` (empty: of all stores), `deep`: reads them. Needs an open transaction. Raises not_found for a store
/// that is not there, and what the caller's cancelling raises.
void verify_store(const std::string &store, bool deep, const std::function<void(const Finding &)> &take);

}  // namespace vectorshard::tier
