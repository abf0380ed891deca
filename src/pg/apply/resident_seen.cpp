// What a session's reads have seen resident on this node, so that a statement need not look its client up each time (about 2 us). It
// answers yes or does not answer, and yes only where a look-up under the same snapshot would find the row of `resident`:
//
//   - the row's writer is older than everything that was running when the snapshot was taken, so that the snapshot sees it;
//   - when the row was looked at nobody had begun to delete it, and the eviction epoch has not moved since before that. Whoever
//     deletes it moves the epoch before the commit (leave.cpp, remove_rows.cpp), so no deletion was committed when the snapshot was
//     taken, which was before the epoch is compared.
//
// A standby replays deletions without moving the epoch: there every answer is looked up.
#include <unordered_map>

#include "pg/apply/resident_known.hpp"
#include "pg/bridge/shmem.hpp"
extern "C" {
#include "access/transam.h"
#include "access/xlog.h"
#include "utils/snapshot.h"
}

namespace vectorshard::apply {

namespace {

constexpr size_t kClientsMax = 20000;  // about 2 MB in each session that reads so many

std::unordered_map<ClientName, TransactionId, NameHash, std::equal_to<>> seen;  // with the writer of the row
Epochs seen_under;

bool remember(std::string_view client, const Residency &found) {
  if (found.resident && !found.leaving && !found.own && !found.ending && !RecoveryInProgress()) seen[ClientName(client)] = found.since;
  return found.resident;
}

/// Null: not known.
const TransactionId *writer_of(std::string_view client) {
  if (seen_under.renew() || seen.size() >= kClientsMax) seen.clear();
  auto it = seen.find(client);
  return it == seen.end() ? nullptr : &it->second;
}

}  // namespace

bool resident_under(Snapshot snapshot, std::string_view client) {
  const TransactionId *writer = writer_of(client);
  bool visible = writer && snapshot->snapshot_type == SNAPSHOT_MVCC && TransactionIdPrecedes(*writer, snapshot->xmin);
  return visible || remember(client, residency_under(snapshot, client));
}

bool resident_now(std::string_view client) { return writer_of(client) != nullptr || remember(client, residency_now(client)); }

}  // namespace vectorshard::apply
