// Writing a range of a group into its table: one statement, as the table's owner, decided by version.
#pragma once
#include <string>
#include <vector>

#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

/// A row that was not merged for a reason of its own (not an error of the database).
struct SetAside {
  size_t item = 0;  // index into Group::items
  const char *kind = "";
  std::string reason;
};

/// A row of the batch that lost against a row here.
struct Beaten {
  size_t item = 0;
  Version winner = 0;
};

/// What became of a range.
struct Outcome {
  uint32_t applied = 0;
  uint32_t stale = 0;
  std::vector<Beaten> beaten;
  std::vector<SetAside> set_aside;
};

struct WriteOptions {
  bool find_beaten = false;    // tell which rows lost, and against what
  bool insert_together = false;  // keys that are all new: at once. Inside a subtransaction that may be tried again without
  bool refuse_too_old = true;  // rows older than the tombstone horizon are not inserted anew
};

/// Merges items [begin, end) of `group` in the current (sub)transaction: rows that a tombstone ends are left out, the
/// rest is upserted where newer, and what a tombstone committed meanwhile ends is removed again. Raises what the
/// database raises; nothing of the range is then done once the caller has rolled back.
Outcome write_rows(const Group &group, size_t begin, size_t end, const WriteOptions &options);

/// Removes the row of (table, key) if it is older than `deleted`; the number of rows removed. In a newer row, ends the
/// values that merge and were born before it.
uint64_t remove_ended(const bridge::EnrolledTable &table, const std::vector<std::string> &key, Version deleted);

/// The key of an item in text form, as tombstones and conflicts have it.
std::vector<std::string> item_key(const Group &group, const Item &item);

}  // namespace vectorshard::apply
