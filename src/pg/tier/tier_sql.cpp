// SQL functions of tier that are no plpgsql: probing a store, bringing a client back, reading a
// segment, loading a partition (60_tier.sql).
#include "core/store/store_url.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/cold_scan.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/store_check.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
}

using namespace vectorshard;

/// probe_store(name, url, encrypted): raises unless an object can be written, read and removed there now.
VECTORSHARD_FUNCTION(vectorshard_probe_store) {
  return bridge::entry([&]() -> Datum {
    tier::probe_store(bridge::text_argument(fcinfo, 0), {bridge::text_argument(fcinfo, 1), PG_GETARG_BOOL(2)});
    PG_RETURN_VOID();
  });
}

/// check_store(name) → (step, ok, detail): what the store does with an object that is made for it.
VECTORSHARD_FUNCTION(vectorshard_check_store) {
  return bridge::entry([&]() -> Datum {
    tier::check_store(bridge::text_argument(fcinfo, 0), [&](const std::string &step, bool ok, const std::string &detail) {
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      const char *s = step.c_str(), *d = detail.c_str();
      bridge::pg_call([&] {
        if (!result->setResult) InitMaterializedSRF(fcinfo, 0);
        Datum values[] = {CStringGetTextDatum(s), BoolGetDatum(ok), CStringGetTextDatum(d)};
        bool nulls[] = {false, false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      });
    });
    return PointerGetDatum(nullptr);
  });
}

/// store_kind(url): file, s3 or azure; raises if the URL is none of a store.
VECTORSHARD_FUNCTION(vectorshard_store_kind) {
  return bridge::entry([&]() -> Datum {
    auto kind = bridge::value_or_raise(store::read_store_url(bridge::text_argument(fcinfo, 0))).kind;
    const char *name = kind == store::StoreKind::file ? "file" : kind == store::StoreKind::s3 ? "s3" : "azure";
    return bridge::pg_call([&] { return CStringGetTextDatum(name); });
  });
}

/// thaw(segment): asks the archive for its object; what its state is after that.
VECTORSHARD_FUNCTION(vectorshard_thaw) {
  return bridge::entry([&]() -> Datum {
    std::string state = tier::thaw(bridge::text_argument(fcinfo, 0));
    const char *s = state.c_str();
    return bridge::pg_call([&] { return CStringGetTextDatum(s); });
  });
}

/// bring_back(client): false if it is not cold here.
VECTORSHARD_FUNCTION(vectorshard_bring_back) {
  return bridge::entry([&]() -> Datum { PG_RETURN_BOOL(tier::bring_back(bridge::text_argument(fcinfo, 0))); });
}

/// segment_rows(segment, relation): its rows, in the columns that the caller declares, by name.
VECTORSHARD_FUNCTION(vectorshard_segment_rows) {
  return bridge::entry([&]() -> Datum {
    if (!superuser())
      bridge::raise_sqlstate(ERRCODE_INSUFFICIENT_PRIVILEGE, "only superusers read segments directly", "",
                             "Query the table: rows in a store are among its rows.");
    auto scan = tier::scan_segment(bridge::text_argument(fcinfo, 0), PG_GETARG_OID(1));
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
