// Questions to a segment that DuckDB answers: which rows, of which columns, what is to be computed of them. What comes out are the values
// that PostgreSQL would have computed from the same rows; whatever cannot be had with that meaning must not be asked here.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/tier/condition.hpp"
#include "pg/tier/cold_rows.hpp"
#include "pg/tier/segment_facts.hpp"

namespace vectorshard::tier {

/// Rows that are asked for together where many are read on. Row groups are whole parts of such a piece, or one (segment_write.cpp).
constexpr int64_t kPieceRows = 61440;

/// One column of the answer.
struct SegmentOutput {
  enum class Kind : uint8_t {
    attribute,    // the attribute of the relation, converted to its present type; one that came later has its value of then
    row,          // the number of the row, which becomes the TID of the slot (stub_rows.hpp); its place counts for nothing
    count_rows,   // count(*)
    count,        // count(column)
    sum,          // the sum of an int2 or int4 column, as int8
    average,      // of an int2 or int4 column: the state of its avg(), an int8[] of count and sum
    wide_state,   // of an int8 column: the serialized state of its sum() and avg()
    decimal_state,// the same of a decimal column
    least,        // min(column), of the column's type
    greatest,     // max(column)
    all_true,     // bool_and(column)
    any_true,     // bool_or(column)
    truncated,    // date_trunc(unit, column), of a timestamp without time zone, in usual times (partition_outputs.cpp)
    day,          // column::date, of the same
  };
  Kind kind = Kind::attribute;
  int attribute = 0;                // of the relation, from 1; unless count_rows or row
  std::optional<Condition> filter;  // of the aggregate
  std::string unit{};               // of truncated
};

struct SegmentOrder {
  int attribute = 0;
  bool descending = false, nulls_first = false;
};

/// Rows by chance instead of all, for statistics: about so many, out of row groups that have about so many bytes at most (at least out of one). The store is
/// not asked for long.
struct SegmentSample {
  double rows = 0;
  int64_t bytes = 0;
};

struct SegmentQuestion {
  std::string segment;
  std::shared_ptr<const SegmentFacts> facts;  // of a file of others, instead of a segment
  Oid relid = InvalidOid;               // whose attributes these are
  std::vector<SegmentOutput> outputs;
  std::vector<int> places;              // where in the slot each output goes (from 0); the rest is null
  std::vector<Condition> conditions;    // all of them
  int groups = 0;                       // so many of the outputs, from the first, are grouped by
  bool distinct = false;
  std::vector<SegmentOrder> order;
  int64_t limit = 0;                    // 0: none
  std::optional<SegmentSample> sample;  // of attributes, without conditions and next_part
  /// The next part of the rows, by their numbers from `first` to before `end`; false: there is none. Empty: all rows at once.
  std::function<bool(int64_t *first, int64_t *end)> next_part;
  bool few = false;                     // most parts will not be asked for
};

/// The statement that is asked, with `path` for the file.
std::string question_text(const SegmentQuestion &question, const std::string &path);

/// The answer, row by row. Must be made and destroyed in a memory context that lives as long. Nothing is opened before the first row.
std::unique_ptr<ColdScan> ask_segment(SegmentQuestion question);

/// All rows of a segment from number `first` (from 0) on, in the columns of a relation, for slots of that relation or of one whose columns have the same
/// numbers.
std::unique_ptr<ColdScan> read_segment(const std::string &segment, Oid relid, int64_t first = 0);

/// Whether states made here are those of this server's aggregates: looked at once in a process.
bool states_are_known();

}  // namespace vectorshard::tier
