// Decoding in process: see slot.hpp. The callbacks run with a historic snapshot: they only copy bytes, never query.
#include "pg/ship/slot.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/xlog.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "nodes/makefuncs.h"
#include "replication/decode.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kPublication = "vectorshard";

/// Drops what apply, eviction and tiering wrote: record by record, since one transaction may hold both kinds.
bool learned_elsewhere(LogicalDecodingContext *, RepOriginId origin) { return origin == DoNotReplicateId; }

XLogReaderRoutine local_wal() {
  XLogReaderRoutine r;
  r.page_read = read_local_xlog_page;
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
  bridge::entry([&] {
    auto *self = static_cast<Slot *>(ctx->output_writer_private);
    self->messages_.emplace_back(ctx->out->data, static_cast<size_t>(ctx->out->len));
    self->bytes_ += static_cast<size_t>(ctx->out->len);
  });
}

void Slot::make(const char *name) {
  bridge::pg_call([&] {
    CheckLogicalDecodingRequirements();
    // Ephemeral until it can decode: if anything fails here it goes away with this process or the next error.
    ReplicationSlotCreate(name, true, RS_EPHEMERAL, false);
    XLogReaderRoutine routine = local_wal();
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
    XLogReaderRoutine routine = local_wal();
    context_ = CreateDecodingContext(InvalidXLogRecPtr, plugin_options(), false, &routine, prepare_write, write, nullptr);
    context_->output_writer_private = this;
    context_->callbacks.filter_by_origin_cb = learned_elsewhere;
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

size_t Slot::unread_bytes() const {
  Lsn flushed = GetFlushRecPtr(nullptr);
  return flushed > read_to_ ? flushed - read_to_ : 0;
}

void Slot::read(size_t max_bytes) {
  bytes_ = 0;
  MemoryContext before = MemoryContextSwitchTo(memory_);
  bridge::pg_call([&] {
    ResourceOwner owner = CurrentResourceOwner;
    XLogRecPtr flushed = GetFlushRecPtr(nullptr);
    while (read_to_ < flushed && bytes_ < max_bytes) {
      char *why = nullptr;
      XLogRecord *record = XLogReadRecord(context_->reader, &why);
      if (why) elog(ERROR, "could not read WAL for decoding: %s", why);
      if (!record) break;
      LogicalDecodingProcessRecord(context_, context_->reader);
      read_to_ = context_->reader->EndRecPtr;
      CHECK_FOR_INTERRUPTS();
    }
    CurrentResourceOwner = owner;
  });
  MemoryContextSwitchTo(before);
}

void Slot::confirm(Lsn lsn) {
  if (lsn <= confirmed_) return;
  bridge::pg_call([&] { LogicalConfirmReceivedLocation(lsn); });
  confirmed_ = lsn;
}

}  // namespace vectorshard::ship
