// SQL functions of tier that are no plpgsql: probing a store, bringing a client back, reading a segment (60_tier.sql).
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/cold_scan.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/tuplestore.h"
}

using namespace vectorshard;

namespace {

std::string text_argument(FunctionCallInfo fcinfo, int n) {
  text *t = bridge::pg_call([&] { return PG_GETARG_TEXT_PP(n); });
  return std::string(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

}  // namespace

/// probe_store(name, url): raises unless an object can be written, read and removed there now.
VECTORSHARD_FUNCTION(vectorshard_probe_store) {
  return bridge::entry([&]() -> Datum {
    tier::probe_store(text_argument(fcinfo, 0), text_argument(fcinfo, 1));
    PG_RETURN_VOID();
  });
}

/// bring_back(client): false if it is not cold here.
VECTORSHARD_FUNCTION(vectorshard_bring_back) {
  return bridge::entry([&]() -> Datum { PG_RETURN_BOOL(tier::bring_back(text_argument(fcinfo, 0))); });
}

/// segment_rows(segment, relation): its rows, in the columns that the caller declares, by name.
VECTORSHARD_FUNCTION(vectorshard_segment_rows) {
  return bridge::entry([&]() -> Datum {
    auto scan = tier::scan_segment(text_argument(fcinfo, 0), PG_GETARG_OID(1));
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    TupleTableSlot *slot = bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      return MakeSingleTupleTableSlot(result->setDesc, &TTSOpsVirtual);
    });
    while (scan->next(slot)) bridge::pg_call([&] { tuplestore_puttupleslot(result->setResult, slot); });
    bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
    return PointerGetDatum(nullptr);
  });
}
