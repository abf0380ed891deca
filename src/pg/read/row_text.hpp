// Values of a row to and from text: what other nodes send, and what is sent to them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
}

namespace vectorshard::read {

/// Turns texts into the columns of a slot.
class RowInput {
 public:
  /// `columns`: attribute numbers of `desc`, in the order of the texts. Look-ups live in the current memory context.
  RowInput(TupleDesc desc, const std::vector<AttrNumber> &columns);
  /// Stores a virtual tuple; columns that are not listed are null. `text(i)` gives the i-th text or null. Values are
  /// made in the current memory context.
  template <class Text>
  void store(TupleTableSlot *slot, Text &&text) const {
    std::vector<const char *> texts(columns_.size());
    for (size_t i = 0; i < columns_.size(); i++) texts[i] = text(static_cast<int>(i));
    store_texts(slot, texts.data());
  }

 private:
  void store_texts(TupleTableSlot *slot, const char *const *texts) const;

  struct Input {
    FmgrInfo function;
    Oid param;
    int32 typmod;
  };
  std::vector<AttrNumber> columns_;
  Input *inputs_;
};

/// Settings under which the text of a value means the same on every node; ended by the destructor or, after an error,
/// with the transaction.
class StableOutput {
 public:
  StableOutput();
  ~StableOutput();
  StableOutput(const StableOutput &) = delete;
  StableOutput &operator=(const StableOutput &) = delete;

 private:
  int level_;
  int exceptions_;
};

/// The text of a value, under the settings in force.
std::string text_of(Oid type, Datum value);
/// As above; no value if it is null. Of a type that merges, the text with the full state.
std::optional<std::string> text_of(TupleTableSlot *slot, AttrNumber column);

/// The elements of an array of clients as texts, without nulls and duplicates.
std::vector<std::string> names_in(Datum array, Oid array_type);

}  // namespace vectorshard::read
