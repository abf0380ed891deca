// The full state of a client, or of a reference table, read in portions: tables by name, rows in key order, tombstones
// last. Each portion is read under the active snapshot of its time, which is all that adding rows by version needs.
#pragma once
#include <string>
#include <vector>

#include "core/ship/types.hpp"
#include "pg/bridge/key_range.hpp"

namespace vectorshard::ship {

/// An empty batch of this node with one client (empty: rows without one).
Batch start_batch(BatchKind kind, std::string_view client);

/// The most of a portion. One row may be larger.
struct PortionMax {
  size_t rows = 2000;
  size_t bytes = 1 << 20;
};

class Walk {
 public:
  /// Of `client` all vector-shard tables, or `table` alone; with `client` empty the reference table `table`.
  Walk(std::string client, std::string table);

  bool finished() const { return at_ == tables_.size(); }
  /// The table that the walk has come to; vectorshard.tombstone at last.
  const std::string &table() const { return tables_[at_]; }
  bool at_tombstones() const;
  /// Up to which key it is done.
  const std::vector<std::string> &after() const { return after_; }
  void skip_to(std::vector<std::string> key) { after_ = std::move(key); }
  void next_table();

  /// Adds rows of the table, up to key `upto` (empty: all), to `batch`, and moves on behind them. True if no more are
  /// left before `upto`.
  bool read(Batch &batch, const std::vector<std::string> &upto, const PortionMax &max);
  /// Why a row was left out so far: it is too large to travel (the last such row). Empty: none was.
  const std::string &left_out() const { return left_out_; }
  /// Adds rows of this table and the following ones until the portion is full or the walk finished.
  void fill(Batch &batch, const PortionMax &max);
  /// The next `count` ranges of about `rows` rows each, from where the walk stands; fewer when the table ends: then the
  /// last one is open.
  std::vector<bridge::KeyRange> next_ranges(size_t count, size_t rows) const;

 private:
  std::string condition(const bridge::EnrolledTable &table) const;
  std::string client_, only_;
  std::vector<std::string> tables_;
  size_t at_ = 0;
  std::vector<std::string> after_;
  std::string left_out_;
};

}  // namespace vectorshard::ship
