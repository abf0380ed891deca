// Writing segments: see segment_write.hpp. DuckDB pulls rows through the table function pg_rows(), which reads a
// row feed. PostgreSQL then runs *below* DuckDB on the stack, so every error is caught at the callback, DuckDB unwinds,
// and the error is rethrown by on_error once DuckDB has returned.
#include "pg/tier/segment_write.hpp"

#include "core/store/sha256.hpp"
#include "core/tier/blocks.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/cells.hpp"
#include "pg/tier/duckdb_run.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/row_feed.hpp"
#include "pg/tier/segment_query.hpp"
#include "pg/tier/spatial.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/table.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::tier {

namespace {

constexpr int64_t kChunkBytes = 8 << 20;       // a chunk ends early at this size
constexpr double kRowGroupBytes = 24 << 20;    // uncompressed, estimated
constexpr int64_t kRowGroupRowsMax = kPieceRows, kRowGroupRowsMin = 120;
constexpr double kRowGroupCells = 2 << 20;      // as many values, for what DuckDB keeps of each column
constexpr double kTooWide = 4;                 // times kRowGroupBytes that a row group may come to

/// The one write that is going on in this process.
class Writer {
 public:
  Writer(const RowSource &source, int64_t group, std::vector<Oid> types, WrittenFile &out)
      : source_(source), group_(group), out_(out), zones_(out.columns), geo_(&out.columns, std::move(types)), feed_(source, out.columns) {
    for (size_t i = 0; i < out.columns.size(); i++)
      if (out.columns[i].name == source.client_column) client_at_ = static_cast<int>(i);
  }

  void bind(duckdb_bind_info info);
  /// Fills a chunk; catches every error.
  void fill(duckdb_function_info info, duckdb_data_chunk chunk) noexcept;
  void rethrow() {
    if (error_) std::rethrow_exception(error_);
  }
  void close() { feed_.close(); }
  std::string zones() const { return zones_.json(); }
  GeoColumns &geo() { return geo_; }
  /// A column with a value that its kind cannot hold: what was written is of no use.
  std::optional<size_t> unsuitable() const { return unsuitable_; }
  /// The bytes of a row, where there were rows so large that a row group of them would not fit in memory: of no use either.
  double too_wide() const { return too_wide_; }

 private:
  bool suits(size_t column, const Cell *cells, size_t rows);
  void count_row(const Cell *cells);

