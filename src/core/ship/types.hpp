// The batch: what travels between nodes, for streaming, first copies, catch-up and repair alike.
// A batch only ever adds rows and tombstones; nothing in it removes by absence. Rows carry their version, so a batch
// may be delivered twice, late or out of order. docs/formats/wire.md describes the bytes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"

namespace vectorshard::ship {

enum class BatchKind : uint8_t {
  stream = 0,  // changes decoded from WAL, in commit order
  sync = 1,    // the full state of some clients, for a residency that exists (catch-up, repair)
  copy = 2,    // the full state of one client, into an empty residency
};

/// A column by name: peers may number columns differently.
struct Column {
  std::string name;
  std::string type;  // format_type() with modifiers, schema-qualified unless in pg_catalog
  bool operator==(const Column &) const = default;
};

/// A table of a batch: its name and the columns its rows carry, in the order of the rows.
struct Table {
  std::string name;  // "schema.table", each part quoted as quote_ident does
  std::vector<Column> columns;
  uint16_t version_column = 0;  // index into columns of _version
};

/// A holder the sender has shipped a client's changes to (for the home, which forwards to the rest).
struct HolderRef {
  NodeId node = kNoNode;
  Generation generation = 0;
  bool operator==(const HolderRef &) const = default;
};

/// A client of a batch. `as_home`: the sender takes the receiver for the home, which must forward.
struct BatchClient {
  ClientName name;  // empty: rows of reference tables, which every node holds
  bool as_home = false;
  std::vector<HolderRef> shipped_to;  // filled only where as_home
};

/// One row state. values[i] belongs to columns[i]; nullopt is NULL; bytes are the type's binary send format.
struct Row {
  uint16_t table = 0;   // index into Batch::tables
  uint32_t client = 0;  // index into Batch::clients
  Version version = 0;
  std::vector<std::optional<std::string>> values;
};

struct Batch {
  BatchKind kind = BatchKind::stream;
  NodeId from = kNoNode;
  int64_t from_incarnation = 0;
  Version clock = 0;  // the sender's clock when the batch was made: the receiver's clock moves past it
  uint64_t position = 0;  // where the sender's WAL ended then: by this a receiver notices one that was restored
  std::vector<Table> tables;
  std::vector<BatchClient> clients;
  std::vector<Row> rows;
};

/// Why the receiver did not take the rows of a client, or of one row.
enum class RefusalReason : uint8_t {
  copying = 0,   // the receiver is about to hold the client: try again
  gone = 1,      // the receiver does not hold the client, as of `generation` (its last one, 0 = never)
  schema = 2,    // the table's columns differ: paused until they match
  cold = 3,      // the receiver is the home and the client is in a store: being brought back
  no_table = 4,  // the receiver does not have the table (yet)
};

struct Refusal {
  ClientName client;
  std::string table;  // set for schema and no_table
  RefusalReason reason = RefusalReason::gone;
  Generation generation = 0;
};

/// The receiver's answer to a batch. Everything not refused is committed at the receiver when the sender reads this (rows
/// that failed alone are dead letters in the receiver's conflict table); durable there only when the receiver has said so.
struct Reply {
  Version clock = 0;  // the receiver's clock
  uint32_t applied = 0;
  uint32_t stale = 0;
  uint32_t dead_letters = 0;
  std::vector<Refusal> refusals;
};

std::string encode(const Batch &batch);
Result<Batch> decode_batch(std::string_view bytes);
std::string encode(const Reply &reply);
Result<Reply> decode_reply(std::string_view bytes);

}  // namespace vectorshard::ship
