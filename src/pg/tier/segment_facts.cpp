// Facts of segments: see segment_facts.hpp.
#include "pg/tier/segment_facts.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/stores.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::tier {

namespace {

constexpr size_t kMostFacts = 256;

// Of a text column only min and max that are kept whole are there; a number's may be beyond int8 in no kind.
constexpr char kZones[] = R"(
  SELECT (z.value ->> 'nulls')::int8, z.value ->> 'min', z.value ->> 'max'
    FROM vectorshard.segment s, ROWS FROM (jsonb_to_recordset(s.columns) AS (name text)) WITH ORDINALITY AS c
    LEFT JOIN LATERAL (SELECT s.zones -> c.name AS value) z ON true
   WHERE s.segment = $1 ORDER BY c.ordinality)";

std::vector<Zone> zones_of(const Segment &segment) {
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept(kZones, {bridge::p_text(segment.name)}, true);
  std::vector<Zone> out(segment.columns.size());
  for (size_t i = 0; i < out.size(); i++) {
    Zone &z = out[i];
    z.nulls = -1;
    if (i >= rows.size() || rows.null(i, 0)) continue;
    z.nulls = rows.int8(i, 0);
    z.has_range = !rows.null(i, 1) && !rows.null(i, 2);
    if (!z.has_range) continue;
    if (is_string(segment.columns[i].kind)) {
      z.min_text = rows.at(i, 1);
      z.max_text = rows.at(i, 2);
    } else {
      z.min_number = std::stoll(rows.at(i, 1));
      z.max_number = std::stoll(rows.at(i, 2));
    }
  }
  return out;
}

std::string blocks_of(const Segment &segment) {
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT blocks FROM vectorshard.segment WHERE segment = $1", {bridge::p_text(segment.name)}, true);
  return rows.empty() ? "" : rows.at(0, 0);
}

bool is_name_in_use(TupleDesc desc, const std::string &name) {
  for (int i = 0; i < desc->natts; i++)
    if (!TupleDescAttr(desc, i)->attisdropped && name == NameStr(TupleDescAttr(desc, i)->attname)) return true;
  return false;
}

}  // namespace

const SegmentFacts &facts_of(const std::string &name) {
  // Of this manifest: an extension that is made anew begins with the same names.
  static std::map<std::pair<Oid, std::string>, SegmentFacts> known;
  const Oid manifest = bridge::pg_call([] { return get_relname_relid("segment", get_namespace_oid("vectorshard", false)); });
  if (auto it = known.find({manifest, name}); it != known.end()) return it->second;
  if (known.size() >= kMostFacts) known.clear();
  Snapshot catalog = bridge::pg_call([] {
    InvalidateCatalogSnapshot();
    return GetCatalogSnapshot(InvalidOid);
  });
  ActiveSnapshotScope now(catalog);
  SegmentFacts facts{find_segment(name), {}, {}};
  facts.zones = zones_of(facts.segment);
  facts.blocks = blocks_of(facts.segment);
  return known[{manifest, name}] = std::move(facts);
}

std::string segment_of_table(Oid relid) { return require_stub_segment(relid); }

SegmentFacts facts_of_table(Oid relid) {
  bool foreign = bridge::pg_call([&] { return get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE; });
  return foreign ? foreign_facts(relid) : facts_of(segment_of_table(relid));
}

Oid stored_type(const ManifestColumn &column) {
  const char *text = column.type.c_str();
  return bridge::pg_call([&] {
    Oid type = InvalidOid;
    int32 typmod = -1;
    parseTypeString(text, &type, &typmod, true);
    return type;
  });
}

std::vector<int> stored_columns(const std::vector<ManifestColumn> &columns, TupleDesc desc) {
  std::vector<int> out;
  for (int i = 0; i < desc->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    int by_name = -1, by_number = -1;
    for (size_t c = 0; c < columns.size() && !a->attisdropped; c++) {
      if (columns[c].name == NameStr(a->attname)) by_name = static_cast<int>(c);
      // The number alone counts only for a name that is no column of the table any more, with the same type.
      if (columns[c].attnum == a->attnum && !is_name_in_use(desc, columns[c].name) && stored_type(columns[c]) == a->atttypid)
        by_number = static_cast<int>(c);
    }
    out.push_back(by_name >= 0 ? by_name : by_number);
  }
  return out;
}

bool stored_as_is(const ManifestColumn &column, Form_pg_attribute attribute) {
  Oid stored = stored_type(column);
  return OidIsValid(stored) && bridge::pg_call([&] { return getBaseType(stored) == getBaseType(attribute->atttypid); });
}

}  // namespace vectorshard::tier
