// initdb runs once; the other data directories are copies made before the extension exists in them. The steps from
// create_fabric on are what a DBA would type.
#include "fabric.hpp"

#include <fstream>

#include "fleet.hpp"
#include "schema.hpp"
#include "sites.hpp"
#include "stop.hpp"

namespace vectorshard::demo {
namespace {

namespace fs = std::filesystem;

std::string settings_text(const FabricSettings &settings) {
  return "shared_preload_libraries = 'vectorshard'\n"
         "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
         "wal_level = logical\nmax_worker_processes = 32\nmax_connections = 120\n"
         "shared_buffers = 32MB\nmax_wal_size = 1GB\ncheckpoint_timeout = 15min\n"
         "autovacuum_naptime = 15s\nautovacuum_max_workers = 1\nstatement_timeout = 15s\n"
         "log_min_messages = warning\njit = off\nlog_line_prefix = '%m [%p] %b %a '\n"
         "vectorshard.time_scale = " + std::to_string(settings.time_scale) +
         "\nvectorshard.client_idle_s = " + std::to_string(settings.client_idle_s) +
         "\nvectorshard.tiering_interval_ms = 500\n";
}

void append_to(const fs::path &file, const std::string &text) {
  std::ofstream out(file, std::ios::app);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

std::string point_sql(Point at) {
  return "ST_SetSRID(ST_MakePoint(" + std::to_string(at.lon) + ", " + std::to_string(at.lat) + "), 4326)";
}

}  // namespace

Fabric::Fabric(const Installation &installation, std::vector<Point> edges, const FabricSettings &settings)
    : installation_(installation), places_(std::move(edges)), settings_(settings) {
  make_template();
  const fs::path source = installation_.work / "template";
  for (const int port : free_ports(places_.size() + 1)) {
    check_stop();
    const fs::path data = installation_.work / ("node" + std::to_string(servers_.size() + 1));
    fs::copy(source, data, fs::copy_options::recursive);
    servers_.emplace_back(data, port);
  }
  for (Server &server : servers_) server.start(installation_);
  for (Server &server : servers_) server.wait_ready(installation_);
}

/// A data directory with the roles, and a database with PostGIS, which takes long to create; no vectorshard yet.
void Fabric::make_template() {
  const fs::path data = installation_.work / "template", password_file = installation_.work / "password";
  append_to(password_file, installation_.password);
  run_program({(installation_.bin / "initdb").string(), "-D", data.string(), "-U", "postgres", "-A", "scram-sha-256",
               "--pwfile=" + password_file.string(), "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8"},
              installation_.work / "initdb.log");
  fs::remove(password_file);
  append_to(data / "postgresql.conf", settings_text(settings_));
  Server server(data, free_ports(1)[0]);
  server.start(installation_, {"-c", "fsync=off"});
  server.wait_ready(installation_);
  Connection admin(server.conninfo(installation_, "postgres", "postgres"));
  admin.run("CREATE ROLE fleet LOGIN PASSWORD " + quote_literal(installation_.password));
  admin.run("CREATE DATABASE demo");
  Connection(server.conninfo(installation_, "postgres")).run("CREATE EXTENSION postgis");
}

void Fabric::create_core() {
  Connection core(conninfo_admin(core_index()));
  core.run("CREATE EXTENSION vectorshard");
  core.run("SELECT vectorshard.create_fabric('core', " + point_sql(centroid(places_)) + ")");
  map_user(core, "fabric");
  const fs::path store = installation_.work / "store";
  fs::create_directory(store);
  create_tables(core, store.string());
}

/// How the nodes log in at each other: with an ordinary role, and a password that only user mappings hold.
void Fabric::map_user(Connection &node, const std::string &server) {
  node.run("CREATE ROLE fabric LOGIN PASSWORD " + quote_literal(installation_.password) + " IN ROLE vectorshard_peer");
  node.run("CREATE USER MAPPING FOR postgres SERVER " + server + " OPTIONS (user 'fabric', password " +
           quote_literal(installation_.password) + ")");
}

void Fabric::join(size_t index) {
  Connection edge(conninfo_admin(index));
  edge.run("CREATE EXTENSION vectorshard");
  edge.run("CREATE SERVER core FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '127.0.0.1', port '" +
           std::to_string(servers_[core_index()].port()) + "', dbname 'demo')");
  map_user(edge, "core");
  edge.run("SELECT vectorshard.join_fabric('edge" + std::to_string(index + 1) + "', 'core', " +
           point_sql(places_[index]) + ")");
}

void Fabric::join_all() {
  create_core();
  for (size_t i = 0; i < edges(); i++) {
    check_stop();
    join(i);
  }
  read_numbers();
}

void Fabric::read_numbers() {
  numbers_.assign(servers_.size(), 0);
  Connection core(conninfo_admin(core_index()));
  const Rows rows = core.run("SELECT node, port FROM vectorshard.nodes");
  for (int i = 0; i < rows.count(); i++)
    for (size_t s = 0; s < servers_.size(); s++)
      if (servers_[s].port() == rows.number(i, 1)) numbers_[s] = static_cast<int>(rows.number(i, 0));
}

size_t Fabric::index_of(int number) const {
  for (size_t i = 0; i < numbers_.size(); i++)
    if (numbers_[i] == number) return i;
  return kNowhere;
}

void Fabric::set_everywhere(const std::string &setting, const std::string &value) {
  for (size_t i = 0; i < servers_.size(); i++) {
    Connection node(conninfo_admin(i));
    node.run("ALTER SYSTEM SET " + setting + " = " + quote_literal(value));
    node.run("SELECT pg_reload_conf()");
  }
}

void Fabric::forget_copies() const {
  for (const auto &copy : fs::directory_iterator(servers_[core_index()].data() / "vectorshard/pgsql_tmp_spool/read")) fs::remove(copy.path());
}

void Fabric::stop() {
  for (Server &server : servers_) server.ask_to_stop();
  for (Server &server : servers_) server.stop();
}

}  // namespace vectorshard::demo
