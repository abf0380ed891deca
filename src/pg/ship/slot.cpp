// Decoding in process: see slot.hpp. The callbacks run with a historic snapshot: they only copy bytes, never query.
#include "pg/ship/slot.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/ship/values.hpp"
extern "C" {
#include "access/xlog.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "access/detoast.h"
#include "access/htup_details.h"
#include "nodes/makefuncs.h"
#include "replication/decode.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "storage/standby.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kPublication = "vectorshard";
constexpr size_t kBufferBytesKept = 1 << 20, kMeanwhileBytes = 1 << 20;
constexpr size_t kWalBytesAtOnce = 1 << 20;  // what was decoded goes out before more is read: WAL may be mostly images of pages
// The WAL that a slot may need to start again moves on with records of running transactions, which the server writes
// every 15 seconds: too seldom where much is written.
constexpr size_t kSnapshotBytes = 8 << 20;

/// Drops what apply, eviction and tiering wrote: record by record, since one transaction may hold both kinds.
bool learned_elsewhere(LogicalDecodingContext *, RepOriginId origin) { return origin == DoNotReplicateId; }

/// As read_local_xlog_page, but for waiting: what is not on disk yet is not there yet. WAL may be flushed up to the middle
/// of a record.
int read_flushed_page(XLogReaderState *reader, XLogRecPtr page, int needed, XLogRecPtr record, char *buffer) {
  if (page + static_cast<XLogRecPtr>(needed) > GetFlushRecPtr(nullptr)) return -1;
  return read_local_xlog_page(reader, page, needed, record, buffer);
}

XLogReaderRoutine local_wal(XLogPageReadCB page_read) {
  XLogReaderRoutine r;
  r.page_read = page_read;
  r.segment_open = wal_segment_open;
  r.segment_close = wal_segment_close;
  return r;
}

bool wal_is_gone(ReplicationSlot *slot) {
  SpinLockAcquire(&slot->mutex);
  bool gone = slot->data.invalidated_at != InvalidXLogRecPtr && slot->data.restart_lsn == InvalidXLogRecPtr;
  SpinLockRelease(&slot->mutex);
  return gone;
}

List *plugin_options() {
  auto option = [](const char *name, const char *value) {
    return makeDefElem(pstrdup(name), reinterpret_cast<Node *>(makeString(pstrdup(value))), -1);
  };
  return list_make3(option("proto_version", "1"), option("publication_names", kPublication), option("binary", "true"));
}

/// The values of a row that are left out, in the form that heap_modify_tuple takes.
struct LargeValues {
  size_t bytes;
  Datum *values;
  bool *nulls;
  bool *replace;
};

/// False if the row's values stored out of line have at most `limit` bytes together. Otherwise the largest of them are
/// named, so that the rest is small.
bool find_large_values(Relation relation, HeapTuple tuple, size_t limit, LargeValues *out) {
  TupleDesc desc = RelationGetDescr(relation);
  auto n = static_cast<size_t>(desc->natts);
  auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * n));
  auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * n));
  auto *replace = static_cast<bool *>(palloc0(sizeof(bool) * n));
  heap_deform_tuple(tuple, desc, values, nulls);
  size_t bytes = 0;
  for (size_t i = 0; i < n; i++) {
    if (nulls[i] || TupleDescAttr(desc, i)->attlen != -1) continue;
    auto *value = reinterpret_cast<struct varlena *>(DatumGetPointer(values[i]));
    if (!VARATT_IS_EXTERNAL(value) || VARATT_IS_EXTERNAL_ONDISK(value)) continue;
    bytes += toast_raw_datum_size(values[i]);
    replace[i] = true;
    nulls[i] = true;
  }
  if (bytes > limit) {
    *out = {bytes, values, nulls, replace};
    return true;
  }
  pfree(values);
  pfree(nulls);
  pfree(replace);
  return false;
}

std::string slot_name() { return "vectorshard_" + std::to_string(MyDatabaseId); }

}  // namespace

void Slot::drop() {
  const std::string of_database = slot_name();
  const char *name = of_database.c_str();
  bridge::pg_call([&] {
    if (SearchNamedReplicationSlot(name, true)) ReplicationSlotDrop(name, true);
  });
}

Slot::~Slot() {
  if (context_) FreeDecodingContext(context_);
  if (MyReplicationSlot) ReplicationSlotRelease();
  if (memory_) MemoryContextDelete(memory_);
}

void Slot::prepare_write(LogicalDecodingContext *ctx, XLogRecPtr, TransactionId, bool) { resetStringInfo(ctx->out); }

void Slot::write(LogicalDecodingContext *ctx, XLogRecPtr, TransactionId, bool) {
  bridge::entry([&] { static_cast<Slot *>(ctx->output_writer_private)->take_message(ctx->out); });
}

void Slot::take_message(StringInfo out) {
  auto size = static_cast<size_t>(out->len);
  if (oversized_ > 0 && (out->data[0] == 'I' || out->data[0] == 'U')) {
    messages_.push(encode(OversizedMessage{oversized_}));
    oversized_ = 0;
  }
  messages_.push({out->data, size});
  bytes_ += size;
  since_meanwhile_ += size;
  if (static_cast<size_t>(out->maxlen) > kBufferBytesKept) {  // it would never shrink
    MemoryContext of_buffer = GetMemoryChunkContext(out->data);
    pfree(out->data);
    bridge::pg_call([&] {
      MemoryContext before = MemoryContextSwitchTo(of_buffer);
      initStringInfo(out);
      MemoryContextSwitchTo(before);
    });
  }
  if (since_meanwhile_ < kMeanwhileBytes) return;
  since_meanwhile_ = 0;
  meanwhile_();
}

