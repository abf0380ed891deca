// Answers of segments: see segment_query.hpp.
#include "pg/tier/segment_query.hpp"

#include "core/tier/sample.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/agg_state.hpp"
#include "pg/tier/duckdb_run.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/foreign_values.hpp"
#include "pg/tier/key_index.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/row_decode.hpp"
#include "pg/tier/row_groups.hpp"
#include "pg/tier/segment_fields.hpp"
#include "pg/tier/sparse_copy.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

constexpr size_t kBlockRows = 256;
// Of an object from which so much is wanted all is fetched, in one piece.
constexpr double kNearlyAll = 0.8;
// A sample by chance has more or fewer rows than asked for; rather more.
constexpr double kSampleMargin = 1.03;
constexpr int kRowNumber = -1;

class Answer : public ColdScan {
 public:
  explicit Answer(SegmentQuestion question);
  ~Answer() override;
  bool next(TupleTableSlot *slot) override;
  int segments_read() const override { return opened_ && !remembered_ ? 1 : 0; }
  bool remembered() const override { return remembered_; }
  int64_t bytes_fetched() const override { return sparse_ ? sparse_->fetched() : fetched_whole_; }

 private:
  void open();
  bool find_by_key(const Segment &segment);
  void open_file(const Segment &segment);
  void choose_parts(const std::vector<RowGroup> &groups);
  bool next_range(std::optional<RowRange> *part);
  void open_foreign(const Segment &segment);
  bool next_part();
  bool next_block();
  void decode(size_t output, size_t n);
  void decode_attribute(size_t output, size_t n);
  void decode_aggregate(size_t output, size_t n);
  void decode_time(size_t output, size_t n, CellKind kind);

  SegmentQuestion question_;
  bool opened_ = false, ended_ = false;
  std::unique_ptr<KeyLookup> by_key_;  // gives the rows
  bool remembered_ = false;            // without the file
  MemoryContext context_, row_context_;
  TupleDesc desc_ = nullptr;
  std::optional<SegmentFields> fields_;
  std::string path_;
  std::unique_ptr<SparseCopy> sparse_;  // else the whole object is there
  int64_t fetched_whole_ = 0;           // by a sparse copy that has become a whole one
  std::pair<int64_t, int64_t> hull_;    // of a sparse copy: the rows that may be wanted
  std::vector<bool> read_;              // of a sparse copy: manifest columns
  std::vector<RowRange> parts_;         // of a sample
  size_t part_ = 0;
  double share_ = 1;                    // of the rows in them
  std::optional<RowMapper> mapper_;   // for what goes through functions of its type
  std::vector<bool> plain_;           // per output: decode_column() takes it
  std::vector<int> places_;           // per output: of the slot, kRowNumber: it is the row's TID
  std::unique_ptr<duck::Stream> stream_;
  std::vector<duck::Column> columns_;
  idx_t at_ = 0, chunk_rows_ = 0;     // of the chunk
  std::vector<Datum> values_;         // of a block of rows
  std::unique_ptr<bool[]> nulls_;
  size_t row_ = 0, rows_ = 0;
};

Answer::Answer(SegmentQuestion question) : question_(std::move(question)) {
  bridge::pg_call([&] {
    context_ = AllocSetContextCreate(CurrentMemoryContext, "vectorshard segment", ALLOCSET_DEFAULT_SIZES);
    row_context_ = AllocSetContextCreate(context_, "vectorshard segment rows", ALLOCSET_DEFAULT_SIZES);
  });
}

Answer::~Answer() {
  stream_.reset();
  MemoryContextDelete(context_);
}

