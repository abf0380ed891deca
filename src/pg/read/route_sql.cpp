// What SQL asks of the read stage: whether this node holds clients, and which node serves best.
#include "core/place/areas.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/fabric/api.hpp"
#include "pg/predict/api.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "utils/snapmgr.h"
}

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_holds) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    Snapshot snapshot = GetActiveSnapshot();
    for (const std::string &client : bridge::texts_argument(fcinfo, 0))
      if (!apply::resident_under(snapshot, client)) return BoolGetDatum(false);
    return BoolGetDatum(true);
  });
}

VECTORSHARD_FUNCTION(vectorshard_answers) {
  return bridge::entry([&]() -> Datum { return BoolGetDatum(!ship::known_dead(static_cast<NodeId>(PG_GETARG_INT32(0)))); });
}

/// The node in whose area a position lies; null: no node is near anything.
VECTORSHARD_FUNCTION(vectorshard_node_at) {
  return bridge::entry([&]() -> Datum {
    NodeId node = predict::node_map().node_at(PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(0));
    if (node == kNoNode) PG_RETURN_NULL();
    return Int32GetDatum(node);
  });
}
