// Clients that the present transaction has looked up with the same answer, so that a fence looks once. The answer holds until the transaction
// ends: who looks holds a lock that make_leave waits for, from before the look. A rolled-back savepoint lets go the locks that were taken in it,
// so its end empties the memory.
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
  bool contains(std::string_view client);
  void add(std::string_view client);

 private:
  void renew();
  void clear();
  static void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *passed);

  LocalTransactionId transaction_ = InvalidLocalTransactionId;
  bool hooked_ = false;
  std::string last_;  // asked again and again by a statement that writes many rows of one client
  bool any_ = false;
  std::unordered_set<std::string, NameHash, std::equal_to<>> clients_;
};

}  // namespace vectorshard::apply
