// The SQL functions that bring reports, and the counts of refusals. They take values apart and never look at tables,
// but for the name of a node.
#include <algorithm>
#include <vector>

#include "pg/bridge/arguments.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/telemetry/api.hpp"
#include "pg/telemetry/point.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

using namespace vectorshard;

namespace {

[[noreturn]] void raise_null(const char *what, const char *hint) {
  bridge::raise_sqlstate(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(what) + " of the report must not be null", "", hint);
}

text *text_arg(FunctionCallInfo fcinfo, int n) {
  return bridge::pg_call([&] { return PG_GETARG_TEXT_PP(n); });
}

std::optional<double> float_arg(FunctionCallInfo fcinfo, int n) {
  if (PG_ARGISNULL(n)) return std::nullopt;
  return PG_GETARG_FLOAT8(n);
}

/// The elements of an array argument; none if it is null.
struct Elements {
  Datum *values = nullptr;
  bool *nulls = nullptr;
  int count = 0;
  bool given = false;
  bool null(int i) const { return !given || nulls[i]; }
};

Elements elements(FunctionCallInfo fcinfo, int n, Oid type) {
  if (PG_ARGISNULL(n)) return {};
  return bridge::pg_call([&] {
    Elements e;
    int16 length;
    bool by_value;
    char align;
    get_typlenbyvalalign(type, &length, &by_value, &align);
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), type, length, by_value, align, &e.values, &e.nulls, &e.count);
    e.given = true;
    return e;
  });
}

void check_length(const Elements &e, int count, const char *what) {
  if (!e.given || e.count == count) return;
  bridge::raise_sqlstate(ERRCODE_ARRAY_SUBSCRIPT_ERROR, "arrays of reports differ in length",
                         "There are " + std::to_string(count) + " clients and " + std::to_string(e.count) + " " + what + ".",
                         "Give one element a report in every array; leave speeds, headings and times out altogether or null.");
}

/// A malformed element: which one.
[[noreturn]] void raise_element(int i, const Error &e) {
  bridge::raise(Error{e.code, e.message, "Report " + std::to_string(i + 1) + "." + (e.detail.empty() ? "" : " " + e.detail), e.hint});
}

/// Elements of an array are in one piece, but for what a user's own function may have put there.
const text *name_at(const Elements &e, int i) {
  const auto *name = reinterpret_cast<const varattrib_1b *>(DatumGetPointer(e.values[i]));
  if (!VARATT_IS_EXTERNAL(name) && !VARATT_IS_COMPRESSED(name)) return reinterpret_cast<const text *>(name);
  return bridge::pg_call([&] { return DatumGetTextPP(e.values[i]); });
}

/// Oldest first, whatever their order in the arrays: none is late because a newer one of its client stood before it.
int64 take_in_order(std::vector<telemetry::RawReport> &reports) {
  auto older = [](const telemetry::RawReport &a, const telemetry::RawReport &b) { return a.observed_at < b.observed_at; };
  if (!std::is_sorted(reports.begin(), reports.end(), older)) std::stable_sort(reports.begin(), reports.end(), older);
  int64 accepted = 0;
  for (const telemetry::RawReport &r : reports) accepted += bridge::value_or_raise(telemetry::take_report(r));
  telemetry::flush_reports();
  return accepted;
}

NodeId node_by_name(const text *name) {
  bridge::AsSuperuser rights;
  bridge::Spi spi;
  auto rows = spi.query_kept("SELECT node FROM vectorshard.node WHERE name = $1", {bridge::p_text(bridge::view(name))});
  if (rows.empty())
    bridge::raise_sqlstate(ERRCODE_UNDEFINED_OBJECT, "node \"" + std::string(bridge::view(name)) + "\" does not exist",
                           "No node of the fabric has that name.", "Give a name from the view vectorshard.nodes, or null.");
  return static_cast<NodeId>(rows.int8(0, 0));
}

bool finish(vectorshard::Result<bool> taken) {
  bool accepted = telemetry::accepted_or_raise(std::move(taken));
  telemetry::flush_reports();
  return accepted;
}

}  // namespace

