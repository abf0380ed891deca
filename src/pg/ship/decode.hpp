// Messages of the slot as changes: which table, which client, which version, which values. Needs an open transaction for
// the catalogs; looks at no user table but to fill an unchanged TOAST value.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/ship/pgoutput.hpp"
#include "core/ship/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::ship {

using Values = std::vector<std::optional<std::string>>;

/// One changed row, before it is known where it goes.
struct DecodedChange {
  std::shared_ptr<const Table> table;
  std::vector<TupleValue> decoded;  // until encode(): the values, within the run of messages
  bool superseded = false;          // a later change of the run has the same row
  std::shared_ptr<const std::string> encoded;  // the values as they travel
  std::vector<size_t> missing;     // values that were not decoded (unchanged TOAST)
  std::shared_ptr<Values> values;  // only where some are missing
  bool copy_under_way = false;     // a row of `holder` that says copying
  Oid relid = InvalidOid;
  Version version = 0;
  ClientName client;  // empty: every node holds the row
  Lsn transaction = 0;
  int64_t commit_time = 0;
  uint64_t oversized_bytes = 0;  // not 0: the row is too large to travel, and its large values are not here
};

/// What a run of messages holds: a large transaction begins in one run and ends in a later one. Transactions without rows
/// for us are left out of `changes`.
struct Decoded {
  std::vector<DecodedChange> changes;
  std::unordered_map<std::string, size_t> updated;  // by relation and key: the last change of `changes` that updates the row
  std::vector<BeginMessage> begun;  // ascending
  std::vector<Lsn> ended;  // starts of their commit records
};

/// The transactions whose begin is among the messages of a run (spool.hpp).
std::vector<TransactionId> begun_transactions(std::string_view run);

class Decoder {
 public:
  /// Adds what one message says. Raises Errc::corrupt for bytes it does not understand.
  void take(std::string_view message, Decoded &out);
  /// After the last message of a run and before its memory is given up: encodes the changes. A row that was updated again
  /// within the run is left out, unless `all`: a row's later state holds everything that an earlier one held.
  static void encode(Decoded &out, bool all);

 private:
  struct Relation {
    std::shared_ptr<const Table> table;  // null: not enrolled (any more)
    std::vector<Oid> types;
    size_t version_column = 0;
    std::vector<size_t> key;  // of a user's table: where its primary key is
    std::optional<size_t> client_column;
    std::optional<size_t> state_column;  // of vectorshard.holder
  };
  void take_relation(const RelationMessage &message);
  void take_row(RowMessage &message, Decoded &out);

  std::unordered_map<uint32_t, Relation> relations_;
  BeginMessage begin_;
  uint64_t oversized_bytes_ = 0;  // of the next row
};

enum class Filled {
  filled,
  gone,     // no such row: it was deleted, or its client has left, and then the home has it
  altered,  // the table has other columns than the change, so its key says nothing any more
};
/// The current local row with the key of `change`, under a fresh snapshot. Replaces values and version: a change goes out as
/// the newest state of its row. Of a row that is too large to travel it sets oversized_bytes alone.
Filled fill_from_row(DecodedChange &change);

}  // namespace vectorshard::ship
