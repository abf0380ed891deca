// Clients whose rows are read here: see here.hpp.
#include "pg/read/here.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/read/home_tables.hpp"
#include "pg/read/whereabouts.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::read {

namespace {

constexpr char kCopies[] =
    "SELECT r.client FROM vectorshard.resident r LEFT JOIN vectorshard.client c USING (client) WHERE c.home IS DISTINCT FROM $1";
// Of clients with a home here only those whose home moves, or has moved, can be another's.
constexpr char kMoving[] =
    "SELECT client FROM vectorshard.client WHERE epoch > 1 AND (home <> $1 OR $2) UNION SELECT client FROM vectorshard.home_move "
    "WHERE asked";

std::set<std::string> names_of(const bridge::Rows &rows) {
  std::set<std::string> out;
  for (size_t i = 0; i < rows.size(); i++) out.insert(rows.at(i, 0));
  return out;
}

}  // namespace

ClientsHere::ClientsHere(Snapshot snapshot, bool homes_alone) : snapshot_(snapshot), homes_alone_(homes_alone) {
  if (!homes_alone) names_ = names_of(read_fabric(kCopies, {bridge::p_int4(bridge::self_node())}, snapshot));
  names_.merge(moving());
}

bool ClientsHere::read_here(const std::string &client) const {
  bool resident = apply::resident_under(snapshot_, client) && (!homes_alone_ || at_home(snapshot_, client));
  return resident || tier::cold_under(snapshot_, client);
}

/// Clients read here under the snapshot that other nodes may have come to be home of. The others' snapshots may be as old as ours
/// where ours is kept, so that a home which has come back since counts too.
std::set<std::string> ClientsHere::moving() const {
  std::set<std::string> out;
  auto rows = read_fabric(kMoving, {bridge::p_int4(bridge::self_node()), bridge::p_bool(IsolationUsesXactSnapshot())}, latest());
  for (const auto &client : names_of(rows))
    if (read_here(client)) out.insert(client);
  return out;
}

bool ClientsHere::moved() {
  for (const auto &client : moving())
    if (!names_.count(client)) return true;
  return false;
}

}  // namespace vectorshard::read
