// The map of node areas from the table `node`: read when the catalog epoch moved, kept otherwise.
#include "core/place/clearance.hpp"
#include "core/predict/reach_bound.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/predict/api.hpp"

namespace vectorshard::predict {

namespace {

struct Cache {
  place::NodeMap map;
  place::Clearance clearance;
  bool has_clearance = false;
  uint64 epoch = 0;
  bool valid = false;
};

/// "lat lon,lat lon,…"
place::Ring ring_of(const std::string &text) {
  place::Ring ring;
  const char *at = text.c_str();
  for (char *end = nullptr; *at; at = *end == ',' ? end + 1 : end) {
    double lat = std::strtod(at, &end);
    if (end == at) break;
    double lon = std::strtod(end, &end);
    ring.push_back({lat, lon});
  }
  return ring;
}

std::vector<place::NodeSite> read_sites() {
  bridge::AsSuperuser rights;
  bridge::Spi spi;
  auto rows = spi.query_kept("SELECT node, name, core, lat, lon, ring FROM vectorshard.node_sites() ORDER BY node");
  std::vector<place::NodeSite> sites;
  for (size_t i = 0; i < rows.size(); i++) {
    NodeId node = static_cast<NodeId>(rows.int8(i, 0));
    if (sites.empty() || sites.back().node != node)
      sites.push_back({node, rows.at(i, 1), rows.boolean(i, 2), rows.float8(i, 3), rows.float8(i, 4), {}});
    if (!rows.null(i, 5)) sites.back().coverage.push_back(ring_of(rows.at(i, 5)));
  }
  return sites;
}

Cache &cache_now() {
  static Cache cache;
  bridge::require_preloaded();
  uint64 epoch = pg_atomic_read_u64(&bridge::shared()->catalog_epoch);
  if (!cache.valid || cache.epoch != epoch) {
    cache.map = place::NodeMap(read_sites());
    cache.epoch = epoch;
    cache.has_clearance = false;
    // What was read in a transaction that founds or joins a fabric may be rolled back.
    cache.valid = bridge::self_node() != kNoNode;
  }
  return cache;
}

/// The ways go on being learned: their fastest are looked up anew now and then.
const ReachBound &reach_bound() {
  static ReachBound bound;
  static int asked = 0;
  constexpr int kAnewAfter = 10000;
  if (bridge::guc::predictor != bridge::guc::kPredictorReachSet && asked++ % kAnewAfter == 0) bound = learned_reach_bound();
  return bound;
}

}  // namespace

const place::NodeMap &node_map() { return cache_now().map; }

Bounds bounds(const telemetry::Motion &m, NodeId serving, double lead_s) {
  Bounds b;
  double horizon = ReachBound::horizon_s(m, lead_s, bridge::guc::horizon_margin_s);
  b.ahead_s = horizon - lead_s;
  if (m.reports == 0) return b;
  Cache &cache = cache_now();
  if (!cache.has_clearance) cache.clearance = place::Clearance(cache.map);
  cache.has_clearance = true;
  double reach = reach_bound().metres(m, horizon);
  b.speed_mps = reach_bound().speed_mps(m);
  b.clear_m = cache.clearance.metres(cache.map, m.lat, m.lon, serving, reach);
  // What an operator's predictor goes by, nobody knows.
  b.stays = b.clear_m >= reach && bridge::guc::predictor != bridge::guc::kPredictorCustom;
  return b;
}

std::string node_name(const place::NodeMap &map, NodeId node) {
  const place::NodeSite *site = map.site(node);
  return site ? site->name : "node " + std::to_string(node);
}

double horizon_s(const telemetry::Motion &motion, double lead_s) {
  return lead_s + look_ahead_s(motion, bridge::guc::horizon_margin_s);
}

}  // namespace vectorshard::predict
