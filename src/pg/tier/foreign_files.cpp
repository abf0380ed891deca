// Files of others: see foreign_files.hpp.
#include "pg/tier/foreign_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "core/store/sha256.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/duckdb_run.hpp"
#include "pg/tier/foreign_spatial.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/row_groups.hpp"
#include "pg/tier/spool.hpp"

namespace vectorshard::tier {

namespace {

constexpr const char *kSuffix = ".parquet";
constexpr size_t kMostFooters = 256;
constexpr const char *kNumbers = "file_row_number";  // a column that DuckDB adds

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

/// The first column of an answer.
std::vector<std::string> texts(const std::string &sql) {
  std::vector<std::string> out;
  duck::Stream stream(sql, {}, false);
  while (duckdb_data_chunk chunk = stream.next())
    for (idx_t r = 0; r < duck::api().data_chunk_get_size(chunk); r++) out.emplace_back(duck::string_at(duck::column_of(chunk, 0), r));
  return out;
}

ForeignFooter read_footer(const std::string &path) {
  ForeignFooter out;
  const std::string file = "(" + sql_literal(path) + ")";
  std::set<std::string> names;
  {
    duck::Stream stream("DESCRIBE SELECT * FROM read_parquet" + file, {}, false);
    while (duckdb_data_chunk chunk = stream.next()) {
      duck::Column name = duck::column_of(chunk, 0), types = duck::column_of(chunk, 1);
      for (idx_t r = 0; r < duck::api().data_chunk_get_size(chunk); r++) {
        std::string type(duck::string_at(types, r));
        out.columns.push_back({std::string(duck::string_at(name, r)), type, type_for(type)});
        names.insert(out.columns.back().name);
      }
    }
  }
  mark_geometries(path, &out.columns);
  // DuckDB renames what differs by case only, and a path of names is told as one text.
  std::set<std::string> lying;
  for (std::string &n : texts("SELECT DISTINCT split_part(path_in_schema, ', ', 1) FROM parquet_metadata" + file)) lying.insert(std::move(n));
  bool numbers = std::any_of(names.begin(), names.end(), [](const std::string &n) { return strcasecmp(n.c_str(), kNumbers) == 0; });
  out.named_apart = names == lying && !numbers;
  for (const std::string &n : texts("SELECT num_rows::VARCHAR FROM parquet_file_metadata" + file)) out.rows += std::stoll(n);
  return out;
}

/// Begins otherwise than the SHA-256 of a segment: copies of what no segment is called by are removed (objects.hpp).
std::string hash_of(const std::string &text) {
  store::Sha256 sha;
  sha.add(text);
  return "file-" + sha.hex();
}

/// What tells a version of a file from another, and its size.
std::string identity_of(const std::string &path, const std::string &key, int64_t *bytes) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) raise_foreign(key, {Errc::io, strerror(errno), "", ""});
  *bytes = info.st_size;
  return std::to_string(info.st_dev) + "." + std::to_string(info.st_ino) + "." + std::to_string(info.st_size) + "." + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec);
}

}  // namespace

void raise_foreign(const std::string &key, Error e) {
  bool changed = e.code == Errc::conflict;
  e.message = "object \"" + key + "\" " + (changed ? "has changed while it was read" : "cannot be read: " + e.message);
  bridge::raise(e);
}

void raise_foreign_column(const std::string &key, const std::string &column, const std::string &detail, const std::string &hint) {
  bridge::raise({Errc::corrupt, "column \"" + column + "\" of object \"" + key + "\" cannot be read", detail, hint});
}

ForeignFile::ForeignFile(const std::string &store_name, const store::ObjectInfo &object, Patience patience)
    : key_(object.key), store_(store_name), version_(object.version), bytes_(object.bytes) {
  if (!store::valid_key(key_))
    bridge::raise({Errc::invalid_argument, "\"" + key_ + "\" is no name of an object", "", "Give names of letters, digits, \"-\", \"_\" and \".\", with \"/\" between them."});
  ensure_spool();
  std::unique_ptr<store::Store> store = open_store(store_name, patience);
  if (std::string path = store->local_path(key_); !path.empty()) {
    open_local(path);
    return;
  }
  static int64_t unversioned = 0;
  std::string version = version_.empty() ? "\n" + std::to_string(MyProcPid) + "." + std::to_string(++unversioned) : version_;
  id_ = hash_of("foreign\n" + store_name + "\n" + key_ + "\n" + version + "\n" + std::to_string(bytes_));
  SegmentFacts facts;
  describe(&facts);
  sparse_ = std::make_unique<SparseCopy>(std::move(store), std::move(facts));
}

ForeignFile::~ForeignFile() {
  if (!local_.empty()) remove_file(local_);
}

/// Under a name of the spool directory, so that it stays the same file if another takes its place.
void ForeignFile::open_local(const std::string &path) {
  std::string name = spool_file("foreign");
  if (link(path.c_str(), name.c_str()) != 0) {
    std::unique_ptr<store::Store> store = open_store(store_);
    FileSink sink(name);
    local_ = name;
    if (Result<void> got = store->get(key_, sink); !got.ok()) {
      remove_file(name);
      raise_foreign(key_, got.error());
    }
  }
  local_ = name;
  identity_ = identity_of(local_, key_, &bytes_);
  id_ = hash_of("local\n" + identity_);
}

void ForeignFile::require_same() const {
  int64_t bytes = 0;
  if (!local_.empty() && identity_of(local_, key_, &bytes) != identity_) raise_foreign(key_, {Errc::conflict, "", "Somebody has written into the file.", "Retry the statement."});
}

void ForeignFile::describe(SegmentFacts *facts) const {
  facts->foreign = true;
  facts->segment.store = store_;
  facts->segment.key = key_;
  facts->segment.sha256 = id_;
  facts->segment.bytes = bytes_;
  facts->version = version_;
  facts->path = local_;
}

const ForeignFooter &ForeignFile::footer() {
  static std::map<std::string, ForeignFooter> known;
  if (sparse_) need_footer(*sparse_);
  if (auto it = known.find(id_); it != known.end()) return it->second;
  if (known.size() >= kMostFooters) known.clear();
  return known[id_] = read_footer(path());
}

std::vector<store::ObjectInfo> files_in_folder(const std::string &name, const std::string &folder, Patience patience) {
  std::unique_ptr<store::Store> store = open_store(name, patience);
  std::vector<store::ObjectInfo> out;
  std::string after;
  while (true) {
    auto objects = bridge::value_or_raise(store->list(folder, after));
    for (store::ObjectInfo &o : objects) {
      after = o.key;
      if (o.key.ends_with(kSuffix)) out.push_back(std::move(o));
    }
    if (objects.size() < store::kListMax) return out;
  }
}

std::vector<store::ObjectInfo> foreign_objects(const std::string &name, const std::string &folder) { return files_in_folder(name, folder, Patience::usual); }

std::vector<ForeignColumn> foreign_columns(const std::string &name, const store::ObjectInfo &object) {
  std::vector<ForeignColumn> columns = ForeignFile(name, object).footer().columns;
  give_spatial_types(&columns);
  return columns;
}

}  // namespace vectorshard::tier
