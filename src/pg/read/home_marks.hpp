// Scans of all clients of a table whose rows are read where they are: each home answers for its own clients under a snapshot of its own.
// With its first rows each tells of the homes that moved lately, as that snapshot has it (core/read/settled_homes).
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/read/settled_homes.hpp"
#include "pg/read/cursor.hpp"

namespace vectorshard::read {

/// From when on steps of moves matter to homes that are asked from now on. The same for all of an attempt: connecting to one may take long, and
/// the first has taken its snapshot then.
int64_t marks_since();
/// What is asked for behind the declaration of a cursor.
std::string marks_query(int cursor, int64_t since);

/// What the nodes behind these cursors told, all of which have their first rows; one that cannot be reached is left out.
std::map<NodeId, std::vector<HomeMark>> marks_of(const std::vector<const Cursor *> &cursors);

/// Waits between two attempts to ask all homes: until `began_us` (steady) is link_timeout_ms ago, then it raises 40001. So it does at once where
/// another attempt would get the same answers.
void await_settled(int64_t began_us, int attempt, Homes verdict);

}  // namespace vectorshard::read
