// Making and finding clients. Shared by require_resident (a writer's transaction), the holder worker and the core's
// birth_client().
#pragma once
#include <optional>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/place/handshake.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::place {

/// The `client` row.
struct ClientRow {
  NodeId home = kNoNode;
  int64_t epoch = 0;
  Version version = 0;
};

/// As this node knows it, under a fresh snapshot; nullopt: unknown here.
std::optional<ClientRow> find_client(std::string_view client);

/// What a node that is asked knows of the client: its row, and whether it is resident here. Not whether it is cold.
AskedStanding standing(std::string_view client);

/// On a core node, in the current transaction: makes this node the home of a client nobody knows, with residency and a
/// live holder row. False: the client exists (a concurrent birth was waited for).
bool make_client_here(std::string_view client);

/// Kind of this node ("core", "edge"); empty if it is not in the fabric.
std::string own_kind();

}  // namespace vectorshard::place
