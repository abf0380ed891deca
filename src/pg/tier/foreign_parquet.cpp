// Parquet files of others (api.hpp): each scan fetches its files anew. Every column is cast by DuckDB to what the foreign table says it is, so a value that does not fit
// is an error, never another value.
#include "pg/tier/api.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/tier/cells.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include <unistd.h>
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "datatype/timestamp.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

constexpr const char *kSuffix = ".parquet";

class FetchSink : public store::ByteSink {
 public:
  explicit FetchSink(const std::string &path) : handle_(bridge::value_or_raise(posix_files().create(path))) {}
  ~FetchSink() override { posix_files().close(handle_); }
  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      auto n = posix_files().write(handle_, bytes);
      if (!n.ok()) return n.error();
      bytes.remove_prefix(n.value());
    }
    return {};
  }

 private:
  int handle_;
};

/// An object under a name of the spool directory, for a scope.
class LocalFile {
 public:
  LocalFile(store::Store &store, const std::string &key) : file_((ensure_spool(), spool_file("foreign"))) {
    if (!store::valid_key(key))
      bridge::raise({Errc::invalid_argument, "\"" + key + "\" is no name of an object", "", "Give names of letters, digits, \"-\", \"_\" and \".\", with \"/\" between them."});
    std::string local = store.local_path(key);
    if (!local.empty() && link(local.c_str(), path().c_str()) == 0) return;
    FetchSink sink(path());
    Result<void> got = store.get(key, sink);
    if (got.ok()) return;
    Error e = got.error();
    e.message = "object \"" + key + "\" cannot be read: " + e.message;
    bridge::raise(e);
  }
  const std::string &path() const { return file_.path(); }

 private:
  SpoolFile file_;
};

std::string type_for(const std::string &t) {
  static const std::map<std::string, const char *> kTypes = {
      {"BOOLEAN", "boolean"}, {"TINYINT", "smallint"}, {"SMALLINT", "smallint"}, {"UTINYINT", "smallint"}, {"USMALLINT", "integer"},
      {"INTEGER", "integer"}, {"UINTEGER", "bigint"}, {"BIGINT", "bigint"}, {"UBIGINT", "numeric(20,0)"}, {"HUGEINT", "numeric(39,0)"},
      {"UHUGEINT", "numeric(39,0)"}, {"FLOAT", "real"}, {"DOUBLE", "double precision"}, {"VARCHAR", "text"}, {"BLOB", "bytea"}, {"DATE", "date"},
      {"TIMESTAMP", "timestamp without time zone"}, {"TIMESTAMP_S", "timestamp without time zone"}, {"TIMESTAMP_MS", "timestamp without time zone"},
      {"TIMESTAMP_NS", "timestamp without time zone"}, {"TIMESTAMP WITH TIME ZONE", "timestamp with time zone"}, {"TIME", "time without time zone"},
      {"TIME WITH TIME ZONE", "time with time zone"}, {"INTERVAL", "interval"}, {"UUID", "uuid"}, {"JSON", "json"}};
  if (t.ends_with("]") || t.starts_with("STRUCT(") || t.starts_with("MAP(") || t.starts_with("UNION(")) return "jsonb";
  if (t.starts_with("DECIMAL(")) return "numeric" + t.substr(7);
  auto at = kTypes.find(t);
  return at == kTypes.end() ? "text" : at->second;
}

std::vector<ForeignColumn> describe(const std::string &path) {
  std::vector<ForeignColumn> out;
  duck::Stream stream("DESCRIBE SELECT * FROM read_parquet(" + sql_literal(path) + ")", {}, false);
  while (duckdb_data_chunk chunk = stream.next()) {
    duck::Column names = duck::column_of(chunk, 0), types = duck::column_of(chunk, 1);
    for (idx_t r = 0; r < duck::api().data_chunk_get_size(chunk); r++) {
      std::string type(duck::string_at(types, r));
      out.push_back({std::string(duck::string_at(names, r)), type, type_for(type)});
    }
  }
  return out;
}

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

std::string store_of(Oid relid) {
  const char *name = bridge::pg_call([&] { return GetForeignServer(GetForeignTable(relid)->serverid)->servername; });
  return name;
}

/// A column of the table: how it is asked for, and what its cells are.
struct Wanted {
  int attribute = 0;  // from 0
  Oid type = InvalidOid;
  int32 typmod = -1;
  std::string name;
  CellKind kind = CellKind::output;
  const char *cast = "VARCHAR";
  ColumnCodec codec;
};

