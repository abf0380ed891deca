// Foreign tables over Parquet files of others (api.hpp). Every column is cast by DuckDB to what the table says it is, unless the file has it so, and a value that
// does not fit is an error, never another value; from there on it is a column of a segment, so that whatever a segment answers, a file answers.
#include "pg/tier/foreign_parquet.hpp"

#include <algorithm>

#include "pg/bridge/guard.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/cells.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/foreign_spatial.hpp"
#include "pg/tier/spatial.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

// So many footers are read for an estimate; the rest has as many rows for its bytes.
constexpr size_t kFootersRead = 8;

std::string option_of(Oid relid, const char *name) {
  return bridge::pg_call([&]() -> const char * {
    ListCell *lc;
    foreach (lc, GetForeignTable(relid)->options) {
      DefElem *def = static_cast<DefElem *>(lfirst(lc));
      if (strcmp(def->defname, name) == 0) return defGetString(def);
    }
    return "";
  });
}

/// What a column's values are there: by the table alone, so that it is the same in every file. Plain C.
StoredAs form_of(Oid type, int32 typmod) {
  StoredAs out = stored_as(type, typmod);
  switch (out.kind) {
    case CellKind::wkb:
    case CellKind::send:
      // Well-known binary, of which PostGIS's own function makes a value.
      out = spatial_of(type) == Spatial::none ? StoredAs{CellKind::output} : StoredAs{CellKind::send, 0, 0, srid_of(typmod)};
      break;
    case CellKind::bytes: if (type != BYTEAOID) out = {CellKind::output}; break;
    case CellKind::text: if (type != TEXTOID || duck::text_as_blob()) out = {CellKind::output}; break;
    // With a modifier values go through the input function, which heeds it.
    case CellKind::timestamp:
    case CellKind::timestamptz: if (typmod >= 0) out = {CellKind::output}; break;
    default: break;
  }
  return out;
}

std::string duck_type(const ManifestColumn &c) {
  switch (c.kind) {
    case CellKind::boolean: return "BOOLEAN";
    case CellKind::int2: return "SMALLINT";
    case CellKind::int4: return "INTEGER";
    case CellKind::int8: return "BIGINT";
    case CellKind::float4: return "FLOAT";
    case CellKind::float8: return "DOUBLE";
    case CellKind::send:
    case CellKind::bytes: return "BLOB";
    case CellKind::date: return "DATE";
    case CellKind::timestamp: return "TIMESTAMP";
    case CellKind::timestamptz: return "TIMESTAMP WITH TIME ZONE";
    case CellKind::decimal: return "DECIMAL(" + std::to_string(c.precision) + "," + std::to_string(c.scale) + ")";
    default: return "VARCHAR";
  }
}

ForeignField field_of(const ManifestColumn &column, const ForeignColumn &in_file) {
  const std::string type = duck_type(column), name = sql_identifier(in_file.name);
  ForeignField f{in_file.name, name, in_file.duck_type == type};
  if (f.as_is) return f;
  auto cast = [](const std::string &what, const std::string &to) { return "CAST(" + what + " AS " + to + ")"; };
  f.expression = cast(name, type);
  if (is_native_geometry(in_file) && type == "BLOB") f.expression = cast("ST_AsWKB(" + name + ")", type);
  // Rounded from its digits, as PostgreSQL does.
  if (column.kind == CellKind::decimal) f.expression = cast(cast(name, "VARCHAR"), type);
  Oid base = stored_type(column);
  base = bridge::pg_call([&] { return getBaseType(base); });
  if (base == UUIDOID) f.expression = cast(cast(name, "UUID"), type);  // conditions compare this form of it
  if (base == JSONOID || base == JSONBOID) f.expression = cast(cast(name, "JSON"), type);
  // Nanoseconds that PostgreSQL's timestamps do not have are an error.
  if (base == TIMESTAMPOID && in_file.duck_type == "TIMESTAMP_NS")
    f.expression = "CASE WHEN epoch_ns(" + name + ") % 1000 <> 0 THEN error('column has parts of microseconds') ELSE " + f.expression + " END";
  return f;
}

class ForeignScanOfFiles : public ColdScan {
 public:
  ForeignScanOfFiles(SegmentQuestion question, std::shared_ptr<const ForeignFiles> files)
      : question_(std::move(question)), files_(std::move(files)), context_(bridge::pg_call([] {
          return AllocSetContextCreate(CurrentMemoryContext, "vectorshard parquet", ALLOCSET_SMALL_SIZES);
        })) {}
  ~ForeignScanOfFiles() override {
    answer_.reset();
    MemoryContextDelete(context_);
  }
  bool next(TupleTableSlot *slot) override;
  int segments_read() const override { return static_cast<int>(at_); }
  int64_t bytes_fetched() const override { return fetched_ + (file_ ? file_->fetched() : 0) + (answer_ ? answer_->bytes_fetched() : 0); }

 private:
  void open();
  void close();

  SegmentQuestion question_;
  std::shared_ptr<const ForeignFiles> files_;
  MemoryContext context_;
  size_t at_ = 0;  // files opened so far
  int64_t fetched_ = 0;
  std::unique_ptr<ForeignFile> file_;
  std::unique_ptr<ColdScan> answer_;
};

}  // namespace

