// Sessions at other nodes: see session.hpp. How they end with our transactions: session_end.cpp.
#include "pg/read/session.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/read/session_end.hpp"
extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/timestamp.h"
}

namespace vectorshard::read {

namespace {

// A query there must end soon after we have closed the connection, which is how a cancel reaches it. The clock is asked
// because only nodes may: a role that lacks their rights is told so at once.
constexpr const char *kSettings =
    "SELECT set_config(name, value, false), vectorshard.wall_clock_ms() FROM (VALUES ('vectorshard.read_scope', 'home'), ('cursor_tuple_fraction', '1'), "
    "('client_connection_check_interval', '500ms'), ('statement_timeout', '0'), "
    "('idle_in_transaction_session_timeout', '0')) AS s (name, value)";

constexpr long kTableMs = 50;  // between two looks whether a node has made a table

std::map<NodeId, std::unique_ptr<Session>> &sessions() {
  static std::map<NodeId, std::unique_ptr<Session>> s;
  return s;
}

/// A peer whose machine is gone is noticed within link_timeout_ms, also while a long query runs there.
void watch_peer(int socket) {
  int on = 1, seconds = std::max(1, bridge::guc::link_timeout_ms / 2000), count = 2;
  int user_timeout = bridge::guc::link_timeout_ms;
  (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  (void)setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  (void)setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
}

bool has_state(const PGresult *r, const char *wanted) {
  const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  return state && strcmp(state, wanted) == 0;
}

/// The table is not there yet, has changed since the statement was prepared, or the statement is gone.
bool met_only_at_once(const PGresult *r) { return has_state(r, "42P01") || has_state(r, "0A000") || has_state(r, "26000"); }

bool lacks_table(const Result<bridge::PgResult> &r) {
  return r.ok() && PQresultStatus(r.value().get()) == PGRES_FATAL_ERROR && has_state(r.value().get(), "42P01");
}

const char *isolation_level() {
  switch (XactIsoLevel) {
    case XACT_SERIALIZABLE: return "SERIALIZABLE";
    case XACT_REPEATABLE_READ: return "REPEATABLE READ";
    default: return "READ COMMITTED";
  }
}

std::string node_name(NodeId node) {
  bridge::Spi spi;
  bridge::AsSuperuser rights;
  auto r = spi.query_kept("SELECT name FROM vectorshard.node WHERE node = $1", {bridge::p_int4(node)}, true);
  return r.empty() ? "number " + std::to_string(node) : r.at(0, 0);
}

std::string trimmed(const char *text) {
  std::string s = text ? text : "";
  while (!s.empty() && isspace(static_cast<unsigned char>(s.back()))) s.pop_back();
  std::replace(s.begin(), s.end(), '\n', ' ');
  return s;
}

}  // namespace

Session &session_at(NodeId node) {
  auto it = sessions().find(node);
  if (it != sessions().end()) return *it->second;
  auto made = std::make_unique<Session>(node, node_name(node));  // may raise, and runs hooks that look at the map
  return *sessions().emplace(node, std::move(made)).first->second;
}

std::vector<Session *> all_sessions() {
  std::vector<Session *> out;
  for (auto &[node, s] : sessions()) out.push_back(s.get());
  return out;
}

bool wrote_elsewhere() {
  for (auto &[node, s] : sessions())
    if (s->wrote()) return true;
  return false;
}

void raise_unreachable(const Session &session, const Error &error) {
  bridge::raise_sqlstate(
      error.code == Errc::denied     ? ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION
      : error.code == Errc::no_right ? ERRCODE_INSUFFICIENT_PRIVILEGE
                                     : ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
      "node \"" + session.name() + "\" cannot be reached", error.message + (error.detail.empty() ? "" : ": ") + error.detail,
      error.code == Errc::denied || error.code == Errc::no_right
          ? error.hint
          : "Retry when the node answers. With vectorshard.on_unreachable = warn a SELECT leaves its rows out (but of tables with consistency home); with "
            "vectorshard.read_scope = local it reads this node alone.");
}

Result<void> Session::connect() {
  uint64 epoch = pg_atomic_read_u64(&bridge::shared()->catalog_epoch);
  auto link = bridge::Link::connect(node_, "vectorshard read");
  if (!link.ok()) return link.error();
  auto settings = link.value()->query(kSettings);
  if (!settings.ok()) return settings.error();
  watch_peer(PQsocket(link.value()->conn()));
  link_ = std::move(link).value();
  kept_.clear();
  catalog_epoch_ = epoch;
  return {};
}

/// As connect; a transaction in which it failed does not wait for the time-out again.
Result<void> Session::connect_once() {
  if (failed_in_ == MyProc->lxid && failure_) return *failure_;
  auto c = connect();
  if (c.ok()) return c;
  failed_in_ = MyProc->lxid;
  failure_ = c.error();
  return c;
}

void Session::check_usable() {
  if (lost_writes_)
    bridge::raise_sqlstate(ERRCODE_CONNECTION_FAILURE, "the connection to node \"" + name_ + "\" was lost",
                           "This transaction had written rows there; they are rolled back.", "Retry the transaction.");
}

/// What must precede a command at the present savepoint level.
std::string Session::prefix() {
  std::string out = std::move(before_);
  before_.clear();
  int level = GetCurrentTransactionNestLevel();
  if (depth_ == 0) {
    out = std::string("BEGIN ISOLATION LEVEL ") + isolation_level() + (XactReadOnly ? " READ ONLY; " : "; ");
    // What spans nodes is a deadlock that nobody finds: a time-out of ours counts there too.
    if (LockTimeout > 0) out += "SET LOCAL lock_timeout = " + std::to_string(LockTimeout) + "; ";
    depth_ = 1;
  }
  while (depth_ < level) out += "SAVEPOINT s" + std::to_string(++depth_) + "; ";
  return out;
}

bool Session::flush() {
  while (int left = PQflush(link_->conn())) {
    if (left < 0) return false;
    int socket = PQsocket(link_->conn());
    bridge::pg_call([&] {
      int rc = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_WRITEABLE | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH,
                                 socket, -1, PG_WAIT_EXTENSION);
      if (rc & WL_LATCH_SET) {
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
      }
    });
    if (!PQconsumeInput(link_->conn())) return false;
  }
  return true;
}

bool Session::transmit(const std::string &text) {
  return link_ && link_->alive() && PQsendQuery(link_->conn(), text.c_str()) && flush();
}

/// What every command begins with. On a return without error the session is connected, and is the waiter's.
Result<void> Session::begin_command(Waiter *waiter) {
  track_transactions();
  check_usable();
  if (busy_ && waiter_) waiter_->collect();
  settle();
  bool opens = depth_ == 0;
  if (opens && link_ && (!link_->alive() || catalog_epoch_ != pg_atomic_read_u64(&bridge::shared()->catalog_epoch)))
    drop();
  bool kept = link_ != nullptr;
  if (!link_) {
    if (!opens) return lost_error();
    if (auto c = connect_once(); !c.ok()) return c.error();
  }
  waiter_ = waiter;
  opened_ = opens;
  may_retry_ = opens && kept;
  return {};
}

Result<void> Session::dispatch() {
  busy_ = true;
  if (transmit_command()) return {};
  if (!may_retry_) {
    Error e = lost_error();
    drop();
    return e;
  }
  return {};  // receive() finds the connection broken and tries a new one
}

Result<void> Session::send(const std::string &sql, Waiter *waiter) {
  if (auto begun = begin_command(waiter); !begun.ok()) return begun;
  once_.reset();
  sent_ = prefix() + sql;
  return dispatch();
}

/// Waits until the connection has something to read; false: timed out or broken.
bool Session::await(long timeout_ms, bool interruptible) {
  int socket = PQsocket(link_->conn());
  if (socket < 0) return false;
  int events = WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH | (timeout_ms >= 0 ? WL_TIMEOUT : 0);
  int rc = bridge::pg_call([&] {
    int got = WaitLatchOrSocket(MyLatch, events, socket, timeout_ms, PG_WAIT_EXTENSION);
    if (got & WL_LATCH_SET) ResetLatch(MyLatch);
    if ((got & WL_LATCH_SET) && interruptible) CHECK_FOR_INTERRUPTS();
    return got;
  });
  return !(rc & WL_TIMEOUT);
}

/// Reads to the end of what was sent; the last result, or the first error. timeout_ms < 0: no limit.
Result<bridge::PgResult> Session::read_all(bool interruptible, long timeout_ms) {
  if (!link_ || !link_->alive()) return lost_error();
  PGconn *conn = link_->conn();
  TimestampTz deadline = timeout_ms < 0 ? 0 : TimestampTzPlusMilliseconds(bridge::steady_us(), timeout_ms);
  bridge::PgResult last;
  beside_.reset();
  for (;;) {
    // What has come meanwhile needs no waiting: a wait costs six system calls.
    while (PQisBusy(conn)) {
      if (!PQconsumeInput(conn)) return lost_error();
      if (!PQisBusy(conn)) break;
      long left = timeout_ms < 0 ? -1 : TimestampDifferenceMilliseconds(bridge::steady_us(), deadline);
      if (left == 0 || !await(left, interruptible)) return lost_error();
    }
    bridge::PgResult r(PQgetResult(conn));
    if (!r) break;
    if (last && PQresultStatus(last.get()) == PGRES_FATAL_ERROR) continue;
    if (last && PQresultStatus(last.get()) == PGRES_TUPLES_OK) beside_ = std::move(last);
    last = std::move(r);
  }
  if (!last) return lost_error();
  // Without an SQLSTATE the error is libpq's own: the connection is lost.
  if (PQresultStatus(last.get()) == PGRES_FATAL_ERROR && !PQresultErrorField(last.get(), PG_DIAG_SQLSTATE))
    return lost_error();
  return last;
}

/// A table that was enrolled a moment ago is made there soon: what opened the transaction is asked again, for link_timeout_ms.
Result<bridge::PgResult> Session::await_table(bridge::PgResult refused) {
  TimestampTz until = TimestampTzPlusMilliseconds(bridge::steady_us(), bridge::guc::link_timeout_ms);
  Result<bridge::PgResult> r = std::move(refused);
  while (lacks_table(r) && bridge::steady_us() < until) {
    bridge::pg_call([] {
      int rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kTableMs, PG_WAIT_EXTENSION);
      if (rc & WL_LATCH_SET) ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
    });
    if (!transmit("ROLLBACK; " + sent_)) return lost_error();
    r = read_all(true, -1);
  }
  return r;
}

