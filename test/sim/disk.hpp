// What a simulated node has on disk: everything here survives a crash, nothing else does. Copied as a whole for a backup.
#pragma once
#include <array>
#include <deque>
#include <map>
#include <tuple>

#include "core/ship/pgoutput.hpp"
#include "facts.hpp"

namespace sim {

struct Cell {
  AppRow row;
  Version tombstone = 0;
  int64_t deleted_at = 0;
};

struct Resident {
  bool here = false;
  bool leaving = false;
  bool confirmed = true;
  Generation generation = 0;
};

struct ClientRow {
  NodeId home = kNoNode;
  int64_t epoch = 0;
  Version version = 0;  // 0: not known
};

struct Wish {
  int64_t until = 0;
  Version version = 0;
};

struct NodeRow {
  bool known = false;
  bool removed = false;
  bool core = false;
  int64_t incarnation = 0;
  Version version = 0;
};

/// peer, client (-1: a fabric table), kind of that table.
using DebtKey = std::tuple<NodeId, int, Kind>;
struct Debt {
  uint64_t stamp = 0;  // like xmin: changes whenever the debt is made again
  int64_t since = 0;
};

struct Txn {
  ship::Lsn lsn = 0;
  int64_t visible_at = 0;
  std::vector<Fact> changes;
};

struct Disk {
  bool in_fabric = false;
  NodeId self = kNoNode;
  int64_t incarnation = 1;
  Version clock_bound = 0;  // no version beyond it was given or seen
  std::array<std::array<Cell, kKeys>, kClients> cells;
  std::array<Resident, kClients> resident;
  std::array<ClientRow, kClients> clients;
  std::array<std::array<HolderStatement, kNodes>, kClients> holders;
  std::array<std::array<std::array<Wish, kNodes>, kNodes>, kClients> wishes;  // client, node, planner
  std::array<NodeRow, kNodes> nodes;
  std::map<DebtKey, Debt> debts;
  uint64_t debt_stamp = 0;
  bool everything_is_owed = false;
  std::deque<Txn> wal;  // from the slot's position on
  ship::Lsn next_lsn = 16;
  ship::Lsn confirmed = 16;
  std::vector<Fact> conflicts;  // dead letters: rows that were too old
};

}  // namespace sim
