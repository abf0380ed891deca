// The home's side of copy and eviction: SQL functions that a holder calls over its link. Each commits before the holder
// goes on (one statement, autocommit). Never answers for a client that this node does not hold in the very snapshot it
// reads.
#include "core/place/handshake.hpp"
#include "core/ship/envelope.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/wal.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/birth.hpp"
#include "pg/place/holder_queue.hpp"
#include "pg/ship/api.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

// A holder that waits for a cold client asks again within this time.
constexpr int kBringBackMs = 30000;

Datum text_result(const char *s) {
  return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(s)); });
}

/// False for a node that was removed, and for one that this node has not heard of yet.
bool is_active(NodeId node) {
  return !bridge::Spi()
              .query_kept("SELECT FROM vectorshard.node WHERE node = $1 AND state <> 'removed'", {bridge::p_int4(node)})
              .empty();
}

/// Under fresh snapshots. A cold client is asked back for.
AskedStanding standing_with_cold(std::string_view client) {
  AskedStanding here = standing(client);
  if (here.resident) return here;
  bridge::FreshSnapshot fresh;
  here.cold = tier::cold_under(GetActiveSnapshot(), client);
  if (here.cold)
    ask({RequestKind::copy, std::string(client), false},
        TimestampTzPlusMilliseconds(bridge::steady_us(), kBringBackMs));
  return here;
}

}  // namespace

/// What a holder hears that announces itself: see copy_announce in 35_hold.sql.
Answer announce(std::string_view client, NodeId node, Generation generation, const std::string &state, Version version) {
  if (!find_client(client)) return Answer::unknown;
  bool active = is_active(node);
  if (active) {
    ship::learn_holder(client, node, generation, state, version);
    bridge::lock_holders_of({}, {std::string(client)});
  }
  AskedStanding here = standing_with_cold(client);
  here.asker_active = active;
  return answer_to_announcement(here, bridge::self_node());
}

/// The answer of the home to a holder that wants to let go: see evict_handshake in 35_hold.sql.
Answer may_evict(std::string_view client, NodeId node, int64_t epoch, std::string_view digest, bool sent,
                 const std::vector<NodeId> &debts) {
  NodeId self = bridge::self_node();
  AskedStanding here = standing_with_cold(client);
  Answer answer = answer_to_leaver(here, self, epoch, sent);
  if (answer == Answer::send) {
    bridge::lock_to_read({});
    bridge::FreshSnapshot fresh;
    answer = answer_to_leaver(here, self, epoch, apply::client_digest(client) == digest);
  }
  if (answer != Answer::ok) return answer;
  for (NodeId peer : debts)
    if (peer != self && peer != node) ship::add_debt(peer, client);
  // What the digest saw may have been committed asynchronously.
  bridge::pg_call([] { bridge::flush_wal(); });
  return answer;
}

}  // namespace vectorshard::place

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_copy_announce) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    std::string client = bridge::text_argument(fcinfo, 0);
    std::string state = bridge::text_argument(fcinfo, 3);
    return place::text_result(
        word(place::announce(client, PG_GETARG_INT32(1), PG_GETARG_INT64(2), state, PG_GETARG_INT64(4))));
  });
}

VECTORSHARD_FUNCTION(vectorshard_copy_export) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    std::string client = bridge::text_argument(fcinfo, 0);
    ship::wait_decoded_visible();
    bridge::lock_to_read({});
    bridge::FreshSnapshot fresh;
    auto residency = apply::residency_under(GetActiveSnapshot(), client);
    if (!residency.resident) PG_RETURN_NULL();
    // The asker has all that is here, and what comes from now on is sent to it: its holder row is known here.
    std::string digest = PG_NARGS() > 1 ? bridge::text_argument(fcinfo, 1) : "";
    auto row = digest.empty() ? std::nullopt : place::find_client(client);
    place::AskedStanding here;
    if (row) here = {true, row->home, row->epoch, residency.resident, residency.leaving};
    if (row && place::confirms(here, bridge::self_node(), apply::client_digest(client) == digest)) return bridge::pg_call([&]() -> Datum { return PointerGetDatum(cstring_to_text_with_len("", 0)); });
    std::string bytes = ship::close_envelope(ship::encode(ship::export_client(client, ship::BatchKind::copy)),
                                             static_cast<ship::Compression>(bridge::guc::batch_compression));
    return bridge::pg_call([&]() -> Datum {
      return PointerGetDatum(cstring_to_text_with_len(bytes.data(), static_cast<int>(bytes.size())));
    });
  });
}

VECTORSHARD_FUNCTION(vectorshard_evict_handshake) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    std::string client = bridge::text_argument(fcinfo, 0);
    std::string digest = bridge::text_argument(fcinfo, 3);
    std::vector<NodeId> debts = bridge::integers_argument(fcinfo, 5);
    return place::text_result(word(place::may_evict(client, PG_GETARG_INT32(1), PG_GETARG_INT64(2), digest,
                                                    PG_GETARG_BOOL(4), debts)));
  });
}
