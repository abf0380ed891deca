// The boot record: which database of this server is the fabric member, and which node it is. A small file in the
// data directory, because the launcher must know the database before it can read any table. It never holds anything
// that the tables do not: a lost record means that the workers do not start, not that rows are lost.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "pg/fabric/api.hpp"

namespace vectorshard::fabric {

struct BootRecord {
  uint32_t database = 0;    // Oid
  uint32_t extension = 0;   // Oid: an extension made anew in that database is another node
  NodeId node = kNoNode;    // 0: a uuid was chosen, the node is not (yet) a member
  std::string uuid;         // what a node number is bound to at the registrar
  int64_t incarnation = 0;  // a version; grows when the node comes back from the past
  Doubt doubt = Doubt::none;  // why a new incarnation is needed
  std::string files;        // facts_now() at the last start: what a copy of the directory has otherwise
  uint32_t timeline = 0;
  ship::StartChain starts;  // of this incarnation, the present one last
};

/// Fills in which files and which timeline these are. Not in recovery, not in the postmaster. Error: io.
Result<void> take_facts(BootRecord &record);
/// A start of now, with a token of its own, whose WAL ended at `position`.
ship::Start new_start(ship::Lsn position);

/// Reads `vectorshard/boot`; nothing if there is no such file. Error: corrupt, io.
Result<std::optional<BootRecord>> read_boot_record();

/// Replaces the file by rename; file and directory are fsynced before it returns.
Result<void> write_boot_record(const BootRecord &record);

/// Puts the record into shared memory: from now on this server knows who it is. It is certain of it if the record is
/// without doubt and `examined`.
void adopt(const BootRecord &record, bool examined = true) noexcept;

/// Writes the record when this transaction commits and adopts it then; an abort leaves file and memory as they were.
void adopt_at_commit(const BootRecord &record);

/// When this transaction commits, this database is no node any more if `extension` (Oid), which it drops, made it one: its
/// workers end, and the shipper takes the slot with it. The record stays without a number.
void forget_at_commit(uint32_t extension);

/// Moves the catalog epoch on and wakes the workers when this transaction commits.
void bump_epoch_at_commit();

}  // namespace vectorshard::fabric
