// Keys of segments in memory: see key_index.hpp.
#include "pg/tier/key_index.hpp"

#include <algorithm>
#include <map>

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/cells.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/row_groups.hpp"
#include "pg/tier/segment_query.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "executor/tuptable.h"
#include "utils/inval.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

static_assert(kPieceRows <= static_cast<int64_t>(KeyPiece::kRowsMax));
// So many lookups read the file first: whoever asks for a few rows needs no memory.
constexpr int kFew = 8;
// One lookup takes so many pieces at most, which costs about as much again as the lookup itself: none waits for all of a large segment.
constexpr int kAtOnce = 2;
// A piece goes for another one when so many lookups did not ask for it: what is asked for in turn and does not fit together must not go round.
constexpr uint64_t kIdleLookups = 1000;
constexpr size_t kMostIndexes = 256;

}  // namespace

/// Of one segment by certain columns.
struct KeyIndex {
  struct Group {
    int64_t first, rows;
    std::vector<Zone> zones;  // of the key's columns
  };
  struct Piece {
    std::shared_ptr<const KeyPiece> keys;
    uint64_t used = 0;
  };
  uint32 table = 0;  // as the catalog's cache calls it
  std::vector<Group> groups;  // empty: not looked at yet
  std::vector<Piece> pieces;
  size_t usual = 0;  // bytes of a piece
  int asked = 0;
  bool unfit = false;

  size_t bytes() const {
    size_t out = groups.size() * sizeof(Group);
    for (const Group &g : groups) out += g.zones.size() * sizeof(Zone);
    for (const Piece &p : pieces) out += p.keys ? p.keys->bytes() : 0;
    return out;
  }
};

namespace {

std::map<std::string, std::shared_ptr<KeyIndex>> indexes;
uint64_t lookups = 0;

size_t most_bytes() { return static_cast<size_t>(bridge::guc::key_cache_mb) << 20; }

size_t bytes_now() {
  size_t out = 0;
  for (const auto &[name, index] : indexes) out += index->bytes();
  return out;
}

/// A table that came back, went or changed. Whoever just uses an index keeps it until he is done.
void forget(Datum, int, uint32 hash) {
  std::erase_if(indexes, [&](const auto &entry) { return hash == 0 || entry.second->table == hash; });
}

std::shared_ptr<KeyIndex> index_of(const Segment &segment, Oid relid, const std::vector<size_t> &columns) {
  static bool hooked = false;
  if (!hooked) bridge::pg_call([] { CacheRegisterSyscacheCallback(RELOID, forget, 0); });
  hooked = true;
  std::string name = segment.sha256 + " " + segment.name;  // the same bytes may be those of columns with other names
  for (size_t c : columns) name += " " + std::to_string(c);
  if (auto it = indexes.find(name); it != indexes.end()) return it->second;
  if (indexes.size() >= kMostIndexes) std::erase_if(indexes, [](const auto &entry) { return entry.second->bytes() == 0; });
  if (indexes.size() >= kMostIndexes) indexes.clear();
  auto index = std::make_shared<KeyIndex>();
  index->table = bridge::pg_call([&] { return GetSysCacheHashValue1(RELOID, ObjectIdGetDatum(relid)); });
  index->pieces.resize(static_cast<size_t>((segment.rows + kPieceRows - 1) / kPieceRows));
  index->usual = static_cast<size_t>(std::min(segment.rows, kPieceRows)) * (4 + 4 * columns.size());
  return indexes[name] = index;
}

/// Drops what was not used for long until there is room; false: there is none.
bool make_room(size_t bytes) {
  for (size_t now = bytes_now(); now + bytes > most_bytes();) {
    KeyIndex::Piece *oldest = nullptr;
    for (const auto &[name, index] : indexes)
      for (KeyIndex::Piece &p : index->pieces)
        if (p.keys && (!oldest || p.used < oldest->used)) oldest = &p;
    if (!oldest || (oldest->used + kIdleLookups > lookups && now <= most_bytes())) return false;
    now -= oldest->keys->bytes();
    oldest->keys.reset();
  }
  return true;
}

void take_groups(const std::vector<RowGroup> &groups, const std::vector<size_t> &columns, KeyIndex *index) {
  for (const RowGroup &g : groups) {
    KeyIndex::Group of{g.first, g.rows, {}};
    for (size_t c : columns) of.zones.push_back(g.zones[c]);
    index->groups.push_back(std::move(of));
  }
}

}  // namespace