void Answer::open() {
  opened_ = true;
  fields_.emplace(question_);
  const Segment &segment = fields_->facts().segment;
  ended_ = !may_hold(all_of(question_.conditions), fields_->facts().zones, segment.rows) && (question_.groups > 0 || question_.outputs.empty() ||
           question_.outputs[0].kind == SegmentOutput::Kind::attribute || question_.outputs[0].kind == SegmentOutput::Kind::row);
  if (ended_ || find_by_key(segment)) return;
  if (path_.empty()) open_file(segment);
  MemoryContext before = MemoryContextSwitchTo(context_);
  desc_ = bridge::pg_call([&] {
    Relation rel = table_open(question_.relid, AccessShareLock);
    TupleDesc desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
    table_close(rel, NoLock);
    return desc;
  });
  mapper_.emplace(segment.columns, desc_, fields_->facts().foreign);
  MemoryContextSwitchTo(before);
  for (size_t o = 0; o < question_.outputs.size(); o++) {
    places_.push_back(question_.outputs[o].kind == SegmentOutput::Kind::row ? kRowNumber : question_.places[o]);
    int column = fields_->fields()[o].column;
    plain_.push_back(column >= 0 && !is_opaque(segment.columns[static_cast<size_t>(column)].kind) &&
                     (question_.outputs[o].kind != SegmentOutput::Kind::attribute || mapper_->is_plain(question_.outputs[o].attribute)));
  }
  values_.resize(question_.outputs.size() * kBlockRows + 1);
  nulls_.reset(new bool[values_.size()]);
}

/// True if what this process remembers of the keys answers the question; it may also tell where the rows are.
bool Answer::find_by_key(const Segment &segment) {
  by_key_ = KeyLookup::of(question_, *fields_);
  if (!by_key_) return false;
  if (!by_key_->known()) {
    open_file(segment);
    by_key_->learn(path_, sparse_.get());
  }
  const bool known = by_key_->known(), answers = known && by_key_->answers();
  std::optional<RowRange> range = known && !answers ? by_key_->range() : std::nullopt;
  ended_ = known && !answers && !range;
  remembered_ = (answers || ended_) && path_.empty();
  if (answers) return true;
  by_key_.reset();
  question_.few = question_.few || range;
  if (range) question_.next_part = [part = std::move(range)](int64_t *first, int64_t *end) mutable {
    if (!part) return false;
    std::tie(*first, *end) = *std::exchange(part, std::nullopt);
    return true;
  };
  return ended_;
}

/// What is not on this file system is fetched in parts, unless nearly all of it is wanted.
void Answer::open_file(const Segment &segment) {
  if (fields_->facts().foreign) return open_foreign(segment);
  const Patience patience = question_.sample ? Patience::little : Patience::usual;
  std::unique_ptr<store::Store> store = open_store(segment.store, patience);
  bool whole = !store->local_path(segment.key).empty() || fields_->facts().blocks.empty() || copy_is_there(spool_copy(segment.sha256));
  if (!whole) {
    sparse_ = std::make_unique<SparseCopy>(std::move(store), fields_->facts());
    const std::vector<RowGroup> &groups = row_groups_of(*sparse_, fields_->facts());
    read_ = fields_->read();
    hull_ = rows_needed(groups, question_.conditions).value_or(std::pair<int64_t, int64_t>(0, 0));
    int64_t bytes = 0;
    if (question_.sample)
      choose_parts(groups);
    else
      parts_ = {hull_};
    for (const RowRange &part : parts_)
      for (const ByteRange &r : bytes_needed(groups, read_, part)) bytes += r.second - r.first;
    path_ = sparse_->path();
    if (question_.few || static_cast<double>(bytes) < kNearlyAll * static_cast<double>(segment.bytes)) return;
    store = open_store(segment.store, patience);
    sparse_.reset();
  }
  path_ = readable_path(*store, segment.key, segment.sha256, segment.bytes);
  if (question_.sample && parts_.empty()) choose_parts(row_groups_of(path_, fields_->facts()));
}

/// Where a sample comes from, and how many of the rows there are in it.
void Answer::choose_parts(const std::vector<RowGroup> &groups) {
  std::vector<int64_t> rows;
  for (const RowGroup &g : groups) rows.push_back(g.rows);
  const double group_bytes = static_cast<double>(fields_->facts().segment.bytes) / static_cast<double>(std::max<size_t>(groups.size(), 1));
  parts_ = choose_row_groups(rows, static_cast<size_t>(static_cast<double>(question_.sample->bytes) / std::max(group_bytes, 1.0)),
                             [] { return pg_prng_double(&pg_global_prng_state); });
  double there = 1;
  for (const RowRange &part : parts_) there += static_cast<double>(part.second - part.first);
  share_ = question_.sample->rows * kSampleMargin / there;
}

