// Becoming the home of a client: handed over by its home, or taken because that was removed. One transaction with the row
// of `client` that all nodes are told. Never two homes in one epoch: the home asks one node at a time, and a home is taken
// only of a node that the registrar has removed.
#include "pg/place/home_serve.hpp"

#include "core/place/home_offer.hpp"
#include "core/ship/debt_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/birth.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

constexpr const char *kTake = R"(
  INSERT INTO vectorshard.client AS c (client, home, epoch, _version) VALUES ($1, $2, $3, 0)
  ON CONFLICT (client) DO UPDATE SET home = excluded.home, epoch = excluded.epoch WHERE c.epoch < excluded.epoch)";
constexpr const char *kHolders = "SELECT node FROM vectorshard.holder WHERE client = $1 AND state IN ('copying', 'live')";

// An edge keeps a home no longer than it takes to hand it over.
constexpr const char *kHandOver =
    "INSERT INTO vectorshard.home_move (client, to_node) SELECT $1, node FROM vectorshard.node WHERE registrar AND state <> 'removed'";

/// In the current transaction, with the locks of the client's holders: this node is its home of `epoch`, after `from`, from the commit.
void make_home(const std::string &client, NodeId from, int64_t epoch) {
  NodeId self = bridge::self_node();
  std::vector<NodeId> holders;
  {
    bridge::Spi spi;
    // Whoever hears of it acts on it: it must be durable when the answer is read.
    spi.query("SELECT set_config('synchronous_commit', 'on', true)");
    spi.execute(kTake, {p_text(client), p_int4(self), p_int8(epoch)});
    spi.query("SELECT vectorshard.note_home_event($1, $2, $3)", {p_text(client), p_int4(from), p_int8(epoch)});
    spi.execute("UPDATE vectorshard.resident SET confirmed = true WHERE client = $1 AND NOT confirmed", {p_text(client)});
    auto rows = spi.query_kept(kHolders, {p_text(client)});
    for (size_t i = 0; i < rows.size(); i++) holders.push_back(static_cast<NodeId>(rows.int8(i, 0)));
  }
  for (NodeId peer : ship::owed_after_move(self, self, holders)) ship::add_debt(peer, client);
  bridge::wake_at_commit(bridge::kShipper);
}

/// See become_home in 36_home.sql.
Answer become_home(const std::string &client, NodeId from, int64_t epoch, const std::string &digest, bool sent) {
  if (own_kind() != "core") return Answer::absent;
  if (!bridge::try_lock_client(client)) return Answer::leaving;
  // No merge of it is open now, and none begins before the commit.
  bridge::lock_holders_of({}, {client});
  bool holds_all = sent;
  AskedStanding here = standing(client);
  if (!holds_all && here.resident) {
    bridge::lock_to_read({});
    bridge::FreshSnapshot fresh;
    holds_all = apply::client_digest(client) == digest;
  }
  Answer answer = answer_to_offer(here, bridge::self_node(), epoch, holds_all);
  if (answer == Answer::ok && here.epoch <= epoch) make_home(client, from, epoch + 1);
  return answer;
}

[[noreturn]] void refuse_to_take(const std::string &client, const std::string &detail, const char *hint) {
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this node cannot become home of client \"" + client + "\"",
                         detail, hint);
}

