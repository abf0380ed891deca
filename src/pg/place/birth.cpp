// require_resident: what happens when a writer inserts a row of a client that this node does not hold. On a core node
// an unknown client is born in the writer's own transaction. Everything else (birth at an edge, copy of a known client)
// is done by the holder worker in transactions of its own while the writer waits: an uncommitted `client` row here would
// make the stream from the core wait for the writer.
#include "pg/place/birth.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/api.hpp"
#include "pg/place/holder_queue.hpp"
#include "pg/place/policies.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::Param;
using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

// Residency is looked at this often even if nobody tells us that a request ended.
constexpr long kPollMs = 50;

std::string quoted(std::string_view client) { return "\"" + std::string(client) + "\""; }

[[noreturn]] void raise_leaving(std::string_view client) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "client " + quoted(client) + " is leaving this node", "",
                         "Retry the transaction.");
}

/// What is known of the client, for the detail of an error.
std::string known_of(std::string_view client) {
  auto row = find_client(client);
  if (!row) return "The client is not known on this node.";
  return "The home of the client is node " + std::to_string(row->home) + ".";
}

[[noreturn]] void raise_timeout(std::string_view client, int waited_ms) {
  bridge::raise_sqlstate(ERRCODE_LOCK_NOT_AVAILABLE, "client " + quoted(client) + " did not become resident in time",
                         known_of(client) + " Waited " + std::to_string(waited_ms) + " ms.",
                         "Retry; if it lasts, look at the server log for \"vectorshard holder\", at "
                         "vectorshard.nodes, and at vectorshard.insert_wait_ms.");
}

void check_name(std::string_view client) {
  if (client.empty())
    bridge::raise_sqlstate(ERRCODE_INVALID_PARAMETER_VALUE, "client must not be empty", "",
                           "Give the client column a name, a number or another identifier of the client.");
  if (client.size() > kMaxClientBytes)
    bridge::raise_sqlstate(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "name of the client is too long",
                           "It has " + std::to_string(client.size()) + " bytes, the limit is " +
                               std::to_string(kMaxClientBytes) + ".",
                           "Use a shorter identifier of the client.");
}

void ask_worker(std::string_view client, TimestampTz until) {
  if (!ask({RequestKind::copy, std::string(client), bridge::guc::birth_without_core}, until))
    bridge::raise_sqlstate(ERRCODE_INSUFFICIENT_RESOURCES, "too many writers wait for copies on this node",
                           "Client " + quoted(client) + " is not resident here.",
                           "Retry; write clients where they are served, or load many clients on a core node.");
}

/// Waits for the worker. Returns when the client is resident, raises otherwise.
void wait_for_copy(std::string_view client) {
  int wait_ms = bridge::guc::insert_wait_ms;
  TimestampTz deadline = TimestampTzPlusMilliseconds(bridge::steady_us(), wait_ms);
  // The request outlives the wait: a retry of the transaction then finds the client resident.
  ask_worker(client, TimestampTzPlusMilliseconds(deadline, 5000));
  for (;;) {
    auto residency = apply::residency_now(client);
    if (residency.resident && residency.leaving) raise_leaving(client);
    if (residency.resident) return;
    auto o = outcome(RequestKind::copy, client);
    if (o && o->state == RequestState::failed) bridge::raise_sqlstate(o->sqlstate, o->message, o->detail, o->hint);
    long left = TimestampDifferenceMilliseconds(bridge::steady_us(), deadline);
    if (left <= 0) raise_timeout(client, wait_ms);
    wait_for_outcome(Min(left, kPollMs));
  }
}

}  // namespace

std::optional<ClientRow> find_client(std::string_view client) {
  bridge::Spi spi;
  bridge::pg_call([] { PushActiveSnapshot(GetLatestSnapshot()); });
  auto rows = spi.query_kept("SELECT home, epoch, _version FROM vectorshard.client WHERE client = $1", {p_text(client)},
                             true);
  bridge::pg_call([] { PopActiveSnapshot(); });
  if (rows.empty()) return std::nullopt;
  return ClientRow{static_cast<NodeId>(rows.int8(0, 0)), rows.int8(0, 1), rows.int8(0, 2)};
}

