// Positions in this server's WAL. Reads and flushes only.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
}

namespace vectorshard::bridge {

/// Where the WAL ends that was inserted so far. A position just behind a page's header is given as that page's start:
/// nothing was written behind the header, and XLogFlush raises for what is past the end. Never raises.
inline XLogRecPtr end_of_wal() noexcept {
  XLogRecPtr at = GetXLogInsertRecPtr();
  uint64 behind = at % XLOG_BLCKSZ;
  uint64 header = at % static_cast<uint64>(wal_segment_size) < XLOG_BLCKSZ ? SizeOfXLogLongPHD : SizeOfXLogShortPHD;
  return behind == header ? at - behind : at;
}

/// Everything that was inserted so far, by whomever, is on disk when this returns its end. PostgreSQL code: call it
/// through pg_call.
inline XLogRecPtr flush_wal() {
  XLogRecPtr end = end_of_wal();
  XLogFlush(end);
  return end;
}

}  // namespace vectorshard::bridge
