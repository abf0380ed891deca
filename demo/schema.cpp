// Plain DDL and INSERT; the contents are made by the server from hashes, so they do not compress away.
#include "schema.hpp"

namespace vectorshard::demo {
namespace {

constexpr char kTables[] = R"sql(
CREATE TABLE vehicle_model (model int PRIMARY KEY, name text NOT NULL, seats int NOT NULL, range_km int NOT NULL);
CREATE TABLE profile (
  client     text COLLATE "C" PRIMARY KEY,
  name       text NOT NULL,
  model      int NOT NULL,
  seq        bigint NOT NULL,
  prefs      jsonb NOT NULL,
  notes      text NOT NULL,
  updated_at timestamptz NOT NULL);
CREATE TABLE map_tile (
  client     text COLLATE "C" NOT NULL,
  tile       int NOT NULL,
  kind       text NOT NULL,
  rev        bigint NOT NULL,
  data       bytea NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (client, tile));
ALTER TABLE vehicle_model OWNER TO fleet;
ALTER TABLE profile OWNER TO fleet;
ALTER TABLE map_tile OWNER TO fleet;
INSERT INTO vehicle_model
  SELECT m, 'model ' || m, 4 + m % 4, 300 + 20 * m FROM generate_series(1, 12) m;
)sql";

constexpr char kProfiles[] = R"sql(
INSERT INTO profile (client, name, model, seq, prefs, notes, updated_at)
  SELECT c, 'driver of ' || c, 1 + n % 12, 1,
         jsonb_build_object('language', 'en', 'units', 'metric', 'favourites',
                            (SELECT jsonb_agg(md5(c || g)) FROM generate_series(1, 20) g)),
         (SELECT string_agg(md5(c || 'note' || g), ' ') FROM generate_series(1, 90) g), now()
    FROM unnest($1::text[]) WITH ORDINALITY AS clients (c, n)
)sql";

constexpr char kTiles[] = R"sql(
INSERT INTO map_tile (client, tile, kind, rev, data, updated_at)
  SELECT c, t, CASE WHEN t % 3 = 0 THEN 'sensor model' ELSE 'road' END, 1,
         (SELECT string_agg(decode(md5(c || t || '/' || g), 'hex'), '') FROM generate_series(1, 375) g), now()
    FROM unnest($1::text[]) c, generate_series(1, $2::int) t
)sql";

std::string array_of_names(const Fleet &fleet) {
  std::string out = "{";
  for (const auto &client : fleet.clients) {
    if (out.size() > 1) out += ",";
    out += '"';
    for (const char c : client->name) out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
    out += '"';
  }
  return out + "}";
}

}  // namespace

void create_tables(Connection &core, const std::string &store_dir) {
  core.run(kTables);
  core.run("SELECT vectorshard.create_vector_shard_table('profile', 'client')");
  core.run("SELECT vectorshard.create_vector_shard_table('map_tile', 'client')");
  core.run("SELECT vectorshard.create_reference_table('vehicle_model')");
  core.run("SELECT vectorshard.create_store('cold', 'file://" + store_dir + "')");
  core.run("SELECT vectorshard.add_tier_policy(NULL, NULL, 'cold')");  // clients, when idle for client_idle_s
}

void load_fleet(Connection &core, const Fleet &fleet) {
  const std::string names = array_of_names(fleet);
  core.query(kProfiles, {names});
  core.query(kTiles, {names, std::to_string(kTilesAtStart)});
}

}  // namespace vectorshard::demo
