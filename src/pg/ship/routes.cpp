// Reading routes: see routes.hpp.
#include "pg/ship/routes.hpp"

#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "utils/snapmgr.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kPeers =
    "SELECT node, name, uuid, incarnation FROM vectorshard.node WHERE state <> 'removed' AND node <> $1 ORDER BY node";

bridge::FabricIndex clients{"client", "client_pkey"}, holders{"holder", "holder_pkey"};
constexpr AttrNumber kHome = 2, kHolderNode = 2, kHolderGeneration = 3, kHolderState = 4;

bool holds(const char *state) { return strcmp(state, "copying") == 0 || strcmp(state, "live") == 0; }

/// Inside pg_call: a C++ exception of `add` would leave a scan open, which the end of the transaction closes.
template <class Home, class Holder>
void look_up(Snapshot snapshot, std::string_view client, Home &&home, Holder &&holder) {
  ScanKeyData key[1];
  bool isnull;
  bridge::name_key(&key[0], 1, client);
  bridge::lookup(clients, snapshot, key, 1,
                 [&](TupleTableSlot *slot) { home(DatumGetInt32(slot_getattr(slot, kHome, &isnull))); });
  bridge::lookup_each(holders, snapshot, key, 1, [&](TupleTableSlot *slot) {
    if (holds(TextDatumGetCString(slot_getattr(slot, kHolderState, &isnull))))
      holder(DatumGetInt32(slot_getattr(slot, kHolderNode, &isnull)), DatumGetInt64(slot_getattr(slot, kHolderGeneration, &isnull)));
    return true;
  });
}

}  // namespace

std::vector<PeerRow> read_peers() {
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept(kPeers, {bridge::p_int4(bridge::self_node())});
  std::vector<PeerRow> out;
  for (size_t i = 0; i < rows.size(); i++)
    out.push_back({static_cast<NodeId>(rows.int8(i, 0)), rows.at(i, 1), rows.at(i, 2), rows.int8(i, 3)});
  return out;
}

bool is_leaving() {
  bridge::Spi spi;
  auto own = spi.query_kept("SELECT state = 'leaving' FROM vectorshard.node WHERE node = $1", {bridge::p_int4(bridge::self_node())});
  return !own.empty() && own.boolean(0, 0);
}

bool leaving_now() {
  if (IsTransactionState()) return is_leaving();
  bridge::WorkerTransaction tx;
  bool leaving = is_leaving();
  tx.commit();
  return leaving;
}

std::map<ClientName, ClientRoute> read_routes(const std::set<ClientName> &names) {
  std::map<ClientName, ClientRoute> out;
  for (const ClientName &name : names) {
    ClientRoute &route = out[name];
    HolderRef found[kNodeMax];
    int count = 0;
    bridge::pg_call([&] {
      look_up(GetActiveSnapshot(), name, [&](NodeId home) { route.home = home; },
              [&](NodeId node, Generation generation) { if (count < kNodeMax) found[count++] = {node, generation}; });
    });
    route.holders.assign(found, found + count);
  }
  return out;
}

}  // namespace vectorshard::ship