AskedStanding standing(std::string_view client) {
  AskedStanding here;
  if (auto row = find_client(client)) {
    here.known = true;
    here.home = row->home;
    here.epoch = row->epoch;
  }
  auto residency = apply::residency_now(client);
  here.resident = residency.resident;
  here.leaving = residency.leaving;
  return here;
}

std::string own_kind() {
  bridge::Spi spi;
  auto rows = spi.query_kept("SELECT kind FROM vectorshard.node WHERE node = $1 AND state = 'active'",
                             {p_int4(bridge::self_node())});
  return rows.empty() ? "" : rows.at(0, 0);
}

bool make_client_here(std::string_view client) {
  NodeId self = bridge::self_node();
  Version version = apply::stamp();
  bridge::Spi spi;
  if (!spi.execute("INSERT INTO vectorshard.client (client, home, epoch, _version) VALUES ($1, $2, 1, $3) "
                   "ON CONFLICT (client) DO NOTHING",
                   {p_text(client), p_int4(self), p_int8(version)}))
    return false;
  spi.execute("INSERT INTO vectorshard.resident (client, generation) VALUES ($1, $2)",
              {p_text(client), p_int8(version)});
  spi.execute("INSERT INTO vectorshard.holder (client, node, generation, state, _version) VALUES ($1, $2, $3, 'live', $3) "
              "ON CONFLICT (client, node) DO UPDATE SET generation = excluded.generation, state = excluded.state",
              {p_text(client), p_int4(self), p_int8(version)});
  return true;
}

void require_resident(std::string_view client) {
  auto residency = apply::residency_now(client);
  if (residency.resident && residency.leaving) raise_leaving(client);
  if (residency.resident) return;
  check_name(client);
  if (bridge::self_node() == kNoNode)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is not in a fabric", "",
                           "Call vectorshard.create_fabric() or vectorshard.join_fabric() first.");
  bridge::AsSuperuser rights;
  require_allowed_here(client);
  if (!find_client(client) && own_kind() == "core") {
    if (make_client_here(client)) return;
    residency = apply::residency_now(client);
    if (residency.resident && !residency.leaving) return;
  }
  if (bridge::holds_client_shared(client)) {
    // Waiting would be for ourselves: the copy cannot start while our forwarded write is open.
    ask_worker(client, TimestampTzPlusMilliseconds(bridge::steady_us(), bridge::guc::insert_wait_ms + 5000));
    bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE,
                           "client " + quoted(client) + " cannot become resident within this transaction",
                           "The transaction has an open write of this client at its home.",
                           "Retry the transaction: the client is copied here meanwhile. Or insert before updating.");
  }
  wait_for_copy(client);
}

}  // namespace vectorshard::place

using namespace vectorshard;

/// birth_client(client, OUT home, OUT epoch, OUT version, OUT born): on a core node, makes or finds the client.
VECTORSHARD_FUNCTION(vectorshard_birth_client) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    std::string client = bridge::text_argument(fcinfo, 0);
    place::check_name(client);
    if (place::own_kind() != "core")
      bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "clients are born on core nodes alone",
                             "This is node " + std::to_string(bridge::self_node()) + ".",
                             "Insert rows of the client; the fabric finds a core node by itself.");
    bridge::AsSuperuser rights;
    place::require_allowed_here(client);
    bool born = !place::find_client(client) && place::make_client_here(client);
    auto row = place::find_client(client);
    if (!row)
      bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "client changed while it was born", "", "Retry.");
    return bridge::pg_call([&]() -> Datum {
      TupleDesc desc;
      if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "composite result expected");
      desc = BlessTupleDesc(desc);
      Datum values[4] = {Int32GetDatum(row->home), Int64GetDatum(row->epoch), Int64GetDatum(row->version),
                         BoolGetDatum(born)};
      bool nulls[4] = {false, false, false, false};
      return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
    });
  });
}
