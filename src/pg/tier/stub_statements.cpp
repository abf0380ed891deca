// Statements about partitions that lie in a store, before and after they run: columns of theirs keep their types and never get a name under
// which the segment has another column; a table of a dump is made as a heap, into which its rows can be written.
#include "pg/bridge/guard.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/stub_am.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodes.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

constexpr char kMethod[] = "vectorshard_cold";

ProcessUtility_hook_type previous_utility = nullptr;

struct ColdPart {
  Oid relid = InvalidOid;
  std::string segment;
};

/// Partitions among the table and what inherits from it that lie in a store.
std::vector<ColdPart> cold_parts(const RangeVar *table) {
  struct Found {
    int count;
    Oid *relids;
  };
  Found found = bridge::pg_call([&]() -> Found {
    Oid relid = RangeVarGetRelid(table, NoLock, true);
    Found f{};
    if (!OidIsValid(relid)) return f;
    List *all = find_all_inheritors(relid, NoLock, nullptr);
    f.relids = static_cast<Oid *>(palloc(sizeof(Oid) * static_cast<size_t>(list_length(all))));
    ListCell *lc;
    foreach (lc, all)
      if (is_stub(lfirst_oid(lc))) f.relids[f.count++] = lfirst_oid(lc);
    return f;
  });
  std::vector<ColdPart> out;
  for (int i = 0; i < found.count; i++)
    if (auto segment = stub_segment(found.relids[i])) out.push_back({found.relids[i], *segment});
  return out;
}

std::string name_of(Oid relid) {
  const char *name = bridge::pg_call([&] { return get_rel_name(relid); });
  return name ? name : std::to_string(relid);
}

void refuse_type_change(const RangeVar *table, const char *column) {
  std::vector<ColdPart> parts = cold_parts(table);
  if (parts.empty()) return;
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, std::string("cannot change the type of column \"") + column + "\"",
                         "Rows of partition \"" + name_of(parts[0].relid) + "\" lie in a store, where they cannot be written anew.",
                         "Bring such partitions back first with vectorshard.move_to_hot(), or add a column of the new type.");
}

void refuse_method(const char *name) {
  if (!name || strcmp(name, kMethod) != 0) return;
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "access method \"vectorshard_cold\" cannot be chosen", "It is that of partitions whose rows lie in a store.",
                         "Use vectorshard.move_to_cold(partition).");
}

/// A column that now has the name of another one in the segment would show that one's values.
void check_names(const RangeVar *table, const std::vector<std::string> &names) {
  for (const ColdPart &part : cold_parts(table)) {
    Snapshot catalog = bridge::pg_call([] {
      InvalidateCatalogSnapshot();
      return GetCatalogSnapshot(InvalidOid);
    });
    ActiveSnapshotScope now(catalog);
    Segment segment = find_segment(part.segment);
    for (const std::string &name : names) {
      const char *column = name.c_str();
      int attnum = bridge::pg_call([&]() -> int { return get_attnum(part.relid, column); });
      for (const ManifestColumn &c : segment.columns)
        if (c.name == name && c.attnum != attnum)
          bridge::raise_sqlstate(ERRCODE_DUPLICATE_COLUMN, "column name \"" + name + "\" cannot be used again",
                                 "Another column had it when rows of partition \"" + name_of(part.relid) + "\" were moved to a store.",
                                 "Choose another name, or bring the partition back first with vectorshard.move_to_hot().");
    }
  }
}

void refuse_before(Node *node) {
  if (!IsA(node, AlterTableStmt)) return;
  auto *s = castNode(AlterTableStmt, node);
  ListCell *lc;
  foreach (lc, s->cmds) {
    auto *c = lfirst_node(AlterTableCmd, lc);
    if (c->subtype == AT_AlterColumnType) refuse_type_change(s->relation, c->name);
    if (c->subtype == AT_SetAccessMethod) refuse_method(c->name);
  }
}

/// After the statement has run: the names that columns got by it.
void refuse_after(Node *node) {
  if (IsA(node, RenameStmt)) {
    auto *s = castNode(RenameStmt, node);
    if (s->renameType == OBJECT_COLUMN && s->relation) check_names(s->relation, {s->newname});
    return;
  }
  auto *s = castNode(AlterTableStmt, node);
  std::vector<std::string> names;
  ListCell *lc;
  foreach (lc, s->cmds) {
    auto *c = lfirst_node(AlterTableCmd, lc);
    if (c->subtype == AT_AddColumn && c->def) names.emplace_back(castNode(ColumnDef, c->def)->colname);
  }
  if (!names.empty()) check_names(s->relation, names);
}

bool made_as_stub(const CreateStmt *s) {
  const char *method = s->accessMethod ? s->accessMethod : default_table_access_method;
  return !s->partspec && strcmp(method, kMethod) == 0 && !IsBinaryUpgrade;
}

/// A dump of a stub has its rows, which are written into the table next.
PlannedStmt *as_heap(const PlannedStmt *statement) {
  return bridge::pg_call([&] {
    auto *copy = static_cast<PlannedStmt *>(copyObjectImpl(statement));
    auto *s = castNode(CreateStmt, copy->utilityStmt);
    s->accessMethod = pstrdup("heap");
    ereport(NOTICE, (errmsg("table \"%s\" is made as a heap", s->relation->relname),
                     errdetail("Only vectorshard.move_to_cold() makes tables of access method \"%s\".", kMethod)));
    return copy;
  });
}

void utility(PlannedStmt *statement, const char *text, bool read_only, ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
             DestReceiver *dest, QueryCompletion *done) {
  auto run = [&] {
    if (previous_utility)
      previous_utility(statement, text, read_only, context, params, env, dest, done);
    else
      standard_ProcessUtility(statement, text, read_only, context, params, env, dest, done);
  };
  Node *node = statement->utilityStmt;
  if (node && IsA(node, CreateStmt) && made_as_stub(castNode(CreateStmt, node)))
    bridge::entry([&] { statement = as_heap(statement); });
  if (!node || !(IsA(node, AlterTableStmt) || IsA(node, RenameStmt))) return run();
  bridge::entry([&] { refuse_before(node); });
  run();
  bridge::entry([&] { refuse_after(node); });
}

}  // namespace

void init_stub_statements() {
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = utility;
}

}  // namespace vectorshard::tier
