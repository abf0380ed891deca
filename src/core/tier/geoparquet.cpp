// GeoParquet metadata: see geoparquet.hpp.
#include "core/tier/geoparquet.hpp"

#include <charconv>

#include "core/tier/types.hpp"

namespace vectorshard::tier {

namespace {

/// Reads as the same number again.
std::string number_text(double v) {
  char text[32];
  auto end = std::to_chars(text, text + sizeof text, v);
  return {text, end.ptr};
}

std::string column_json(const GeoColumn &c) {
  std::string types, box;
  for (const std::string &t : c.geometries.types()) types += (types.empty() ? "" : ", ") + json_string(t);
  std::string out = R"({"encoding": "WKB", "geometry_types": [)" + types + "]";
  if (!c.crs.empty()) out += ", \"crs\": " + c.crs;
  if (c.spherical) return out + ", \"edges\": \"spherical\"}";  // between corners such edges leave the corners' box
  for (double v : c.geometries.box()) box += (box.empty() ? "" : ", ") + number_text(v);
  return out + (box.empty() ? "}" : ", \"bbox\": [" + box + "]}");
}

/// A string of Thrift's compact protocol, as the first field after another one of its struct.
std::string thrift_string(std::string_view s) {
  std::string out(1, 0x18);
  size_t n = s.size();
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(0x80 | (n & 0x7f));
  out += static_cast<char>(n);
  return out.append(s);
}

}  // namespace

std::string geo_metadata(const std::vector<GeoColumn> &columns) {
  std::string out = R"({"version": "1.1.0", "primary_column": )" + json_string(columns.front().field) + R"(, "columns": {)";
  for (size_t i = 0; i < columns.size(); i++) out += (i ? ", " : "") + json_string(columns[i].field) + ": " + column_json(columns[i]);
  return out + "}}";
}

std::optional<std::string> with_geo_metadata(std::string_view footer, std::string_view value) {
  const std::string pair = thrift_string(kGeoKey) + thrift_string(kGeoPlaceholder);
  size_t at = footer.rfind(pair);  // after it come no values of rows
  if (at == std::string_view::npos) return std::nullopt;
  std::string out(footer.substr(0, at));
  out += thrift_string(kGeoKey) + thrift_string(value);
  return out.append(footer.substr(at + pair.size()));
}

}  // namespace vectorshard::tier
