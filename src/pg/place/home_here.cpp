// Whether this node is the home of a client, as a snapshot sees it: two look-ups by index, nothing kept. A home that has asked another
// node to be the home does not know whether it still is one until that node has answered (holder_move.cpp).
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/place/api.hpp"

namespace vectorshard::place {

namespace {

constexpr AttrNumber kHome = 2, kEpoch = 3;  // of client
constexpr AttrNumber kAsked = 3;             // of home_move

bridge::FabricIndex clients{"client", "client_pkey"}, moves{"home_move", "home_move_pkey"};

}  // namespace

HomeHere home_here(Snapshot snapshot, std::string_view client) {
  return bridge::pg_call([&] {
    HomeHere here = HomeHere::no;
    ScanKeyData key[1];
    bridge::name_key(&key[0], 1, client);
    bridge::lookup(clients, snapshot, key, 1, [&](TupleTableSlot *slot) {
      bool isnull;
      // Epoch 0: born without a core node, which may know another home.
      if (DatumGetInt32(slot_getattr(slot, kHome, &isnull)) == bridge::self_node() && DatumGetInt64(slot_getattr(slot, kEpoch, &isnull)) > 0)
        here = HomeHere::yes;
    });
    if (here == HomeHere::no) return here;
    bridge::lookup(moves, snapshot, key, 1, [&](TupleTableSlot *slot) {
      bool isnull;
      if (DatumGetBool(slot_getattr(slot, kAsked, &isnull))) here = HomeHere::moving;
    });
    return here;
  });
}

NodeId home_under(Snapshot snapshot, std::string_view client) {
  return bridge::pg_call([&] {
    NodeId home = kNoNode;
    ScanKeyData key[1];
    bridge::name_key(&key[0], 1, client);
    bridge::lookup(clients, snapshot, key, 1, [&](TupleTableSlot *slot) {
      bool isnull;
      home = static_cast<NodeId>(DatumGetInt32(slot_getattr(slot, kHome, &isnull)));
    });
    return home;
  });
}

std::string moving_home(Snapshot snapshot) {
  char *name = bridge::pg_call([&] {
    char *found = nullptr;
    bridge::lookup_each(moves, snapshot, nullptr, 0, [&](TupleTableSlot *slot) {
      bool isnull;
      if (DatumGetBool(slot_getattr(slot, kAsked, &isnull))) found = TextDatumGetCString(slot_getattr(slot, 1, &isnull));
      return found == nullptr;
    });
    return found;
  });
  return name ? name : "";
}

}  // namespace vectorshard::place
