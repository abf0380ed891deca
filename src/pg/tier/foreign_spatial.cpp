// Geometries of others: see foreign_spatial.hpp.
#include "pg/tier/foreign_spatial.hpp"

#include <algorithm>
#include <map>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/duckdb_run.hpp"
#include "pg/tier/foreign_files.hpp"
#include "pg/tier/spatial.hpp"
#include "pg/tier/spool.hpp"

namespace vectorshard::tier {

namespace {

constexpr const char *kNative = "GEOMETRY", *kBytes = "BLOB";

/// The system that a document of PROJJSON (an expression of DuckDB) names: by its code, if it has one.
std::string crs_text(const std::string &json) {
  return "coalesce(json_extract_string(" + json + ", '$.id.authority') || ':' || json_extract_string(" + json + ", '$.id.code'), " + json + "::VARCHAR)";
}

enum Field : idx_t { kName, kEncoding, kCrs, kEdges, kTypes, kFields };

/// Of each column in the key "geo", as texts; nothing if that is no JSON.
std::string metadata_statement(const std::string &file) {
  return "SELECT e.key, coalesce(json_extract_string(e.value, '$.encoding'), ''), "
         "CASE coalesce(json_type(e.value, '$.crs'), '') WHEN '' THEN '' WHEN 'NULL' THEN 'null' ELSE " + crs_text("json_extract(e.value, '$.crs')") + " END, "
         "coalesce(json_extract_string(e.value, '$.edges'), 'planar'), array_to_string(json_extract_string(e.value, '$.geometry_types[*]'), ',') "
         "FROM (SELECT CASE WHEN json_valid(try(decode(value))) THEN decode(value) ELSE '{}' END AS j FROM parquet_kv_metadata" + file + " WHERE key = 'geo'::BLOB LIMIT 1) s, "
         "json_each(s.j, '$.columns') e";
}

/// The same of Parquet's own type of geometries, which says the system itself.
std::string native_statement(const std::string &file) {
  return "SELECT name, 'WKB', CASE WHEN c = '<null>' THEN '' WHEN json_valid(c) THEN " + crs_text("c::JSON") + " ELSE c END, edges, '' FROM (SELECT name, "
         "regexp_extract(logical_type, 'crs=(.*?)(, algorithm=[^,]*)?\\)$', 1) AS c, CASE WHEN logical_type LIKE 'Geography%' THEN 'spherical' ELSE 'planar' END AS edges "
         "FROM parquet_schema" + file + " WHERE logical_type LIKE 'GeometryType(%' OR logical_type LIKE 'GeographyType(%')";
}

using Said = std::map<std::string, ForeignGeometry>;

void read(const std::string &sql, Said *said) {
  duck::Stream stream(sql, {}, false);
  while (duckdb_data_chunk chunk = stream.next()) {
    std::vector<duck::Column> columns;
    for (idx_t f = 0; f < kFields; f++) columns.push_back(duck::column_of(chunk, f));
    for (idx_t r = 0; r < duck::api().data_chunk_get_size(chunk); r++) {
      auto text = [&](Field f) { return columns[f].valid(r) ? std::string(duck::string_at(columns[f], r)) : std::string(); };
      if (strcasecmp(text(kEncoding).c_str(), "WKB") != 0) continue;
      std::vector<std::string> types;
      std::string list = text(kTypes);
      for (size_t at = 0; !list.empty() && at != std::string::npos;) {
        size_t end = list.find(',', at);
        types.push_back(list.substr(at, end - at));
        at = end == std::string::npos ? end : end + 1;
      }
      said->emplace(text(kName), ForeignGeometry{text(kCrs), text(kEdges) != "planar", dimensions_of(types)});
    }
  }
}

/// The schema of PostGIS, which this extension requires, quoted.
std::string postgis_schema() {
  bridge::Spi spi;
  bridge::Rows rows = spi.query("SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace "
                                "WHERE e.extname OPERATOR(pg_catalog.=) 'postgis'", {}, true);
  return rows.at(0, 0);
}

std::string modifier(const ForeignGeometry &g, int32_t srid) {
  if (srid == 0 || g.dimensions == ForeignGeometry::Dimensions::unknown) return "";
  return std::string(g.dimensions == ForeignGeometry::Dimensions::xyz ? "(GeometryZ," : "(Geometry,") + std::to_string(srid) + ")";
}

void give_type(const std::string &schema, ForeignColumn *c) {
  const std::optional<int32_t> srid = srid_of_crs(c->geometry->crs);
  c->remark.clear();
  if (c->geometry->spherical && srid != kLonLat) {
    c->remark = "Its geometries come as well-known binary: their edges are geodesics, and PostGIS has geography for those of longitude and latitude alone.";
    return;
  }
  if (!srid) c->remark = "Its geometries come with SRID 0: their coordinate system has no EPSG code in the file.";
  c->type = schema + (c->geometry->spherical ? ".geography" : ".geometry") + modifier(*c->geometry, srid.value_or(0));
}

}  // namespace

bool is_native_geometry(const ForeignColumn &column) { return column.duck_type.starts_with(kNative); }

void mark_geometries(const std::string &path, std::vector<ForeignColumn> *columns) {
  const std::string file = "(" + sql_literal(path) + ")";
  Said in_key, in_type;
  read(metadata_statement(file), &in_key);
  if (std::any_of(columns->begin(), columns->end(), is_native_geometry)) read(native_statement(file), &in_type);
  for (ForeignColumn &c : *columns) {
    auto key = in_key.find(c.name), type = in_type.find(c.name);
    const bool native = is_native_geometry(c);
    if (native) {
      c.type = "bytea";
      c.geometry = type != in_type.end() ? type->second : ForeignGeometry{};
      if (key != in_key.end()) c.geometry->dimensions = key->second.dimensions;
    } else if (c.duck_type == kBytes && key != in_key.end()) {
      c.geometry = key->second;
    }
  }
}

void give_spatial_types(std::vector<ForeignColumn> *columns) {
  if (std::none_of(columns->begin(), columns->end(), [](const ForeignColumn &c) { return c.geometry.has_value(); })) return;
  const std::string schema = postgis_schema();
  for (ForeignColumn &c : *columns)
    if (c.geometry) give_type(schema, &c);
}

bool share_columns(std::vector<ForeignColumn> *all, const std::vector<ForeignColumn> &one) {
  if (all->size() != one.size()) return false;
  for (size_t i = 0; i < one.size(); i++) {
    ForeignColumn &mine = (*all)[i];
    ForeignColumn theirs = one[i];
    if (mine.geometry && theirs.geometry && mine.geometry->dimensions != theirs.geometry->dimensions)
      mine.geometry->dimensions = theirs.geometry->dimensions = ForeignGeometry::Dimensions::unknown;
    if (mine.geometry) theirs.type = mine.type, theirs.remark = mine.remark;
    if (mine != theirs) return false;
  }
  give_spatial_types(all);
  return true;
}

void take_srid(const ForeignColumn &in_file, const std::string &key, ManifestColumn *column) {
  const int32_t srid = in_file.geometry ? srid_of_crs(in_file.geometry->crs).value_or(0) : 0;
  if (srid != 0 && column->srid != 0 && srid != column->srid)
    raise_foreign_column(key, column->name, "Its geometries have SRID " + std::to_string(srid) + " there, and SRID " + std::to_string(column->srid) + " in the table.",
                         "Drop the foreign table and import it anew.");
  if (srid != 0) column->srid = srid;
}

}  // namespace vectorshard::tier
