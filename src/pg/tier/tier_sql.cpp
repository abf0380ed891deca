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

namespace {

/// Rights of a table's owner, such that nothing he wrote can take back those of the caller. Meanwhile segment_rows() may
/// be called.
class OwnerScope {
 public:
  explicit OwnerScope(Oid owner) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    loading = true;
  }
  ~OwnerScope() {
    SetUserIdAndSecContext(user_, context_);
    loading = false;
  }
  OwnerScope(const OwnerScope &) = delete;
  OwnerScope &operator=(const OwnerScope &) = delete;

  static bool loading;

 private:
  Oid user_;
  int context_;
};
bool OwnerScope::loading = false;

Oid owner_of(Oid relid) {
  return bridge::pg_call([&] {
    HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(row)) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation %u does not exist", relid)));
    Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
    ReleaseSysCache(row);
    return owner;
  });
}

constexpr size_t kCountedRows = 256;

}  // namespace

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
    if (!OwnerScope::loading && !superuser())
      bridge::raise_sqlstate(ERRCODE_INSUFFICIENT_PRIVILEGE, "only superusers read segments directly", "",
                             "Query the table: rows in a store are among its rows.");
    auto scan = tier::scan_segment(bridge::text_argument(fcinfo, 0), PG_GETARG_OID(1));
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    TupleTableSlot *slot = bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      return MakeSingleTupleTableSlot(result->setDesc, &TTSOpsVirtual);
    });
    tier::begin_loading(bridge::text_argument(fcinfo, 0));
    size_t rows = 0;
    while (scan->next(slot)) {
      bridge::pg_call([&] { tuplestore_puttupleslot(result->setResult, slot); });
      if (++rows % kCountedRows == 0) tier::count_rows(kCountedRows);
    }
    tier::count_rows(rows % kCountedRows);
    bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
    return PointerGetDatum(nullptr);
  });
}

/// execute_as_owner(relation, statement): rows touched.
VECTORSHARD_FUNCTION(vectorshard_execute_as_owner) {
  return bridge::entry([&]() -> Datum {
    std::string statement = bridge::text_argument(fcinfo, 1);
    bridge::Spi spi;
    OwnerScope owner(owner_of(PG_GETARG_OID(0)));
    spi.query(statement);
    PG_RETURN_INT64(static_cast<int64_t>(SPI_processed));
  });
}