Result<bridge::PgResult> Session::receive() {
  auto r = read_all(true, -1);
  // A server that shuts down or restarts says so before it closes.
  bool gone = !r.ok() || PQstatus(link_->conn()) != CONNECTION_OK;
  if (gone && may_retry_) {
    may_retry_ = false;
    link_.reset();
    if (auto c = connect_once(); !c.ok()) {
      forget_transaction();
      return c.error();
    }
    if (!transmit_command()) return lost_error();
    r = read_all(true, -1);
  }
  if (opened_ && !once_ && !gone && lacks_table(r)) r = await_table(std::move(r).value());
  busy_ = may_retry_ = opened_ = false;
  waiter_ = nullptr;
  if (!r.ok()) {
    Error e = r.error();
    drop();
    return e;
  }
  if (PQresultStatus(r.value().get()) == PGRES_FATAL_ERROR) {
    if (once_) kept_.erase(once_->text);
    if (!once_ || !met_only_at_once(r.value().get())) raise_remote(r.value().get(), sent_);
  }
  return r;
}

bridge::PgResult Session::run(const std::string &sql) {
  if (auto s = send(sql, nullptr); !s.ok()) raise_unreachable(*this, s.error());
  auto r = receive();
  if (!r.ok()) raise_unreachable(*this, r.error());
  return std::move(r).value();
}

