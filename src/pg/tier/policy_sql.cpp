// SQL functions about policies and moves (62_tier_policies.sql, 62_tier_operators.sql): passes, which clients would move and how large, progress.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/tier/idle.hpp"
#include "pg/tier/passes.hpp"
#include "pg/tier/progress.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

using namespace vectorshard;

namespace {

Datum text_datum(const std::string &s) {
  const char *chars = s.c_str();
  return bridge::pg_call([&] { return CStringGetTextDatum(chars); });
}

/// Adds a row without nulls to what the function returns.
void put_row(FunctionCallInfo fcinfo, std::vector<Datum> values) {
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  std::vector<char> nulls(values.size(), 0);
  bridge::pg_call([&] { tuplestore_putvalues(result->setResult, result->setDesc, values.data(), reinterpret_cast<bool *>(nulls.data())); });
}

void begin_rows(FunctionCallInfo fcinfo) {
  bridge::require_preloaded();
  bridge::pg_call([&] { InitMaterializedSRF(fcinfo, 0); });
}

}  // namespace

/// ask_for_pass(): its number.
VECTORSHARD_FUNCTION(vectorshard_ask_for_pass) {
  return bridge::entry([&]() -> Datum { PG_RETURN_INT64(static_cast<int64_t>(tier::ask_for_pass())); });
}

/// last_pass(): the last that was made.
VECTORSHARD_FUNCTION(vectorshard_last_pass) {
  return bridge::entry([&]() -> Datum { PG_RETURN_INT64(static_cast<int64_t>(tier::last_pass())); });
}

/// idle_clients(idle_s, store) → (client, idle). Values that merge count as unchanged: only the worker has seen them before.
VECTORSHARD_FUNCTION(vectorshard_idle_clients) {
  return bridge::entry([&]() -> Datum {
    begin_rows(fcinfo);
    if (PG_ARGISNULL(1)) return PointerGetDatum(nullptr);
    double idle_s = PG_ARGISNULL(0) ? bridge::guc::client_idle_s : PG_GETARG_FLOAT8(0);
    tier::IdleFinder finder;
    for (const tier::IdleClient &c : finder.look(idle_s, bridge::text_argument(fcinfo, 1), false)) {
      auto *idle = static_cast<Interval *>(bridge::pg_call([] { return palloc0(sizeof(Interval)); }));
      idle->time = static_cast<TimeOffset>(c.idle_s * 1e6);
      put_row(fcinfo, {text_datum(c.name), IntervalPGetDatum(idle)});
    }
    return PointerGetDatum(nullptr);
  });
}

/// client_sizes(clients) → (client, table_name, rows, bytes).
VECTORSHARD_FUNCTION(vectorshard_client_sizes) {
  return bridge::entry([&]() -> Datum {
    begin_rows(fcinfo);
    for (const tier::ClientSize &s : tier::client_sizes(bridge::texts_argument(fcinfo, 0)))
      put_row(fcinfo, {text_datum(s.client), text_datum(s.table), Int64GetDatum(s.rows), Int64GetDatum(s.bytes)});
    return PointerGetDatum(nullptr);
  });
}

/// tier_progress() → (move, phase, rows, rows_total, bytes, bytes_total, elapsed_s).
VECTORSHARD_FUNCTION(vectorshard_tier_progress) {
  return bridge::entry([&]() -> Datum {
    begin_rows(fcinfo);
    tier::Progress p = tier::progress();
    constexpr const char *kNames[] = {"", "writing", "storing", "verifying", "loading"};
    if (p.move != 0)
      put_row(fcinfo, {Int64GetDatum(p.move), text_datum(kNames[static_cast<size_t>(p.phase)]), Int64GetDatum(p.rows), Int64GetDatum(p.rows_total),
                       Int64GetDatum(p.bytes), Int64GetDatum(p.bytes_total), Float8GetDatum(p.elapsed_s)});
    return PointerGetDatum(nullptr);
  });
}
