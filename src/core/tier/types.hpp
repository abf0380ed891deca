// What a segment's manifest says: how each column is stored, what the rows hash to, the range of values. Plain data
// and its JSON form (docs/formats/segment.md); the JSON is read back by PostgreSQL, so only writing is here.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vectorshard::tier {

/// How a column's values lie in the segment. Names as in the manifest: see cell_kind_name.
enum class CellKind : uint8_t {
  boolean,
  int2,
  int4,
  int8,
  float4,
  float8,
  text,         // the string itself
  bytes,        // the byte string itself
  date,         // days
  timestamp,    // microseconds, no zone
  timestamptz,  // microseconds, UTC
  output,       // the type's output text under fixed settings
  send,         // the type's binary send bytes
  decimal,      // a number of fixed scale and at most 18 digits, as an integer of units of the last digit
  wkb,          // a geometry as ISO WKB; its SRID is the column's
};
/// The last time, in microseconds since 2000, that fits into microseconds since 1970; PostgreSQL's own last is 30 years later.
constexpr int64_t kLastTimestamp = INT64_MAX - 946684800000000 - 1;
/// The number that stands for a decimal that has no such integer (NaN); it is never stored.
constexpr int64_t kNoDecimal = INT64_MIN;
/// The SRID of a geometry that ISO WKB cannot hold; it is never stored.
constexpr int64_t kNoGeometry = INT64_MIN;
constexpr int kDecimalDigitsMax = 18;
const char *cell_kind_name(CellKind kind);
std::optional<CellKind> cell_kind_of(std::string_view name);
/// True for kinds whose cell is a byte string (text, bytes, output, send, wkb).
bool is_string(CellKind kind);
/// True for kinds whose values only functions of their type understand (output, send, wkb).
bool is_opaque(CellKind kind);

/// A value as it lies in a segment. Integers, dates, times: `number` in PostgreSQL's own scale; floats: their bits; decimals: units; of a geometry: its SRID.
struct Cell {
  bool null = true;
  int64_t number = 0;
  std::string_view bytes;
};

/// The name of a client from a cell (not null) of its column: text, integer, or a type kept as output text.
inline std::string client_name(CellKind kind, const Cell &cell) {
  return is_string(kind) ? std::string(cell.bytes) : std::to_string(cell.number);
}

struct ManifestColumn {
  std::string name;
  std::string type;  // format_type() with modifiers
  int attnum = 0;
  CellKind kind = CellKind::send;
  int precision = 0, scale = 0;  // of a decimal
  int32_t srid = 0;              // of a geometry
};

/// The range of a column's values: numbers of integer, decimal, date and time columns; short strings of text columns.
struct Zone {
  int64_t nulls = 0;
  bool has_range = false;
  int64_t min_number = 0, max_number = 0;
  std::string min_text, max_text;
  bool text_usable = true;  // false: a string was too long to keep
};

/// Collects the zones of a segment while it is written.
class ZoneMap {
 public:
  explicit ZoneMap(const std::vector<ManifestColumn> &columns) : columns_(columns), zones_(columns.size()) {}
  /// `n` cells of a column, `stride` apart.
  void add(size_t column, const Cell *cells, size_t stride, size_t n);
  const std::vector<Zone> &zones() const { return zones_; }
  std::string json() const;

 private:
  std::vector<ManifestColumn> columns_;
  std::vector<Zone> zones_;
};

std::string columns_json(const std::vector<ManifestColumn> &columns);
/// A JSON string literal, with quotes. Bytes that are not UTF-8 must not come here.
std::string json_string(std::string_view s);

}  // namespace vectorshard::tier