  const RowSource &source_;
  int64_t group_;  // rows of a row group
  WrittenFile &out_;
  ZoneMap zones_;
  GeoColumns geo_;
  RowFeed feed_;
  RowHasher hasher_;
  int client_at_ = -1;
  bool done_ = false;  // the rows have ended: DuckDB asks again after a short chunk
  std::optional<size_t> unsuitable_;
  double too_wide_ = 0;
  std::exception_ptr error_;
};

Writer *active = nullptr;

void Writer::bind(duckdb_bind_info info) {
  for (size_t i = 0; i < out_.columns.size(); i++) duck::add_result_column(info, field_name(out_.columns, i), out_.columns[i]);
}

void Writer::count_row(const Cell *cells) {
  hasher_.begin();
  for (size_t c = 0; c < out_.columns.size(); c++) hasher_.cell(out_.columns[c].kind, cells[c]);
  RowDigest row = hasher_.end();
  out_.content.add(row);
  if (client_at_ < 0) return;
  auto at = static_cast<size_t>(client_at_);
  std::string client = client_name(out_.columns[at].kind, cells[at]);
  if (out_.clients.empty() || out_.clients.back().first != client) out_.clients.emplace_back(client, RowDigest{});
  out_.clients.back().second.add(row);
}

bool Writer::suits(size_t column, const Cell *cells, size_t rows) {
  const CellKind kind = out_.columns[column].kind;
  if (kind == CellKind::wkb) return geo_.add(column, cells, out_.columns.size(), rows);
  const bool time = kind == CellKind::timestamp || kind == CellKind::timestamptz;
  if (kind != CellKind::decimal && !time) return true;
  for (size_t r = 0; r < rows; r++) {
    const Cell &c = cells[r * out_.columns.size()];
    if (!c.null && (time ? c.number > kLastTimestamp && c.number != INT64_MAX : c.number == kNoDecimal)) return false;
  }
  return true;
}

void Writer::fill(duckdb_function_info info, duckdb_data_chunk chunk) noexcept {
  idx_t rows = 0;
  try {
    const size_t width = out_.columns.size();
    int64_t bytes = 0;
    while (!done_ && !unsuitable_ && rows + RowFeed::kBlockRows <= duck::api().vector_size() && bytes < kChunkBytes) {
      size_t n = feed_.next();
      done_ = n == 0;
      for (size_t c = 0; c < width; c++) {
        const Cell *cells = feed_.cells() + c;
        if (!suits(c, cells, n)) {
          unsuitable_ = c;
          break;
        }
        duck::put_cells(duck::api().data_chunk_get_vector(chunk, c), rows, out_.columns[c], cells, width, n);
        zones_.add(c, cells, width, n);
      }
      if (unsuitable_) break;
      for (size_t r = 0; r < n; r++) count_row(feed_.cells() + r * width);
      rows += n;
      count_rows(n);
      bytes += feed_.bytes();
    }
    double row_bytes = rows > 0 ? static_cast<double>(bytes) / static_cast<double>(rows) : 0;
    if (group_ > kRowGroupRowsMin && row_bytes * static_cast<double>(group_) > kTooWide * kRowGroupBytes) {
      too_wide_ = row_bytes;
      done_ = true;
    }
  } catch (...) {
    error_ = std::current_exception();
    rows = 0;
    done_ = true;
    duck::api().function_set_error(info, "reading the rows failed");
  }
  duck::api().data_chunk_set_size(chunk, rows);
}

void on_bind(duckdb_bind_info info) {
  if (active)
    active->bind(info);
  else
    duck::api().bind_set_error(info, "no rows to read");
}
void on_init(duckdb_init_info info) { duck::api().init_set_max_threads(info, 1); }
void on_rows(duckdb_function_info info, duckdb_data_chunk chunk) { active->fill(info, chunk); }
void on_error() { active->rethrow(); }

void register_rows_function(duck::Connection &connection) {
  static bool registered = false;
  if (registered) return;
  duckdb_table_function f = duck::api().create_table_function();
  duck::api().table_function_set_name(f, "pg_rows");
  duck::api().table_function_set_bind(f, on_bind);
  duck::api().table_function_set_init(f, on_init);
  duck::api().table_function_set_function(f, on_rows);
  duckdb_state state = duck::api().register_table_function(connection.get(), f);
  duck::api().destroy_table_function(&f);
  if (state != DuckDBSuccess)
    bridge::raise_sqlstate(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, "could not register the row source with DuckDB");
  registered = true;
}

struct ActiveScope {
  explicit ActiveScope(Writer *w) { active = w; }
  ~ActiveScope() { active = nullptr; }
};

/// The mean size of a row in a heap, by its last statistics; 1000 where there are none.
double heap_row_bytes(Oid relid) {
  Relation rel = table_open(relid, NoLock);
  double rows = rel->rd_rel->reltuples, pages = rel->rd_rel->relpages;
  table_close(rel, NoLock);
  return rows > 0 && pages > 0 ? pages * BLCKSZ / rows : 1000;
}

/// Halved until it fits, so that parts of a scan (read/partition_scan.cpp) begin where row groups do.
int64_t group_rows(const RowSource &source, size_t columns) {
  double row_bytes = source.row_bytes > 0 ? source.row_bytes : bridge::pg_call([&] { return heap_row_bytes(source.relid); });
  int64_t group = kRowGroupRowsMax;
  auto too_large = [&](int64_t rows) {
    return static_cast<double>(rows) * row_bytes > kRowGroupBytes || static_cast<double>(rows) * static_cast<double>(columns) > kRowGroupCells;
  };
  while (group > kRowGroupRowsMin && too_large(group)) group /= 2;
  return group;
}

std::string copy_statement(int64_t group, bool geo, const std::string &path) {
  std::string out = "COPY (SELECT * FROM pg_rows()) TO " + sql_literal(path);
  out += " (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE " + std::to_string(group);
  if (geo) out.append(", KV_METADATA {").append(kGeoKey).append(": ").append(sql_literal(kGeoPlaceholder)).append("}");
  return out + ")";
}

void hash_file(WrittenFile &file) {
  store::Sha256 sha;
  BlockSums blocks;
  file.bytes = read_file(file.path, [&](std::string_view block) {
    sha.add(block);
    blocks.add(block);
  });
  file.sha256 = sha.hex();
  file.blocks = blocks.end();
}

}  // namespace

namespace {

/// `unsuitable`: the column that must be stored as text instead, or as PostGIS's own bytes. `too_wide`: not 0, if it must be written in smaller row groups, for rows of so
/// many bytes.
WrittenFile write_as(const RowSource &source, const std::string &path, std::vector<ManifestColumn> columns, const std::vector<Oid> &types,
                     std::optional<size_t> *unsuitable, double *too_wide) {
  WrittenFile out;
  out.path = path;
  out.columns = std::move(columns);
  bridge::Spi spi;
  const int64_t group = group_rows(source, out.columns.size());
  Writer writer(source, group, types, out);
  ActiveScope scope(&writer);
  duck::Connection connection;
  register_rows_function(connection);
  duck::execute(connection, copy_statement(group, writer.geo().any(), path), on_error);
  writer.rethrow();
  writer.close();
  out.zones = writer.zones();
  *unsuitable = writer.unsuitable();
  *too_wide = writer.too_wide();
  if (*unsuitable || *too_wide > 0) return out;
  writer.geo().finish(path);
  hash_file(out);
  return out;
}

}  // namespace

WrittenFile write_file(const RowSource &source, const std::string &path) {
  duck::api();
  Relation rel = bridge::pg_call([&] { return table_open(source.relid, AccessShareLock); });
  std::vector<ManifestColumn> columns = manifest_columns(RelationGetDescr(rel));
  std::vector<Oid> types;
  for (const ManifestColumn &c : columns) types.push_back(TupleDescAttr(RelationGetDescr(rel), c.attnum - 1)->atttypid);
  bridge::pg_call([&] {
    for (Oid &type : types) type = getBaseType(type);
    table_close(rel, NoLock);
  });
  RowSource rows = source;
  for (;;) {
    std::optional<size_t> unsuitable;
    double too_wide;
    WrittenFile out = write_as(rows, path, columns, types, &unsuitable, &too_wide);
    if (!unsuitable && too_wide == 0) return out;
    remove_file(path);
    if (unsuitable) {
      CellKind &kind = columns[*unsuitable].kind;
      kind = kind == CellKind::wkb ? CellKind::send : CellKind::output;
    }
    if (too_wide > 0) rows.row_bytes = too_wide;
  }
}

}  // namespace vectorshard::tier
