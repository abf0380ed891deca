// Finding idle clients: see idle.hpp.
#include "pg/tier/idle.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/merging_types.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/tier/client_condition.hpp"
extern "C" {
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace vectorshard::tier {

const char kMayLeave[] = R"( c.home = $1 AND r.confirmed
     AND NOT EXISTS (SELECT FROM vectorshard.holder h WHERE h.client = r.client AND h.node <> $1 AND h.state <> 'gone'
                        AND NOT EXISTS (SELECT FROM vectorshard.node n WHERE n.node = h.node AND n.state = 'removed'))
     AND NOT EXISTS (SELECT FROM vectorshard.wish w WHERE w.client = r.client AND w.until > now())
     AND NOT EXISTS (SELECT FROM vectorshard.policy p WHERE p.client IN (r.client, '') AND p.kind = 'tier'
                        AND p.valid_from <= now() AND p.valid_to > now()
                        AND vectorshard.below_floor(p.tier, (SELECT s.thaw_s FROM vectorshard.store s WHERE s.store = $3)))
     AND NOT EXISTS (SELECT FROM vectorshard.peer_debt d WHERE d.client = r.client) )";

namespace {

// The conditions of kMayLeave one by one, and whether they come to hold by themselves.
constexpr char kStays[] = R"(
  SELECT why, passes FROM (
    SELECT 1, 'its home is node ' || c.home, false FROM vectorshard.client c WHERE c.client = $2 AND c.home <> $1
    UNION ALL
    SELECT 2, 'it is not resident here', false WHERE NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = $2)
    UNION ALL
    SELECT 3, 'node "' || n.name || '" holds it (' || h.state || ')', false
      FROM vectorshard.holder h JOIN vectorshard.node n USING (node)
     WHERE h.client = $2 AND h.node <> $1 AND h.state <> 'gone' AND n.state <> 'removed'
    UNION ALL
    SELECT 4, format('it is wished on node %s until %s: %s', w.node, w.until, w.reason), false
      FROM vectorshard.wish w WHERE w.client = $2 AND w.until > now()
    UNION ALL
    SELECT 5, format('policy "%s" keeps it out of the store', p.policy), false FROM vectorshard.policy p
     WHERE p.client IN ($2, '') AND p.kind = 'tier' AND p.valid_from <= now() AND p.valid_to > now()
       AND vectorshard.below_floor(p.tier, (SELECT s.thaw_s FROM vectorshard.store s WHERE s.store = $3))
    UNION ALL
    SELECT 6, format('node %s is owed changes of it', d.peer), true FROM vectorshard.peer_debt d WHERE d.client = $2
    UNION ALL
    SELECT 7, 'its copy here is not confirmed, or it is leaving', true FROM vectorshard.resident r
     WHERE r.client = $2 AND (NOT r.confirmed OR r.leaving)) AS reason (rank, why, passes)
   ORDER BY rank LIMIT 1)";

constexpr size_t kMeasuredMax = 2000;  // clients looked at in one round
constexpr size_t kStatesMax = 200000;  // clients whose states are remembered
constexpr double kRowBytes = 512;      // when nothing is known of a table

/// What was measured of a client.
struct Measured {
  int64_t last_write_us = 0;
  int64_t rows = 0;
  double bytes = 0;
  std::string states;  // hashes of the values that merge: writing them keeps the version
};

/// Average bytes of a row with its TOAST; the estimate of the last ANALYZE or VACUUM.
double row_bytes(bridge::Spi &spi, Oid relid) {
  bridge::Rows rows = spi.query_kept("SELECT pg_table_size(oid) / nullif(greatest(reltuples, 0), 0) FROM pg_class WHERE oid = $1",
                                     {bridge::p_oid(relid)});
  return rows.empty() || rows.null(0, 0) ? kRowBytes : rows.float8(0, 0);
}

/// A hash over the states of a table's values that merge, as an SQL aggregate.
std::string states_hash(const bridge::EnrolledTable &table) {
  std::string out;
  for (const bridge::EnrolledColumn &c : table.columns) {
    if (!bridge::merging_kind(c.type)) continue;
    const char *name = bridge::pg_call([&] { return quote_identifier(c.name.c_str()); });
    out += (out.empty() ? "" : " + ") + ("coalesce(sum(hashtextextended(vectorshard.crdt_state(" + std::string(name) + "), 0)), 0)");
  }
  return out.empty() ? "''" : out;
}