/// Runs for every decoded row, as a callback of the decoder: PostgreSQL code alone.
void Slot::change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation, ReorderBufferChange *change) {
  auto *self = static_cast<Slot *>(ctx->output_writer_private);
  ReorderBufferTupleBuf *buffer = change->data.tp.newtuple;
  LargeValues large;
  if (!buffer || !HeapTupleHasExternal(&buffer->tuple) ||
      !find_large_values(relation, &buffer->tuple, kRowBytesMax, &large))
    return self->plugin_change_(ctx, txn, relation, change);
  HeapTupleData whole = buffer->tuple;
  ReorderBufferTupleBuf *old = change->data.tp.oldtuple;
  buffer->tuple = *heap_modify_tuple(&whole, RelationGetDescr(relation), large.values, large.nulls, large.replace);
  change->data.tp.oldtuple = nullptr;
  self->oversized_ = large.bytes;
  self->plugin_change_(ctx, txn, relation, change);
  self->oversized_ = 0;
  buffer->tuple = whole;
  change->data.tp.oldtuple = old;
}

void Slot::make(const char *name) {
  bridge::pg_call([&] {
    CheckLogicalDecodingRequirements();
    // Ephemeral until it can decode: if anything fails here it goes away with this process or the next error.
    ReplicationSlotCreate(name, true, RS_EPHEMERAL, false);
    XLogReaderRoutine routine = local_wal(read_local_xlog_page);
    LogicalDecodingContext *ctx =
        CreateInitDecodingContext("pgoutput", NIL, false, InvalidXLogRecPtr, &routine, nullptr, nullptr, nullptr);
    DecodingContextFindStartpoint(ctx);
    FreeDecodingContext(ctx);
    ReplicationSlotPersist();
    ReplicationSlotRelease();
  });
}

void Slot::start_decoding() {
  bridge::pg_call([&] {
    XLogReaderRoutine routine = local_wal(read_flushed_page);
    context_ = CreateDecodingContext(InvalidXLogRecPtr, plugin_options(), false, &routine, prepare_write, write, nullptr);
    context_->output_writer_private = this;
    context_->callbacks.filter_by_origin_cb = learned_elsewhere;
    plugin_change_ = std::exchange(context_->callbacks.change_cb, change);
    XLogBeginRead(context_->reader, MyReplicationSlot->data.restart_lsn);
    InvalidateSystemCaches();
    confirmed_ = read_to_ = MyReplicationSlot->data.confirmed_flush;
  });
}

void Slot::open(const std::function<void()> &before_making) {
  const std::string of_database = slot_name();
  const char *name = of_database.c_str();
  memory_ = AllocSetContextCreate(TopMemoryContext, "vectorshard slot", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(memory_);
  ReplicationSlot *there = bridge::pg_call([&] { return SearchNamedReplicationSlot(name, true); });
  bool gone = there && wal_is_gone(there);
  if (gone) bridge::pg_call([&] { ReplicationSlotDrop(name, false); });
  if (!there || gone) {
    MemoryContextSwitchTo(before);
    before_making();
    MemoryContextSwitchTo(memory_);
    make(name);
  }
  bridge::pg_call([&] { ReplicationSlotAcquire(name, false); });
  start_decoding();
  MemoryContextSwitchTo(before);
}

size_t Slot::bytes_since(Lsn lsn) {
  Lsn flushed = GetFlushRecPtr(nullptr);
  return flushed > lsn ? flushed - lsn : 0;
}

size_t Slot::unread_bytes() const { return bytes_since(read_to_); }

bool Slot::more() const { return GetFlushRecPtr(nullptr) > std::max(read_to_, incomplete_at_); }

void Slot::read(size_t max_bytes) {
  bytes_ = 0;
  Lsn end = read_to_ + kWalBytesAtOnce;
  MemoryContext before = MemoryContextSwitchTo(memory_);
  bridge::pg_call([&] {
    ResourceOwner owner = CurrentResourceOwner;
    XLogRecPtr flushed = GetFlushRecPtr(nullptr);
    while (read_to_ < flushed && read_to_ < end && bytes_ < max_bytes) {
      char *why = nullptr;
      XLogRecord *record = XLogReadRecord(context_->reader, &why);
      if (why) elog(ERROR, "could not read WAL for decoding: %s", why);
      if (!record) {
        incomplete_at_ = flushed;
        break;
      }
      LogicalDecodingProcessRecord(context_, context_->reader);
      // Within a transaction each decoded one was a subtransaction, whose end leaves us in the transaction's own memory; there
      // the reader would put its buffer for a large record, and keep it beyond the transaction's end.
      MemoryContextSwitchTo(memory_);
      CurrentResourceOwner = owner;
      read_to_ = context_->reader->EndRecPtr;
      CHECK_FOR_INTERRUPTS();
    }
  });
  MemoryContextSwitchTo(before);
}

void Slot::confirm(Lsn lsn) {
  if (lsn > confirmed_) {
    bridge::pg_call([&] { LogicalConfirmReceivedLocation(lsn); });
    confirmed_ = lsn;
  }
  help_restart();
}

void Slot::help_restart() {
  Lsn restart = MyReplicationSlot->data.restart_lsn;  // only this process changes it
  if (confirmed_ < restart + 2 * kSnapshotBytes) return;
  Lsn now = GetXLogInsertRecPtr();
  if (now < snapshot_at_ + kSnapshotBytes) return;
  snapshot_at_ = now;
  bridge::pg_call([] { LogStandbySnapshot(); });
}

}  // namespace vectorshard::ship