/// report(client, position, speed_mps, heading_deg, observed_at), for geometry and geography.
VECTORSHARD_FUNCTION(vectorshard_report) {
  return bridge::entry([&]() -> Datum {
    bool complete = !PG_ARGISNULL(0) && !PG_ARGISNULL(1) && !PG_ARGISNULL(4);
    if (!complete && telemetry::refuse_malformed()) return BoolGetDatum(false);
    if (PG_ARGISNULL(0)) raise_null("client", "Give the value of the client column of the client's rows.");
    if (PG_ARGISNULL(1)) raise_null("position", "Use vectorshard.report_handover() for a client without a position.");
    if (PG_ARGISNULL(4)) raise_null("time", "Leave observed_at out for now.");
    Oid type = bridge::pg_call([&] { return get_fn_expr_argtype(fcinfo->flinfo, 1); });
    auto point = telemetry::read_point(PG_GETARG_DATUM(1), type);
    if (!point.ok()) return BoolGetDatum(finish(point.error()));
    telemetry::LonLat at = point.value();
    telemetry::RawReport r{bridge::view(text_arg(fcinfo, 0)), at.lon, at.lat, float_arg(fcinfo, 2), float_arg(fcinfo, 3),
                           PG_GETARG_TIMESTAMPTZ(4)};
    return BoolGetDatum(finish(telemetry::take_report(r)));
  });
}

/// report(clients[], lons[], lats[], speeds_mps[], headings_deg[], observed_at[]): how many were accepted.
VECTORSHARD_FUNCTION(vectorshard_report_many) {
  return bridge::entry([&]() -> Datum {
    Elements clients = elements(fcinfo, 0, TEXTOID), lons = elements(fcinfo, 1, FLOAT8OID),
             lats = elements(fcinfo, 2, FLOAT8OID), speeds = elements(fcinfo, 3, FLOAT8OID),
             headings = elements(fcinfo, 4, FLOAT8OID), times = elements(fcinfo, 5, TIMESTAMPTZOID);
    if (!clients.given || !lons.given || !lats.given)
      raise_null("arrays of clients and positions", "Give one element a report.");
    check_length(lons, clients.count, "longitudes");
    check_length(lats, clients.count, "latitudes");
    check_length(speeds, clients.count, "speeds");
    check_length(headings, clients.count, "headings");
    check_length(times, clients.count, "times");
    TimestampTz now = GetCurrentTransactionStartTimestamp();
    std::vector<telemetry::RawReport> reports;
    reports.reserve(static_cast<size_t>(clients.count));
    for (int i = 0; i < clients.count; i++) {
      bool complete = !clients.null(i) && !lons.null(i) && !lats.null(i);
      if (!complete && telemetry::refuse_malformed()) continue;
      if (!complete)
        raise_element(i, Error{Errc::invalid_argument, "client and position of a report must not be null", "",
                               "Leave such reports out."});
      telemetry::RawReport r{bridge::view(name_at(clients, i)), DatumGetFloat8(lons.values[i]), DatumGetFloat8(lats.values[i]), {}, {},
                             times.null(i) ? now : DatumGetTimestampTz(times.values[i])};
      if (!speeds.null(i)) r.speed_mps = DatumGetFloat8(speeds.values[i]);
      if (!headings.null(i)) r.heading_deg = DatumGetFloat8(headings.values[i]);
      if (auto ok = telemetry::check_report(r); ok)
        reports.push_back(r);
      else if (!telemetry::refuse_malformed())
        raise_element(i, ok.error());
    }
    return Int64GetDatum(take_in_order(reports));
  });
}

/// report_handover(client, from_node, observed_at)
VECTORSHARD_FUNCTION(vectorshard_report_handover) {
  return bridge::entry([&]() -> Datum {
    if ((PG_ARGISNULL(0) || PG_ARGISNULL(2)) && telemetry::refuse_malformed()) return BoolGetDatum(false);
    if (PG_ARGISNULL(0)) raise_null("client", "Give the value of the client column of the client's rows.");
    if (PG_ARGISNULL(2)) raise_null("time", "Leave observed_at out for now.");
    NodeId from = PG_ARGISNULL(1) ? kNoNode : node_by_name(text_arg(fcinfo, 1));
    return BoolGetDatum(finish(telemetry::take_handover(bridge::view(text_arg(fcinfo, 0)), from, PG_GETARG_TIMESTAMPTZ(2))));
  });
}

/// refuse_malformed()
VECTORSHARD_FUNCTION(vectorshard_refuse_malformed) {
  return bridge::entry([&]() -> Datum { return BoolGetDatum(telemetry::refuse_malformed()); });
}

/// telemetry_counters(): name and count, since the server started.
VECTORSHARD_FUNCTION(vectorshard_telemetry_counters) {
  return bridge::entry([&]() -> Datum {
    telemetry::Counters c = telemetry::counters();
    bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      auto put = [&](const char *name, uint64_t count) {
        Datum values[2] = {CStringGetTextDatum(name), Int64GetDatum(static_cast<int64>(count))};
        bool nulls[2] = {false, false};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      };
      put("accepted", c.accepted);
      for (int i = 0; i < telemetry::kRefusalCount; i++)
        put(telemetry::refusal_name(static_cast<telemetry::Refusal>(i)), c.refused[i]);
      put("dropped", c.dropped);
      put("arrivals", c.arrivals);
      put("hits", c.hits);
    });
    return 0;
  });
}