/// The next range that is to be read, none: all of it; false at the end.
bool Answer::next_range(std::optional<RowRange> *part) {
  if (question_.sample) {
    if (part_ == parts_.size()) return false;
    *part = parts_[part_++];
    return true;
  }
  if (!question_.next_part) return !stream_;
  part->emplace();
  do
    if (!question_.next_part(&(*part)->first, &(*part)->second)) return false;
  while (sparse_ && ((*part)->second <= hull_.first || (*part)->first >= hull_.second));
  return true;
}

/// A file of others: what it is called there may not tell where its columns lie; then all of it is fetched.
void Answer::open_foreign(const Segment &segment) {
  const SegmentFacts &facts = fields_->facts();
  read_ = fields_->read();
  for (size_t c = 0; c < read_.size(); c++)
    if (read_[c] && facts.fields[c].name.empty())
      bridge::raise_sqlstate(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND, "object \"" + segment.key + "\" has no column \"" + segment.columns[c].name + "\"", "",
                             "Drop the foreign table and import it anew.");
  path_ = facts.path;
  if (!path_.empty()) {
    if (question_.sample) choose_parts(row_groups_of(path_, facts));
    return;
  }
  sparse_ = std::make_unique<SparseCopy>(open_store(segment.store, question_.sample ? Patience::little : Patience::usual), facts);
  const std::vector<RowGroup> &groups = row_groups_of(*sparse_, facts);
  if (question_.sample) choose_parts(groups);
  hull_ = rows_needed(groups, question_.conditions).value_or(std::pair<int64_t, int64_t>(0, 0));
  path_ = sparse_->path();
  if (facts.places_known && all_lie_somewhere(groups, read_)) return;
  sparse_->need({{0, segment.bytes}});
  fetched_whole_ = sparse_->fetched();
  sparse_.reset();
}

/// Asks for the next part of the rows; false if there is none.
bool Answer::next_part() {
  std::optional<RowRange> part;
  if (!next_range(&part)) return false;
  if (sparse_) {
    if (!part) part = hull_;
    part->first = std::max(part->first, hull_.first);
    part->second = std::min(part->second, hull_.second);
    const std::vector<RowGroup> &groups = row_groups_of(*sparse_, fields_->facts());
    sparse_->need(bytes_needed(groups, read_, *part));
  }
  stream_ = std::make_unique<duck::Stream>(fields_->statement(path_, part, share_), std::vector<std::string>{}, false);
  return true;
}

void Answer::decode_attribute(size_t output, size_t n) {
  const SegmentFields::Field &f = fields_->fields()[output];
  Datum *values = values_.data() + output;
  bool *nulls = nulls_.get() + output;
  const size_t stride = question_.outputs.size();
  int attribute = question_.outputs[output].attribute;
  if (f.first < 0) {
    bridge::pg_call([&] {
      for (size_t r = 0; r < n; r++) values[r * stride] = getmissingattr(desc_, attribute, nulls + r * stride);
    });
    return;
  }
  const ManifestColumn &column = fields_->facts().segment.columns[static_cast<size_t>(f.column)];
  const duck::Column &from = columns_[static_cast<size_t>(f.first)];
  const bool foreign = fields_->facts().foreign;
  if (foreign) require_fits(from, at_, n, column);
  if (plain_[output]) {
    bridge::pg_call([&] { decode_column(from, at_, n, column.kind, column.precision, column.scale, values, nulls, stride); });
    return;
  }
  Cell cells[kBlockRows];
  duck::get_cells(from, at_, column, cells, 1, n);
  std::optional<ForeignContext> context;
  if (foreign) {
    context.emplace(fields_->facts().segment.key, column);
    to_server_form(cells, n, column, fields_->facts().segment.key);
  }
  mapper_->fill_attribute(attribute, cells, n, values, nulls, stride);
}

