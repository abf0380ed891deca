// join_through: the part of join_fabric that talks to the fabric. In one local transaction: register, bring in the
// fabric's tables as of one snapshot of the contacted node, make the enrolled tables, copy the reference tables. What
// the snapshot missed arrives as debt: every node owes it all reference tables as soon as it hears of the new node.
// Nothing here may be visible before the commit; a registration without commit is found again by the uuid.
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/clock_check.hpp"
#include "pg/fabric/copy_table.hpp"
extern "C" {
#include "utils/builtins.h"
#include "utils/guc.h"
}

using namespace vectorshard;

namespace {

struct Self {
  std::string name, kind, host, port, dbname, location;
  std::optional<std::string> coverage;
};

bridge::PgResult ask(bridge::Link &link, const std::string &sql, const std::vector<bridge::LinkParam> &params = {}) {
  auto answer = link.query(sql, params);
  if (!answer.ok()) fabric::raise_remote(link, answer.error());
  return std::move(answer).value();
}

/// Registers; gives the row of `node` that the registrar wrote, in text form.
std::string register_self(bridge::Link &link, bridge::Spi &spi, const Self &self) {
  std::string uuid = spi.query("SELECT vectorshard.boot_uuid()").at(0, 0);
  int64_t before = fabric::wall_clock_ms();
  auto clock = ask(link, "SELECT vectorshard.wall_clock_ms()");
  fabric::check_clock(std::stoll(PQgetvalue(clock.get(), 0, 0)), fabric::wall_clock_ms(),
                      fabric::wall_clock_ms() - before);
  auto row = ask(link,
                 "SELECT vectorshard.register_node($1::text, $2::text, $3::uuid, $4::text, $5::int, $6::text, $7::text, "
                 "$8::text, $9::bigint)",
                 {{self.name}, {self.kind}, {uuid}, {self.host}, {self.port}, {self.dbname}, {self.location},
                  {self.coverage}, {std::to_string(fabric::wall_clock_ms())}});
  return PQgetvalue(row.get(), 0, 0);
}

/// Copies one table, column by column name, where `condition` holds.
void copy_table(bridge::Link &link, bridge::Spi &spi, const std::string &table, const std::string &condition) {
  auto rows = spi.query(
      "SELECT $1::regclass::oid::int8, attname, CASE WHEN vectorshard.crdt_merges(atttypid) "
      "THEN format('vectorshard.crdt_state(%I)', attname) ELSE quote_ident(attname) END FROM pg_attribute "
      "WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
      {bridge::p_text(table)});
  std::vector<std::string> names;
  std::string list;
  for (size_t i = 0; i < rows.size(); i++) {
    names.push_back(rows.at(i, 1));
    list += (i ? ", " : "") + rows.at(i, 2);
  }
  fabric::copy_from_link(link, "SELECT " + list + " FROM ONLY " + table + " WHERE " + condition,
                         static_cast<Oid>(rows.int8(0, 0)), names);
}

/// The definitions that came along are those of enrolment; the tables may have been altered since. Only here: whoever has
/// a table already needs none.
void take_present_definitions(bridge::Link &link, bridge::Spi &spi) {
  auto now = ask(link,
                 "SELECT table_name, vectorshard.table_definition(to_regclass(table_name)) FROM vectorshard.shard_table "
                 "WHERE state = 'enrolled' AND vectorshard.is_attached(to_regclass(table_name))");
  for (int i = 0; i < PQntuples(now.get()); i++)
    spi.query("UPDATE vectorshard.shard_table SET definition = $2 WHERE table_name = $1",
              {bridge::p_text(PQgetvalue(now.get(), i, 0)), bridge::p_text(PQgetvalue(now.get(), i, 1))});
}

void copy_reference_tables(bridge::Link &link, bridge::Spi &spi) {
  auto tables = spi.query(
      "SELECT table_name FROM vectorshard.shard_table WHERE kind = 'reference' AND state = 'enrolled' "
      "AND vectorshard.is_attached(to_regclass(table_name)) ORDER BY _version");
  for (size_t i = 0; i < tables.size(); i++) {
    const std::string &name = tables.at(i, 0);
    auto there = ask(link, "SELECT to_regclass($1::text) IS NOT NULL", {{name}});
    if (PQgetvalue(there.get(), 0, 0)[0] == 't') copy_table(link, spi, name, "true");
  }
}

int join(const std::string &server, const Self &self) {
  auto link = bridge::value_or_raise(bridge::Link::connect_server(server, "vectorshard join"));
  bridge::Spi spi;
  std::string row = register_self(*link, spi, self);
  ask(*link, "SELECT set_config('vectorshard.read_scope', 'home', false)");  // reference tables are for nodes to read
  ask(*link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  // As apply does it: what comes from peers fires no triggers here.
  int level = NewGUCNestLevel();
  bridge::pg_call([] {
    (void)set_config_option("session_replication_role", "replica", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  });
  for (const char *t : {"node", "shard_table", "client", "wish", "holder", "policy", "store", "segment", "erasure", "node_state", "price", "quality", "ddl"})
    copy_table(*link, spi, std::string("vectorshard.") + t, "true");
  copy_table(*link, spi, "vectorshard.tombstone", "client = ''");
  take_present_definitions(*link, spi);
  spi.query("INSERT INTO vectorshard.node SELECT ($1::vectorshard.node).* ON CONFLICT (node) DO NOTHING", {bridge::p_text(row)});
  spi.query("SELECT vectorshard.set_up_member()");
  spi.query("SELECT vectorshard.copy_user_mapping($1)", {bridge::p_text(server)});
  // Before and after: tables may need types that statements made, and those find tables there already.
  spi.query("SELECT vectorshard.realize_tables()");
  spi.query("SELECT vectorshard.catch_up_statements()");
  spi.query("SELECT vectorshard.realize_tables()");
  copy_reference_tables(*link, spi);
  AtEOXact_GUC(false, level);
  auto me = spi.query("SELECT node, vectorshard.adopt_identity(node, incarnation) FROM vectorshard.node WHERE uuid = vectorshard.boot_uuid()");
  ask(*link, "COMMIT");
  return static_cast<int>(me.int8(0, 0));
}

}  // namespace

VECTORSHARD_FUNCTION(vectorshard_join_through) {
  return bridge::entry([&]() -> Datum {
    auto argument = [&](int i) {
      char *s = bridge::pg_call([&] { return text_to_cstring(PG_GETARG_TEXT_PP(i)); });
      return std::string(s);
    };
    Self self{argument(1), argument(2), argument(3), argument(4), argument(5), argument(6), std::nullopt};
    if (!PG_ARGISNULL(7)) self.coverage = argument(7);
    return Int32GetDatum(join(argument(0), self));
  });
}
