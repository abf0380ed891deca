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
         extract(epoch FROM valid_to)::float8, given_at
    FROM vectorshard.policies_of($1))";

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
    if (p.node == kNoNode && !rows.null(i, 4)) p.node = map.node_at(rows.float8(i, 4), rows.float8(i, 5));
    out[rows.at(i, 0)].push_back(std::move(p));
  }
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
