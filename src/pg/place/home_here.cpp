// The homes and copies of clients, as a snapshot sees them: look-ups by index, nothing kept. A home that has asked another node to be
// the home does not know whether it still is one until that node has answered (holder_move.cpp).
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/place/api.hpp"

namespace vectorshard::place {

namespace {

constexpr AttrNumber kHome = 2, kEpoch = 3;  // of client
constexpr AttrNumber kAsked = 3;             // of home_move
constexpr AttrNumber kNode = 2, kState = 4;  // of holder
constexpr char kLive[] = "live";

bridge::FabricIndex clients{"client", "client_pkey"}, moves{"home_move", "home_move_pkey"}, holders{"holder", "holder_pkey"};

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

NodeId home_under(Snapshot snapshot, std::string_view client) { return homes_under(snapshot, {std::string(client)}).front(); }

std::vector<NodeId> homes_under(Snapshot snapshot, const std::vector<std::string> &names) {
  std::vector<NodeId> out(names.size(), kNoNode);
  bridge::pg_call([&] {
    bridge::lookup_names(clients, snapshot, names, [&](size_t i, TupleTableSlot *slot) {
      bool isnull;
      out[i] = static_cast<NodeId>(DatumGetInt32(slot_getattr(slot, kHome, &isnull)));
    });
  });
  return out;
}

std::vector<std::pair<size_t, NodeId>> live_copies(Snapshot snapshot, const std::vector<std::string> &names) {
  List *found = NIL;  // place and node in turn
  bridge::pg_call([&] {
    bridge::lookup_names(holders, snapshot, names, [&](size_t i, TupleTableSlot *slot) {
      bool isnull;
      text *state = DatumGetTextPP(slot_getattr(slot, kState, &isnull));
      if (VARSIZE_ANY_EXHDR(state) != strlen(kLive) || memcmp(VARDATA_ANY(state), kLive, strlen(kLive)) != 0) return;
      found = lappend_int(found, static_cast<int>(i));
      found = lappend_int(found, DatumGetInt32(slot_getattr(slot, kNode, &isnull)));
    });
  });
  std::vector<std::pair<size_t, NodeId>> out;
  for (int i = 0; i + 1 < list_length(found); i += 2)
    out.emplace_back(static_cast<size_t>(list_nth_int(found, i)), static_cast<NodeId>(list_nth_int(found, i + 1)));
  list_free(found);
  return out;
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