void choose_cast(Wanted &w) {
  auto as = [&](CellKind kind, const char *cast) { w.kind = kind; w.cast = cast; };
  switch (getBaseType(w.type)) {
    case BOOLOID: return as(CellKind::boolean, "BOOLEAN");
    case INT2OID: return as(CellKind::int2, "SMALLINT");
    case INT4OID: return as(CellKind::int4, "INTEGER");
    case INT8OID: return as(CellKind::int8, "BIGINT");
    case FLOAT4OID: return as(CellKind::float4, "FLOAT");
    case FLOAT8OID: return as(CellKind::float8, "DOUBLE");
    case BYTEAOID: return as(CellKind::bytes, "BLOB");
    case DATEOID: return as(CellKind::date, "DATE");
    case TIMESTAMPOID: return as(CellKind::timestamp, "TIMESTAMP");
    case TIMESTAMPTZOID: return as(CellKind::timestamptz, "TIMESTAMPTZ");
    case JSONOID:
    case JSONBOID: return as(CellKind::output, "JSON");
    default: return as(CellKind::output, "VARCHAR");
  }
}

/// Nanoseconds that PostgreSQL's timestamps do not have are an error.
std::string expression(const Wanted &w, const std::string &duck_type) {
  std::string column = sql_identifier(w.name), cast = std::string("CAST(") + column + " AS " + w.cast + ")";
  if (strcmp(w.cast, "JSON") == 0) return "CAST(" + cast + " AS VARCHAR)";
  if (w.kind == CellKind::timestamp && duck_type == "TIMESTAMP_NS")
    return "CASE WHEN epoch_ns(" + column + ") % 1000 <> 0 THEN error('column has parts of microseconds') ELSE " + cast + " END";
  return cast;
}

[[noreturn]] void does_not_fit(const std::string &column, const char *what) {
  bridge::raise_sqlstate(ERRCODE_DATETIME_FIELD_OVERFLOW, "a value of column \"" + column + "\" of a Parquet file cannot be represented", what);
}

class ForeignScanOfFiles : public ColdScan {
 public:
  ForeignScanOfFiles(Oid relid, const std::vector<int> &attributes);
  ~ForeignScanOfFiles() override { MemoryContextDelete(context_); }
  bool next(TupleTableSlot *slot) override;
  int segments_read() const override { return static_cast<int>(at_); }

 private:
  void open();
  bool next_chunk();
  Datum value(size_t column, const Cell &cell);

  Oid relid_;
  std::unique_ptr<store::Store> store_;
  std::vector<std::string> keys_;
  size_t at_ = 0;
  std::vector<Wanted> wanted_;
  std::unique_ptr<LocalFile> file_;
  std::unique_ptr<duck::Stream> stream_;
  std::vector<Cell> cells_;  // of the chunk, column by column
  idx_t row_ = 0, rows_ = 0;
  MemoryContext context_, rows_context_;
};

ForeignScanOfFiles::ForeignScanOfFiles(Oid relid, const std::vector<int> &attributes) : relid_(relid) {
  std::string name = store_of(relid), folder = option_of(relid, "folder"), file = option_of(relid, "file");
  store_ = open_store(name);
  keys_ = file.empty() ? foreign_files(name, folder) : std::vector<std::string>{file};
  context_ = bridge::pg_call([] { return AllocSetContextCreate(CurrentMemoryContext, "vectorshard parquet", ALLOCSET_DEFAULT_SIZES); });
  rows_context_ = bridge::pg_call([&] { return AllocSetContextCreate(context_, "vectorshard parquet rows", ALLOCSET_DEFAULT_SIZES); });
  bridge::pg_call([&] {
    Relation rel = table_open(relid, AccessShareLock);
    for (int a : attributes) {
      Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), a - 1);
      if (att->attisdropped) continue;
      Wanted w;
      w.attribute = a - 1;
      w.type = att->atttypid;
      w.typmod = att->atttypmod;
      w.name = NameStr(att->attname);
      choose_cast(w);
      w.codec = ColumnCodec::make(w.type, {w.kind, 0, 0}, context_);
      wanted_.push_back(std::move(w));
    }
    table_close(rel, NoLock);
  });
}

