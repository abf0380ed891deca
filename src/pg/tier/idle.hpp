// Which clients may go to a store. Idle is measured by the row versions: the time since the newest write that reached
// any of the client's rows here, checkpoints of its motion included, or since it became resident, whichever is later.
// Additions to values that merge keep the version: there it is the time since the states were first seen as they are.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/tier/packing.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// The part of WHERE that tells which rows `r` of resident (joined with `c` of client) may leave: this node ($1) is the
/// home and the only holder, the copy is complete, nobody wishes the client anywhere, no policy keeps it out of the store ($3), no peer
/// is owed changes of it.
extern const char kMayLeave[];

/// Why a client may not leave now. What passes by itself is worth another attempt.
struct Stays {
  std::string why;
  bool passes = false;
};

/// Rows of a client in the heap of a table, and about how many bytes they take.
struct ClientSize {
  std::string client, table;
  int64_t rows = 0, bytes = 0;
};

/// Of these clients, in the caller's transaction.
std::vector<ClientSize> client_sizes(const std::vector<std::string> &clients);

/// What of kMayLeave does not hold for the client, in words for an operator. Own transaction.
Stays why_it_stays(const std::string &client, const std::string &store);

/// Finds idle clients round by round. Measuring a client costs a look at its rows, so one that was found active is not
/// measured again before it can be idle.
class IdleFinder {
 public:
  /// Clients idle for `idle_s` clients' seconds that may go to this store. Own transaction.
  std::vector<IdleClient> find(double idle_s, const std::string &store);
  /// The same in the caller's transaction. `first_sight`: states that are seen for the first time count as changed just now; else as
  /// unchanged, for who only wants to know.
  std::vector<IdleClient> look(double idle_s, const std::string &store, bool first_sight);

 private:
  struct States {
    std::string hash;
    int64_t since_us = 0;
  };
  void judge(const std::vector<std::string> &clients, int64_t idle_us, bool first_sight, std::vector<IdleClient> &out);
  /// Since when the values that merge are known to be as they are; 0 for a client that has none.
  int64_t states_changed_us(const std::string &client, const std::string &states, int64_t now_us);

  std::map<std::string, int64_t> not_before_us_;  // by the wall clock
  std::map<std::string, States> states_;          // of clients measured while they were at home
};

}  // namespace vectorshard::tier