SegmentFacts facts_of_file(const SegmentFacts &table, ForeignFile &file) {
  SegmentFacts facts = table;
  file.describe(&facts);
  const ForeignFooter &footer = file.footer();
  facts.segment.rows = footer.rows;
  for (ManifestColumn &c : facts.segment.columns) {
    auto in_file = std::find_if(footer.columns.begin(), footer.columns.end(), [&](const ForeignColumn &f) { return f.name == c.name; });
    if (c.kind == CellKind::send && in_file != footer.columns.end()) {
      if (in_file->duck_type == "VARCHAR") c.kind = CellKind::output;
      take_srid(*in_file, facts.segment.key, &c);
    }
    facts.fields.push_back(in_file != footer.columns.end() ? field_of(c, *in_file) : ForeignField{});
    facts.segment.name += c.name + "\n" + c.type + "\n";
  }
  facts.places_known = footer.named_apart;
  return facts;
}

namespace {

void ForeignScanOfFiles::open() {
  file_ = std::make_unique<ForeignFile>(files_->store, files_->objects[at_++]);
  SegmentQuestion q = question_;
  q.facts = std::make_shared<SegmentFacts>(facts_of_file(*question_.facts, *file_));
  MemoryContext before = MemoryContextSwitchTo(context_);
  answer_ = ask_segment(std::move(q));
  MemoryContextSwitchTo(before);
}

void ForeignScanOfFiles::close() {
  file_->require_same();
  fetched_ = bytes_fetched();
  answer_.reset();
  file_.reset();
}

bool ForeignScanOfFiles::next(TupleTableSlot *slot) {
  while (true) {
    if (!answer_ && at_ == files_->objects.size()) return false;
    if (!answer_) open();
    if (answer_->next(slot)) return true;
    close();
  }
}

}  // namespace

SegmentFacts foreign_facts(Oid relid) {
  SegmentFacts facts;
  facts.foreign = true;
  Relation rel = bridge::pg_call([&] { return table_open(relid, AccessShareLock); });
  TupleDesc desc = RelationGetDescr(rel);
  for (int i = 0; i < desc->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    if (a->attisdropped) continue;
    ManifestColumn c;
    c.name = NameStr(a->attname);
    c.attnum = a->attnum;
    StoredAs form;
    const char *type = bridge::pg_call([&] {
      int32 typmod = a->atttypmod;
      Oid base = getBaseTypeAndTypmod(a->atttypid, &typmod);
      form = form_of(base, typmod);
      return format_type_with_typemod(a->atttypid, a->atttypmod);
    });
    c.type = type;
    c.kind = form.kind;
    c.precision = form.precision;
    c.scale = form.scale;
    c.srid = form.srid;
    facts.segment.columns.push_back(std::move(c));
  }
  bridge::pg_call([&] { table_close(rel, NoLock); });
  facts.zones.resize(facts.segment.columns.size());
  for (Zone &z : facts.zones) z.nulls = -1;
  return facts;
}

std::string foreign_store(Oid relid) {
  const char *name = bridge::pg_call([&] { return GetForeignServer(GetForeignTable(relid)->serverid)->servername; });
  return name;
}

std::string foreign_place(Oid relid) {
  std::string file = option_of(relid, "file");
  return foreign_store(relid) + ": " + (file.empty() ? option_of(relid, "folder") + "/*.parquet" : file);
}

ForeignFiles list_foreign_files(Oid relid, Patience patience) {
  ForeignFiles out;
  out.store = foreign_store(relid);
  std::string file = option_of(relid, "file");
  if (file.empty()) {
    out.objects = files_in_folder(out.store, option_of(relid, "folder"), patience);
    return out;
  }
  store::ObjectInfo object;
  object.key = file;
  std::unique_ptr<store::Store> store = open_store(out.store, patience);
  if (store::valid_key(file) && store->local_path(file).empty()) {
    auto head = store->head(file);
    if (!head.ok()) raise_foreign(file, head.error());
    object = head.value();
  }
  out.objects.push_back(std::move(object));
  return out;
}

std::shared_ptr<const ForeignFiles> foreign_files_of(Oid relid) { return std::make_shared<ForeignFiles>(list_foreign_files(relid)); }

double foreign_rows(Oid relid, int *files) {
  std::shared_ptr<const ForeignFiles> all = foreign_files_of(relid);
  *files = static_cast<int>(all->objects.size());
  double rows = 0, bytes = 0, more = 0;
  for (size_t i = 0; i < all->objects.size(); i++) {
    const auto size = static_cast<double>(all->objects[i].bytes);
    if (i < kFootersRead) {
      rows += static_cast<double>(ForeignFile(all->store, all->objects[i]).footer().rows);
      bytes += size;
    } else {
      more += size;
    }
  }
  return bytes > 0 ? rows * (1 + more / bytes) : rows;
}

std::unique_ptr<ColdScan> scan_foreign_files(SegmentQuestion question, std::shared_ptr<const ForeignFiles> files) {
  return std::make_unique<ForeignScanOfFiles>(std::move(question), std::move(files));
}

}  // namespace vectorshard::tier
