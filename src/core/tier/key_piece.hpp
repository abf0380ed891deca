// Which rows of a piece of a segment have a key: the key columns of some ten thousand rows, packed as small as they can be, and a hash over them.
// Equality is that of cells: numbers by value, strings by bytes; a null equals nothing. Pure: no clock, no database.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/condition.hpp"

namespace vectorshard::tier {

class KeyPiece {
 public:
  /// Most rows of a piece.
  static constexpr size_t kRowsMax = 65534;
  /// Kinds whose cells are equal exactly if their values are. Of `output` only uuids are meant.
  static bool takes(CellKind kind);

  explicit KeyPiece(std::vector<CellKind> kinds);

  /// Adds `n` rows, whose cells stand column by column. False: a cell is none of its kind, or there are too many rows; the piece is of no use then.
  bool add(const std::vector<std::vector<Cell>> &columns, size_t n);
  /// Packs what was added; afterwards rows can be found, and none be added.
  void seal();

  /// Appends the rows (from 0, rising) whose columns have these values.
  void find(const std::vector<Value> &key, std::vector<uint32_t> *rows) const;
  size_t rows() const { return rows_; }
  /// What it takes, about.
  size_t bytes() const;

 private:
  struct Column {
    CellKind kind;
    int64_t min = 0;   // what its packed numbers are counted from
    size_t width = 0;  // bytes a row
    std::vector<int64_t> numbers{};  // until it is sealed
    std::string bytes{};             // of strings: one after the other; of uuids until it is sealed
    std::vector<uint32_t> ends{};    // of strings
  };

  bool add_cell(Column *column, const Cell &cell);
  void pack();
  bool packed(const std::vector<Value> &key, std::string *out) const;
  uint64_t hash_of(const char *fixed, const std::vector<std::string_view> &strings) const;
  std::string_view string_of(const Column &column, size_t row) const;

  std::vector<Column> columns_;
  size_t rows_ = 0, width_ = 0;
  std::vector<bool> nulls_;     // until it is sealed: a key column of the row is null
  std::string fixed_;           // width_ bytes a row
  std::vector<uint16_t> first_, next_;  // chains of rows with the same hash, counted from 1
};

}  // namespace vectorshard::tier
