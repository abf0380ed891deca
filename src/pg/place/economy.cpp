// What placement reckons with: see economy.hpp.
#include "pg/place/economy.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/wall.hpp"
#include "pg/place/api.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::wall_s;

using bridge::p_float8;
using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

constexpr double kReadEveryS = 1, kReadSeldomS = 60;
constexpr double kReadShare = 100;  // at most 1 % of the time

constexpr char kStatesQuery[] = R"(
  SELECT s.node, residents, copies, bytes, max_copies, max_bytes, max_transfers, queue, queue_s, least_value, p.source,
         p.rtt_s, p.setup_s, p.bytes_per_s
    FROM vectorshard.node_state s
    LEFT JOIN LATERAL unnest(s.sources, s.rtt_s, s.setup_s, s.bytes_per_s) AS p(source, rtt_s, setup_s, bytes_per_s) ON true
   WHERE $1 = 0 OR s.node = $1 ORDER BY s.node)";
constexpr char kTellStatement[] = R"(
  INSERT INTO vectorshard.node_state (node, residents, copies, bytes, max_copies, max_bytes, max_transfers, queue, queue_s,
                                      least_value, sources, rtt_s, setup_s, bytes_per_s, _version)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::int[], $12::text::float8[], $13::text::float8[], $14::text::float8[], 0)
  ON CONFLICT (node) DO UPDATE SET residents = excluded.residents, copies = excluded.copies, bytes = excluded.bytes,
    max_copies = excluded.max_copies, max_bytes = excluded.max_bytes, max_transfers = excluded.max_transfers,
    queue = excluded.queue, queue_s = excluded.queue_s, least_value = excluded.least_value, sources = excluded.sources,
    rtt_s = excluded.rtt_s, setup_s = excluded.setup_s, bytes_per_s = excluded.bytes_per_s)";
constexpr char kPricesQuery[] = "SELECT table_name, tier, copy_hour, mb_hour, mb_moved, miss_s FROM vectorshard.price";
// What tables share of a client is taken from what they are of this node.
constexpr char kSharesQuery[] = R"(
  SELECT s.table_name, pg_table_size(to_regclass(s.table_name))::float8, s.weight, s.in_size
    FROM vectorshard.shard_table s
   WHERE s.kind = 'vector_shard' AND s.state = 'enrolled' AND to_regclass(s.table_name) IS NOT NULL)";
constexpr char kWeighedQuery[] = R"(
  SELECT EXISTS (SELECT FROM vectorshard.shard_table WHERE kind = 'vector_shard' AND state = 'enrolled' AND (weight <> 1 OR NOT in_size)))";
constexpr char kStoresQuery[] = "SELECT store, thaw_s FROM vectorshard.store";
constexpr char kThawQuery[] = R"(
  SELECT g.home, max(s.thaw_s) FROM vectorshard.store s JOIN vectorshard.segment g ON g.store = s.store
   WHERE s.thaw_s > 0 AND g.kind = 'client' AND g.state = 'live' GROUP BY g.home
   UNION ALL SELECT 0, max(thaw_s) FROM vectorshard.store HAVING max(thaw_s) > 0)";

std::map<NodeId, NodeState> read_states(bridge::Spi &spi, NodeId node) {
  std::map<NodeId, NodeState> out;
  auto rows = spi.query_kept(kStatesQuery, {p_int4(node)});
  for (size_t i = 0; i < rows.size(); i++) {
    NodeState &s = out[static_cast<NodeId>(rows.int8(i, 0))];
    s.residents = rows.int8(i, 1);
    s.copies = rows.int8(i, 2);
    s.bytes = rows.int8(i, 3);
    s.max_copies = rows.int8(i, 4);
    s.max_bytes = rows.int8(i, 5);
    s.max_transfers = rows.int8(i, 6);
    s.queue = rows.int8(i, 7);
    s.queue_s = rows.float8(i, 8);
    s.least_value = rows.float8(i, 9);
    if (!rows.null(i, 10)) s.paths[static_cast<NodeId>(rows.int8(i, 10))] = {rows.float8(i, 11), rows.float8(i, 12), rows.float8(i, 13)};
  }
  return out;
}

std::map<std::string, double, std::less<>> read_stores(bridge::Spi &spi) {
  std::map<std::string, double, std::less<>> out;
  auto rows = spi.query_kept(kStoresQuery);
  for (size_t i = 0; i < rows.size(); i++) out[rows.at(i, 0)] = rows.float8(i, 1);
  return out;
}

std::vector<PriceRow> read_prices(bridge::Spi &spi) {
  std::vector<PriceRow> out;
  auto rows = spi.query_kept(kPricesQuery);
  for (size_t i = 0; i < rows.size(); i++) {
    const std::string &tier = rows.at(i, 1);
    auto field = [&](size_t column) { return rows.null(i, column) ? std::nullopt : std::optional(rows.float8(i, column)); };
    out.push_back({rows.at(i, 0), tier == "edge" ? PlaceTier::edge : tier == "home" ? PlaceTier::home : PlaceTier::cold, field(2),
                   field(3), field(4), field(5)});
  }
  return out;
}

std::vector<TableShare> read_shares(bridge::Spi &spi) {
  std::vector<TableShare> out;
  auto rows = spi.query_kept(kSharesQuery);
  for (size_t i = 0; i < rows.size(); i++) out.push_back({rows.at(i, 0), rows.float8(i, 1), rows.float8(i, 2), rows.boolean(i, 3)});
  return out;
}

