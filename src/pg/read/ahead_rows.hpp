// Rows of clients that were fetched together, before they were asked for one by one (look_ahead.hpp). Lives as long as one
// execution of a query; holds one batch.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "executor/tuptable.h"
}

namespace vectorshard::read {

class AheadRows {
 public:
  using Rows = std::vector<MinimalTuple>;

  /// Begins another batch, of these clients. `query`: the query's memory context, where the rows are kept.
  void begin(const std::vector<std::string> &clients, MemoryContext query);
  /// A copy of the row in the slot. Clients that are not of the batch are passed over.
  void add(const std::string &client, TupleTableSlot *slot);
  /// Null: the client is not of the batch.
  const Rows *rows_of(const std::string &client) const;

 private:
  std::unordered_map<std::string, Rows> rows_;
  MemoryContext context_ = nullptr;  // goes with the query's, which may be before this object
};

}  // namespace vectorshard::read
