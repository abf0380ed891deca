// Writing segments: see segment_write.hpp. DuckDB pulls rows through the table function pg_rows(), which reads a
// cursor. PostgreSQL then runs *below* DuckDB on the stack, so every error is caught at the callback, DuckDB unwinds,
// and the error is rethrown by on_error once DuckDB has returned.
#include "pg/tier/segment_write.hpp"

#include "core/store/sha256.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/cells.hpp"
#include "pg/tier/duckdb_run.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/table.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::tier {

namespace {

constexpr long kFetchRows = 256;
constexpr int64_t kChunkBytes = 8 << 20;       // a chunk ends early at this size
constexpr double kRowGroupBytes = 24 << 20;    // uncompressed, estimated
constexpr double kRowGroupRowsMax = 61440;

/// The one write that is going on in this process.
class Writer {
 public:
  Writer(const RowSource &source, WrittenFile &out)
      : source_(source), out_(out), zones_(out.columns), cells_(out.columns.size()) {}

  void open();
  void bind(duckdb_bind_info info);
  /// Fills a chunk; catches every error.
  void fill(duckdb_function_info info, duckdb_data_chunk chunk) noexcept;
  void rethrow() {
    if (error_) std::rethrow_exception(error_);
  }
  void close();
  std::string zones() const { return zones_.json(); }

 private:
  bool fetch_row();
  int64_t take_row(std::vector<duckdb_vector> &vectors, idx_t at);
  void count_row();

  const RowSource &source_;
  WrittenFile &out_;
  ZoneMap zones_;
  RowHasher hasher_;
  std::vector<Cell> cells_;
  std::vector<ColumnCodec> codecs_;
  MemoryContext row_context_ = nullptr;
  Portal portal_ = nullptr;
  SPITupleTable *batch_ = nullptr;
  uint64 in_batch_ = 0, next_ = 0;
  int client_at_ = -1;
  bool needs_settings_ = false;
  bool done_ = false;  // the cursor has ended: DuckDB asks again after a short chunk
  std::exception_ptr error_;
};

Writer *active = nullptr;

void Writer::open() {
  bridge::Param clients = bridge::p_text_array(source_.clients);
  const char *sql = source_.sql.c_str();
  bool has_clients = !source_.clients.empty();
  row_context_ = bridge::pg_call([&] {
    Oid types[1] = {clients.type};
    Datum values[1] = {clients.value};
    portal_ = SPI_cursor_open_with_args(nullptr, sql, has_clients ? 1 : 0, types, values, nullptr, true, 0);
    if (!portal_) elog(ERROR, "could not open a cursor: %s", SPI_result_code_string(SPI_result));
    return AllocSetContextCreate(CurrentMemoryContext, "vectorshard segment row", ALLOCSET_DEFAULT_SIZES);
  });
  TupleDesc desc = portal_->tupDesc;
  if (static_cast<size_t>(desc->natts) != out_.columns.size())
    bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "the table changed while it was written to a segment");
  for (int i = 0; i < desc->natts; i++) {
    Oid type = TupleDescAttr(desc, i)->atttypid;
    MemoryContext context = CurrentMemoryContext;
    codecs_.push_back(bridge::pg_call([&] { return ColumnCodec::make(type, context); }));
    needs_settings_ |= codecs_.back().needs_settings();
    if (out_.columns[i].name == source_.client_column) client_at_ = i;
  }
}

void Writer::bind(duckdb_bind_info info) {
  for (size_t i = 0; i < out_.columns.size(); i++)
    duck::add_result_column(info, field_name(out_.columns, i), out_.columns[i].kind);
}

/// Makes row next_ of batch_ the current one; false at the end.
bool Writer::fetch_row() {
  if (done_) return false;
  if (batch_ && next_ < in_batch_) return true;
  if (batch_) bridge::pg_call([&] { SPI_freetuptable(batch_); });
  bridge::pg_call([&] {
    CHECK_FOR_INTERRUPTS();
    SPI_cursor_fetch(portal_, true, kFetchRows);
  });
  batch_ = SPI_tuptable;
  in_batch_ = SPI_processed;
  next_ = 0;
  done_ = in_batch_ == 0;
  return !done_;
}