__int128 wide(const duck::Column &column, idx_t row) {
  const auto &h = static_cast<const duckdb_hugeint *>(column.data)[row];
  return (static_cast<__int128>(h.upper) << 64) | h.lower;
}

int64_t narrow(__int128 value) {
  if (value > INT64_MAX || value < INT64_MIN) bridge::raise_sqlstate(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
  return static_cast<int64_t>(value);
}

void Answer::decode_aggregate(size_t output, size_t n) {
  const SegmentFields::Field &f = fields_->fields()[output];
  const size_t stride = question_.outputs.size();
  const duck::Column &first = columns_[static_cast<size_t>(f.first)];
  const SegmentOutput::Kind kind = question_.outputs[output].kind;
  int scale = f.column >= 0 ? fields_->facts().segment.columns[static_cast<size_t>(f.column)].scale : 0;
  for (size_t r = 0; r < n; r++) {
    Datum &value = values_[r * stride + output];
    bool &null = nulls_[r * stride + output];
    null = !first.valid(at_ + r);
    value = 0;
    if (null) continue;
    int64_t count = f.second >= 0 ? static_cast<const int64_t *>(first.data)[at_ + r] : 0;
    __int128 sum = f.second >= 0 && count > 0 ? wide(columns_[static_cast<size_t>(f.second)], at_ + r) : 0;
    switch (kind) {
      case SegmentOutput::Kind::count_rows:
      case SegmentOutput::Kind::count:
      case SegmentOutput::Kind::row: value = Int64GetDatum(static_cast<const int64_t *>(first.data)[at_ + r]); break;
      case SegmentOutput::Kind::sum: value = Int64GetDatum(narrow(wide(first, at_ + r))); break;
      case SegmentOutput::Kind::all_true:
      case SegmentOutput::Kind::any_true: value = BoolGetDatum(static_cast<const uint8_t *>(first.data)[at_ + r] != 0); break;
      case SegmentOutput::Kind::average:
        value = bridge::pg_call([&, small = narrow(sum)] { return small_average_state(count, small); });
        break;
      // Without a value there is no state at all.
      case SegmentOutput::Kind::wide_state:
      case SegmentOutput::Kind::decimal_state:
        null = count == 0;
        if (null) break;
        value = bridge::pg_call([&] { return kind == SegmentOutput::Kind::wide_state ? int8_state(count, sum) : numeric_state(count, sum, scale); });
        break;
      default: break;
    }
  }
}

void Answer::decode_time(size_t output, size_t n, CellKind kind) {
  const duck::Column &from = columns_[static_cast<size_t>(fields_->fields()[output].first)];
  bridge::pg_call([&] { decode_column(from, at_, n, kind, 0, 0, values_.data() + output, nulls_.get() + output, question_.outputs.size()); });
}

void Answer::decode(size_t output, size_t n) {
  switch (question_.outputs[output].kind) {
    case SegmentOutput::Kind::attribute:
    case SegmentOutput::Kind::least:
    case SegmentOutput::Kind::greatest: return decode_attribute(output, n);
    case SegmentOutput::Kind::truncated: return decode_time(output, n, CellKind::timestamp);
    case SegmentOutput::Kind::day: return decode_time(output, n, CellKind::date);
    default: return decode_aggregate(output, n);
  }
}

/// The next block of rows; false at the end.
bool Answer::next_block() {
  row_ = rows_ = 0;
  while (at_ >= chunk_rows_) {
    if (!stream_ && !next_part()) return false;
    duckdb_data_chunk chunk = stream_->next();
    if (!chunk && !next_part()) return false;
    if (!chunk) continue;
    chunk_rows_ = duck::api().data_chunk_get_size(chunk);
    at_ = 0;
    columns_.clear();
    for (idx_t c = 0; c < duck::api().data_chunk_get_column_count(chunk); c++) columns_.push_back(duck::column_of(chunk, c));
  }
  size_t n = std::min<size_t>(kBlockRows, chunk_rows_ - at_);
  MemoryContextReset(row_context_);
  MemoryContext before = MemoryContextSwitchTo(row_context_);
  for (size_t o = 0; o < question_.outputs.size(); o++) decode(o, n);
  MemoryContextSwitchTo(before);
  at_ += n;
  rows_ = n;
  return true;
}

bool Answer::next(TupleTableSlot *slot) {
  ExecClearTuple(slot);
  if (!opened_) open();
  if (by_key_) return by_key_->next(slot, context_);
  if (ended_ || (row_ == rows_ && !next_block())) {
    ended_ = true;
    return false;
  }
  const size_t width = places_.size();
  const Datum *values = values_.data() + row_ * width;
  const bool *nulls = nulls_.get() + row_ * width;
  row_++;
  if (width < static_cast<size_t>(slot->tts_tupleDescriptor->natts)) memset(slot->tts_isnull, true, static_cast<size_t>(slot->tts_tupleDescriptor->natts));
  for (size_t i = 0; i < width; i++) {
    const auto place = static_cast<size_t>(places_[i]);
    if (places_[i] == kRowNumber) {
      slot->tts_tid = stub_tid(static_cast<uint64_t>(DatumGetInt64(values[i])) + 1);
      continue;
    }
    slot->tts_values[place] = values[i];
    slot->tts_isnull[place] = nulls[i];
  }
  ExecStoreVirtualTuple(slot);
  return true;
}

}  // namespace

