// Reading routes: see routes.hpp.
#include "pg/ship/routes.hpp"

#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"

namespace vectorshard::ship {

namespace {

constexpr const char *kPeers =
    "SELECT node, name, uuid, incarnation FROM vectorshard.node WHERE state <> 'removed' AND node <> $1 ORDER BY node";
constexpr const char *kRoutes = R"(
  SELECT u.client, coalesce(c.home, 0), coalesce(h.node, 0), coalesce(h.generation, 0)
    FROM unnest($1::text[]) AS u (client)
    LEFT JOIN vectorshard.client c ON c.client = u.client COLLATE "C"
    LEFT JOIN vectorshard.holder h ON h.client = u.client COLLATE "C" AND h.state IN ('copying', 'live'))";

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

std::map<ClientName, ClientRoute> read_routes(const std::set<ClientName> &clients) {
  std::map<ClientName, ClientRoute> out;
  if (clients.empty()) return out;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept(kRoutes, {bridge::p_text_array({clients.begin(), clients.end()})});
  for (size_t i = 0; i < rows.size(); i++) {
    ClientRoute &route = out[rows.at(i, 0)];
    route.home = static_cast<NodeId>(rows.int8(i, 1));
    auto holder = static_cast<NodeId>(rows.int8(i, 2));
    if (holder != kNoNode) route.holders.push_back({holder, rows.int8(i, 3)});
  }
  return out;
}

}  // namespace vectorshard::ship
