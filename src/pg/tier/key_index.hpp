// Keys of segments in the memory of this process, so that who asks for one row after the other by equality (checks of foreign keys above all) does not
// read the file each time. Kept piece by piece (core/tier/key_piece.hpp) of the rows that were asked about, within key_cache_mb. Segments never
// change, so what is here is right as long as somebody asks for that segment; which one a table has is asked anew each time, by the caller.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tier/key_piece.hpp"
#include "pg/tier/segment_fields.hpp"
#include "pg/tier/sparse_copy.hpp"

namespace vectorshard::tier {

struct KeyIndex;

/// The rows of a question that have certain values in certain columns.
class KeyLookup {
 public:
  /// None if the question is no such one, or no memory is to be used for it.
  static std::unique_ptr<KeyLookup> of(const SegmentQuestion &question, const SegmentFields &fields);

  /// True if all rows that may have the key are in memory.
  bool known() const { return known_; }
  /// Of a lookup that is not known and reads the file: after a few such ones takes the keys of some of the rows it asks about into memory. `sparse`:
  /// null, or what must be asked for bytes of the file. Afterwards it may be known.
  void learn(const std::string &path, SparseCopy *sparse);

  /// True if the rows mean nothing but their key: next() answers the question.
  bool answers() const { return answers_; }
  /// The next row, of a lookup that is known and answers. Its values live in `context`, which must be the same each time.
  bool next(TupleTableSlot *slot, MemoryContext context);
  /// From the first row with the key to after the last, of a lookup that is known.
  std::optional<std::pair<int64_t, int64_t>> range() const;

 private:
  KeyLookup(const SegmentQuestion &question, const SegmentFields &fields) : question_(question), fields_(fields) {}
  bool take_conditions();
  void look();
  bool load(size_t piece, const std::string &path, SparseCopy *sparse);
  void make_values(TupleDesc desc, MemoryContext context);

  const SegmentQuestion &question_;
  const SegmentFields &fields_;
  std::vector<size_t> columns_;  // of the manifest, rising
  std::vector<Value> key_;
  std::vector<Condition> conditions_;  // the same on the zones of an index
  bool answers_ = true, known_ = false;
  std::shared_ptr<KeyIndex> index_;
  std::vector<size_t> needed_;   // pieces that may have a row
  struct Piece {
    int64_t first;
    std::shared_ptr<const KeyPiece> keys;
  };
  std::vector<Piece> pieces_;    // the same, when they are there
  size_t piece_ = 0, at_ = 0;
  std::vector<uint32_t> rows_;   // of the piece before piece_
  int64_t given_ = 0;
  std::vector<Datum> values_;    // per output
};

}  // namespace vectorshard::tier
