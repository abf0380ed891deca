// Rows of stubs: see stub_rows.hpp.
#include "pg/tier/stub_rows.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/tier/segment_query.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/stub_am.hpp"
extern "C" {
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

bridge::FabricIndex partitions{"cold_partition", "cold_partition_pkey"};

// So many rows are read faster than a segment is asked anew.
constexpr uint64_t kReadOn = 20000;

/// Positions of this process: a row that is asked for by its TID is mostly the one that a scan stands at.
std::vector<StubRows *> &open_rows() {
  static std::vector<StubRows *> rows;
  return rows;
}

/// For rows that no scan stands at: in rising order they cost one pass at most.
struct Fetcher {
  Oid relid = InvalidOid;
  int natts = 0;
  StubRowsHolder *holder = nullptr;  // in TopTransactionContext
  LocalTransactionId transaction = InvalidLocalTransactionId;
};
Fetcher fetcher;

StubRows &fetcher_of(Relation rel) {
  bool same = fetcher.transaction == MyProc->lxid && fetcher.relid == RelationGetRelid(rel) &&
              fetcher.natts == RelationGetNumberOfAttributes(rel) && fetcher.holder->rows;
  if (!same) {
    if (fetcher.transaction == MyProc->lxid) release_stub_rows(fetcher.holder);
    fetcher.transaction = InvalidLocalTransactionId;
    fetcher.holder = bridge::pg_call([] {
      return static_cast<StubRowsHolder *>(MemoryContextAllocZero(TopTransactionContext, sizeof(StubRowsHolder)));
    });
    hold_stub_rows(fetcher.holder, rel, TopTransactionContext);
    fetcher.relid = RelationGetRelid(rel);
    fetcher.natts = RelationGetNumberOfAttributes(rel);
    fetcher.transaction = MyProc->lxid;
  }
  return *fetcher.holder->rows;
}

}  // namespace

std::optional<std::string> stub_segment(Oid relid) {
  Snapshot catalog = bridge::pg_call([] {
    InvalidateCatalogSnapshot();
    return GetCatalogSnapshot(InvalidOid);
  });
  ActiveSnapshotScope now(catalog);
  const char *found = bridge::pg_call([&] {
    const char *name = nullptr;
    ScanKeyData key[1];
    ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
    bridge::lookup(partitions, GetActiveSnapshot(), key, 1, [&](TupleTableSlot *slot) {
      bool null;
      name = TextDatumGetCString(slot_getattr(slot, 2, &null));
    });
    return name;
  });
  if (!found) return std::nullopt;
  return found;
}

std::string require_stub_segment(Oid relid) {
  auto segment = stub_segment(relid);
  if (segment) return *segment;
  const char *name = bridge::pg_call([&] { return get_rel_name(relid); });
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         std::string("no segment is known for table \"") + (name ? name : std::to_string(relid)) + "\"",
                         "Its access method is vectorshard_cold, and vectorshard.cold_partition does not name it.",
                         "Only vectorshard.move_to_cold() makes such tables; restore a dump with the library loaded or with pg_dump --no-table-access-method.");
}

std::unique_ptr<ColdScan> open_stub(Oid relid, uint64_t first) { return read_segment(require_stub_segment(relid), relid, static_cast<int64_t>(first) - 1); }

ItemPointerData stub_tid(uint64_t row) {
  ItemPointerData tid;
  ItemPointerSet(&tid, static_cast<BlockNumber>((row - 1) / kStubRowsPerBlock),
                 static_cast<OffsetNumber>((row - 1) % kStubRowsPerBlock + 1));
  return tid;
}

uint64_t stub_row(const ItemPointerData &tid) {
  uint64_t offset = ItemPointerGetOffsetNumberNoCheck(&tid);
  if (offset == 0 || offset > kStubRowsPerBlock) return 0;
  return static_cast<uint64_t>(ItemPointerGetBlockNumberNoCheck(&tid)) * kStubRowsPerBlock + offset;
}