std::unique_ptr<ColdScan> ask_segment(SegmentQuestion question) { return std::make_unique<Answer>(std::move(question)); }

std::unique_ptr<ColdScan> read_segment(const std::string &segment, Oid relid, int64_t first) {
  SegmentQuestion all;
  all.segment = segment;
  all.relid = relid;
  Relation rel = bridge::pg_call([&] { return table_open(relid, AccessShareLock); });
  for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++) {
    if (TupleDescAttr(RelationGetDescr(rel), i)->attisdropped) continue;
    all.outputs.push_back({SegmentOutput::Kind::attribute, i + 1, std::nullopt});
    all.places.push_back(i);
  }
  bridge::pg_call([&] { table_close(rel, NoLock); });
  all.few = first > 0;
  if (all.few)
    all.next_part = [at = first, rows = facts_of(segment).segment.rows](int64_t *begin, int64_t *end) mutable {
      *begin = at;
      *end = at = (at / kPieceRows + 1) * kPieceRows;
      return *begin < rows;
    };
  return ask_segment(std::move(all));
}

bool states_are_known() {
  static int known = -1;
  if (known >= 0) return known;
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query(
      "SELECT to_regprocedure('vectorshard.state" + std::to_string(PG_VERSION_NUM / 10000) + "_numeric_avg_accum(numeric)') IS NOT NULL", {}, true);
  known = 0;
  if (rows.empty() || rows.at(0, 0) != "t") return false;
  std::string name = "vectorshard.state" + std::to_string(PG_VERSION_NUM / 10000);
  // A sum beyond int8 that ends in no group of zeros: those are kept there, and mean nothing.
  rows = spi.query("SELECT encode(" + name + "_numeric_avg_accum(n), 'hex'), encode(" + name + "_int8_avg_accum(i), 'hex') "
                   "FROM (VALUES (-1000000.50, 9000000000000000000), (3.25, 7345678901234567891), (NULL, NULL)) v(n, i)", {}, true);
  auto hex = [](Datum state) {
    std::string out;
    auto *bytes = reinterpret_cast<bytea *>(DatumGetPointer(state));
    static constexpr char kHex[] = "0123456789abcdef";
    for (size_t i = 0; i < VARSIZE(bytes) - VARHDRSZ; i++) {
      auto b = static_cast<unsigned char>(VARDATA(bytes)[i]);
      out += {kHex[b >> 4], kHex[b & 15]};
    }
    return out;
  };
  std::string numeric = hex(bridge::pg_call([] { return numeric_state(2, -99999725, 2); }));
  std::string int8 = hex(bridge::pg_call([] { return int8_state(2, static_cast<__int128>(9000000000000000000) + 7345678901234567891); }));
  known = rows.at(0, 0) == numeric && rows.at(0, 1) == int8;
  return known;
}

}  // namespace vectorshard::tier
