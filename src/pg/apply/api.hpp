// What other stages may ask of apply: residency, the version clock, merging batches, removing a client's rows.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/ship/types.hpp"
#include "pg/bridge/key_range.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "commands/trigger.h"
#include "utils/snapshot.h"
}

namespace vectorshard::apply {

/// What this node holds of a client.
struct Residency {
  bool resident = false;
  bool leaving = false;
  bool own = false;  // the current transaction has written the row
  bool ending = false;  // some transaction has changed or deleted the row, or locks it
  TransactionId since = InvalidTransactionId;  // who wrote the row; FrozenTransactionId: all see it
  Generation generation = 0;
};

/// Residency of `client` as `snapshot` sees it: an index look-up in `resident` without SPI (about 1 us).
Residency residency_under(Snapshot snapshot, std::string_view client);
/// As above under a fresh snapshot.
Residency residency_now(std::string_view client);
/// residency_under().resident, mostly from what this session has seen before (resident_seen.cpp).
bool resident_under(Snapshot snapshot, std::string_view client);
/// The same of now, for what is looked at again under the query's snapshot.
bool resident_now(std::string_view client);

/// The next version of this node (persisted high-water mark; larger than `replaced`). Raises when the node is not in
/// a fabric, or its clock is refused (max_clock_skew_ms against its peers).
Version stamp(Version replaced = 0);
/// Moves the clock past a version seen. Raises Errc::clock_skew if it is more than max_clock_skew_ms ahead.
void observe(Version seen);
/// As observe, but a version from the future is left alone: what a peer's clock says must not stop anybody.
void observe_peer(Version seen);
/// This node's clock as peers are told it: the larger of wall clock and high-water mark. Takes nothing.
Version clock_now();

/// Milliseconds since 1970 by the wall clock that versions are made of: the machine's, but a jump of more than
/// max_clock_skew_ms is not followed.
int64_t wall_unix_ms();
/// True while the machine's clock is that far from the one believed.
bool wall_doubted();
/// Follows the machine's clock wherever it is now: the peers found the believed one wrong, or there are none.
void believe_wall();
/// The peers agree with the clock that is believed: a start of this server begins with it. Seldom writes.
void keep_wall();
/// Registers what apply keeps in shared memory. Called once, while the library is loaded.
void init();

/// Merges a batch in the current transaction. For BatchKind::copy the caller makes the `resident` row in the same
/// transaction, before this. Rows of clients that are not resident here are refused, not merged (see Reply).
/// As the home of a client: changes whose shipped_to misses a holder, and what a sync taught, become debt.
/// Crash: all or nothing with the transaction. Concurrent writers: decided by version, tombstones re-checked.
ship::Reply merge(const ship::Batch &batch);

/// Removes all rows of `client` from the heap of every vector-shard table, without tombstones and without being
/// decoded (changingPart, DoNotReplicateId), and deletes its `resident` row, in the current transaction. The caller
/// has made it leave and settle first.
void remove_rows(std::string_view client);

/// Marks the client leaving and commits that (own transaction; call outside one), bumps the eviction epoch, and waits
/// until every transaction that might still write it here has ended. False after timeout_ms: the mark is taken back.
bool make_leave(std::string_view client, int timeout_ms);
/// Takes the leaving mark back (own transaction; call outside one).
void cancel_leave(std::string_view client);

/// A digest over version and content of all rows and tombstones of a client held here, under the active snapshot. Equal
/// digests on two nodes: they hold the same. Bounded memory.
std::string client_digest(std::string_view client);

/// "rows digest" of the rows of `table` within a range of its key: those of `client`, or all of a reference table (client
/// empty). No tombstones. Under the active snapshot, in bounded memory. Raises Errc::not_found if there is no such table.
std::string digest_between(const std::string &client, const std::string &table, const bridge::KeyRange &range);

/// Where a row goes that is inserted into a table of consistency home, or whose client this transaction has changed at its home. `here`: into the heap, where its client is born if need be; `by_executor`: the
/// executor has the router write it at the home; `done`: it is written there. `at_home`: this node is the home. Set by read.
struct Inserted {
  const TriggerData *trigger;
  std::string client;
  bool at_home;
};
enum class Routed { here, by_executor, done };
using InsertRouter = Routed (*)(const Inserted &);
void set_insert_router(InsertRouter router);
/// Tells whether this transaction has changed or locked the client, or any (null), at its home, so that it cannot become
/// resident here. Set by read.
void set_held_elsewhere(bool (*held)(const std::string *client));

/// Raises 40001 unless this node is the home of `client` and stays it until this transaction, which holds a lock on the table, has ended.
void require_home(std::string_view client);

/// A record in `conflict`: a dead letter or a beaten write.
void record_conflict(const std::string &kind, const std::string &table, const std::string &client,
                     const std::string &key, Version winner, Version loser, const std::string &reason,
                     std::string_view payload);

}  // namespace vectorshard::apply
