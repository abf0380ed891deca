// Executor callbacks of a scan: see scan.hpp. Beginning costs nothing: most scans stand beside a heap that has it all.
#include "pg/read/scan.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/elsewhere.hpp"
#include "pg/read/options.hpp"
extern "C" {
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::read {

/// Made when the first row is wanted. It goes with the query's memory, after an error too.
ElsewhereScan *scan_of(ForeignScanState *node) {
  if (node->fdw_state) return static_cast<ElsewhereScan *>(node->fdw_state);
  auto *scan = new ElsewhereScan(node);
  bridge::pg_call([&] {
    auto *callback = static_cast<MemoryContextCallback *>(
        MemoryContextAlloc(node->ss.ps.state->es_query_cxt, sizeof(MemoryContextCallback)));
    callback->func = [](void *state) { delete static_cast<ElsewhereScan *>(state); };
    callback->arg = scan;
    node->fdw_state = scan;
    MemoryContextRegisterResetCallback(node->ss.ps.state->es_query_cxt, callback);
  });
  return scan;
}

namespace {

/// Privileges and row security stand on the table, which is how its child is read. By its own name it would show rows that they hide
/// to everybody who was granted "all tables of the schema".
void refuse_by_its_own_name(ForeignScanState *node) {
  Index relid = castNode(ForeignScan, node->ss.ps.plan)->scan.scanrelid;
  if (relid == 0) return;  // it aggregates, which is planned for the parent alone
  const RangeTblEntry *entry = exec_rt_fetch(relid, node->ss.ps.state);
  if (entry->requiredPerms == 0) return;  // expanded from its parent, which was checked
  bool may = bridge::pg_call([&] {
    return role_of(entry->relid) != Role::elsewhere || superuser_arg(OidIsValid(entry->checkAsUser) ? entry->checkAsUser : GetUserId());
  });
  if (may) return;
  bridge::raise_sqlstate(ERRCODE_INSUFFICIENT_PRIVILEGE,
                         std::string("permission denied for foreign table ") + bridge::pg_call([&] { return get_rel_name(entry->relid); }),
                         "It has the rows that its parent has elsewhere, without the parent's privileges and row security.",
                         "Use the table itself, which reads and writes them too.");
}

}  // namespace

void begin_scan(ForeignScanState *node, int) { refuse_by_its_own_name(node); }

TupleTableSlot *iterate_scan(ForeignScanState *node) {
  TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
  if (!scan_of(node)->next(slot)) return ExecClearTuple(slot);
  return slot;
}

void rescan(ForeignScanState *node) {
  if (node->fdw_state) static_cast<ElsewhereScan *>(node->fdw_state)->rewind();
}

void end_scan(ForeignScanState *node) {
  if (node->fdw_state) static_cast<ElsewhereScan *>(node->fdw_state)->rewind();
}

}  // namespace vectorshard::read
