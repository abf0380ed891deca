// What EXPLAIN says of scans of rows elsewhere. It asks no other node.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/read/elsewhere.hpp"
#include "pg/read/partition_scan.hpp"
#include "pg/read/remote_conditions.hpp"
#include "pg/read/scan.hpp"
#include "pg/read/whereabouts.hpp"
extern "C" {
#include "nodes/nodeFuncs.h"
#include "utils/ruleutils.h"
#include "commands/explain.h"
}

namespace vectorshard::read {

namespace {

void property(ExplainState *es, const char *label, const std::string &value) {
  const char *text = value.c_str();
  bridge::pg_call([&] { ExplainPropertyText(label, text, es); });
}

std::string joined(const std::set<std::string> &items) {
  std::string out;
  for (const auto &i : items) out += (out.empty() ? "" : ", ") + i;
  return out.empty() ? "none" : out;
}

/// Each node with the rows that it gave, and how long they were waited for.
std::string asked_text(const ElsewhereScan &ran, bool timing) {
  std::set<std::string> items;
  for (const auto &[name, tally] : ran.nodes_asked()) {
    char waited[64] = "";
    if (timing) snprintf(waited, sizeof waited, " time=%.3f", static_cast<double>(tally.waited_us) / 1000);
    items.insert(name + " (rows=" + std::to_string(tally.rows) + waited + ")");
  }
  return joined(items);
}

std::string naming_text(ForeignScanState *node, ForeignScan *scan, ExplainState *es) {
  Node *expression = static_cast<Node *>(linitial(scan->fdw_exprs));
  return bridge::pg_call([&] {
    List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, NIL);
    return deparse_expression(expression, context, true, false);
  });
}

std::string homes_text() {
  std::set<std::string> names;
  for (const HomeNode &n : other_homes()) names.insert(n.name);
  return joined(names);
}

/// The place of files of others, and with VERBOSE what they are asked.
void explain_files(const ScanPlan &plan, ExplainState *es) {
  property(es, "Files", tier::foreign_place(plan.table));
  if (es->verbose) property(es, "File Query", tier::question_text(question_of(plan, NIL, nullptr), "file"));
}

void explain_remote(ForeignScan *scan, const ScanPlan &plan, ExplainState *es) {
  List *expressions = scan->fdw_exprs;
  if (plan.naming != Naming::none) expressions = bridge::pg_call([&] { return list_copy_tail(expressions, 1); });
  SelectSpec spec = spec_of(plan, plan.table, expressions, nullptr);
  spec.parameter = "$1";
  if (plan.naming == Naming::one) spec.clients = std::vector<std::string>(1);
  if (plan.naming == Naming::any) spec.clients = std::vector<std::string>();
  property(es, "Remote SQL", select_statement(spec));
}

}  // namespace

void explain_scan(ForeignScanState *node, ExplainState *es) {
  ForeignScan *scan = castNode(ForeignScan, node->ss.ps.plan);
  ScanPlan plan = from_private(scan->fdw_private);
  auto *ran = static_cast<ElsewhereScan *>(node->fdw_state);
  if (plan.part == Part::cold) {
    property(es, "Clients", "in a store of this node");
  } else if (plan.role == Role::partition) {
    explain_segment(plan.table, [&] { return question_of(plan, NIL, nullptr); }, es);
  } else if (plan.role == Role::parquet) {
    explain_files(plan, es);
  } else if (plan.role == Role::elsewhere) {
    property(es, "Clients", plan.naming == Naming::none ? "all" : naming_text(node, scan, es));
    if (es->verbose) {
      bool local = bridge::guc::read_scope == bridge::guc::kReadLocal || bridge::self_node() == kNoNode;
      property(es, "Nodes", local ? "this one alone" : plan.naming == Naming::none ? homes_text() : "homes of the clients, or nearer holders");
      explain_remote(scan, plan, es);
    }
    if (es->analyze) property(es, "Nodes Asked", ran ? asked_text(*ran, es->timing) : "none");
  }
  if (es->analyze && plan.role != Role::telemetry && plan.part != Part::homes) {
    explain_reading(plan.role == Role::parquet ? "Files Read" : "Segments Read", ran ? ran->segments_read() : 0, ran ? ran->remembered() : 0, ran ? ran->bytes_fetched() : 0, es);
  }
}

}  // namespace vectorshard::read
