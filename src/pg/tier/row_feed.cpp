// Rows as cells: see row_feed.hpp.
#include "pg/tier/row_feed.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "access/table.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::tier {

namespace {

constexpr int64_t kBlockBytes = 1 << 20;  // a block ends early at this size

[[noreturn]] void raise_changed() {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "the table changed while it was written to a segment");
}

}  // namespace

RowFeed::RowFeed(const RowSource &source, const std::vector<ManifestColumn> &columns) : columns_(columns), cells_(columns.size() * kBlockRows) {
  context_ = bridge::pg_call([] { return AllocSetContextCreate(CurrentMemoryContext, "vectorshard segment rows", ALLOCSET_DEFAULT_SIZES); });
  if (source.sql.empty())
    open_heap(source.relid);
  else
    open_query(source);
  TupleDesc desc = heap_ ? RelationGetDescr(heap_) : portal_->tupDesc;
  if (!heap_ && static_cast<size_t>(desc->natts) != columns.size()) raise_changed();
  MemoryContext context = CurrentMemoryContext;
  for (size_t i = 0; i < columns.size(); i++) {
    attributes_.push_back(heap_ ? columns[i].attnum - 1 : static_cast<int>(i));
    Oid type = TupleDescAttr(desc, attributes_.back())->atttypid;
    StoredAs stored = stored_as(columns[i]);
    codecs_.push_back(bridge::pg_call([&] { return ColumnCodec::make(type, stored, context); }));
    needs_settings_ |= codecs_.back().needs_settings();
  }
}

void RowFeed::open_query(const RowSource &source) {
  bridge::Param clients = bridge::p_text_array(source.clients);
  const char *sql = source.sql.c_str();
  bool has_clients = !source.clients.empty();
  portal_ = bridge::pg_call([&] {
    Oid types[1] = {clients.type};
    Datum values[1] = {clients.value};
    Portal portal = SPI_cursor_open_with_args(nullptr, sql, has_clients ? 1 : 0, types, values, nullptr, true, 0);
    if (!portal) elog(ERROR, "could not open a cursor: %s", SPI_result_code_string(SPI_result));
    return portal;
  });
}

void RowFeed::open_heap(Oid relid) {
  bridge::pg_call([&] {
    heap_ = table_open(relid, AccessShareLock);
    snapshot_ = RegisterSnapshot(GetLatestSnapshot());
    scan_ = table_beginscan(heap_, snapshot_, 0, nullptr);
    slot_ = table_slot_create(heap_, nullptr);
  });
}

/// The bytes lie in the row, which is gone with the next one.
void RowFeed::keep(Cell *cell) {
  char *copy = static_cast<char *>(palloc(cell->bytes.size() + 1));
  memcpy(copy, cell->bytes.data(), cell->bytes.size());
  cell->bytes = {copy, cell->bytes.size()};
}

/// Inside pg_call. Gives the bytes of the row.
int64_t RowFeed::take(size_t row, const Datum *values, const bool *nulls) {
  Cell *out = cells_.data() + row * columns_.size();
  ColumnCodec *codecs = codecs_.data();
  int64_t bytes = 0;
  for (size_t c = 0; c < columns_.size(); c++) {
    int from = attributes_[c];
    out[c] = codecs[c].to_cell(values[from], nulls[from]);
    CellKind kind = columns_[c].kind;
    if (!is_string(kind) || out[c].null) continue;
    if (heap_ && (kind == CellKind::text || kind == CellKind::bytes)) keep(&out[c]);
    bytes += static_cast<int64_t>(out[c].bytes.size());
  }
  return bytes;
}

size_t RowFeed::fetch_heap() {
  return bridge::pg_call([&] {
    CHECK_FOR_INTERRUPTS();
    MemoryContextReset(context_);
    MemoryContext before = MemoryContextSwitchTo(context_);
    size_t rows = 0;
    // A scan that is asked again after its end would begin anew.
    while (rows < kBlockRows && bytes_ < kBlockBytes && !done_) {
      if (table_scan_getnextslot(scan_, ForwardScanDirection, slot_)) {
        slot_getallattrs(slot_);
        bytes_ += take(rows++, slot_->tts_values, slot_->tts_isnull);
      } else {
        done_ = true;
      }
    }
    MemoryContextSwitchTo(before);
    return rows;
  });
}

size_t RowFeed::fetch_query() {
  return bridge::pg_call([&] {
    CHECK_FOR_INTERRUPTS();
    MemoryContextReset(context_);
    if (batch_) SPI_freetuptable(batch_);
    SPI_cursor_fetch(portal_, true, static_cast<long>(kBlockRows));
    batch_ = SPI_tuptable;
    size_t rows = SPI_processed;
    TupleDesc desc = batch_->tupdesc;
    MemoryContext before = MemoryContextSwitchTo(context_);
    Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<size_t>(desc->natts + 1)));
    bool *nulls = static_cast<bool *>(palloc(static_cast<size_t>(desc->natts + 1)));
    for (size_t r = 0; r < rows; r++) {
      heap_deform_tuple(batch_->vals[r], desc, values, nulls);
      bytes_ += take(r, values, nulls);
    }
    MemoryContextSwitchTo(before);
    done_ = rows == 0;
    return rows;
  });
}

size_t RowFeed::next() {
  if (done_) return 0;
  StableConversion stable(needs_settings_);
  bytes_ = 0;
  return heap_ ? fetch_heap() : fetch_query();
}

void RowFeed::close() {
  bridge::pg_call([&] {
    if (portal_) SPI_cursor_close(portal_);
    if (!heap_) return;
    ExecDropSingleTupleTableSlot(slot_);
    table_endscan(scan_);
    UnregisterSnapshot(snapshot_);
    table_close(heap_, NoLock);
  });
}

}  // namespace vectorshard::tier
