// Policies: see policies.hpp. What is in force when is decided in SQL (sql/install/30_policies.sql and 31_control.sql), by the node's clock.
#include "pg/place/policies.hpp"

#include "pg/bridge/gucs.hpp"
#include "core/place/planner.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/place/navigator_queue.hpp"
namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text_array;

constexpr char kPoliciesQuery[] = R"(
  SELECT client, policy, kind, node, lat, lon, nodes, extract(epoch FROM valid_from)::float8,
         extract(epoch FROM valid_to)::float8, given_at, fenced, copies
    FROM vectorshard.policies_of($1) ORDER BY policy)";

constexpr char kAnyFenceQuery[] = R"(
  SELECT EXISTS (SELECT FROM vectorshard.policy WHERE kind = 'region' AND while_in IS NOT NULL AND valid_from <= now() AND valid_to > now()))";
constexpr char kNewestFenceQuery[] = R"(
  SELECT coalesce((extract(epoch FROM max(valid_from)) * 1000000)::bigint, 0)
    FROM vectorshard.policy WHERE kind = 'region' AND while_in IS NOT NULL AND valid_from <= now() AND valid_to > now())";
constexpr char kFencesQuery[] = R"(
  SELECT client, policy, nodes, extract(epoch FROM valid_from)::float8, extract(epoch FROM valid_to)::float8, inside, ahead, noted
    FROM vectorshard.fences_of($1, $2::float8[], $3::float8[], $4::float8[], $5::float8[]))";
constexpr char kAnyDueQuery[] = R"(
  SELECT coalesce(bool_or(kind = 'copies'), false), coalesce(bool_or(kind = 'tier'), false)
    FROM vectorshard.policy WHERE kind IN ('copies', 'tier') AND valid_to > now())";
constexpr char kDisconnectedQuery[] = R"(
  SELECT n.node FROM vectorshard.node n LEFT JOIN vectorshard.ship_peers() s ON s.node = n.node
   WHERE n.state = 'active' AND n.node <> $1 AND s.connected IS NOT TRUE)";
constexpr char kAliveQuery[] = "SELECT coalesce(array_agg(node), '{}') FROM vectorshard.node WHERE state = 'active' AND NOT node::text = ANY ($1)";
constexpr char kCopiesDueQuery[] = "SELECT client, due FROM vectorshard.copies_due($1::int[], $2, $3, $4)";
// A peer that is away for a moment, or not greeted yet after a start, is not dead.
constexpr int64_t kDeadAfterUs = 15 * 1000000;
constexpr double kLookS = 60, kThawS = 5;

// One row a client and fence, of whoever serves the client: the newest version tells.
constexpr char kCrossingStatement[] = R"(
  INSERT INTO vectorshard.policy (policy, client, kind, fence, valid_from, valid_to, _version)
  SELECT 'inside ' || u.fence || ' ' || u.client, u.client, 'inside', u.fence, now(), CASE u.inside WHEN 't' THEN 'infinity' ELSE now() END, 0
    FROM unnest($1::text[], $2::text[], $3::text[]) AS u (client, fence, inside) JOIN vectorshard.client c ON c.client = u.client
   ORDER BY 1
  ON CONFLICT (policy) DO UPDATE SET valid_from = excluded.valid_from, valid_to = excluded.valid_to)";

// Most fabrics forbid nothing: then no client is looked up.
constexpr char kAnyBanQuery[] = R"(
  SELECT EXISTS (SELECT FROM vectorshard.policy WHERE kind = 'never' AND node = $1 AND valid_to > now())
      OR EXISTS (SELECT FROM vectorshard.policy WHERE kind = 'region' AND valid_to > now()))";
constexpr char kBansQuery[] = "SELECT client, policy FROM vectorshard.bans_of($1, $2)";

/// Of int[] in text form.
std::vector<NodeId> numbers(const std::string &text) {
  std::vector<NodeId> out;
  for (size_t i = 0; i < text.size();) {
    if (!isdigit(static_cast<unsigned char>(text[i]))) {
      i++;
      continue;
    }
    size_t digits = 0;
    out.push_back(static_cast<NodeId>(std::stoi(text.substr(i), &digits)));
    i += digits;
  }
  return out;
}

