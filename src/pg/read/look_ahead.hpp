// Looking ahead in nested loops: a node above the outer side reads some rows before they are needed, so that the scan of
// rows elsewhere on the inner side can ask for all their clients at once instead of one after the other. The rows pass
// through unchanged and in their order. Nothing is evaluated, and no more asked, while all clients are resident.
#pragma once
#include <string>
#include <vector>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
}

namespace vectorshard::read {

constexpr char kLookAheadName[] = "VectorShardLookAhead";

/// The executor's methods of the node.
const CustomScanMethods *look_ahead_methods();
/// Installs the planner's hook. Called once, at library load.
void init_look_ahead();

/// The clients of the outer rows that were read ahead for the scan with this token (ScanPlan.ahead), of the present one
/// included; empty if there is no such node in the query. Texts, without nulls; not free of duplicates.
std::vector<std::string> clients_ahead(EState *estate, int token);

}  // namespace vectorshard::read
