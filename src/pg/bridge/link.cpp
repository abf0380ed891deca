// libpq connections to other nodes: see link.hpp.
#include "pg/bridge/link.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>

#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
extern "C" {
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "access/reloptions.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
}

namespace vectorshard::bridge {

namespace {

using Options = std::map<std::string, std::string>;

void add_options(Options &out, List *options) {
  ListCell *lc;
  foreach (lc, options) {
    DefElem *def = static_cast<DefElem *>(lfirst(lc));
    const char *value = pg_call([&] { return defGetString(def); });
    out[def->defname] = value;
  }
}

/// The options of a user mapping of `role`, else of PUBLIC; false if there is none.
bool add_mapping(Options &out, Oid server, Oid role) {
  List *options = nullptr;
  bool found = pg_call([&] {
    for (Oid user : {role, static_cast<Oid>(InvalidOid)}) {
      HeapTuple tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(user), ObjectIdGetDatum(server));
      if (!HeapTupleIsValid(tuple)) continue;
      bool null;
      Datum d = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &null);
      options = null ? NIL : untransformRelOptions(d);
      ReleaseSysCache(tuple);
      return true;
    }
    return false;
  });
  if (found) add_options(out, options);
  return found;
}

ForeignServer *server_by_name(const std::string &name) {
  const char *n = name.c_str();
  return pg_call([&] { return GetForeignServerByName(n, true); });
}

/// Options of server `name` with its owner's mapping; the mapping of server `fabric` where it has none.
Result<Options> options_of_server(const std::string &name) {
  ForeignServer *server = server_by_name(name);
  if (!server)
    return Error{Errc::not_found, "server \"" + name + "\" does not exist", "",
                 "Create it with CREATE SERVER … FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host …, port …)."};
  Options o;
  add_options(o, server->options);
  if (!add_mapping(o, server->serverid, server->owner)) {
    ForeignServer *fabric = server_by_name("fabric");
    if (fabric) add_mapping(o, fabric->serverid, fabric->owner);
  }
  return o;
}

Result<Options> options_of_node(NodeId node) {
  Spi spi;
  AsSuperuser rights;  // an application may not read the tables of the fabric
  Rows r = spi.query_kept("SELECT name, host, port::text, dbname FROM vectorshard.node WHERE node = $1", {p_int4(node)});
  if (r.empty())
    return Error{Errc::not_found, "node " + std::to_string(node) + " is not in the fabric", "",
                 "Look at the view vectorshard.nodes."};
  Options o;
  // A server of the node's own name overrides the fabric's: for addresses and passwords that differ from here.
  // One of that name which was made for a store (src/pg/tier/store_server.hpp) is none.
  ForeignServer *own = server_by_name(r.at(0, 0));
  if (own && !(own->servertype && strcmp(own->servertype, "store") == 0)) {
    auto opts = options_of_server(r.at(0, 0));
    if (!opts.ok()) return opts.error();
    o = opts.value();
  } else if (ForeignServer *fabric = server_by_name("fabric")) {
    add_options(o, fabric->options);
    add_mapping(o, fabric->serverid, fabric->owner);
  }
  o.try_emplace("host", r.at(0, 1));
  o.try_emplace("port", r.at(0, 2));
  o.try_emplace("dbname", r.at(0, 3));
  return o;
}

std::string public_address(const Options &o) {
  std::string s;
  for (const char *k : {"host", "port", "dbname", "user"})
    if (auto it = o.find(k); it != o.end()) s += (s.empty() ? "" : " ") + std::string(k) + "=" + it->second;
  return s;
}

/// Waits for the socket, the latch or the deadline. Raises on cancel or shutdown.
bool wait_socket(PGconn *conn, bool write, TimestampTz deadline) {
  long left = TimestampDifferenceMilliseconds(steady_us(), deadline);
  if (left <= 0) return false;
  int socket = PQsocket(conn);
  int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | (write ? WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE);
  pg_call([&] {
    int rc = WaitLatchOrSocket(MyLatch, events, socket, left, PG_WAIT_EXTENSION);
    if (rc & WL_LATCH_SET) {
      ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
    }
  });
  return true;
}

TimestampTz deadline_in(int timeout_ms) {
  return TimestampTzPlusMilliseconds(steady_us(), timeout_ms > 0 ? timeout_ms : guc::link_timeout_ms);
}

/// A connection that has begun; it must be polled, or finished.
PGconn *begin_with(const Options &given, const std::string &application_name) {
  Options o = given;
  o["application_name"] = application_name;
  o["client_encoding"] = GetDatabaseEncodingName();
  o.try_emplace("options", "-c search_path=pg_catalog -c datestyle=ISO -c intervalstyle=postgres "
                           "-c extra_float_digits=3 -c timezone=UTC");
  std::vector<const char *> keys, values;
  for (auto &[k, v] : o) {
    keys.push_back(k.c_str());
    values.push_back(v.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  PGconn *conn = PQconnectStartParams(keys.data(), values.data(), 0);
  if (!conn) throw std::bad_alloc();
  return conn;
}

Error remote_error(const PGresult *r, const std::string &address) {
  auto field = [&](int code) {
    const char *s = PQresultErrorField(r, code);
    return std::string(s ? s : "");
  };
  if (field(PG_DIAG_SQLSTATE) == "42501" && field(PG_DIAG_MESSAGE_HINT).empty())
    return Error{Errc::no_right, field(PG_DIAG_MESSAGE_PRIMARY), "It was asked of " + address + ".", kPeerRoleHint};
  return Error{Errc::io, field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_MESSAGE_DETAIL), field(PG_DIAG_MESSAGE_HINT)};
}

}  // namespace

