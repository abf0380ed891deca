// SQL functions by which operators let a client go and read copy times (place() itself is plpgsql, 35_hold.sql).
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/place/api.hpp"
#include "pg/place/holder_queue.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::place {

namespace {

// The worker looks at once; it answers within the time-outs of a handshake.
constexpr int kEvictWaitMs = 15000;

void evict_now(const std::string &client) {
  TimestampTz deadline = TimestampTzPlusMilliseconds(bridge::steady_us(), kEvictWaitMs);
  if (client.empty() || client.size() > kMaxClientBytes)
    bridge::raise_sqlstate(ERRCODE_INVALID_PARAMETER_VALUE, "client must have 1 to 255 bytes",
                           "It has " + std::to_string(client.size()) + ".",
                           "Give the name of a client that vectorshard.placements shows on this node.");
  if (bridge::self_node() == kNoNode)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is not in a fabric", "",
                           "Call vectorshard.create_fabric() or vectorshard.join_fabric() first.");
  if (!ask({RequestKind::evict, client, false}, deadline))
    bridge::raise_sqlstate(ERRCODE_INSUFFICIENT_RESOURCES, "too many requests wait for the holder worker", "", "Retry.");
  for (;;) {
    auto o = outcome(RequestKind::evict, client);
    if (!o) break;
    if (o->state == RequestState::done) return;
    if (o->state == RequestState::failed) bridge::raise_sqlstate(o->sqlstate, o->message, o->detail, o->hint);
    if (bridge::steady_us() > deadline) break;
    wait_for_outcome(50);
  }
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the holder worker does not answer",
                         "Waited " + std::to_string(kEvictWaitMs) + " ms.",
                         "Look for \"vectorshard holder\" in pg_stat_activity and in the server log.");
}

}  // namespace

}  // namespace vectorshard::place

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_evict) {
  return bridge::entry([&]() -> Datum {
    place::evict_now(bridge::text_argument(fcinfo, 0));
    PG_RETURN_VOID();
  });
}

VECTORSHARD_FUNCTION(vectorshard_copy_time_ms) {
  return bridge::entry([&]() -> Datum {
    double ms = place::copy_time_ms(PG_GETARG_INT32(0));
    if (ms <= 0) PG_RETURN_NULL();
    return bridge::pg_call([&]() -> Datum { return Float8GetDatum(ms); });
  });
}

/// copy_jobs_from(): source, jobs, copies.
VECTORSHARD_FUNCTION(vectorshard_copy_jobs_from) {
  return bridge::entry([&]() -> Datum {
    std::map<NodeId, place::CopyJobs> all = place::copy_jobs();
    bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      for (auto &[source, j] : all) {
        Datum values[3] = {Int32GetDatum(source), Int64GetDatum(static_cast<int64>(j.jobs)), Int64GetDatum(static_cast<int64>(j.copies))};
        bool nulls[3] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      }
    });
    return 0;
  });
}
