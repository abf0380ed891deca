// Clients that the present transaction has looked up with the same answer, so that a fence looks once. The answer holds as of one
// eviction epoch. What a rolled-back savepoint brought must not be believed, so its end empties the memory.
#pragma once
#include <string>
#include <string_view>
#include <unordered_set>

#include "pg/apply/resident_known.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::apply {

/// One for each kind of answer; lives as long as the process.
class PassedClients {
 public:
  /// Reads the eviction epoch first: what is looked up after a `false` may be added.
  bool contains(std::string_view client);
  void add(std::string_view client);

 private:
  void renew();
  void clear();
  static void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *passed);

  LocalTransactionId transaction_ = InvalidLocalTransactionId;
  uint64 epoch_ = 0;
  bool hooked_ = false;
  std::string last_;  // asked again and again by a statement that writes many rows of one client
  bool any_ = false;
  std::unordered_set<std::string, NameHash, std::equal_to<>> clients_;
};

}  // namespace vectorshard::apply
