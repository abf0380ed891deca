// All rows of a segment, asked for like any others: see segment_query.hpp.
#include "pg/bridge/guard.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/segment_query.hpp"
extern "C" {
#include "access/table.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

std::unique_ptr<ColdScan> read_segment(const std::string &segment, Oid relid, int64_t first) {
  SegmentQuestion all;
  all.segment = segment;
  all.relid = relid;
  Relation rel = bridge::pg_call([&] { return table_open(relid, AccessShareLock); });
  for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++) {
    if (TupleDescAttr(RelationGetDescr(rel), i)->attisdropped) continue;
    all.outputs.push_back({SegmentOutput::Kind::attribute, i + 1, std::nullopt});
    all.places.push_back(i);
  }
  bridge::pg_call([&] { table_close(rel, NoLock); });
  all.few = first > 0;
  if (all.few)
    all.next_part = [at = first, rows = facts_of(segment).segment.rows](int64_t *begin, int64_t *end) mutable {
      *begin = at;
      *end = at = (at / kPieceRows + 1) * kPieceRows;
      return *begin < rows;
    };
  return ask_segment(std::move(all));
}

}  // namespace vectorshard::tier
