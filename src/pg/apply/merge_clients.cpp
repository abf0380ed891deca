// Clients of a batch: see merge_clients.hpp. Decides by fresh snapshots, under the same fence as local writers: a client
// that leaves takes nothing any more, and the sender is told to come again.
#include "pg/apply/merge_clients.hpp"

#include "core/apply/residency_rules.hpp"
#include "core/ship/debt_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/apply/resident_known.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::apply {

namespace {

// One statement, so one snapshot: residency from an older one beside a holder row that is live by now would say "gone".
constexpr const char *kStanding = R"(
  SELECT coalesce((SELECT home FROM vectorshard.client WHERE client = $1), 0),
         EXISTS (SELECT FROM vectorshard.cold_client WHERE client = $1),
         coalesce((SELECT state FROM vectorshard.holder WHERE client = $1 AND node = $2), ''),
         coalesce((SELECT generation FROM vectorshard.holder WHERE client = $1 AND node = $2), 0),
         EXISTS (SELECT FROM vectorshard.resident WHERE client = $1),
         EXISTS (SELECT FROM vectorshard.resident WHERE client = $1 AND leaving))";
constexpr const char *kBecomeResident =
    "INSERT INTO vectorshard.resident (client, generation) VALUES ($1, $2) ON CONFLICT (client) DO NOTHING";
constexpr const char *kBecomeHolder = R"(
  INSERT INTO vectorshard.holder AS h (client, node, generation, state, _version) VALUES ($1, $2, $3, 'live', 0)
  ON CONFLICT (client, node) DO UPDATE SET generation = excluded.generation, state = excluded.state)";
// Generation -1: the home, where it is another node.
constexpr const char *kOtherHolders = R"(
  SELECT client, home, -1 FROM vectorshard.client WHERE client = ANY ($1) AND home <> $2
  UNION ALL
  SELECT h.client, h.node, h.generation
    FROM vectorshard.holder h JOIN vectorshard.client c ON c.client = h.client
   WHERE h.client = ANY ($1) AND c.home = $2 AND h.state IN ('copying', 'live') AND h.node NOT IN ($2, $3)
     AND NOT EXISTS (SELECT FROM vectorshard.node n WHERE n.node = h.node AND n.state = 'removed'))";
bridge::FabricIndex client_index{"client", "client_pkey"};
constexpr AttrNumber kHome = 2, kEpoch = 3;
constexpr const char *kHomes = "SELECT client, home, epoch, _version FROM vectorshard.client WHERE client = ANY ($1)";
constexpr const char *kMoved = R"(
  SELECT c.client, c.home, coalesce(h.node, 0)
    FROM vectorshard.client c JOIN vectorshard.resident r ON r.client = c.client
    LEFT JOIN vectorshard.holder h ON h.client = c.client AND h.state IN ('copying', 'live')
         AND NOT EXISTS (SELECT FROM vectorshard.node n WHERE n.node = h.node AND n.state = 'removed')
   WHERE c.client = ANY ($1))";
constexpr const char *kKnownHolders = R"(
  SELECT c.client, coalesce(h.node, 0), coalesce(h.generation, 0)
    FROM vectorshard.client c LEFT JOIN vectorshard.holder h ON h.client = c.client
   WHERE c.client = ANY ($1) AND c.home = $2)";

void owe(NodeId peer, const ClientName &client) {
  ship::add_debt(peer, client, {});
  bridge::wake_at_commit(bridge::kShipper);
}

/// False if somebody is just bringing it here or keeps it away.
bool become_resident(const ClientName &client, NodeId self) {
  if (!bridge::try_lock_client(client)) return false;
  Generation generation = stamp();
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_ORIGIN);  // the holder row is ours to ship
  bridge::Spi spi;
  if (spi.execute(kBecomeResident, {bridge::p_text(client), bridge::p_int8(generation)}) > 0)
    spi.execute(kBecomeHolder, {bridge::p_text(client), bridge::p_int4(self), bridge::p_int8(generation)});
  return true;
}

}  // namespace

