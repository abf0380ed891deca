// What was tried and what came of it. One record a transaction; an outcome that nobody can know is unknown, and then both are legal.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace vectorshard::histories {

enum class Outcome { failed, unknown, acknowledged };

/// One row written, deleted or counted up.
struct Write {
  std::string table;   // item, ref, tally
  std::string client;  // empty for ref
  int key = 0;
  bool deletes = false;
  int64_t value = 0;    // of a deletion: unused; of tally: what was added
  int64_t version = 0;  // 0: not told
};

struct Transaction {
  Outcome outcome = Outcome::failed;
  int node = 0;
  std::string error;  // why it failed or is unknown
  std::vector<Write> writes;
};

/// A row as somebody read it.
struct Seen {
  int node = 0;
  std::string client;
  int key = 0;
  int64_t value = 0;
  int64_t version = 0;
};

/// Filled by all workers.
struct Log {
  std::mutex mutex;
  std::vector<Transaction> transactions;
  std::vector<Seen> reads;
  std::vector<std::string> oddities;  // violations that a worker saw itself
  size_t operations = 0, failed_operations = 0;
};

}  // namespace vectorshard::histories
