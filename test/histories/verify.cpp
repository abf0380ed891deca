// The oracle: see verify.hpp. By versions alone: of all writes of a row the one with the largest version stands.
#include "verify.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "../../demo/pg.hpp"

namespace vectorshard::histories {
namespace {

using demo::Connection;
using demo::Rows;

std::string named(const Plan &plan) { return " LIKE '" + plan.prefix + "%' "; }

/// Everything that must be equal where it is held, as (what, value) pairs.
std::map<std::string, std::string> state_of(const Plan &plan, Connection &c) {
  std::map<std::string, std::string> out;
  auto take = [&](const std::string &sql) {
    const Rows rows = c.run(sql);
    for (int i = 0; i < rows.count(); i++) out[rows.str(i, 0)] = rows.null(i, 1) ? "" : rows.str(i, 1);
  };
  take("SELECT 'digest ' || client, vectorshard.client_digest(client) FROM vectorshard.resident WHERE client" + named(plan));
  for (const char *table : {"item", "tally"}) {
    const std::string t = table;
    if (c.run("SELECT to_regclass('public." + t + "') IS NOT NULL").flag(0, 0))
      take("SELECT '" + t + " ' || r.client, count(t.client) || ' ' || coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t.id)), '') "
           "FROM vectorshard.resident r LEFT JOIN ONLY " + t + " t ON t.client = r.client WHERE r.client" + named(plan) + "GROUP BY r.client");
  }
  take("SELECT 'ref', md5(string_agg(t::text, E'\\n' ORDER BY id)) FROM ref t");
  for (const char *table : {"client", "holder", "node", "wish", "policy", "shard_table"})
    take(std::string("SELECT 'vectorshard.") + table + "', md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM vectorshard." + table + " t");
  return out;
}

/// What is not at rest on a node; empty if all is. Alarms of the background check are counted by mended_meanwhile().
std::string unrest(const Plan &plan, Connection &c) {
  std::string out;
  const Rows lag = c.run("SELECT node, connected, queue_rows, debts, coalesce(last_error, '') FROM vectorshard.ship_lag "
                         "WHERE NOT connected OR queue_rows + debts > 0");
  for (int i = 0; i < lag.count(); i++)
    out += " to " + lag.str(i, 0) + (lag.flag(i, 1) ? "" : ": not connected") + " queue " + lag.str(i, 2) + " debts " + lag.str(i, 3) + " (" +
           lag.str(i, 4) + ")";
  const Rows open = c.run("SELECT kind, count(*), min(reason), min(client || ' ' || key) FROM vectorshard.conflict "
                           "WHERE resolved IS NULL AND kind <> 'diverged' GROUP BY kind");
  for (int i = 0; i < open.count(); i++) out += " " + open.str(i, 1) + " open conflicts: " + open.str(i, 0) + ", " + open.str(i, 2) + ", " + open.str(i, 3);
  const Rows odd = c.run("SELECT client FROM vectorshard.resident WHERE leaving OR NOT confirmed");
  for (int i = 0; i < odd.count(); i++) out += " leaving or unconfirmed: " + odd.str(i, 0);
  const Rows stray = c.run("SELECT count(*) FROM ONLY item i WHERE NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = i.client)");
  if (stray.number(0, 0) > 0) out += " " + stray.str(0, 0) + " rows of clients that are not resident";
  (void)plan;
  return out;
}

/// (table, client, key)
using Key = std::tuple<std::string, std::string, int>;

struct Final {
  int64_t value = 0, version = 0, tombstone = 0;
  bool present = false;
};

std::string text(const Key &k) { return std::get<0>(k) + " " + std::get<1>(k) + "/" + std::to_string(std::get<2>(k)); }

/// Rows and tombstones as the home of each client has them.
std::map<Key, Final> final_state(const Plan &plan, const std::vector<Server> &servers) {
  std::map<Key, Final> out;
  for (const Server &s : servers) {
    Connection c(s.conninfo("verify"));
    c.run("SET vectorshard.read_scope = local");
    const std::string home = "client IN (SELECT client FROM vectorshard.client WHERE home = vectorshard.self_node() AND client" + named(plan) + ")";
    auto rows_of = [&](const std::string &table, const std::string &sql) {
      const Rows rows = c.run(sql);
      for (int i = 0; i < rows.count(); i++) {
        Final &f = out[{table, rows.str(i, 0), static_cast<int>(rows.number(i, 1))}];
        f.present = true;
        f.value = rows.number(i, 2);
        f.version = rows.number(i, 3);
      }
    };
    rows_of("item", "SELECT client, id, val, _version FROM ONLY item WHERE " + home);
    if (s.index() == 0) rows_of("ref", "SELECT '', id, val, _version FROM ref");
    const Rows dead = c.run("SELECT client, key[array_length(key, 1)], _version, table_name FROM vectorshard.tombstone WHERE (table_name = 'public.item' AND " +
                            home + ") OR (table_name = 'public.ref' AND vectorshard.self_node() = 1)");
    for (int i = 0; i < dead.count(); i++)
      out[{dead.str(i, 3).substr(7), dead.str(i, 0), static_cast<int>(dead.number(i, 1))}].tombstone = dead.number(i, 2);
  }
  return out;
}

std::string story(const Transaction &t, const Write &w) {
  return (w.deletes ? "delete" : "write " + std::to_string(w.value)) + " version " + std::to_string(w.version) + " at n" + std::to_string(t.node + 1) +
         (t.outcome == Outcome::acknowledged ? " acknowledged" : t.outcome == Outcome::unknown ? " unknown" : " failed") +
         (t.error.empty() ? "" : " (" + t.error.substr(0, 160) + ")");
}

void check_counters(const Plan &plan, const std::vector<Server> &servers, const Log &log, Findings &out) {
  std::map<std::pair<std::string, int>, std::set<int64_t>> possible;
  for (const Transaction &t : log.transactions)
    for (const Write &w : t.writes) {
      if (w.table != "tally" || t.outcome == Outcome::failed) continue;
      auto &sums = possible.try_emplace({w.client, w.key}, std::set<int64_t>{0}).first->second;
      std::set<int64_t> next = t.outcome == Outcome::unknown ? sums : std::set<int64_t>{};
      for (const int64_t s : sums) next.insert(s + w.value);
      sums = std::move(next);
    }
  Connection c(servers[0].conninfo("verify"));
  if (possible.empty()) return;
  const Rows rows = c.run("SELECT client, id, n::bigint FROM tally WHERE client" + named(plan));
  for (int i = 0; i < rows.count(); i++) {
    const auto it = possible.find({rows.str(i, 0), static_cast<int>(rows.number(i, 1))});
    const std::set<int64_t> sums = it == possible.end() ? std::set<int64_t>{0} : it->second;
    if (!sums.contains(rows.number(i, 2)))
      out.wrong.push_back("counter " + rows.str(i, 0) + "/" + rows.str(i, 1) + " is " + rows.str(i, 2) + ", expected " +
                          std::to_string(*sums.begin()) + " … " + std::to_string(*sums.rbegin()));
  }
}

}  // namespace

std::string difference(const Plan &plan, const std::vector<Server> &servers) {
  std::map<std::string, std::pair<std::string, std::string>> first;  // what: value, node
  std::string out;
  for (const Server &s : servers) {
    try {
      Connection c(s.conninfo("verify"));
      c.run("SET vectorshard.read_scope = local");
      const std::string restless = unrest(plan, c);
      if (!restless.empty()) out += "; " + s.name() + restless;
      for (const auto &[what, value] : state_of(plan, c)) {
        const auto [it, fresh] = first.try_emplace(what, value, s.name());
        if (!fresh && it->second.first != value) out += "; " + what + " differs: " + it->second.second + " and " + s.name();
      }
    } catch (const demo::PgError &e) {
      out += "; " + s.name() + ": " + e.what();
    }
  }
  return out;
}

Convergence wait_equal(const Plan &plan, const std::vector<Server> &servers, double limit_s) {
  const auto start = std::chrono::steady_clock::now();
  Convergence out;
  for (;;) {
    const std::string now = difference(plan, servers);
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (now.empty()) {
      out.equal = true;
      return out;
    }
    out.difference = now;
    if (out.seconds > limit_s) return out;
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

void log_references(const std::vector<Server> &servers, Log &log) {
  Connection c(servers[0].conninfo("verify"));
  const Rows rows = c.run("SELECT id, val, _version FROM ref");
  Transaction t{Outcome::acknowledged, 0, "", {}};
  for (int i = 0; i < rows.count(); i++) t.writes.push_back({"ref", "", static_cast<int>(rows.number(i, 0)), false, rows.number(i, 1), rows.number(i, 2)});
  log.transactions.push_back(std::move(t));
}

std::vector<std::string> mended_meanwhile(const std::vector<Server> &servers, std::vector<int64_t> &seen) {
  std::vector<std::string> out;
  seen.resize(servers.size());
  for (const Server &s : servers) {
    Connection c(s.conninfo("verify"));
    int64_t &last = seen[static_cast<size_t>(s.index())];
    const Rows rows = c.run("SELECT conflict, format('%s %s %s, at %s: %s', client, table_name, key, at, reason) FROM vectorshard.conflict "
                            "WHERE kind = 'diverged' AND conflict > " + std::to_string(last) + " ORDER BY conflict");
    for (int i = 0; i < rows.count(); i++) {
      last = rows.number(i, 0);
      out.push_back("mended by the check of " + s.name() + ": " + rows.str(i, 1));
    }
  }
  return out;
}

Findings check(const Plan &plan, const std::vector<Server> &servers, const Log &log) {
  Findings out;
  std::map<Key, Final> finals = final_state(plan, servers);
  std::map<Key, std::vector<std::pair<const Transaction *, const Write *>>> written;
  std::map<int64_t, std::pair<const Transaction *, const Write *>> by_value;
  for (const Transaction &t : log.transactions)
    for (const Write &w : t.writes) {
      if (w.table == "tally") continue;
      written[{w.table, w.client, w.key}].emplace_back(&t, &w);
      if (!w.deletes) by_value[w.value] = {&t, &w};
    }
  for (const auto &[key, writes] : written) {
    const Final f = finals.contains(key) ? finals.at(key) : Final{};
    const std::string now = text(key) + (f.present ? " is " + std::to_string(f.value) + " version " + std::to_string(f.version) : " is absent") +
                            ", tombstone " + std::to_string(f.tombstone) + ": ";
    for (const auto &[t, w] : writes) {
      if (t->outcome != Outcome::acknowledged || w->version == 0) continue;
      const int64_t winner = std::max(f.present ? f.version : 0, f.tombstone);
      if (winner < w->version) {
        out.lost.push_back(now + story(*t, *w));
      } else if (winner > w->version) {
        out.beaten++;
      } else if (w->deletes != (f.tombstone == w->version) || (!w->deletes && (!f.present || f.value != w->value))) {
        out.lost.push_back(now + "same version, other content: " + story(*t, *w));
      } else {
        out.visible++;
      }
    }
    if (f.present && std::none_of(writes.begin(), writes.end(), [&](auto &p) {
          return !p.second->deletes && p.second->value == f.value && p.first->outcome != Outcome::failed;
        }))
      out.foreign.push_back(now + "no transaction that may have committed wrote this");
    // The winner of a row that nobody deleted in a way that may have happened must be there.
    if (!f.present && std::any_of(writes.begin(), writes.end(), [&](auto &p) { return !p.second->deletes && p.first->outcome == Outcome::acknowledged; }) &&
        std::none_of(writes.begin(), writes.end(), [&](auto &p) { return p.second->deletes && p.first->outcome != Outcome::failed; }))
      out.lost.push_back(now + "acknowledged, never deleted");
  }
  for (const auto &[key, f] : finals)
    if (f.present && std::get<0>(key) == "item" && !written.contains(key)) out.foreign.push_back(text(key) + " was written by nobody");
  for (const Seen &s : log.reads) {
    const auto it = by_value.find(s.value);
    if (it == by_value.end() || it->second.first->outcome == Outcome::failed)
      out.foreign.push_back("read at n" + std::to_string(s.node + 1) + ": " + s.client + "/" + std::to_string(s.key) + " = " + std::to_string(s.value) +
                            (it == by_value.end() ? ", written by nobody" : ", of a failed transaction: " + story(*it->second.first, *it->second.second)));
  }
  out.foreign.insert(out.foreign.end(), log.oddities.begin(), log.oddities.end());
  check_counters(plan, servers, log, out);
  return out;
}

}  // namespace vectorshard::histories