// Below TopMemoryContext: what ends the rows (a context's callback) must find their memory, whatever order contexts go in.
StubRows::StubRows(Relation rel) : relid_(RelationGetRelid(rel)) {
  TupleDesc desc = RelationGetDescr(rel);
  bridge::pg_call([&] {
    context_ = AllocSetContextCreate(TopMemoryContext, "vectorshard stub rows", ALLOCSET_SMALL_SIZES);
    MemoryContext before = MemoryContextSwitchTo(context_);
    current_ = MakeTupleTableSlot(CreateTupleDescCopy(desc), &TTSOpsVirtual);
    MemoryContextSwitchTo(before);
  });
  open_rows().push_back(this);
}

StubRows::~StubRows() {
  std::erase(open_rows(), this);
  scan_.reset();
  MemoryContextDelete(context_);
}

void StubRows::seek(uint64_t number) {
  scan_.reset();
  at_ = number - 1;
  standing_ = ended_ = false;
}

bool StubRows::next() {
  MemoryContext before = MemoryContextSwitchTo(context_);
  if (!scan_) scan_ = open_stub(relid_, at_ + 1);
  bool any = scan_->next(current_);
  MemoryContextSwitchTo(before);
  ended_ = !any;
  standing_ = any;
  if (any) at_++;
  return any;
}

void StubRows::store(TupleTableSlot *slot) {
  int natts = current_->tts_tupleDescriptor->natts;
  ItemPointerData tid = stub_tid(at_);
  bridge::pg_call([&] {
    ExecClearTuple(slot);
    // ALTER TABLE reads with the columns that there were before it.
    if (slot->tts_tupleDescriptor->natts > natts)
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the columns of the partition changed while it was read")));
    const auto wanted = static_cast<size_t>(slot->tts_tupleDescriptor->natts);
    memcpy(slot->tts_values, current_->tts_values, sizeof(Datum) * wanted);
    memcpy(slot->tts_isnull, current_->tts_isnull, sizeof(bool) * wanted);
    ExecStoreVirtualTuple(slot);
    slot->tts_tid = tid;
    slot->tts_tableOid = relid_;
  });
}

bool StubRows::row(uint64_t number, TupleTableSlot *slot) {
  if (number == 0 || (ended_ && number > at_)) return false;
  if (number < at_ || (number == at_ && !standing_) || number > at_ + kReadOn) seek(number);
  while (at_ < number)
    if (!next()) return false;
  store(slot);
  return true;
}

bool StubRows::fetch(Relation rel, const ItemPointerData &tid, TupleTableSlot *slot) {
  uint64_t number = stub_row(tid);
  StubRows *from = nullptr;
  for (StubRows *rows : open_rows())
    if (rows->relid_ == RelationGetRelid(rel) && rows->standing_ && rows->at_ == number) from = rows;
  if (!from) from = &fetcher_of(rel);
  if (!from->row(number, slot)) return false;
  bridge::pg_call([&] { ExecMaterializeSlot(slot); });
  return true;
}

bool StubRows::promise(Relation rel, const ItemPointerData &tid, TupleTableSlot *slot) {
  if (slot->tts_ops != stub_slot_callbacks()) return fetch(rel, tid, slot);
  uint64_t number = stub_row(tid);
  if (number == 0 || static_cast<int64_t>(number) > facts_of(require_stub_segment(RelationGetRelid(rel))).segment.rows) return false;
  ItemPointerData of = tid;  // may be the slot's own
  bridge::pg_call([&] {
    ExecClearTuple(slot);
    slot->tts_flags &= static_cast<uint16>(~TTS_FLAG_EMPTY);
    slot->tts_nvalid = 0;
    slot->tts_tid = of;
    slot->tts_tableOid = RelationGetRelid(rel);
  });
  return true;
}

void hold_stub_rows(StubRowsHolder *holder, Relation rel, MemoryContext context) {
  holder->rows = new StubRows(rel);
  holder->callback.func = [](void *arg) { release_stub_rows(static_cast<StubRowsHolder *>(arg)); };
  holder->callback.arg = holder;
  MemoryContextRegisterResetCallback(context, &holder->callback);
}

void release_stub_rows(StubRowsHolder *holder) {
  delete holder->rows;
  holder->rows = nullptr;
}

}  // namespace vectorshard::tier