void Writer::count_row() {
  hasher_.begin();
  for (size_t c = 0; c < cells_.size(); c++) {
    hasher_.cell(out_.columns[c].kind, cells_[c]);
    zones_.add(c, cells_[c]);
  }
  RowDigest row = hasher_.end();
  out_.content.add(row);
  if (client_at_ < 0) return;
  std::string client = client_name(out_.columns[client_at_].kind, cells_[client_at_]);
  if (out_.clients.empty() || out_.clients.back().first != client) out_.clients.emplace_back(client, RowDigest{});
  out_.clients.back().second.add(row);
}

/// Copies the current row into row `at` of the vectors; gives its bytes.
int64_t Writer::take_row(std::vector<duckdb_vector> &vectors, idx_t at) {
  Cell *cells = cells_.data();
  ColumnCodec *codecs = codecs_.data();
  bridge::pg_call([&] {
    MemoryContextReset(row_context_);
    MemoryContext before = MemoryContextSwitchTo(row_context_);
    HeapTuple tuple = batch_->vals[next_];
    for (int i = 0; i < batch_->tupdesc->natts; i++) {
      bool null;
      Datum value = SPI_getbinval(tuple, batch_->tupdesc, i + 1, &null);
      cells[i] = codecs[i].to_cell(value, null);
    }
    MemoryContextSwitchTo(before);
  });
  next_++;
  int64_t bytes = 0;
  for (size_t c = 0; c < vectors.size(); c++) {
    duck::put_cell(vectors[c], at, out_.columns[c], cells_[c]);
    bytes += 8 + static_cast<int64_t>(cells_[c].bytes.size());
  }
  count_row();
  return bytes;
}

void Writer::fill(duckdb_function_info info, duckdb_data_chunk chunk) noexcept {
  idx_t rows = 0;
  try {
    StableConversion stable(needs_settings_);
    std::vector<duckdb_vector> vectors;
    for (size_t c = 0; c < cells_.size(); c++) vectors.push_back(duck::api().data_chunk_get_vector(chunk, c));
    int64_t bytes = 0;
    while (rows < duck::api().vector_size() && bytes < kChunkBytes && fetch_row()) bytes += take_row(vectors, rows++);
  } catch (...) {
    error_ = std::current_exception();
    rows = 0;
    done_ = true;
    duck::api().function_set_error(info, "reading the rows failed");
  }
  duck::api().data_chunk_set_size(chunk, rows);
}

void Writer::close() {
  bridge::pg_call([&] { SPI_cursor_close(portal_); });
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

std::string copy_statement(const RowSource &source, const std::string &path) {
  double rows = source.row_bytes > 0 ? kRowGroupBytes / source.row_bytes : 16384;
  auto group = static_cast<int64_t>(std::clamp(rows, 2048.0, kRowGroupRowsMax));
  return "COPY (SELECT * FROM pg_rows()) TO " + sql_literal(path) +
         " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE " + std::to_string(group) + ")";
}

void hash_file(WrittenFile &file) {
  store::Sha256 sha;
  file.bytes = read_file(file.path, [&](std::string_view block) { sha.add(block); });
  file.sha256 = sha.hex();
}

}  // namespace

WrittenFile write_file(const RowSource &source, const std::string &path) {
  duck::api();
  WrittenFile out;
  out.path = path;
  Relation rel = bridge::pg_call([&] { return table_open(source.relid, AccessShareLock); });
  out.columns = manifest_columns(RelationGetDescr(rel), CurrentMemoryContext);
  bridge::pg_call([&] { table_close(rel, NoLock); });
  bridge::Spi spi;
  Writer writer(source, out);
  ActiveScope scope(&writer);
  duck::Connection connection;
  register_rows_function(connection);
  writer.open();
  duck::execute(connection, copy_statement(source, path), on_error);
  writer.rethrow();
  writer.close();
  out.zones = writer.zones();
  hash_file(out);
  return out;
}

}  // namespace vectorshard::tier