void measure(bridge::Spi &spi, const bridge::EnrolledTable &table, const std::vector<std::string> &clients,
             std::map<std::string, Measured> &out) {
  ClientCondition condition = condition_on(table, clients);
  if (condition.clients.empty()) return;
  double width = row_bytes(spi, table.relid);
  bridge::Rows rows = spi.query("SELECT " + condition.column + "::text, "
                                "extract(epoch FROM vectorshard.version_time(max(_version))) * 1000000, count(*), " + states_hash(table) + " FROM ONLY " +
                                    table.name + " WHERE " + condition.sql + " GROUP BY " + condition.column,
                                {bridge::p_text_array(condition.clients)});
  for (size_t i = 0; i < rows.size(); i++) {
    Measured &m = out[rows.at(i, 0)];
    m.last_write_us = std::max(m.last_write_us, static_cast<int64_t>(rows.float8(i, 1)));
    m.rows += rows.int8(i, 2);
    m.states += rows.at(i, 3) + ' ';
    m.bytes += width * static_cast<double>(rows.int8(i, 2));
  }
}

/// Tables whose rows belong to clients; copies, since queries may refresh the cache.
std::vector<bridge::EnrolledTable> client_tables() {
  std::vector<bridge::EnrolledTable> out;
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (!t->reference) out.push_back(*t);
  return out;
}

int64_t unix_us_now() {
  return GetCurrentTimestamp() + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

}  // namespace

Stays why_it_stays(const std::string &client, const std::string &store) {
  bridge::WorkerTransaction tx;
  Stays out{"it was about to change", true};  // it held a moment ago
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kStays, {bridge::p_int4(bridge::self_node()), bridge::p_text(client), bridge::p_text(store)});
    if (!rows.empty()) out = {rows.at(0, 0), rows.boolean(0, 1)};
  }
  tx.commit();
  return out;
}

int64_t IdleFinder::states_changed_us(const std::string &client, const std::string &states, int64_t now_us) {
  if (states.find_first_not_of(' ') == std::string::npos) return 0;
  if (states_.size() > kStatesMax) states_.clear();  // forgotten, they count as changed just now
  auto [seen, first] = states_.try_emplace(client, States{states, now_us});
  if (!first && seen->second.hash != states) seen->second = {states, now_us};
  return seen->second.since_us;
}

void IdleFinder::judge(const std::vector<std::string> &clients, int64_t idle_us, bool first_sight, std::vector<IdleClient> &out) {
  int64_t now_us = unix_us_now();
  bridge::Spi spi;
  std::map<std::string, Measured> measured;
  if (!clients.empty())
    for (const bridge::EnrolledTable &t : client_tables()) measure(spi, t, clients, measured);
  for (const std::string &client : clients) {
    Measured m = measured[client];
    if (first_sight) m.last_write_us = std::max(m.last_write_us, states_changed_us(client, m.states, now_us));
    int64_t since_us = now_us - m.last_write_us;
    if (m.rows > 0 && since_us >= idle_us)
      out.push_back({client, static_cast<double>(since_us) / 1e6 * bridge::guc::time_scale, static_cast<int64_t>(m.bytes)});
    else
      not_before_us_[client] = m.rows > 0 ? m.last_write_us + idle_us : now_us + idle_us;
  }
}

std::vector<IdleClient> IdleFinder::look(double idle_s, const std::string &store, bool first_sight) {
  auto idle_us = static_cast<int64_t>(idle_s / bridge::guc::time_scale * 1e6);
  std::erase_if(not_before_us_, [&](auto &entry) { return entry.second <= unix_us_now(); });
  std::vector<std::string> clients;
  {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT r.client FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client "
        "WHERE NOT r.leaving AND r.since <= now() - make_interval(secs => $2) AND" + std::string(kMayLeave),
        {bridge::p_int4(bridge::self_node()), bridge::p_float8(idle_s / bridge::guc::time_scale), bridge::p_text(store)});
    for (size_t i = 0; i < rows.size() && clients.size() < kMeasuredMax; i++)
      if (!not_before_us_.contains(rows.at(i, 0))) clients.push_back(rows.at(i, 0));
  }
  std::vector<IdleClient> out;
  judge(clients, idle_us, first_sight, out);
  return out;
}

std::vector<IdleClient> IdleFinder::find(double idle_s, const std::string &store) {
  bridge::WorkerTransaction tx;
  std::vector<IdleClient> out = look(idle_s, store, true);
  tx.commit();
  return out;
}

std::vector<ClientSize> client_sizes(const std::vector<std::string> &clients) {
  std::vector<ClientSize> out;
  bridge::Spi spi;
  for (const bridge::EnrolledTable &t : client_tables()) {
    std::map<std::string, Measured> measured;
    measure(spi, t, clients, measured);
    for (const auto &[client, m] : measured)
      if (m.rows > 0) out.push_back({client, t.name, m.rows, static_cast<int64_t>(m.bytes)});
  }
  return out;
}

}  // namespace vectorshard::tier
