// Manifest types: see types.hpp.
#include <array>
#include <cstdio>

#include "core/tier/types.hpp"

namespace vectorshard::tier {

namespace {

constexpr size_t kZoneTextMax = 64;
constexpr std::array<const char *, 15> kNames = {"boolean", "int2",  "int4", "int8",      "float4",      "float8", "text",
                                                 "bytes",   "date",  "timestamp", "timestamptz", "output", "send",   "decimal",   "wkb"};

bool ordered_number(CellKind k) {
  switch (k) {
    case CellKind::int2:
    case CellKind::int4:
    case CellKind::int8:
    case CellKind::date:
    case CellKind::timestamp:
    case CellKind::timestamptz:
    case CellKind::decimal: return true;
    default: return false;
  }
}

}  // namespace

const char *cell_kind_name(CellKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::optional<CellKind> cell_kind_of(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); i++)
    if (name == kNames[i]) return static_cast<CellKind>(i);
  return std::nullopt;
}

bool is_string(CellKind kind) {
  return kind == CellKind::text || kind == CellKind::bytes || is_opaque(kind);
}

bool is_opaque(CellKind kind) { return kind == CellKind::output || kind == CellKind::send || kind == CellKind::wkb; }

namespace {

void widen(Zone &z, int64_t number) {
  if (!z.has_range || number < z.min_number) z.min_number = number;
  if (!z.has_range || number > z.max_number) z.max_number = number;
  z.has_range = true;
}

void widen(Zone &z, std::string_view text) {
  if (text.size() > kZoneTextMax) {
    z.text_usable = z.has_range = false;
    return;
  }
  if (!z.has_range || text < z.min_text) z.min_text = text;
  if (!z.has_range || text > z.max_text) z.max_text = text;
  z.has_range = true;
}

}  // namespace

void ZoneMap::add(size_t column, const Cell *cells, size_t stride, size_t n) {
  Zone &z = zones_[column];
  CellKind kind = columns_[column].kind;
  bool numbers = ordered_number(kind);
  for (size_t i = 0; i < n; i++) {
    const Cell &cell = cells[i * stride];
    if (cell.null)
      z.nulls++;
    else if (numbers)
      widen(z, cell.number);
    else if (kind == CellKind::text && z.text_usable)
      widen(z, cell.bytes);
  }
}

std::string ZoneMap::json() const {
  std::string out = "{";
  for (size_t i = 0; i < zones_.size(); i++) {
    const Zone &z = zones_[i];
    if (i) out += ", ";
    out += json_string(columns_[i].name) + ": {\"nulls\": " + std::to_string(z.nulls);
    if (z.has_range && columns_[i].kind == CellKind::text)
      out += ", \"min\": " + json_string(z.min_text) + ", \"max\": " + json_string(z.max_text);
    else if (z.has_range)
      out += ", \"min\": " + std::to_string(z.min_number) + ", \"max\": " + std::to_string(z.max_number);
    out += "}";
  }
  return out + "}";
}

std::string columns_json(const std::vector<ManifestColumn> &columns) {
  std::string out = "[";
  for (const ManifestColumn &c : columns) {
    if (out.size() > 1) out += ", ";
    out += "{\"name\": " + json_string(c.name) + ", \"type\": " + json_string(c.type) +
           ", \"attnum\": " + std::to_string(c.attnum) + ", \"kind\": \"" + cell_kind_name(c.kind) + "\"";
    if (c.kind == CellKind::decimal) out += ", \"precision\": " + std::to_string(c.precision) + ", \"scale\": " + std::to_string(c.scale);
    if (c.kind == CellKind::wkb) out += ", \"srid\": " + std::to_string(c.srid);
    out += "}";
  }
  return out + "]";
}

std::string json_string(std::string_view s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char b[8];
      snprintf(b, sizeof b, "\\u%04x", c);
      out += b;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace vectorshard::tier