std::optional<ship::Refusal> decide_client(const ClientName &client) {
  using ship::RefusalReason;
  Residency r = residency_now(client);
  NodeId self = bridge::self_node();
  Standing here{r.resident, r.leaving};
  Generation generation = r.generation;
  if (!r.resident) {
    bridge::Rows rows = bridge::Spi().query_kept(kStanding, {bridge::p_text(client), bridge::p_int4(self)});
    here.home = static_cast<NodeId>(rows.int8(0, 0));
    here.cold = rows.boolean(0, 1);
    here.own = holder_state(rows.at(0, 2));
    generation = rows.int8(0, 3);
    here.resident = rows.boolean(0, 4);
    here.leaving = rows.boolean(0, 5);
  }
  switch (receipt(here, self)) {
    case Receipt::take:
      remember_resident(client, r);
      return {};
    case Receipt::become_resident:
      if (!become_resident(client, self)) return ship::Refusal{client, {}, RefusalReason::copying, generation};
      bridge::pg_call([] { CommandCounterIncrement(); });
      return {};
    case Receipt::copying: return ship::Refusal{client, {}, RefusalReason::copying, generation};
    case Receipt::cold: return ship::Refusal{client, {}, RefusalReason::cold, generation};
    case Receipt::gone: break;
  }
  return ship::Refusal{client, {}, RefusalReason::gone, generation};
}

std::vector<NewHolder> new_holders(const Group &holders) {
  NodeId self = bridge::self_node();
  std::vector<std::string> names;
  for (const Item &item : holders.items)
    if (text_value(holders, *item.row, "state") == "live") names.push_back(text_value(holders, *item.row, "client"));
  std::vector<NewHolder> out;
  if (names.empty()) return out;
  bridge::Rows rows =
      bridge::Spi().query_kept(kKnownHolders, {bridge::p_text_array(names), bridge::p_int4(self)});
  std::map<std::string, std::map<NodeId, Generation>> known;
  for (size_t i = 0; i < rows.size(); i++)
    known[rows.at(i, 0)][static_cast<NodeId>(rows.int8(i, 1))] = rows.int8(i, 2);
  for (const Item &item : holders.items) {
    auto client = known.find(text_value(holders, *item.row, "client"));
    auto node = static_cast<NodeId>(integer_value(holders, *item.row, "node"));
    Generation generation = integer_value(holders, *item.row, "generation");
    if (client == known.end()) continue;
    auto seen = client->second.find(node);
    HolderStatement heard{holder_state(text_value(holders, *item.row, "state")), generation};
    if (ship::owed_when_heard_of(true, node == self, heard, seen == client->second.end() ? 0 : seen->second))
      out.push_back({client->first, node});
  }
  return out;
}

std::vector<ClientName> moved_homes(const Group &clients) {
  std::vector<std::string> names;
  for (const Item &item : clients.items) names.push_back(text_value(clients, *item.row, "client"));
  std::map<ClientName, ship::HomeStatement> known;
  bridge::Rows rows = bridge::Spi().query_kept(kHomes, {bridge::p_text_array(names)});
  for (size_t i = 0; i < rows.size(); i++)
    known[rows.at(i, 0)] = {static_cast<NodeId>(rows.int8(i, 1)), rows.int8(i, 2), rows.int8(i, 3)};
  std::set<ClientName> out;
  for (size_t i = 0; i < names.size(); i++) {
    const Item &item = clients.items[i];
    auto home = static_cast<NodeId>(integer_value(clients, *item.row, "home"));
    ship::HomeStatement heard{home, item.rank.epoch, item.rank.version};
    // One that is not known yet may just be born here, by a transaction that the merge will wait for.
    if (ship::home_moves(heard, known[names[i]])) out.insert(names[i]);
  }
  return {out.begin(), out.end()};
}

