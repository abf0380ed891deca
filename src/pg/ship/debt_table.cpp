// Writing debts: see debt_table.hpp. Local rows: they are never shipped. A debt must be durable before the slot passes
// what it stands for; that is the caller's transaction.
#include "pg/ship/debt_table.hpp"

#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/merging_types.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/region.hpp"

namespace vectorshard::ship {

namespace {

// DO UPDATE, not DO NOTHING: it gives the row a new xmin, by which a payment under way sees that it came too early.
constexpr const char *kAdd = R"(
  INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name, last_error)
  SELECT DISTINCT ON (1, 2, 3) peer::int, client, table_name, nullif(error, '')
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (peer, client, table_name, error)
   ORDER BY 1, 2, 3
  ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = coalesce(excluded.last_error, d.last_error))";

// Resident clients to their other holders and their homes (0 where the home is not known).
constexpr const char *kOweClients = R"(
  INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
  SELECT h.node, r.client, '' FROM vectorshard.resident r
    JOIN vectorshard.holder h ON h.client = r.client AND h.state <> 'gone' AND h.node <> $1
    JOIN vectorshard.node n ON n.node = h.node AND n.state <> 'removed'
  UNION
  SELECT coalesce(c.home, 0), r.client, '' FROM vectorshard.resident r
    LEFT JOIN vectorshard.client c ON c.client = r.client
   WHERE c.home IS DISTINCT FROM $1
  ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error)";

/// `merges`: the table has values that merge, which this node may have changed without a version of its own.
std::string owe_table(const std::string &table, bool merges) {
  return "INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name) "
         "SELECT n.node, '', $2 FROM vectorshard.node n WHERE n.node <> $1 AND n.state <> 'removed' "
         "AND EXISTS (SELECT FROM ONLY " + table + " t WHERE " + (merges ? "$1 > 0" : "t._version & 1023 = $1") + ") "
         "ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error";
}

}  // namespace

void add_debts(const std::vector<Debt> &debts) {
  if (debts.empty()) return;
  std::vector<std::string> peers, clients, tables, errors;
  for (const Debt &d : debts) {
    peers.push_back(std::to_string(d.peer));
    clients.push_back(d.client);
    tables.push_back(d.table);
    errors.push_back(d.error);
  }
  bridge::AsSuperuser rights;
  bridge::Spi spi;
  spi.execute(kAdd, {bridge::p_text_array(peers), bridge::p_text_array(clients), bridge::p_text_array(tables),
                     bridge::p_text_array(errors)});
  if (ship_shared()) pg_atomic_fetch_add_u64(&ship_shared()->debt_epoch, 1);
}

void add_debt(NodeId peer, std::string_view client, const std::string &table) {
  add_debts({{peer, std::string(client), table, ""}});
}

void owe_everything() {
  int self = bridge::self_node();
  std::map<std::string, bool> tables;  // whether they have values that merge
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (t->reference && t->version_attnum != 0)
      tables[t->name] = std::any_of(t->columns.begin(), t->columns.end(),
                                    [](auto &c) { return bridge::merging_kind(c.type).has_value(); });
  bridge::Spi spi;
  spi.execute(kOweClients, {bridge::p_int4(self)});
  for (auto &[t, merges] : tables) spi.execute(owe_table(t, merges), {bridge::p_int4(self), bridge::p_text(t)});
  spi.execute("DELETE FROM vectorshard.peer_debt WHERE peer = 0 AND client = '' AND table_name = $1",
              {bridge::p_text(kEverything)});
  if (ship_shared()) pg_atomic_fetch_add_u64(&ship_shared()->debt_epoch, 1);
}

}  // namespace vectorshard::ship
