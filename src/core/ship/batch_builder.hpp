// Collects the changes for one peer into batches bounded in bytes and rows, and remembers for each batch what must be
// known if it cannot be delivered: the transactions it holds pieces of, and the clients or tables that become debt.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ship/pgoutput.hpp"
#include "core/ship/types.hpp"

namespace vectorshard::ship {

/// A change on its way to one peer. The row's values are encoded once and shared between the peers it goes to.
struct Change {
  std::shared_ptr<const Table> table;
  std::shared_ptr<const std::string> values;  // as encode_values() gives them
  Version version = 0;
  ClientName client;
  bool as_home = false;
  std::vector<HolderRef> shipped_to;
  Lsn transaction = 0;      // start of its commit record
  int64_t commit_time = 0;  // of its transaction
  bool watched = false;     // a commit waits for its transaction
};

/// A finished batch, encoded, with what its end means for the slot and for debt.
struct SealedBatch {
  std::string bytes;
  size_t rows = 0;
  std::vector<std::pair<Lsn, uint32_t>> pieces;  // transaction, ascending, and how many rows of it are in this batch
  std::map<std::pair<Lsn, ClientName>, uint32_t> watched;  // rows of transactions whose commits wait
  std::set<ClientName> clients;              // debt if undelivered
  std::set<std::string> reference_tables;    // debt if undelivered (rows without a client)
  std::set<ClientName> as_home;              // those of `clients` that this peer got as their home
  int64_t oldest_commit_time = 0;
};

class BatchBuilder {
 public:
  BatchBuilder(size_t max_bytes, size_t max_rows) : max_bytes_(max_bytes), max_rows_(max_rows) {}

  void add(const Change &change);
  bool empty() const { return row_count_ == 0; }
  /// The batch should be sealed before more is added.
  bool full() const { return bytes() >= max_bytes_ || row_count_ >= max_rows_; }
  size_t bytes() const { return rows_.size() + client_bytes_; }
  size_t rows() const { return row_count_; }
  /// The oldest transaction of the rows waiting here; 0: none.
  Lsn oldest() const { return sealed_.pieces.empty() ? 0 : sealed_.pieces.begin()->first; }
  int64_t oldest_commit_time() const { return sealed_.oldest_commit_time; }
  /// Ends the batch and starts an empty one.
  SealedBatch seal(NodeId from, int64_t incarnation, Version clock, uint64_t position);

 private:
  uint16_t table_index(const std::shared_ptr<const Table> &table);
  uint32_t client_index(const Change &change);

  size_t max_bytes_, max_rows_;
  Batch batch_;  // without its rows
  SealedBatch sealed_;
  std::string rows_;  // encoded
  size_t row_count_ = 0;
  size_t client_bytes_ = 0;  // about what the list of clients takes
  std::vector<std::shared_ptr<const Table>> tables_;  // of batch_.tables, by index
  std::unordered_map<ClientName, std::vector<uint32_t>> clients_;  // a client has several entries if its route changed
};

}  // namespace vectorshard::ship
