// A libpq connection to another node. Waits on the process latch too, so cancel and shutdown work while it waits.
// Credentials come from the user mapping of the node's own server, else of server `fabric`, always of the role that
// owns that server (or PUBLIC): applications never need, nor see, the fabric's password.
#pragma once
#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"

namespace vectorshard::bridge {

/// One parameter of a remote query: text or binary.
struct LinkParam {
  std::optional<std::string> value;
  bool binary = false;
};

struct PgResultDeleter {
  void operator()(PGresult *r) const { PQclear(r); }
};
using PgResult = std::unique_ptr<PGresult, PgResultDeleter>;

class Link {
 public:
  /// Connects to `node` (needs an open transaction for the catalog look-up), at most link_timeout_ms (0 < timeout_ms
  /// overrides). Errors: not_found, unreachable, denied.
  static Result<std::unique_ptr<Link>> connect(NodeId node, const std::string &application_name, int timeout_ms = 0);
  /// Connects to the server object `server` (for join_fabric, before node numbers are known).
  static Result<std::unique_ptr<Link>> connect_server(const std::string &server, const std::string &application_name);
  /// Starts to connect to `node` and returns at once (needs an open transaction); poll() carries on until it gives
  /// PGRES_POLLING_OK or PGRES_POLLING_FAILED, and connection_failure() then says why it failed.
  static Result<std::unique_ptr<Link>> begin(NodeId node, const std::string &application_name);
  /// Carries a begun connection on when its socket is ready as the last answer asked; never waits.
  PostgresPollingStatusType poll();
  Error connection_failure() const;
  ~Link();
  Link(const Link &) = delete;
  Link &operator=(const Link &) = delete;

  /// Runs one statement and waits for its result, at most link_timeout_ms (0 < timeout_ms overrides).
  /// A remote ERROR comes back as Error with the remote message, detail and hint; sqlstate() then tells its SQLSTATE.
  /// Interrupts (cancel, terminate) raise through pg_call as a PgError; the link is then closed.
  Result<PgResult> query(const std::string &sql, const std::vector<LinkParam> &params = {}, bool binary_result = false,
                         int timeout_ms = 0);
  const std::string &sqlstate() const { return sqlstate_; }
  bool alive() const { return conn_ && PQstatus(conn_) == CONNECTION_OK; }
  PGconn *conn() { return conn_; }
  /// The link's shortest round trip of the last minutes, as the kernel measured it: its length, without the load of the machines at its ends and
  /// the delay of acknowledgements. 0: not known (a Unix socket).
  double rtt_s() const;

 private:
  Link(PGconn *conn, std::string address) : conn_(conn), address_(std::move(address)) {}
  /// Waits until a begun connection stands, at most `timeout_ms`.
  Result<void> finish_connecting(int timeout_ms);
  PGconn *conn_ = nullptr;
  std::string address_;  // without secrets
  std::string sqlstate_;
};

/// What to do when a role may not do there what nodes do.
constexpr const char *kPeerRoleHint = "The role in the user mapping of server \"fabric\" must be one of a node there: GRANT vectorshard_peer TO that role.";

/// What libpq says of a failed connection or statement, as one line; "" for null. libpq never repeats a password.
std::string one_line(const char *text);

/// The conninfo of a node without secrets, for messages ("host=… port=… dbname=…").
std::string node_address(NodeId node);

/// A link of this backend to `node`, kept for the session, reconnected when broken. Not for open remote transactions
/// (pg/read keeps those itself).
Result<Link *> session_link(NodeId node);

}  // namespace vectorshard::bridge