std::string one_line(const char *text) {
  std::string s = text ? text : "";
  while (!s.empty() && (s.back() == '\n' || s.back() == ' ')) s.pop_back();
  std::replace(s.begin(), s.end(), '\n', ' ');
  return s;
}

PostgresPollingStatusType Link::poll() {
  auto state = PQstatus(conn_) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PQconnectPoll(conn_);
  if (state == PGRES_POLLING_OK) PQsetnonblocking(conn_, 1);
  return state;
}

Error Link::connection_failure() const {
  std::string text = one_line(PQerrorMessage(conn_));
  bool denied = text.find("authentication") != std::string::npos || text.find("no pg_hba.conf") != std::string::npos ||
                text.find("no password supplied") != std::string::npos || text.find("role \"") != std::string::npos;
  return Error{denied ? Errc::denied : Errc::unreachable,
               denied ? "node refused the connection" : "could not connect to node", text + " (" + address_ + ")",
               denied ? "Check the user mapping of server \"fabric\", or of the node's own server, and pg_hba.conf there."
                      : "Check that the node runs and that its address in vectorshard.nodes is right."};
}

Result<void> Link::finish_connecting(int timeout_ms) {
  if (timeout_ms <= 0) timeout_ms = guc::link_timeout_ms;
  TimestampTz deadline = deadline_in(timeout_ms);
  auto state = PQstatus(conn_) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
    if (!wait_socket(conn_, state == PGRES_POLLING_WRITING, deadline))
      return Error{Errc::unreachable, "node does not answer",
                   "No connection within " + std::to_string(timeout_ms) + " ms (" + address_ + ").",
                   "Check the node, or raise vectorshard.link_timeout_ms."};
    state = poll();
  }
  if (state == PGRES_POLLING_FAILED) return connection_failure();
  return {};
}

Result<std::unique_ptr<Link>> Link::begin(NodeId node, const std::string &application_name) {
  auto options = options_of_node(node);
  if (!options.ok()) return options.error();
  return std::unique_ptr<Link>(
      new Link(begin_with(options.value(), application_name), public_address(options.value())));
}

Result<std::unique_ptr<Link>> Link::connect(NodeId node, const std::string &application_name, int timeout_ms) {
  auto link = begin(node, application_name);
  if (!link.ok()) return link.error();
  auto done = link.value()->finish_connecting(timeout_ms);
  if (!done.ok()) return done.error();
  return link;
}

Result<std::unique_ptr<Link>> Link::connect_server(const std::string &server, const std::string &application_name) {
  auto options = options_of_server(server);
  if (!options.ok()) return options.error();
  std::unique_ptr<Link> link(
      new Link(begin_with(options.value(), application_name), public_address(options.value())));
  auto done = link->finish_connecting(0);
  if (!done.ok()) return done.error();
  return link;
}

Link::~Link() { PQfinish(conn_); }

double Link::rtt_s() const {
  constexpr uint32_t kNotMeasured = ~0U;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (!alive() || getsockopt(PQsocket(conn_), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_min_rtt == kNotMeasured ? 0 : info.tcpi_min_rtt / 1e6;
}

Result<PgResult> Link::query(const std::string &sql, const std::vector<LinkParam> &params, bool binary_result,
                             int timeout_ms) {
  sqlstate_.clear();
  auto broken = [&](const char *what) {
    Error e{Errc::unreachable, what, conn_ ? one_line(PQerrorMessage(conn_)) : "", "Check the node and the network."};
    PQfinish(std::exchange(conn_, nullptr));
    return e;
  };
  if (!alive()) return broken("connection to node is lost");
  std::vector<const char *> values;
  std::vector<int> lengths, formats;
  for (const LinkParam &p : params) {
    values.push_back(p.value ? p.value->c_str() : nullptr);
    lengths.push_back(p.value ? static_cast<int>(p.value->size()) : 0);
    formats.push_back(p.binary);
  }
  int n = static_cast<int>(params.size());
  if (!PQsendQueryParams(conn_, sql.c_str(), n, nullptr, values.data(), lengths.data(), formats.data(), binary_result))
    return broken("could not send to node");
  TimestampTz deadline = deadline_in(timeout_ms);
  PgResult last;
  try {
    for (;;) {
      int unsent = PQflush(conn_);
      if (unsent < 0) return broken("could not send to node");
      if (unsent > 0 || PQisBusy(conn_)) {
        if (!wait_socket(conn_, unsent > 0, deadline)) return broken("node does not answer");
        if (!PQconsumeInput(conn_)) return broken("connection to node is lost");
        continue;
      }
      PgResult r(PQgetResult(conn_));
      if (!r) break;
      if (!last || PQresultStatus(last.get()) != PGRES_FATAL_ERROR) last = std::move(r);
    }
  } catch (...) {
    PQfinish(std::exchange(conn_, nullptr));
    throw;
  }
  if (!last) return broken("connection to node is lost");
  if (PQresultStatus(last.get()) == PGRES_FATAL_ERROR) {
    const char *state = PQresultErrorField(last.get(), PG_DIAG_SQLSTATE);
    if (!state) return broken("connection to node is lost");
    sqlstate_ = state;
    return remote_error(last.get(), address_);
  }
  return last;
}

std::string node_address(NodeId node) {
  auto o = options_of_node(node);
  return o.ok() ? public_address(o.value()) : "node " + std::to_string(node);
}

Result<Link *> session_link(NodeId node) {
  static std::map<NodeId, std::unique_ptr<Link>> links;
  auto &link = links[node];
  if (link && link->alive() && PQtransactionStatus(link->conn()) == PQTRANS_IDLE) return link.get();
  link.reset();
  auto fresh = Link::connect(node, "vectorshard link");
  if (!fresh.ok()) return fresh.error();
  link = std::move(fresh).value();
  return link.get();
}

}  // namespace vectorshard::bridge
