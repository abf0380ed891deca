// Policies: see policies.hpp. What is in force when is decided in SQL (sql/install/31_control.sql), by the node's clock.
#include "pg/place/policies.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
extern "C" {
#include "utils/snapmgr.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text_array;

constexpr char kPoliciesQuery[] = R"(
  SELECT client, policy, kind, node, lat, lon, nodes, extract(epoch FROM valid_from)::float8,
         extract(epoch FROM valid_to)::float8, given_at, fenced
    FROM vectorshard.policies_of($1))";

constexpr char kAnyFenceQuery[] = R"(
  SELECT EXISTS (SELECT FROM vectorshard.policy WHERE kind = 'region' AND while_in IS NOT NULL AND valid_from <= now() AND valid_to > now()))";
constexpr char kFencesQuery[] = R"(
  SELECT client, policy, nodes, extract(epoch FROM valid_from)::float8, extract(epoch FROM valid_to)::float8, inside, ahead, noted
    FROM vectorshard.fences_of($1, $2::float8[], $3::float8[], $4::float8[], $5::float8[]))";
// One row a client and fence, of whoever serves the client: the newest version tells.
constexpr char kCrossingStatement[] = R"(
  INSERT INTO vectorshard.policy (policy, client, kind, fence, valid_from, valid_to, _version)
  SELECT 'inside ' || u.fence || ' ' || u.client, u.client, 'inside', u.fence, now(), CASE u.inside WHEN 't' THEN 'infinity' ELSE now() END, 0
    FROM unnest($1::text[], $2::text[], $3::text[]) AS u (client, fence, inside)
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

PolicyKind kind_of(const std::string &word) {
  if (word == "never") return PolicyKind::never;
  if (word == "region") return PolicyKind::region;
  return word == "pin" ? PolicyKind::pin : PolicyKind::hint;
}

bool binds_every_planner(PolicyKind kind) { return kind == PolicyKind::never || kind == PolicyKind::region; }

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
