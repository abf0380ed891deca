// The enrolled tables of this database: see tables.hpp. A table is enrolled when it carries our BEFORE trigger; what it
// is stands in the trigger's catalog entry and in the relation itself, so the cache never disagrees with the heap.
#include "pg/bridge/tables.hpp"

#include <unordered_map>

#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace vectorshard::bridge {

namespace {

struct Cache {
  std::unordered_map<Oid, std::unique_ptr<EnrolledTable>> by_oid;
  uint64 epoch = 0;
  bool valid = false;
  bool hooked = false;
};

Cache &cache() {
  static Cache c;
  return c;
}

void on_invalidation(Datum, Oid relid) {
  Cache &c = cache();
  if (relid == InvalidOid || c.by_oid.count(relid)) c.valid = false;
}

// The extension's own shipped tables; `motion` among them is a vector-shard table.
constexpr const char *kTablesQuery = R"(
  SELECT c.oid::int8, c.relowner::int8, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
         n.nspname = 'vectorshard' AND c.relname <> 'motion',
         coalesce(s.client_column, CASE WHEN n.nspname = 'vectorshard' AND c.relname = 'motion' THEN 'client' END, ''),
         coalesce((SELECT i.inhrelid::int8 FROM pg_inherits i JOIN pg_class f ON f.oid = i.inhrelid
                    WHERE i.inhparent = c.oid AND f.relkind = 'f' LIMIT 1), 0),
         (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = c.oid) = 1,
         array_to_string(coalesce((SELECT x.indkey::int2[] FROM pg_index x
                                    WHERE x.indrelid = c.oid AND x.indisprimary), '{}'::int2[]), ' '),
         coalesce(s.consistency = 'home', false)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN vectorshard.shard_table s
      ON s.table_name = (quote_ident(n.nspname) || '.' || quote_ident(c.relname)) COLLATE "C"
   WHERE c.relkind = 'r'
     AND (EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'zz_vectorshard_before')
            -- Half enrolled, or enrolled after this snapshot: not ours to judge (it must not pass for a reference table).
            AND (s.table_name IS NOT NULL OR n.nspname = 'vectorshard')
          OR (n.nspname = 'vectorshard' AND c.relname = 'tombstone'))
   ORDER BY 4 DESC, 3)";

constexpr const char *kColumnsQuery = R"(
  SELECT a.attrelid::int8, a.attname, a.attnum, a.atttypid::int8, a.atttypmod
    FROM pg_attribute a
   WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
   ORDER BY a.attrelid, a.attnum)";

void parse_key(EnrolledTable &t, const std::string &indkey) {
  for (size_t at = 0; at < indkey.size();) {
    size_t end = indkey.find(' ', at);
    if (end == std::string::npos) end = indkey.size();
    if (end > at) t.key.push_back(static_cast<AttrNumber>(std::stoi(indkey.substr(at, end - at))));
    at = end + 1;
  }
}

void load_columns(Spi &spi, Cache &c) {
  std::string oids = "{";
  for (auto &[oid, t] : c.by_oid) oids += (oids.size() > 1 ? "," : "") + std::to_string(oid);
  Rows columns = spi.query(kColumnsQuery, {p_text(oids + "}")}, IsInParallelMode());
  for (size_t i = 0; i < columns.size(); i++) {
    EnrolledTable &t = *c.by_oid.at(static_cast<Oid>(columns.int8(i, 0)));
    EnrolledColumn column;
    column.name = columns.at(i, 1);
    column.attnum = static_cast<AttrNumber>(columns.int8(i, 2));
    column.type = static_cast<Oid>(columns.int8(i, 3));
    column.typmod = static_cast<int32>(columns.int8(i, 4));
    if (column.name == "_version") t.version_attnum = column.attnum;
    if (!t.client_column.empty() && column.name == t.client_column) t.client_attnum = column.attnum;
    t.columns.push_back(std::move(column));
  }
}

/// The library is loaded in every database of the server, the extension made in some.
bool extension_is_here() {
  return pg_call([] {
    Oid schema = get_namespace_oid("vectorshard", true);
    return OidIsValid(schema) && OidIsValid(get_relname_relid("shard_table", schema));
  });
}

void load(Cache &c) {
  c.by_oid.clear();
  c.valid = false;
  if (!extension_is_here()) return;
  uint64 epoch = shared() ? pg_atomic_read_u64(&shared()->catalog_epoch) : 0;
  Spi spi;
  AsSuperuser rights;  // an application may not read the tables of the fabric
  // A parallel query may take no snapshot of its own; its leader planned with this table.
  Rows rows = spi.query(kTablesQuery, {}, IsInParallelMode());
  for (size_t i = 0; i < rows.size(); i++) {
    auto t = std::make_unique<EnrolledTable>();
    t->relid = static_cast<Oid>(rows.int8(i, 0));
    t->owner = static_cast<Oid>(rows.int8(i, 1));
    t->name = rows.at(i, 2);
    t->fabric = rows.boolean(i, 3);
    t->client_column = rows.at(i, 4);
    t->reference = t->client_column.empty();
    t->elsewhere = static_cast<Oid>(rows.int8(i, 5));
    t->only_child = rows.boolean(i, 6);
    parse_key(*t, rows.at(i, 7));
    t->home = rows.boolean(i, 8);
    c.by_oid.emplace(t->relid, std::move(t));
  }
  load_columns(spi, c);
  c.epoch = epoch;
  c.valid = true;
}