/// When something is read again that took so long.
double next_read(double start_s, double every_s) { return start_s + std::max(every_s, kReadShare * (wall_s() - start_s)); }

template <class Get>
std::string list(const NodeState &s, Get &&get) {
  std::string out = "{";
  for (auto &[source, path] : s.paths) {
    char text[40];
    snprintf(text, sizeof text, "%s%.9g", out.size() > 1 ? "," : "", static_cast<double>(get(source, path)));
    out += text;
  }
  return out + "}";
}

}  // namespace

const Economy &economy(bridge::Spi &spi) {
  static Economy now;
  static std::vector<TableShare> shares;
  static double next_s = 0, next_seldom_s = 0;
  double start = wall_s();
  if (start < next_s) return now;
  now.states = read_states(spi, 0);
  now.prices = read_prices(spi);
  now.store_thaw_s = read_stores(spi);
  if (start >= next_seldom_s) {
    bool weighed = !now.prices.empty() || spi.query_kept(kWeighedQuery).boolean(0, 0);
    shares = weighed ? read_shares(spi) : std::vector<TableShare>{};
    now.thaw_s.clear();
    auto rows = spi.query_kept(kThawQuery);
    for (size_t i = 0; i < rows.size(); i++) now.thaw_s[static_cast<NodeId>(rows.int8(i, 0))] = rows.float8(i, 1);
    // Nothing that is measured in prices or stores is older than this; while there is none, it costs nothing to look.
    next_seldom_s = next_read(start, !weighed && now.thaw_s.empty() ? kReadEveryS : kReadSeldomS);
  }
  double bytes = 0;
  now.fabric_copies = 0;
  for (auto &[node, s] : now.states) {
    now.fabric_copies += s.copies;
    bytes += static_cast<double>(s.bytes);
  }
  now.fabric_bytes = static_cast<int64_t>(bytes);
  now.average_bytes = now.fabric_copies > 0 ? bytes / static_cast<double>(now.fabric_copies) : 0;
  now.edge = price_of(PlaceTier::edge, now.prices, shares, now.average_bytes);
  now.home = price_of(PlaceTier::home, now.prices, shares, now.average_bytes);
  now.cold = price_of(PlaceTier::cold, now.prices, shares, now.average_bytes);
  next_s = next_read(start, kReadEveryS);
  return now;
}

bool Economy::fabric_full() const {
  int64_t most_bytes = int64_t{bridge::guc::max_fabric_bytes} << 20;
  return (bridge::guc::max_fabric_copies > 0 && fabric_copies >= bridge::guc::max_fabric_copies) || (most_bytes > 0 && fabric_bytes >= most_bytes);
}

const Path *Economy::path(NodeId target, NodeId source) const {
  auto state = states.find(target);
  if (state == states.end()) return nullptr;
  auto at = state->second.paths.find(source);
  return at == state->second.paths.end() ? nullptr : &at->second;
}

double Economy::lead_to(NodeId target, NodeId home, double bytes, double thaw_s) const {
  double scale = bridge::guc::time_scale;
  LeadInput in;
  if (const Path *p = path(target, home)) in.path = {p->rtt_s * scale, p->setup_s * scale, p->bytes_per_s / scale};
  in.bytes = bytes > 0 ? bytes : average_bytes;
  if (auto state = states.find(target); state != states.end()) in.queue_s = state->second.queue_s * scale;
  in.thaw_s = thaw_s;
  in.fallback_s = copy_time_ms(home) / 1000 * scale;
  in.least_s = bridge::guc::copy_time_s;
  return lead_s(in);
}

double Economy::thaw_of(NodeId home, std::string_view store) const {
  auto at = store_thaw_s.find(store);
  return at == store_thaw_s.end() ? thaw_at_most(home) : at->second * bridge::guc::time_scale;
}

double Economy::thaw_at_most(NodeId home) const {
  auto at = thaw_s.find(home);
  if (at == thaw_s.end()) at = thaw_s.find(kNoNode);
  return at == thaw_s.end() ? 0 : at->second * bridge::guc::time_scale;
}

double Economy::miss_at(NodeId target, NodeId home, double bytes) const {
  const Path *p = path(target, home);
  return p ? miss_s(edge, copy_s(*p, bytes > 0 ? bytes : average_bytes), p->rtt_s) : miss_s(edge, 0, 0);
}

std::optional<NodeState> told_state(bridge::Spi &spi, NodeId node) {
  auto states = read_states(spi, node);
  if (states.empty()) return std::nullopt;
  return std::move(states.begin()->second);
}

void tell_state(bridge::Spi &spi, NodeId node, const NodeState &s) {
  spi.execute(kTellStatement,
              {p_int4(node), p_int8(s.residents), p_int8(s.copies), p_int8(s.bytes), p_int8(s.max_copies), p_int8(s.max_bytes),
               p_int4(static_cast<int32_t>(s.max_transfers)), p_int8(s.queue), p_float8(s.queue_s), p_float8(s.least_value),
               p_text(list(s, [](NodeId source, const Path &) { return source; })), p_text(list(s, [](NodeId, const Path &p) { return p.rtt_s; })),
               p_text(list(s, [](NodeId, const Path &p) { return p.setup_s; })), p_text(list(s, [](NodeId, const Path &p) { return p.bytes_per_s; }))});
}

}  // namespace vectorshard::place