/// Reads what control commands left; one that failed makes the session useless.
void Session::settle() {
  if (!unread_) return;
  auto r = read_all(true, -1);
  unread_ = false;
  if (r.ok() && PQresultStatus(r.value().get()) != PGRES_FATAL_ERROR) return;
  bool open = depth_ > 0;
  bridge::PgResult failed = r.ok() ? std::move(r).value() : nullptr;
  drop();
  if (open && failed) raise_remote(failed.get(), "");
  check_usable();
}

Error Session::lost_error() const {
  std::string text = link_ && link_->conn() ? trimmed(PQerrorMessage(link_->conn())) : "";
  return Error{Errc::unreachable, "the connection is lost", text, "Retry the transaction."};
}

void Session::raise_remote(const PGresult *r, const std::string &sql) const {
  auto field = [&](int code) {
    const char *s = PQresultErrorField(r, code);
    return s ? s : "";
  };
  const char *state = field(PG_DIAG_SQLSTATE), *message = field(PG_DIAG_MESSAGE_PRIMARY);
  const char *detail = field(PG_DIAG_MESSAGE_DETAIL), *hint = field(PG_DIAG_MESSAGE_HINT), *node = name_.c_str();
  const char *text = sql.c_str();
  bridge::pg_call([&] {
    ereport(ERROR, (errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])), errmsg("%s", message),
                    *detail ? errdetail("%s", detail) : 0, *hint ? errhint("%s", hint) : 0,
                    errcontext("statement at node \"%s\": %s", node, text)));
  });
  pg_unreachable();
}

int Session::new_cursor() {
  cursors_[++last_cursor_] = GetCurrentTransactionNestLevel();
  return last_cursor_;
}

void Session::close_cursor(int cursor, Waiter *waiter) noexcept {
  if (busy_ && waiter_ == waiter) {
    busy_ = false;
    waiter_ = nullptr;
    unread_ = true;
  }
  if (cursors_.erase(cursor)) before_ += "CLOSE c" + std::to_string(cursor) + "; ";
}

}  // namespace vectorshard::read
