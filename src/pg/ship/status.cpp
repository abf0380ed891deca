// What the shipper shows and says of itself: the rows behind the view ship_lag.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/region.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
}

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_ship_peers) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    std::vector<ship::PeerStatus> peers = ship::read_peer_status();
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, 0); });
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (const ship::PeerStatus &p : peers) {
      bridge::pg_call([&] {
        Datum values[6] = {Int32GetDatum(p.node), BoolGetDatum(p.connected), Int64GetDatum(static_cast<int64>(p.queue_rows)),
                           Int64GetDatum(static_cast<int64>(p.queue_bytes)), TimestampTzGetDatum(p.oldest_commit_time),
                           CStringGetTextDatum(p.last_error)};
        bool nulls[6] = {false, false, false, false, p.oldest_commit_time == 0, p.last_error[0] == 0};
        tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
      });
    }
    return static_cast<Datum>(0);
  });
}

VECTORSHARD_FUNCTION(vectorshard_ship_position) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    bool decoded = PG_GETARG_BOOL(0);
    auto *where = decoded ? &bridge::shared()->decoded_lsn : &bridge::shared()->confirmed_lsn;
    uint64 lsn = pg_atomic_read_u64(where);
    if (lsn == 0) PG_RETURN_NULL();
    PG_RETURN_UINT64(lsn);
  });
}

VECTORSHARD_FUNCTION(vectorshard_take_over_debt) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    ship::add_debt(PG_GETARG_INT32(1), bridge::text_argument(fcinfo, 0));
    bridge::wake(bridge::kShipper);
    PG_RETURN_VOID();
  });
}
