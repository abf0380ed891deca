// The hooks of read: see api.hpp. They must cost nothing where no other node was written and nothing is merged.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/api.hpp"
#include "pg/read/home_insert.hpp"
#include "pg/read/home_tables.hpp"
#include "pg/read/joins.hpp"
#include "pg/read/local_plan.hpp"
#include "pg/read/look_ahead.hpp"
#include "pg/read/partition_plan.hpp"
#include "pg/read/peer_rights.hpp"
#include "pg/read/session.hpp"
#include "pg/read/upper.hpp"
extern "C" {
#include "executor/executor.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
}

namespace vectorshard::read {

namespace {

ExecutorRun_hook_type previous = nullptr;
ExecutorFinish_hook_type previous_finish = nullptr;
post_parse_analyze_hook_type previous_analyze = nullptr;

void run(QueryDesc *query, ScanDirection direction, uint64 count, bool once) {
  with_rights_of(owner_for_peer(query), [&] {
    if (previous)
      previous(query, direction, count, once);
    else
      standard_ExecutorRun(query, direction, count, once);
  });
}

void finish_executor(QueryDesc *query) {
  with_rights_of(owner_for_peer(query), [&] {
    if (previous_finish)
      previous_finish(query);
    else
      standard_ExecutorFinish(query);
  });
}

/// The plan may be a kept one: what it says of parallelism is changed for this run alone. (Passing `once` as false does
/// not suffice: later minor versions of PostgreSQL 15 do not look at it.)
void run_executor(QueryDesc *query, ScanDirection direction, uint64 count, bool once) {
  PlannedStmt *plan = query->plannedstmt;
  if (!plan->parallelModeNeeded || !wrote_elsewhere()) return run(query, direction, count, once);
  plan->parallelModeNeeded = false;
  PG_TRY();
  { run(query, direction, count, once); }
  PG_FINALLY();
  { plan->parallelModeNeeded = true; }
  PG_END_TRY();
}

/// PostgreSQL refuses MERGE where a table has a foreign child; it does not say what to do instead.
void refuse_merge(const Query *query) {
  const RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
  if (!target->inh) return;
  const bridge::EnrolledTable *table = bridge::enrolled_table(target->relid);
  if (!table || !OidIsValid(table->elsewhere)) return;
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "cannot merge into vector-shard table " + table->name,
                         "Some of its rows may be on other nodes, and MERGE does not reach those.",
                         "Use INSERT … ON CONFLICT, or UPDATE and INSERT. MERGE INTO ONLY works where the clients are resident.");
}

void analyze(ParseState *state, Query *query, JumbleState *jumble) {
  if (previous_analyze) previous_analyze(state, query, jumble);
  if (query->commandType == CMD_MERGE) bridge::entry([&]() -> void { refuse_merge(query); });
  if (bridge::guc::read_scope == bridge::guc::kReadHome) bridge::entry([&]() -> void { grant_to_peer(query); });
}

}  // namespace

void init() {
  previous = ExecutorRun_hook;
  ExecutorRun_hook = run_executor;
  previous_finish = ExecutorFinish_hook;
  ExecutorFinish_hook = finish_executor;
  previous_analyze = post_parse_analyze_hook;
  post_parse_analyze_hook = analyze;
  init_peer_rights();
  init_local_plans();
  init_home_tables();
  init_home_inserts();
  init_look_ahead();
  init_joins();
  init_upper_paths();
  init_stub_paths();
}

}  // namespace vectorshard::read