/// See take_home in 36_home.sql.
void take_home(const std::string &client, NodeId from, int64_t epoch, bool alone) {
  std::string name, state;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept("SELECT name, state FROM vectorshard.node WHERE node = $1", {p_int4(from)});
    if (!rows.empty()) name = rows.at(0, 0), state = rows.at(0, 1);
  }
  if (state != "removed")
    refuse_to_take(client, "Its home is node " + std::to_string(from) + ", which this node does not know to be removed.",
                   "Retry when this node has heard of the removal.");
  bridge::lock_client(client);
  bridge::lock_holders_of({}, {client});
  AskedStanding here = standing(client);
  if (here.epoch > epoch) return;  // somebody was faster
  if (!here.resident && !alone)
    refuse_to_take(client, "It does not hold the client.", "Give a node that vectorshard.placements shows as live holder.");
  if (!here.resident) {
    bridge::Spi spi;
    Version version = apply::stamp();
    spi.execute("INSERT INTO vectorshard.resident (client, generation) VALUES ($1, $2)", {p_text(client), p_int8(version)});
    spi.execute("INSERT INTO vectorshard.holder (client, node, generation, state, _version) VALUES ($1, $2, $3, 'live', $3) "
                "ON CONFLICT (client, node) DO UPDATE SET generation = excluded.generation, state = excluded.state",
                {p_text(client), p_int4(bridge::self_node()), p_int8(version)});
  }
  make_home(client, from, epoch + 1);
  {
    bridge::Spi spi;
    spi.execute("DELETE FROM vectorshard.home_move WHERE client = $1", {p_text(client)});  // whom it asked as the home before is of no matter now
    if (own_kind() == "edge") spi.execute(kHandOver, {p_text(client)});
  }
  apply::record_conflict(here.resident ? "home_taken" : "client_lost", "", client, "", 0, 0,
                         here.resident ? "its home, node " + name + ", was removed; what that node alone had is lost"
                                       : "its home, node " + name + ", was removed, and no other node held it: it begins empty",
                         {});
}

bool is_removed(NodeId node) {
  return !bridge::Spi().query_kept("SELECT FROM vectorshard.node WHERE node = $1 AND state = 'removed'", {p_int4(node)}).empty();
}

/// See confirm_home in 36_home.sql. The row is locked from the look at it on: nobody else gives an epoch meanwhile.
int64_t confirm_home(const std::string &client, NodeId home, int64_t epoch, NodeId lost) {
  bridge::Spi spi;
  if (spi.query_kept("SELECT FROM vectorshard.node WHERE node = $1 AND registrar", {p_int4(bridge::self_node())}).empty() || !is_removed(lost)) return 0;
  spi.query("SELECT set_config('synchronous_commit', 'on', true)");
  AskedStanding here;
  auto rows = spi.query_kept("SELECT home, epoch FROM vectorshard.client WHERE client = $1 FOR UPDATE", {p_text(client)});
  if (!rows.empty()) here = {true, static_cast<NodeId>(rows.int8(0, 0)), rows.int8(0, 1)};
  int64_t given = epoch_after_lost_target(here, home, epoch);
  if (given == 0 || (here.known && here.epoch == given)) return given;
  return spi.execute(kTake, {p_text(client), p_int4(home), p_int8(given)}) > 0 ? given : 0;
}

}  // namespace

void go_on_as_home(const std::string &client, NodeId lost, int64_t epoch) {
  bridge::lock_client(client);
  bridge::lock_holders_of({}, {client});
  make_home(client, lost, epoch);
  bridge::Spi().execute("DELETE FROM vectorshard.home_move WHERE client = $1", {p_text(client)});
  apply::record_conflict("home_taken", "", client, "", 0, 0,
                         "node " + std::to_string(lost) + ", to which its home was moving, was removed; what that node alone had is lost", {});
}

}  // namespace vectorshard::place

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_become_home) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    std::string client = bridge::text_argument(fcinfo, 0), digest = bridge::text_argument(fcinfo, 3);
    const char *answer = place::word(place::become_home(client, PG_GETARG_INT32(1), PG_GETARG_INT64(2), digest, PG_GETARG_BOOL(4)));
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(answer)); });
  });
}

VECTORSHARD_FUNCTION(vectorshard_take_home) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    place::take_home(bridge::text_argument(fcinfo, 0), PG_GETARG_INT32(1), PG_GETARG_INT64(2), PG_GETARG_BOOL(3));
    PG_RETURN_VOID();
  });
}

VECTORSHARD_FUNCTION(vectorshard_confirm_home) {
  return bridge::entry([&]() -> Datum {
    fabric::require_certain();
    PG_RETURN_INT64(place::confirm_home(bridge::text_argument(fcinfo, 0), PG_GETARG_INT32(1), PG_GETARG_INT64(2), PG_GETARG_INT32(3)));
  });
}