void ForeignScanOfFiles::open() {
  const std::string &key = keys_[at_++];
  file_ = std::make_unique<LocalFile>(*store_, key);
  std::map<std::string, std::string> types;
  for (const ForeignColumn &c : describe(file_->path())) types[c.name] = c.duck_type;
  std::string list;
  for (const Wanted &w : wanted_) {
    if (!types.contains(w.name))
      bridge::raise_sqlstate(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND, "object \"" + key + "\" has no column \"" + w.name + "\"", "",
                             "Drop the foreign table and import it anew.");
    list += (list.empty() ? "" : ", ") + expression(w, types[w.name]);
  }
  if (list.empty()) list = "true";
  stream_ = std::make_unique<duck::Stream>("SELECT " + list + " FROM read_parquet(" + sql_literal(file_->path()) + ")", std::vector<std::string>{}, false);
}

bool ForeignScanOfFiles::next_chunk() {
  row_ = rows_ = 0;
  while (rows_ == 0) {
    if (!stream_ && at_ == keys_.size()) return false;
    if (!stream_) open();
    duckdb_data_chunk chunk = stream_->next();
    if (!chunk) {
      stream_.reset();
      file_.reset();
      continue;
    }
    rows_ = duck::api().data_chunk_get_size(chunk);
    cells_.assign(wanted_.size() * rows_, Cell{});
    for (size_t c = 0; c < wanted_.size(); c++) {
      ManifestColumn column;
      column.kind = wanted_[c].kind;
      duck::Column from = duck::column_of(chunk, c);
      duck::get_cells(from, 0, column, cells_.data() + c * rows_, 1, rows_);
    }
  }
  return true;
}

/// Inside pg_call.
Datum ForeignScanOfFiles::value(size_t column, const Cell &cell) {
  const Wanted &w = wanted_[column];
  Cell c = cell;
  if (w.kind == CellKind::output) {
    if (memchr(c.bytes.data(), 0, c.bytes.size()))
      ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE), errmsg("a value of column \"%s\" of a Parquet file has a zero byte", w.name.c_str())));
    char *server = pg_any_to_server(c.bytes.data(), static_cast<int>(c.bytes.size()), PG_UTF8);
    if (server != c.bytes.data()) c.bytes = server;
  }
  return wanted_[column].codec.from_cell(c, w.typmod);
}

bool ForeignScanOfFiles::next(TupleTableSlot *slot) {
  if (row_ == rows_ && !next_chunk()) return false;
  for (size_t c = 0; c < wanted_.size(); c++) {
    const Cell &cell = cells_[c * rows_ + row_];
    if (cell.null) continue;
    if (wanted_[c].kind == CellKind::date && !IS_VALID_DATE(cell.number) && !DATE_NOT_FINITE(cell.number))
      does_not_fit(wanted_[c].name, "It is out of the range of dates.");
    bool time = wanted_[c].kind == CellKind::timestamp || wanted_[c].kind == CellKind::timestamptz;
    if (time && !IS_VALID_TIMESTAMP(cell.number) && !TIMESTAMP_NOT_FINITE(cell.number))
      does_not_fit(wanted_[c].name, "It is out of the range of timestamps.");
  }
  StableConversion stable(true);
  bridge::pg_call([&] {
    ExecClearTuple(slot);
    MemoryContextReset(rows_context_);
    MemoryContext before = MemoryContextSwitchTo(rows_context_);
    memset(slot->tts_isnull, true, sizeof(bool) * static_cast<size_t>(slot->tts_tupleDescriptor->natts));
    for (size_t c = 0; c < wanted_.size(); c++) {
      const Cell &cell = cells_[c * rows_ + row_];
      if (cell.null) continue;
      slot->tts_values[wanted_[c].attribute] = value(c, cell);
      slot->tts_isnull[wanted_[c].attribute] = false;
    }
    MemoryContextSwitchTo(before);
    ExecStoreVirtualTuple(slot);
  });
  row_++;
  return true;
}

}  // namespace

std::vector<std::string> foreign_files(const std::string &name, const std::string &folder) {
  std::unique_ptr<store::Store> store = open_store(name);
  std::vector<std::string> out;
  std::string after;
  while (true) {
    auto objects = bridge::value_or_raise(store->list(folder, after));
    for (const store::ObjectInfo &o : objects) {
      after = o.key;
      if (o.key.ends_with(kSuffix)) out.push_back(o.key);
    }
    if (objects.size() < store::kListMax) return out;
  }
}

std::vector<ForeignColumn> foreign_columns(const std::string &name, const std::string &key) {
  std::unique_ptr<store::Store> store = open_store(name);
  LocalFile file(*store, key);
  return describe(file.path());
}

std::unique_ptr<ColdScan> scan_foreign_file(Oid relid, const std::vector<int> &wanted) {
  return std::make_unique<ForeignScanOfFiles>(relid, wanted);
}

}  // namespace vectorshard::tier