Cache &fresh() {
  Cache &c = cache();
  if (!c.hooked) {
    pg_call([] { CacheRegisterRelcacheCallback(on_invalidation, 0); });
    c.hooked = true;
  }
  if (!c.valid || (shared() && c.epoch != pg_atomic_read_u64(&shared()->catalog_epoch))) load(c);
  return c;
}

/// Whether the table's catalog entry is newer than the snapshot.
bool altered_after(Oid relid, Snapshot snapshot) {
  return pg_call([&] {
    HeapTuple entry = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(entry)) return false;
    TransactionId by = HeapTupleHeaderGetXmin(entry->t_data);
    ReleaseSysCache(entry);
    return !TransactionIdIsCurrentTransactionId(by) && XidInMVCCSnapshot(by, snapshot);
  });
}

/// Output settings under which key text is the same on every node; reset with AtEOXact_GUC.
int set_stable_output() {
  int level = NewGUCNestLevel();
  auto set = [](const char *name, const char *value) {
    (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  };
  set("datestyle", "ISO, YMD");
  set("intervalstyle", "postgres");
  set("timezone", "UTC");
  set("extra_float_digits", "3");
  set("bytea_output", "hex");
  return level;
}

bool needs_stable_output(Oid type) {
  switch (type) {
    case INT2OID: case INT4OID: case INT8OID: case TEXTOID: case VARCHAROID: case BPCHAROID: case UUIDOID:
    case BOOLOID: case NUMERICOID: case OIDOID: case NAMEOID:
      return false;
    default:
      return true;
  }
}

}  // namespace

const std::string &EnrolledColumn::type_text() const {
  if (type_text_.empty()) {
    Spi pinned;
    char *text = pg_call([&] { return format_type_with_typemod(type, typmod); });
    type_text_ = text;
  }
  return type_text_;
}

const EnrolledTable *enrolled_table(Oid relid) {
  Cache &c = fresh();
  auto it = c.by_oid.find(relid);
  return it == c.by_oid.end() ? nullptr : it->second.get();
}

const EnrolledTable *enrolled_table_by_name(const std::string &name) {
  for (auto &[oid, t] : fresh().by_oid)
    if (t->name == name) return t.get();
  return nullptr;
}

std::vector<const EnrolledTable *> enrolled_tables() {
  std::vector<const EnrolledTable *> out;
  for (auto &[oid, t] : fresh().by_oid) out.push_back(t.get());
  std::sort(out.begin(), out.end(), [](auto *a, auto *b) {
    return a->fabric != b->fabric ? a->fabric : a->name < b->name;
  });
  return out;
}

std::optional<EnrolledTable> locked_table(const std::string &given, LOCKMODE mode) {
  const std::string name = given;  // which may lie in the cache: that is made anew when invalidations are heard of below
  for (Oid locked = InvalidOid;;) {
    const EnrolledTable *t = enrolled_table_by_name(name);
    if (!t) return {};
    if (t->relid == locked) return *t;
    locked = t->relid;
    pg_call([&] { LockRelationOid(locked, mode); });  // and hears of what was altered before
  }
}

void lock_to_read(const std::string &name) {
  std::vector<std::string> names;
  for (const EnrolledTable *t : enrolled_tables())
    if (name.empty() ? !t->reference : t->name == name) names.push_back(t->name);
  for (const std::string &n : names) (void)locked_table(n, AccessShareLock);
}

std::optional<EnrolledTable> table_to_read(const std::string &name) {
  auto table = locked_table(name, AccessShareLock);
  if (table && altered_after(table->relid, GetActiveSnapshot()))
    raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "table " + name + " was altered meanwhile",
                   "Rows that were rewritten are not seen by what began before.", "Retry.");
  return table;
}

std::vector<std::string> key_text(const EnrolledTable &table, const Datum *values_by_attnum) {
  std::vector<std::string> out;
  for (AttrNumber attnum : table.key) {
    Oid type = InvalidOid;
    for (const EnrolledColumn &c : table.columns)
      if (c.attnum == attnum) type = c.type;
    Datum value = values_by_attnum[attnum - 1];
    char *text = pg_call([&] {
      Oid output;
      bool varlena;
      getTypeOutputInfo(type, &output, &varlena);
      int level = needs_stable_output(type) ? set_stable_output() : 0;
      char *s = OidOutputFunctionCall(output, value);
      if (level) AtEOXact_GUC(false, level);
      return s;
    });
    out.emplace_back(text);
    pfree(text);
  }
  return out;
}

}  // namespace vectorshard::bridge
