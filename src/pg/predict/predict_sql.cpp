// predict() and predicted_path(): what the predictor and the filter say of one client. They write nothing.
#include "core/predict/kalman.hpp"
#include "core/predict/reach_set.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/predict/api.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
}

using namespace vectorshard;

namespace {

constexpr double kHorizonMostS = 86400;
constexpr int kStepsMost = 10000;

/// The motion of a client; nullopt: no report of it came here. Raises for a client that nobody knows.
std::optional<telemetry::Motion> motion_or_raise(std::string_view client) {
  auto motion = telemetry::motion_of(client);
  if (motion) return motion;
  bridge::AsSuperuser rights;
  bridge::Spi spi;
  if (spi.query_kept("SELECT FROM vectorshard.client WHERE client = $1", {bridge::p_text(client)}).empty())
    bridge::raise_sqlstate(ERRCODE_UNDEFINED_OBJECT, "client \"" + std::string(client) + "\" is not known",
                           "No report of it came to this node, and no row of it was inserted on any node.",
                           "Call vectorshard.report() where the client is served.");
  return std::nullopt;
}

std::string_view client_arg(FunctionCallInfo fcinfo) {
  text *t = bridge::pg_call([&] { return PG_GETARG_TEXT_PP(0); });
  return {VARDATA_ANY(t), static_cast<size_t>(VARSIZE_ANY_EXHDR(t))};
}

void check_horizon(double horizon_s) {
  if (horizon_s > 0 && horizon_s <= kHorizonMostS) return;
  bridge::raise_sqlstate(ERRCODE_INVALID_PARAMETER_VALUE, "horizon out of range",
                         "Horizon is " + std::to_string(horizon_s) + " s.", "Give seconds, more than 0 and at most a day.");
}

void begin(FunctionCallInfo fcinfo) {
  bridge::pg_call([&] { InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC); });
}

void put(FunctionCallInfo fcinfo, Datum *values, int count) {
  bridge::pg_call([&] {
    bool nulls[8] = {};
    Assert(count <= 8);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  });
}

Datum number(double v) { return Float8GetDatum(v); }

}  // namespace

/// predict(client, horizon_s)
VECTORSHARD_FUNCTION(vectorshard_predict) {
  return bridge::entry([&]() -> Datum {
    if (!PG_ARGISNULL(1)) check_horizon(PG_GETARG_FLOAT8(1));
    begin(fcinfo);
    if (PG_ARGISNULL(0)) return 0;
    auto motion = motion_or_raise(client_arg(fcinfo));
    if (!motion) return 0;
    if (motion->reports == 0) motion->at_s = std::max(motion->at_s, telemetry::clients_now());  // nobody said that it left
    double lead_s = PG_ARGISNULL(1) ? bridge::guc::copy_time_s : PG_GETARG_FLOAT8(1) - predict::horizon_s(*motion, 0);
    const place::NodeMap &map = predict::node_map();
    double age_s = std::max(0.0, telemetry::clients_now() - motion->at_s);
    for (const auto &c : predict::candidates(client_arg(fcinfo), *motion, motion->serving, map, lead_s)) {
      std::string name = predict::node_name(map, c.node);
      const char *text = name.c_str();
      Datum values[4] = {bridge::pg_call([&] { return CStringGetTextDatum(text); }), number(c.confidence),
                         number(std::max(0.0, c.median_s - age_s)), number(std::max(0.0, c.earliest_s - age_s))};
      put(fcinfo, values, 4);
    }
    return 0;
  });
}

/// predicted_positions(client, horizon_s, steps): longitude and latitude, made into points by predicted_path().
VECTORSHARD_FUNCTION(vectorshard_predicted_positions) {
  return bridge::entry([&]() -> Datum {
    double horizon_s = PG_GETARG_FLOAT8(1);
    int steps = PG_GETARG_INT32(2);
    check_horizon(horizon_s);
    if (steps < 1 || steps > kStepsMost)
      bridge::raise_sqlstate(ERRCODE_INVALID_PARAMETER_VALUE, "number of steps out of range",
                             "Steps are " + std::to_string(steps) + ".", "Give 1 to 10000 steps.");
    begin(fcinfo);
    auto motion = motion_or_raise(client_arg(fcinfo));
    if (!motion) return 0;
    auto path = predict::path(*motion, horizon_s, steps);
    for (size_t i = 0; i < path.size(); i++) {
      double ahead_s = horizon_s * static_cast<double>(i) / steps;
      Datum values[4] = {Int64GetDatum(telemetry::wall_time(motion->at_s + ahead_s)), number(path[i].lon),
                         number(path[i].lat), number(predict::position_sigma_m(*motion, ahead_s))};
      put(fcinfo, values, 4);
    }
    return 0;
  });
}