/// Nodes that have not answered for a while. `since`: of each that does not answer, when that was seen first.
std::vector<std::string> dead_nodes(bridge::Spi &spi) {
  static std::map<int64_t, int64_t> since;
  std::map<int64_t, int64_t> seen;
  std::vector<std::string> dead;
  int64_t now = bridge::steady_us();
  auto rows = spi.query_kept(kDisconnectedQuery, {p_int4(bridge::self_node())});
  for (size_t i = 0; i < rows.size(); i++) {
    int64_t node = rows.int8(i, 0);
    auto first = since.find(node);
    seen[node] = first == since.end() ? now : first->second;
    if (now - seen[node] >= kDeadAfterUs) dead.push_back(std::to_string(node));
  }
  since = std::move(seen);
  return dead;
}

PolicyKind kind_of(const std::string &word) {
  if (word == "copies") return PolicyKind::copies;
  if (word == "never") return PolicyKind::never;
  if (word == "region") return PolicyKind::region;
  return word == "pin" ? PolicyKind::pin : PolicyKind::hint;
}

bool binds_every_planner(PolicyKind kind) { return kind != PolicyKind::hint && kind != PolicyKind::pin; }

}  // namespace

std::map<std::string, std::vector<Policy>> policies_of(bridge::Spi &spi, const bridge::Param &clients, const NodeMap &map) {
  std::map<std::string, std::vector<Policy>> out;
  auto rows = spi.query_kept(kPoliciesQuery, {clients});
  double scale = bridge::guc::time_scale;
  for (size_t i = 0; i < rows.size(); i++) {
    Policy p{rows.at(i, 1), kind_of(rows.at(i, 2)), static_cast<NodeId>(rows.null(i, 3) ? kNoNode : rows.int8(i, 3)),
             rows.float8(i, 7) * scale, rows.float8(i, 8) * scale, numbers(rows.at(i, 6))};
    // What is asked for is wished by the node where it was asked, whoever serves the client.
    if (!binds_every_planner(p.kind) && rows.int8(i, 9) != bridge::self_node()) continue;
    p.fenced = rows.boolean(i, 10);
    if (p.kind == PolicyKind::copies) p.copies = static_cast<int>(rows.int8(i, 11));
    if (p.node == kNoNode && !rows.null(i, 4)) p.node = map.node_at(rows.float8(i, 4), rows.float8(i, 5));
    out[rows.at(i, 0)].push_back(std::move(p));
  }
  return out;
}

std::vector<FenceCrossing> apply_fences(bridge::Spi &spi, const std::vector<Located> &clients) {
  std::vector<FenceCrossing> out;
  if (clients.empty() || !spi.query_kept(kAnyFenceQuery).boolean(0, 0)) return out;
  std::vector<std::string> names, lons, lats, ahead_lons, ahead_lats;
  std::map<std::string, const Located *> by_name;
  for (const Located &c : clients) {
    by_name[c.client] = &c;
    names.push_back(c.client);
    lons.push_back(std::to_string(c.at.lon));
    lats.push_back(std::to_string(c.at.lat));
    ahead_lons.push_back(std::to_string(c.ahead.lon));
    ahead_lats.push_back(std::to_string(c.ahead.lat));
    std::erase_if(*c.policies, [](const Policy &p) { return p.fenced; });
  }
  auto rows = spi.query_kept(kFencesQuery, {p_text_array(names), p_text_array(lons), p_text_array(lats), p_text_array(ahead_lons),
                                            p_text_array(ahead_lats)});
  double scale = bridge::guc::time_scale;
  for (size_t i = 0; i < rows.size(); i++) {
    bool inside = rows.boolean(i, 5), ahead = rows.boolean(i, 6);
    if (inside != rows.boolean(i, 7)) out.push_back({rows.at(i, 0), rows.at(i, 1), inside});
    if (!inside && !ahead) continue;
    Policy p{rows.at(i, 1), PolicyKind::region, kNoNode, rows.float8(i, 3) * scale, rows.float8(i, 4) * scale, numbers(rows.at(i, 2))};
    p.fenced = true;
    p.soon = !inside;
    by_name.at(rows.at(i, 0))->policies->push_back(std::move(p));
  }
  return out;
}

int64_t newest_fence(bridge::Spi &spi) { return spi.query_kept(kNewestFenceQuery).int8(0, 0); }

