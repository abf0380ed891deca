// Hashes cover every column of every row, the version included. A node's residency and its rows are read in one
// statement, so an eviction that commits meanwhile cannot look like a difference.
#include "verify.hpp"

#include <chrono>
#include <map>

#include "progress.hpp"
#include "stop.hpp"

namespace vectorshard::demo {
namespace {

constexpr double kPatienceS = 30;
constexpr size_t kMostFindings = 12;

constexpr char kHeld[] = R"sql(
SELECT coalesce(r.client, p.client, t.client), r.client IS NOT NULL, p.hash || ' ' || t.hash
  FROM (SELECT client FROM vectorshard.resident) r
  FULL JOIN (SELECT client, md5(string_agg(x::text, '|')) AS hash FROM ONLY profile x GROUP BY client) p
    ON p.client = r.client
  FULL JOIN (SELECT client, md5(string_agg(x::text, '|' ORDER BY tile)) AS hash FROM ONLY map_tile x GROUP BY client) t
    ON t.client = coalesce(r.client, p.client)
)sql";

constexpr char kFromStore[] = R"sql(
SELECT (SELECT md5(string_agg(x::text, '|')) FROM profile x WHERE client = $1) || ' ' ||
       (SELECT md5(string_agg(x::text, '|' ORDER BY tile)) FROM map_tile x WHERE client = $1)
)sql";

struct Held {
  bool resident = false;
  std::string hash;
};
using HeldByClient = std::map<std::string, Held>;

class Round {
 public:
  Round(const Fabric &fabric, std::vector<std::unique_ptr<Connection>> &nodes) : fabric_(fabric), nodes_(nodes) {}

  Verdict check(const std::vector<const Fleet *> &fleets) {
    read_homes();
    for (auto &node : nodes_) held_.push_back(read_held(*node));
    for (const Fleet *fleet : fleets) {
      compare_copies(*fleet);
      for (size_t home = 0; home < nodes_.size(); home++) compare_with_application(*fleet, home);
    }
    return std::move(verdict_);
  }

 private:
  void wrong(size_t &counter, const std::string &finding) {
    counter++;
    if (verdict_.findings.size() < kMostFindings) verdict_.findings.push_back(finding);
  }
  std::string node_name(size_t index) const {
    return index < fabric_.edges() ? "edge" + std::to_string(index + 1) : "core";
  }
  void read_homes() {
    const Rows rows = nodes_[fabric_.core_index()]->run("SELECT client, home FROM vectorshard.client");
    for (int i = 0; i < rows.count(); i++)
      home_[rows.str(i, 0)] = fabric_.index_of(static_cast<int>(rows.number(i, 1)));
  }
  static HeldByClient read_held(Connection &node) {
    HeldByClient held;
    const Rows rows = node.run(kHeld);
    for (int i = 0; i < rows.count(); i++) held[rows.str(i, 0)] = {rows.flag(i, 1), rows.str(i, 2)};
    return held;
  }

  void compare_copies(const Fleet &fleet) {
    for (const auto &client : fleet.clients) {
      const auto home = home_.find(client->name);
      if (home == home_.end() || home->second >= nodes_.size()) {
        wrong(verdict_.rows_lost, client->name + " has no home");
        continue;
      }
      const Held &at_home = held_[home->second][client->name];
      std::string expected = at_home.hash;
      if (!at_home.resident) {
        verdict_.cold++;
        expected = nodes_[home->second]->query(kFromStore, {client->name}).str(0, 0);
      }
      for (size_t node = 0; node < nodes_.size(); node++) {
        const auto held = held_[node].find(client->name);
        if (node == home->second || held == held_[node].end()) continue;
        if (!held->second.resident) {
          wrong(verdict_.diverged, node_name(node) + " has rows of " + client->name + ", which is not resident there");
          continue;
        }
        verdict_.copies++;
        if (held->second.hash != expected)
          wrong(verdict_.diverged, node_name(node) + " and the home differ on " + client->name);
      }
    }
  }

  void compare_row(const FleetClient &client, const std::string &what, int64_t expected, const int64_t *found) {
    verdict_.rows++;
    if (!found)
      wrong(verdict_.rows_lost, client.name + ": " + what + " is missing");
    else if (*found < expected)
      wrong(verdict_.rows_lost, client.name + ": " + what + " is older than acknowledged (" + std::to_string(*found) +
                                    " < " + std::to_string(expected) + ")");
    else if (*found > expected && !client.outcome_unknown)
      wrong(verdict_.diverged, client.name + ": " + what + " is newer than acknowledged");
  }

  /// Reads as the application would, hot and cold alike, at the clients' home.
  void compare_with_application(const Fleet &fleet, size_t home) {
    std::string names = "{";
    for (const auto &[name, node] : home_)
      if (node == home && fleet.by_name.contains(name)) names += (names.size() > 1 ? ",\"" : "\"") + name + "\"";
    if (names.size() == 1) return;
    std::map<std::string, std::map<int, int64_t>> found;  // tile 0 stands for the profile
    const Rows rows = nodes_[home]->query(
        "SELECT client, 0, seq FROM profile WHERE client = ANY($1::text[]) UNION ALL "
        "SELECT client, tile, rev FROM map_tile WHERE client = ANY($1::text[])",
        {names + "}"});
    for (int i = 0; i < rows.count(); i++)
      if (!found[rows.str(i, 0)].emplace(rows.number(i, 1), rows.number(i, 2)).second)
        wrong(verdict_.diverged, rows.str(i, 0) + ": a row is doubled");
    for (const auto &client : fleet.clients) {
      if (home_[client->name] != home) continue;
      verdict_.clients++;
      auto &rows_found = found[client->name];
      auto look = [&](int tile) { return rows_found.contains(tile) ? &rows_found[tile] : nullptr; };
      compare_row(*client, "the profile", client->seq, look(0));
      for (const auto &[tile, rev] : client->tiles)
        compare_row(*client, "tile " + std::to_string(tile), rev, look(tile));
      for (const auto &[tile, rev] : rows_found)
        if (tile != 0 && !client->tiles.contains(tile) && !client->outcome_unknown)
          wrong(verdict_.rows_lost, client->name + ": tile " + std::to_string(tile) + " was deleted and is there");
    }
  }

  const Fabric &fabric_;
  std::vector<std::unique_ptr<Connection>> &nodes_;
  std::map<std::string, size_t> home_;
  std::vector<HeldByClient> held_;
  Verdict verdict_;
};

}  // namespace

Verdict verify(const Fabric &fabric, const std::vector<const Fleet *> &fleets) {
  std::vector<std::unique_ptr<Connection>> nodes;
  for (size_t i = 0; i <= fabric.edges(); i++) {
    nodes.push_back(std::make_unique<Connection>(fabric.conninfo_admin(i)));
    nodes.back()->run("SET statement_timeout = '60s'");
  }
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    check_stop();
    const double waited_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    Verdict verdict = Round(fabric, nodes).check(fleets);
    verdict.converged_s = waited_s;
    if ((verdict.rows_lost == 0 && verdict.diverged == 0) || waited_s > kPatienceS) return verdict;
    sleep_s(0.7);
  }
}

}  // namespace vectorshard::demo