/// False if there is no equality among them.
bool KeyLookup::take_conditions() {
  std::map<size_t, Value> key;
  const std::vector<ManifestColumn> &columns = fields_.facts().segment.columns;
  for (const Condition &c : question_.conditions) {
    bool equality = c.kind == Condition::Kind::compare && c.op == Compare::equal && KeyPiece::takes(columns[c.column].kind) && !c.values[0].null && !c.values[0].unknown;
    answers_ = equality && key.emplace(c.column, c.values[0]).second && answers_;
  }
  for (auto &[column, value] : key) {
    Condition c;
    c.kind = Condition::Kind::compare;
    c.column = columns_.size();
    c.values.push_back(value);
    conditions_.push_back(std::move(c));
    columns_.push_back(column);
    key_.push_back(std::move(value));
  }
  return !key_.empty();
}

std::unique_ptr<KeyLookup> KeyLookup::of(const SegmentQuestion &q, const SegmentFields &fields) {
  if (bridge::guc::key_cache_mb == 0) indexes.clear();
  if (bridge::guc::key_cache_mb == 0 || q.facts || q.sample || q.next_part || q.groups > 0 || q.distinct || !q.order.empty() || fields.facts().segment.rows == 0) return nullptr;
  for (const SegmentOutput &o : q.outputs)
    if (o.kind != SegmentOutput::Kind::attribute && o.kind != SegmentOutput::Kind::row) return nullptr;
  std::unique_ptr<KeyLookup> out(new KeyLookup(q, fields));
  if (!out->take_conditions()) return nullptr;
  for (size_t o = 0; o < q.outputs.size(); o++) {
    int column = fields.fields()[o].column;
    bool key = column >= 0 && std::ranges::find(out->columns_, static_cast<size_t>(column)) != out->columns_.end();
    out->answers_ = out->answers_ && (key || q.outputs[o].kind == SegmentOutput::Kind::row);
  }
  out->index_ = index_of(fields.facts().segment, q.relid, out->columns_);
  lookups++;
  out->look();
  return out;
}

/// Which pieces may have a row, and whether they are there.
void KeyLookup::look() {
  needed_.clear();
  pieces_.clear();
  for (const KeyIndex::Group &g : index_->groups) {
    bool may = g.rows > 0;
    for (const Condition &c : conditions_) may = may && may_hold(c, g.zones, g.rows);
    for (int64_t p = g.first / kPieceRows; may && p <= (g.first + g.rows - 1) / kPieceRows; p++)
      if (needed_.empty() || needed_.back() < static_cast<size_t>(p)) needed_.push_back(static_cast<size_t>(p));
  }
  known_ = !index_->groups.empty();
  for (size_t p : needed_) {
    KeyIndex::Piece &piece = index_->pieces[p];
    known_ = known_ && piece.keys;
    piece.used = lookups;
    if (known_) pieces_.push_back({static_cast<int64_t>(p) * kPieceRows, piece.keys});
  }
}

void KeyLookup::learn(const std::string &path, SparseCopy *sparse) {
  if (index_->unfit || ++index_->asked <= kFew) return;
  if (index_->groups.empty()) {
    take_groups(sparse ? row_groups_of(*sparse, fields_.facts()) : row_groups_of(path, fields_.facts()), columns_, index_.get());
    look();
  }
  if (needed_.size() * index_->usual > most_bytes()) return;
  int loaded = 0;
  for (size_t p : needed_) {
    if (index_->pieces[p].keys) continue;
    if (loaded++ == kAtOnce || !make_room(index_->usual) || !load(p, path, sparse)) break;
  }
  look();
}

