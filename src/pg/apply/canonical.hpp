// Values of a table's columns as bytes that are equal on every node: the binary send form, or the text output under fixed
// settings for types whose send form may differ though the values are equal: arrays, and rows with user-defined types.
#pragma once
#include <string>
#include <vector>

#include "pg/bridge/postgres.hpp"
#include "pg/bridge/tables.hpp"
extern "C" {
#include "fmgr.h"
}

namespace vectorshard::apply {

/// Settings and encoding under which output is the same on every node, until scope end. Inside a bridge::Spi, if any.
class StableOutput {
 public:
  StableOutput();
  ~StableOutput();
  StableOutput(const StableOutput &) = delete;
  StableOutput &operator=(const StableOutput &) = delete;

 private:
  int exceptions_;
  int level_;
};

class CanonicalRow {
 public:
  explicit CanonicalRow(const bridge::EnrolledTable &table);
  /// The columns to select, quoted, ordered by name: nodes may number them differently. Generated ones are left out.
  const std::string &columns() const { return columns_; }
  /// Appends the values of a row, in the order of columns(), to `out`. Needs a StableOutput.
  void append(const Datum *values, const bool *nulls, std::string &out);
  /// The key in text form, from values in the order of columns().
  std::vector<std::string> key(const Datum *values) const;
  Version version(const Datum *values) const { return DatumGetInt64(values[version_]); }

 private:
  struct Column {
    std::string name;
    AttrNumber attnum = 0;
    enum { bytes, send, text } form = send;
    FmgrInfo function{};
  };
  bridge::EnrolledTable table_;
  std::vector<Column> order_;
  std::string columns_;
  size_t version_ = 0;
};

}  // namespace vectorshard::apply