void write_crossings(bridge::Spi &spi, const std::vector<FenceCrossing> &crossings) {
  if (crossings.empty()) return;
  std::vector<std::string> clients, fences, inside;
  for (const FenceCrossing &c : crossings) {
    clients.push_back(c.client);
    fences.push_back(c.policy);
    inside.push_back(c.inside ? "t" : "f");
  }
  spi.execute(kCrossingStatement, {p_text_array(clients), p_text_array(fences), p_text_array(inside)});
}

/// Clients that lack copies, some at a time in the order of their names. All of them are gone through when nodes die or come back
/// and when policies change, else seldom: it takes a while where every client is meant.
class CopiesLook {
 public:
  PoliciesDue look(bridge::Spi &spi, size_t most, bool changed) {
    std::vector<std::string> dead = dead_nodes(spi);
    double now_s = bridge::steady_s();
    if (changed || dead != dead_ || now_s >= next_s_) begin(dead);
    PoliciesDue out;
    out.again_s = kDeathsS;
    if (!going_) return out;
    std::string alive = spi.query_kept(kAliveQuery, {p_text_array(dead)}).at(0, 0);
    auto rows = spi.query_kept(kCopiesDueQuery, {bridge::p_text(alive), bridge::p_float8(kCopiesLifeS / 2 / bridge::guc::time_scale),
                                                 bridge::p_text(after_), p_int4(static_cast<int>(most))});
    for (size_t i = 0; i < rows.size(); i++)
      if (rows.boolean(i, 1)) out.clients.push_back(rows.at(i, 0));
    double took_s = bridge::steady_s() - now_s;
    took_s_ += took_s;
    going_ = rows.size() == most;
    if (going_) {
      after_ = rows.at(rows.size() - 1, 0);
      out.again_s = 0;
    } else {
      next_s_ = now_s + std::max(kSeldomS, kShare * took_s_);
    }
    return out;
  }

 private:
  static constexpr double kDeathsS = 5, kSeldomS = 15;
  static constexpr double kShare = 50;  // at most 2 % of the time

  void begin(const std::vector<std::string> &dead) {
    note_dead_nodes(dead);
    dead_ = dead;
    after_.clear();
    took_s_ = 0;
    going_ = true;
  }

  std::vector<std::string> dead_;
  std::string after_;
  double next_s_ = 0, took_s_ = 0;
  bool going_ = false;
};

PoliciesDue policies_due(bridge::Spi &spi, size_t most, bool changed) {
  static CopiesLook copies;
  PoliciesDue out;
  out.again_s = kLookS;
  auto any = spi.query_kept(kAnyDueQuery);
  if (any.boolean(0, 0) && bridge::guc::placement_mode == bridge::guc::kPlacementOn) out = copies.look(spi, most, changed);
  if (any.boolean(0, 1) && spi.query_kept("SELECT vectorshard.thaw_for_policies($1)", {p_int4(static_cast<int>(most))}).int8(0, 0) > 0)
    out.again_s = std::min(out.again_s, kThawS);
  return out;
}

std::vector<NodeId> live_nodes(const NodeMap &map) {
  std::vector<NodeId> out;
  for (const NodeSite &site : map.sites())
    if (!noted_dead(site.node)) out.push_back(site.node);
  return out;
}

Bans bans_here(bridge::Spi &spi, const std::vector<std::string> &clients) {
  Bans out;
  NodeId self = bridge::self_node();
  if (clients.empty() || !spi.query_kept(kAnyBanQuery, {p_int4(self)}).boolean(0, 0)) return out;
  auto rows = spi.query_kept(kBansQuery, {p_text_array(clients), p_int4(self)});
  for (size_t i = 0; i < rows.size(); i++) out[rows.at(i, 0)] = rows.at(i, 1);
  return out;
}

Error ban_error(std::string_view client, const std::string &policy) {
  return Error{Errc::invalid_argument, "client \"" + std::string(client) + "\" may not be on this node",
               "Policy \"" + policy + "\" forbids it.",
               "Write it on another node, or end the policy with vectorshard.end_policy()."};
}

void require_allowed_here(std::string_view client) {
  bridge::Spi spi;
  Bans bans = bans_here(spi, {std::string(client)});
  if (bans.empty()) return;
  auto home = spi.query_kept("SELECT FROM vectorshard.client WHERE client = $1 AND home = $2",
                             {bridge::p_text(client), p_int4(bridge::self_node())});
  if (!home.empty()) return;
  Error e = ban_error(client, bans.begin()->second);
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, e.message, e.detail, e.hint);
}

}  // namespace vectorshard::place
