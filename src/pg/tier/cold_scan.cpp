// Scans of rows that lie in segments: of cold clients, and of moved partitions. One segment is open at a time; rows come
// as the relation's columns are now, whatever they were when the segment was written.
#include "core/tier/types.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/cold_scan.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "access/table.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

/// A segment to read: with `clients`, their rows alone.
struct Part {
  Segment segment;
  std::vector<std::string> clients;
};

class Scan : public ColdScan {
 public:
  Scan(Oid relid, std::string client_column, std::vector<Part> parts);
  ~Scan() override;
  bool next(TupleTableSlot *slot) override;
  int segments_read() const override { return static_cast<int>(at_); }

 private:
  void open();
  bool next_block();
  void map_slot(TupleDesc slot);

  std::string client_column_;
  std::vector<Part> parts_;
  size_t at_ = 0;  // segments opened so far
  MemoryContext context_ = nullptr, row_context_ = nullptr;
  TupleDesc desc_ = nullptr;  // of the relation
  std::unique_ptr<RowMapper> mapper_;
  std::unique_ptr<SegmentReader> reader_;
  TupleDesc slot_desc_ = nullptr;
  std::vector<int> slot_from_;  // slot attribute -> attribute of the relation, -1: none
  std::vector<Datum> values_;  // of a block of rows
  std::unique_ptr<bool[]> nulls_;
  size_t row_ = 0, rows_ = 0;
};

Scan::Scan(Oid relid, std::string client_column, std::vector<Part> parts)
    : client_column_(std::move(client_column)), parts_(std::move(parts)) {
  bridge::pg_call([&] {
    context_ = AllocSetContextCreate(CurrentMemoryContext, "vectorshard cold scan", ALLOCSET_DEFAULT_SIZES);
    row_context_ = AllocSetContextCreate(context_, "vectorshard cold row", ALLOCSET_DEFAULT_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context_);
    Relation rel = table_open(relid, AccessShareLock);
    desc_ = CreateTupleDescCopyConstr(RelationGetDescr(rel));
    table_close(rel, NoLock);
    MemoryContextSwitchTo(before);
  });
  values_.resize(static_cast<size_t>(desc_->natts) * SegmentReader::kBlockRows);
  nulls_.reset(new bool[values_.size() + 1]);
}

Scan::~Scan() {
  reader_.reset();
  MemoryContextDelete(context_);
}

void Scan::open() {
  Part &part = parts_[at_++];
  std::unique_ptr<store::Store> store = open_store(part.segment.store);
  std::string path = readable_path(*store, part.segment.key, part.segment.sha256, part.segment.bytes);
  MemoryContext before = MemoryContextSwitchTo(context_);
  mapper_ = std::make_unique<RowMapper>(part.segment.columns, desc_);
  MemoryContextSwitchTo(before);
  ReadFilter filter;
  if (!part.clients.empty()) filter.client_column = client_column_;
  filter.clients = part.clients;
  filter.wanted = mapper_->used();
  reader_ = std::make_unique<SegmentReader>(path, part.segment.columns, std::move(filter));
}

/// The slot may be that of a foreign child, whose columns are numbered differently.
void Scan::map_slot(TupleDesc slot) {
  if (slot == slot_desc_) return;
  slot_desc_ = slot;
  slot_from_.assign(static_cast<size_t>(slot->natts), -1);
  for (int i = 0; i < slot->natts; i++)
    for (int j = 0; j < desc_->natts && !TupleDescAttr(slot, i)->attisdropped; j++)
      if (!TupleDescAttr(desc_, j)->attisdropped &&
          strcmp(NameStr(TupleDescAttr(slot, i)->attname), NameStr(TupleDescAttr(desc_, j)->attname)) == 0)
        slot_from_[static_cast<size_t>(i)] = j;
}

/// The next block of rows as values; false at the end.
bool Scan::next_block() {
  row_ = rows_ = 0;
  while (rows_ == 0) {
    if (!reader_ && at_ == parts_.size()) return false;
    if (!reader_) open();
    rows_ = reader_->next();
    if (rows_ == 0) reader_.reset();
  }
  MemoryContextReset(row_context_);
  MemoryContext before = MemoryContextSwitchTo(row_context_);
  mapper_->fill(reader_->cells(), rows_, values_.data(), nulls_.get());
  MemoryContextSwitchTo(before);
  return true;
}

bool Scan::next(TupleTableSlot *slot) {
  bridge::pg_call([&] { ExecClearTuple(slot); });
  if (row_ == rows_ && !next_block()) return false;
  map_slot(slot->tts_tupleDescriptor);
  const size_t row = row_++ * static_cast<size_t>(desc_->natts);
  for (size_t i = 0; i < slot_from_.size(); i++) {
    int from = slot_from_[i];
    slot->tts_isnull[i] = from < 0 || nulls_[row + static_cast<size_t>(from)];
    slot->tts_values[i] = slot->tts_isnull[i] ? static_cast<Datum>(0) : values_[row + static_cast<size_t>(from)];
  }
  bridge::pg_call([&] { ExecStoreVirtualTuple(slot); });
  return true;
}

}  // namespace

std::unique_ptr<ColdScan> scan_cold_clients(Oid relid, const std::vector<std::string> *clients, Snapshot snapshot) {
  const bridge::EnrolledTable *table = bridge::enrolled_table(relid);
  if (!table || table->reference) return std::make_unique<Scan>(relid, "", std::vector<Part>{});
  std::string name = table->name, client_column = table->client_column;
  std::vector<Part> parts;
  {
    ActiveSnapshotScope active(snapshot);
    for (ColdSegment &s : cold_segments(name, clients)) {
      Part p{std::move(s.segment), {}};
      if (!s.whole() || clients)
        for (const ColdShare &c : s.clients) p.clients.push_back(c.client);
      parts.push_back(std::move(p));
    }
  }
  return std::make_unique<Scan>(relid, client_column, std::move(parts));
}

std::unique_ptr<ColdScan> scan_segment(const std::string &name, Oid relid) {
  Snapshot catalog = bridge::pg_call([] {
    InvalidateCatalogSnapshot();
    return GetCatalogSnapshot(InvalidOid);
  });
  ActiveSnapshotScope now(catalog);
  std::vector<Part> parts{{find_segment(name), {}}};
  return std::make_unique<Scan>(relid, "", std::move(parts));
}

}  // namespace vectorshard::tier
