// Values of others: see foreign_values.hpp.
#include "pg/tier/foreign_values.hpp"

#include "core/tier/foreign_geometry.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/foreign_files.hpp"
extern "C" {
#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/date.h"
}

namespace vectorshard::tier {

namespace {

constexpr int64_t kEpochShiftDays = 10957, kEpochShiftUs = 946684800000000;  // 1970-01-01 to 2000-01-01

[[noreturn]] void does_not_fit(const ManifestColumn &column, int state, const char *what) {
  bridge::raise_sqlstate(state, "a value of column \"" + column.name + "\" of a Parquet file cannot be represented", what);
}

bool is_date(int32_t days) {
  if (days == INT32_MAX || days == -INT32_MAX) return true;  // infinity
  int64_t moved = int64_t{days} - kEpochShiftDays;
  return moved >= DATETIME_MIN_JULIAN - POSTGRES_EPOCH_JDATE && moved < DATE_END_JULIAN - POSTGRES_EPOCH_JDATE;
}

/// None is too late: microseconds since 1970 end before those since 2000 do.
bool is_timestamp(int64_t us) { return us == -INT64_MAX || us >= MIN_TIMESTAMP + kEpochShiftUs; }

bool has_zero(std::string_view text) { return text.find('\0') != std::string_view::npos; }

}  // namespace

void require_fits(const duck::Column &from, idx_t at, size_t n, const ManifestColumn &column) {
  for (idx_t r = at; r < at + n; r++) {
    if (!from.valid(r)) continue;
    switch (column.kind) {
      case CellKind::date:
        if (!is_date(static_cast<const int32_t *>(from.data)[r])) does_not_fit(column, ERRCODE_DATETIME_FIELD_OVERFLOW, "It is out of the range of dates.");
        break;
      case CellKind::timestamp:
      case CellKind::timestamptz:
        if (!is_timestamp(static_cast<const int64_t *>(from.data)[r]))
          does_not_fit(column, ERRCODE_DATETIME_FIELD_OVERFLOW, "It is out of the range of timestamps.");
        break;
      case CellKind::text:
      case CellKind::output:
        if (has_zero(duck::string_at(from, r))) does_not_fit(column, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "It has a zero byte.");
        break;
      default: return;
    }
  }
}

namespace {

void to_ewkb(Cell *cells, size_t n, const ManifestColumn &column, const std::string &key) {
  size_t bytes = 1;
  for (size_t i = 0; i < n; i++)
    if (!cells[i].null) bytes += cells[i].bytes.size() + kSridBytes;
  char *memory = bridge::pg_call([&] { return static_cast<char *>(MemoryContextAllocHuge(CurrentMemoryContext, bytes)); });
  for (size_t i = 0; i < n; i++) {
    Cell &c = cells[i];
    if (c.null) continue;
    size_t length = ewkb_of_wkb(c.bytes, column.srid, memory);
    if (length == 0)
      raise_foreign_column(key, column.name, "A value of " + std::to_string(c.bytes.size()) + " bytes is no well-known binary" +
                           (column.srid ? " of SRID " + std::to_string(column.srid) : "") + ".", "Give the column type bytea to see its bytes.");
    c.bytes = {memory, length};
    memory += length;
  }
}

}  // namespace

ForeignContext::ForeignContext(const std::string &key, const ManifestColumn &column) : key_(key.c_str()), column_(column.name.c_str()), callback_{error_context_stack, say, this} {
  error_context_stack = &callback_;
}

void ForeignContext::say(void *of) {
  auto *context = static_cast<ForeignContext *>(of);
  errcontext("column \"%s\" of object \"%s\"", context->column_, context->key_);
}

void to_server_form(Cell *cells, size_t n, const ManifestColumn &column, const std::string &key) {
  if (column.kind == CellKind::send) return to_ewkb(cells, n, column, key);
  if (column.kind != CellKind::output || GetDatabaseEncoding() == PG_UTF8) return;
  bridge::pg_call([&] {
    for (size_t i = 0; i < n; i++) {
      Cell &c = cells[i];
      if (c.null) continue;
      char *server = pg_any_to_server(c.bytes.data(), static_cast<int>(c.bytes.size()), PG_UTF8);
      if (server != c.bytes.data()) c.bytes = server;
    }
  });
}

}  // namespace vectorshard::tier