/// Takes the keys of a piece into memory. What does not come as the manifest says is left to those who read the file.
bool KeyLookup::load(size_t p, const std::string &path, SparseCopy *sparse) {
  const SegmentFacts &facts = fields_.facts();
  const std::vector<ManifestColumn> &columns = facts.segment.columns;
  const int64_t first = static_cast<int64_t>(p) * kPieceRows, end = std::min(first + kPieceRows, facts.segment.rows);
  std::vector<bool> wanted(columns.size(), false);
  std::vector<CellKind> kinds;
  std::string list;
  for (size_t c : columns_) {
    wanted[c] = true;
    kinds.push_back(columns[c].kind);
    list += sql_identifier(field_name(columns, c)) + ", ";
  }
  if (sparse) sparse->need(bytes_needed(row_groups_of(*sparse, facts), wanted, {first, end}));
  duck::Stream stream("SELECT " + list + "file_row_number FROM read_parquet(" + sql_literal(path) + ", file_row_number = true) WHERE file_row_number >= " +
                      std::to_string(first) + " AND file_row_number < " + std::to_string(end), {}, false);
  auto keys = std::make_shared<KeyPiece>(kinds);
  std::vector<std::vector<Cell>> cells(columns_.size());
  while (duckdb_data_chunk chunk = stream.next()) {
    const idx_t n = duck::api().data_chunk_get_size(chunk);
    const auto *numbers = static_cast<const int64_t *>(duck::column_of(chunk, columns_.size()).data);
    for (idx_t r = 0; r < n && !index_->unfit; r++) index_->unfit = numbers[r] != first + static_cast<int64_t>(keys->rows() + r);
    for (size_t c = 0; c < columns_.size(); c++) {
      cells[c].resize(n);
      duck::get_cells(duck::column_of(chunk, c), 0, columns[columns_[c]], cells[c].data(), 1, n);
    }
    index_->unfit = index_->unfit || !keys->add(cells, n);
    if (keys->bytes() > most_bytes()) index_->usual = keys->bytes();  // long strings
    if (index_->unfit || keys->bytes() > most_bytes()) return false;
  }
  index_->unfit = static_cast<int64_t>(keys->rows()) != end - first;
  if (index_->unfit) return false;
  keys->seal();
  index_->usual = keys->bytes();
  if (!make_room(index_->usual)) return false;
  index_->pieces[p].keys = std::move(keys);
  return true;
}

/// Every row has the same ones.
void KeyLookup::make_values(TupleDesc desc, MemoryContext context) {
  const SegmentFacts &facts = fields_.facts();
  values_.resize(question_.outputs.size());
  MemoryContext before = MemoryContextSwitchTo(context);
  for (size_t o = 0; o < values_.size(); o++) {
    if (question_.outputs[o].kind == SegmentOutput::Kind::row) continue;
    const auto column = static_cast<size_t>(fields_.fields()[o].column);
    const Value &value = key_[static_cast<size_t>(std::ranges::find(columns_, column) - columns_.begin())];
    Form_pg_attribute a = TupleDescAttr(desc, question_.places[o]);
    const Cell cell{false, value.number, value.bytes};
    values_[o] = bridge::pg_call([&] {
      ColumnCodec codec = ColumnCodec::make(a->atttypid, stored_as(facts.segment.columns[column]), context);
      return codec.from_cell(cell, a->atttypmod);
    });
  }
  MemoryContextSwitchTo(before);
}

bool KeyLookup::next(TupleTableSlot *slot, MemoryContext context) {
  if (question_.limit > 0 && given_ == question_.limit) return false;
  while (at_ == rows_.size()) {
    if (piece_ == pieces_.size()) return false;
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    rows_.clear();
    at_ = 0;
    pieces_[piece_++].keys->find(key_, &rows_);
  }
  if (given_++ == 0) make_values(slot->tts_tupleDescriptor, context);
  const int64_t row = pieces_[piece_ - 1].first + rows_[at_++];
  memset(slot->tts_isnull, true, static_cast<size_t>(slot->tts_tupleDescriptor->natts));
  for (size_t o = 0; o < values_.size(); o++) {
    if (question_.outputs[o].kind == SegmentOutput::Kind::row) {
      slot->tts_tid = stub_tid(static_cast<uint64_t>(row) + 1);
      continue;
    }
    slot->tts_values[question_.places[o]] = values_[o];
    slot->tts_isnull[question_.places[o]] = false;
  }
  ExecStoreVirtualTuple(slot);
  return true;
}

std::optional<std::pair<int64_t, int64_t>> KeyLookup::range() const {
  std::optional<std::pair<int64_t, int64_t>> out;
  for (const Piece &p : pieces_) {
    std::vector<uint32_t> rows;
    p.keys->find(key_, &rows);
    if (rows.empty()) continue;
    if (!out) out.emplace(p.first + rows.front(), 0);
    out->second = p.first + rows.back() + 1;
  }
  return out;
}

}  // namespace vectorshard::tier