void owe_after_moves(const std::vector<ClientName> &moved) {
  if (moved.empty()) return;
  bridge::Rows rows = bridge::Spi().query_kept(kMoved, {bridge::p_text_array(moved)});
  std::map<ClientName, std::pair<NodeId, std::vector<NodeId>>> clients;
  for (size_t i = 0; i < rows.size(); i++) {
    auto &[home, holders] = clients[rows.at(i, 0)];
    home = static_cast<NodeId>(rows.int8(i, 1));
    if (auto holder = static_cast<NodeId>(rows.int8(i, 2)); holder != kNoNode) holders.push_back(holder);
  }
  for (const auto &[client, route] : clients)
    for (NodeId peer : ship::owed_after_move(bridge::self_node(), route.first, route.second)) owe(peer, client);
}

bool moved_to_this_node(Snapshot snapshot, const ClientName &client) {
  NodeId self = bridge::self_node();
  return bridge::pg_call([&] {
    ScanKeyData key[1];
    bool isnull, moved = false;
    bridge::name_key(&key[0], 1, client);
    bridge::lookup(client_index, snapshot, key, 1, [&](TupleTableSlot *slot) {
      moved = DatumGetInt32(slot_getattr(slot, kHome, &isnull)) == self && DatumGetInt64(slot_getattr(slot, kEpoch, &isnull)) > 1;
    });
    return moved;
  });
}

/// Routes of clients whose home came here and whose sender may not know it: all holders are to be told.
std::vector<ship::BatchClient> moved_here(const ship::Batch &batch, const std::vector<uint32_t> &taken) {
  if (batch.kind == ship::BatchKind::copy) return {};
  return bridge::with_fresh_snapshot([&](Snapshot snapshot) {
    std::vector<ship::BatchClient> out;
    for (uint32_t i : taken) {
      const ship::BatchClient &c = batch.clients[i];
      if (!c.as_home && !c.name.empty() && moved_to_this_node(snapshot, c.name)) out.push_back({c.name, true, {}});
    }
    return out;
  });
}

void owe_as_home(const ship::Batch &batch, const std::vector<uint32_t> &taken, bool changed,
                 const std::vector<NewHolder> &fresh) {
  std::map<std::string, const ship::BatchClient *> clients;
  std::set<std::string> read, held_newly;
  for (uint32_t i : taken) {
    const ship::BatchClient &c = batch.clients[i];
    if (c.as_home && !c.name.empty() && clients.emplace(c.name, &c).second) read.insert(c.name);
  }
  for (const NewHolder &n : fresh) held_newly.insert(n.client);
  // Before the look at homes: whoever moves one here waits for this merge, or has committed.
  std::set<std::string> all = read;
  for (uint32_t i : taken)
    if (!batch.clients[i].name.empty()) all.insert(batch.clients[i].name);
  bridge::lock_holders_of(all, held_newly);
  std::vector<ship::BatchClient> unaware = moved_here(batch, taken);
  for (const ship::BatchClient &c : unaware)
    if (clients.emplace(c.name, &c).second) read.insert(c.name);
  for (const NewHolder &n : fresh) owe(n.node, n.client);
  if (read.empty()) return;
  bridge::Rows holders =
      bridge::Spi().query_kept(kOtherHolders, {bridge::p_text_array({read.begin(), read.end()}),
                                               bridge::p_int4(bridge::self_node()), bridge::p_int4(batch.from)});
  std::map<std::string, std::vector<ship::HolderRef>> others;
  for (size_t i = 0; i < holders.size(); i++) {
    if (holders.int8(i, 2) < 0) {
      auto home = static_cast<NodeId>(holders.int8(i, 1));
      if (home != batch.from) owe(home, holders.at(i, 0));
      continue;
    }
    others[holders.at(i, 0)].push_back({static_cast<NodeId>(holders.int8(i, 1)), holders.int8(i, 2)});
  }
  for (const auto &[name, refs] : others)
    for (NodeId node : ship::owed_after_merge(true, batch.kind, changed, *clients.at(name), refs)) owe(node, name);
}

}  // namespace vectorshard::apply
