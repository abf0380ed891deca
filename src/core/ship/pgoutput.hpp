// Messages of PostgreSQL's logical decoding plugin `pgoutput`, protocol version 1, binary. Views point into the
// message's bytes and live as long as they do. Damaged bytes give an Error; nothing is guessed.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.hpp"

namespace vectorshard::ship {

using Lsn = uint64_t;

struct BeginMessage {
  Lsn commit_lsn = 0;       // start of the commit record
  int64_t commit_time = 0;  // PostgreSQL timestamp, microseconds since 2000-01-01
  uint32_t xid = 0;
};

struct CommitMessage {
  Lsn commit_lsn = 0;
  Lsn end_lsn = 0;  // confirming up to here means this transaction is never decoded again
  int64_t commit_time = 0;
};

struct RelationColumn {
  std::string_view name;
  uint32_t type = 0;
  int32_t typmod = -1;
};

struct RelationMessage {
  uint32_t id = 0;
  std::string_view schema;  // empty: pg_catalog
  std::string_view name;
  std::vector<RelationColumn> columns;
};

struct TupleValue {
  enum Kind : char { null = 'n', unchanged_toast = 'u', text = 't', binary = 'b' };
  Kind kind = null;
  std::string_view bytes;  // only of text and binary
};

/// INSERT or UPDATE: the new row. (Old rows of an UPDATE are read over: a changed key leaves a tombstone of its own.)
struct RowMessage {
  uint32_t relation = 0;
  bool update = false;
  std::vector<TupleValue> values;
};

/// Not of the plugin: the slot puts it before a row whose largest values it left out (as NULL) because the row is too
/// large to travel.
struct OversizedMessage {
  uint64_t bytes = 0;  // of the row
};

/// What carries nothing for us: type, origin, delete, truncate, logical messages.
struct OtherMessage {
  char type = 0;
};

using Message = std::variant<BeginMessage, CommitMessage, RelationMessage, RowMessage, OversizedMessage, OtherMessage>;

Result<Message> decode_message(std::string_view bytes);
std::string encode(const OversizedMessage &message);

}  // namespace vectorshard::ship
