// Where the outputs of a question stand in the answer of DuckDB, and its statement.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pg/tier/segment_query.hpp"

namespace vectorshard::tier {

class SegmentFields {
 public:
  /// The question must stay as long.
  explicit SegmentFields(const SegmentQuestion &question);

  /// An output: its manifest column (-1: none), and its one or two columns of the answer (-1: none).
  struct Field {
    int column = -1, first = -1, second = -1;
  };
  const std::vector<Field> &fields() const { return fields_; }
  /// The manifest columns that the statement reads.
  std::vector<bool> read() const;
  const SegmentFacts &facts() const { return facts_; }
  /// `part`: rows by their numbers, from the first to before the second; of them this share, by chance.
  std::string statement(const std::string &path, const std::optional<std::pair<int64_t, int64_t>> &part, double share = 1) const;

 private:
  std::string name(int column) const;
  std::string source(const std::string &path, bool numbered) const;
  int add(std::string text);
  void add_output(const SegmentOutput &o);

  const SegmentQuestion &question_;
  SegmentFacts facts_;
  std::vector<int> stored_;  // per attribute
  TextForm form_;
  std::vector<std::string> list_;
  std::vector<Field> fields_;
  bool numbered_ = false;    // rows are told by their numbers
};

}  // namespace vectorshard::tier
