// Reading and writing the manifest: see manifest.hpp.
#include "pg/tier/manifest.hpp"

#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "catalog/pg_type.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

constexpr char kCold[] = R"(
  SELECT s.segment, s.store, s.object_key, s.table_name, s.sha256, s.bytes, s.rows, k.client, k.rows, k.digest
    FROM vectorshard.cold_client k JOIN vectorshard.segment s ON s.segment = k.segment
   WHERE ($1 = '' OR s.table_name = $1) )";

constexpr char kColumns[] = R"(
  SELECT c.name, c.type, c.attnum, c.kind, c.precision, c.scale, c.srid
    FROM vectorshard.segment s,
         ROWS FROM (jsonb_to_recordset(s.columns) AS (name text, type text, attnum int, kind text, precision int, scale int, srid int)) WITH ORDINALITY AS c
   WHERE s.segment = $1 ORDER BY c.ordinality)";

std::vector<ManifestColumn> columns_of(bridge::Spi &spi, const std::string &segment) {
  std::vector<ManifestColumn> out;
  bridge::Rows rows = spi.query_kept(kColumns, {p_text(segment)}, true);
  for (size_t i = 0; i < rows.size(); i++) {
    auto kind = cell_kind_of(rows.at(i, 3));
    if (!kind)
      bridge::raise({Errc::corrupt, "segment \"" + segment + "\" has a column of unknown kind \"" + rows.at(i, 3) + "\"",
                     "", "It was written by a newer version: update the extension on this node."});
    out.push_back({rows.at(i, 0), rows.at(i, 1), static_cast<int>(rows.int8(i, 2)), *kind,
                   static_cast<int>(rows.int8(i, 4)), static_cast<int>(rows.int8(i, 5)), static_cast<int32_t>(rows.int8(i, 6))});
  }
  return out;
}

Segment segment_of(const bridge::Rows &rows, size_t i) {
  Segment s;
  s.name = rows.at(i, 0);
  s.store = rows.at(i, 1);
  s.key = rows.at(i, 2);
  s.table = rows.at(i, 3);
  s.sha256 = rows.at(i, 4);
  s.bytes = rows.int8(i, 5);
  s.rows = rows.int8(i, 6);
  return s;
}

}  // namespace

bool ColdSegment::whole() const {
  int64_t sum = 0;
  for (const ColdShare &c : clients) sum += c.rows;
  return sum == segment.rows;
}

std::vector<ColdSegment> cold_segments(const std::string &table, const std::vector<std::string> *clients) {
  AsOwner owner;
  bridge::Spi spi;
  std::string sql = std::string(kCold) + (clients ? "AND k.client = ANY ($2) " : "") + "ORDER BY s.segment, k.client";
  std::vector<bridge::Param> params{p_text(table)};
  if (clients) params.push_back(bridge::p_text_array(*clients));
  bridge::Rows rows = spi.query_kept(sql, params, true);
  std::vector<ColdSegment> out;
  for (size_t i = 0; i < rows.size(); i++) {
    if (out.empty() || out.back().segment.name != rows.at(i, 0)) out.push_back({segment_of(rows, i), {}});
    out.back().clients.push_back({rows.at(i, 7), rows.int8(i, 8), rows.at(i, 9)});
  }
  for (ColdSegment &s : out) s.segment.columns = columns_of(spi, s.segment.name);
  return out;
}

Segment find_segment(const std::string &name) {
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT segment, store, object_key, table_name, sha256, bytes, rows "
                                     "FROM vectorshard.segment WHERE segment = $1",
                                     {p_text(name)}, true);
  if (rows.empty())
    bridge::raise({Errc::not_found, "segment \"" + name + "\" is not in the manifest", "",
                   "Look at vectorshard.segment and vectorshard.tier_moves."});
  Segment s = segment_of(rows, 0);
  s.columns = columns_of(spi, name);
  return s;
}

void insert_segment(const NewSegment &n) {
  AsOwner owner;
  bridge::Spi spi;
  spi.execute("INSERT INTO vectorshard.segment (segment, store, object_key, table_name, kind, home, rows, bytes, sha256, "
              "content, columns, zones, blocks, state, _version) "
              "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12::jsonb, $13, 'live', 0)",
              {p_text(n.segment.name), p_text(n.segment.store), p_text(n.segment.key), p_text(n.segment.table),
               p_text(n.kind), p_int4(bridge::self_node()), p_int8(n.segment.rows), p_int8(n.segment.bytes),
               p_text(n.segment.sha256), p_text(n.content.hex()), p_text(columns_json(n.segment.columns)),
               p_text(n.zones), p_text(n.blocks)});
  std::vector<std::string> clients;
  for (const auto &[client, digest] : n.clients) clients.push_back(client);
  spi.execute("INSERT INTO vectorshard.segment_client (client, segment) SELECT unnest($2::text[]), $1",
              {p_text(n.segment.name), bridge::p_text_array(clients)});
}

}  // namespace vectorshard::tier
