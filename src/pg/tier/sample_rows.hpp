// What samples for ANALYZE have in common, of stubs and of files of others: how many rows are wanted, keeping them in bounded memory, and saying what could
// not be read. Nothing is ever given of a sample that could not be read to its end.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "pg/bridge/postgres.hpp"
#include "pg/tier/segment_query.hpp"
extern "C" {
#include "access/htup.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
}

namespace vectorshard::tier {

/// The table that this process analyzes now; InvalidOid if none is known to be.
Oid analyzed_table();

/// The most rows that PostgreSQL can want of `rel` if it is about this share of the analyzed table. Plain C: inside pg_call.
double rows_wanted(Relation rel, double share);

/// A question for all columns of a relation, in their places.
SegmentQuestion question_for_sample(Relation rel);

/// Rows as they come, as long as there is memory for them; then every second one, every fourth, …: they stay spread over all.
class SampleRows {
 public:
  /// The rows live in `context`.
  SampleRows(MemoryContext context, double most_bytes) : context_(context), most_bytes_(most_bytes) {}
  void add(TupleTableSlot *slot);
  const std::vector<HeapTuple> &rows() const { return rows_; }

 private:
  void thin_out();

  MemoryContext context_;
  double most_bytes_, bytes_ = 0;
  uint64_t seen_ = 0, every_ = 1;
  std::vector<HeapTuple> rows_;
};

/// Takes a sample by `read`, which first tells the store, in a subtransaction. What cannot be read is a warning (then false); a store that did not answer is
/// not asked again by the same command: each time would be a wait. What ends the command is raised.
bool try_sample(Relation rel, const std::function<void()> &read);
/// Raises if the store did not answer this command. Remembers its name for the case that it does not answer now.
void ask_store_for_sample(const std::string &store);

}  // namespace vectorshard::tier
