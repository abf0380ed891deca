// Sessions at other nodes for the statements of this backend: one a node, kept between transactions, each with at most
// one transaction that begins with the first command, follows our savepoints, and ends with ours. The isolation level is
// ours, so a READ COMMITTED statement sees at the other node what a statement there would see. read_scope is `home`.
//
// Commands are simple queries with literals, so that BEGIN, savepoints and the command itself travel in one message. A question
// whose answer is short may be asked outside a transaction, with its values apart; the other node then keeps its plan.
// A session is used by one command at a time; whoever needs it while a command is under way collects that one first.
// Never used outside a transaction; never waits in the clean-up of an abort.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "storage/lock.h"
}

namespace vectorshard::read {

/// A SELECT with its values apart.
struct Form {
  std::string text;                                // with $1, $2, …
  std::vector<Oid> types;                          // of this node; InvalidOid: the other one finds it
  std::vector<std::optional<std::string>> values;
};

/// Somebody whose command is under way on a session.
class Waiter {
 public:
  virtual ~Waiter() = default;
  /// The session is needed by another: take the result now (Session::receive).
  virtual void collect() = 0;
};

class Session {
 public:
  Session(NodeId node, std::string name) : node_(node), name_(std::move(name)) {}

  /// Sends `sql` behind what must precede it, and does not wait. Errors: unreachable, denied, not_found; nothing is
  /// sent then. Raises when the session was lost with writes open, or a command before it failed.
  Result<void> send(const std::string &sql, Waiter *waiter);
  /// The result of the command that was sent last. A remote ERROR is raised with its SQLSTATE and texts. Error
  /// unreachable: the connection is lost (a command that opened the transaction is first tried on a new connection).
  Result<bridge::PgResult> receive();
  /// Whether `text` may be asked by send_once() now: nothing of this transaction is open there, and its answers were short.
  bool may_ask_once(const std::string &text) const;
  /// As send(), as a transaction of its own. receive() then gives out some errors as they are: those that asking with literals
  /// does not meet.
  Result<void> send_once(Form form, Waiter *waiter);
  /// The answer was too long to be had at once.
  void note_long(const std::string &text) { kept_[text].is_long = true; }
  /// send and receive, raising every error.
  bridge::PgResult run(const std::string &sql);
  /// The rows that came in front of those of receive(), where the command asked for rows twice.
  bridge::PgResult take_beside() { return std::move(beside_); }

  /// Marks the transaction as one that changes rows: losing the session then aborts our transaction.
  void will_write() { wrote_ = true; }
  bool wrote() const { return depth_ > 0 && wrote_; }

  /// A new cursor name, open at the present savepoint level.
  int new_cursor();
  /// Closes a cursor with the next command, if it still exists. The waiter's outstanding result is thrown away.
  void close_cursor(int cursor, Waiter *waiter) noexcept;

  NodeId node() const { return node_; }
  const std::string &name() const { return name_; }

  // For the callbacks of transactions (session_end.cpp). The noexcept ones neither wait nor raise.
  bool open() const { return depth_ > 0; }
  bool asks_once() const { return depth_ == 0 && (busy_ || unread_); }
  void commit_reads() noexcept;
  void commit_writes(const std::string &committed_before);
  void abort() noexcept;
  void release_savepoint(int level) noexcept;
  void abort_savepoint(int level) noexcept;

 private:
  Result<void> connect();
  Result<void> connect_once();
  void check_usable();
  Result<void> begin_command(Waiter *waiter);
  Result<void> dispatch();
  std::string prefix();
  bool transmit(const std::string &text);
  bool transmit_once();
  bool transmit_command() { return once_ ? transmit_once() : transmit(sent_); }
  bool flush();
  bool await(long timeout_ms, bool interruptible);
  Result<bridge::PgResult> read_all(bool interruptible, long timeout_ms);
  Result<bridge::PgResult> await_table(bridge::PgResult refused);
  void settle();
  bool send_control(const std::string &text) noexcept;
  void drop() noexcept;
  void forget_transaction() noexcept;
  Error lost_error() const;
  [[noreturn]] void raise_remote(const PGresult *r, const std::string &sql) const;

  NodeId node_;
  std::string name_;
  std::unique_ptr<bridge::Link> link_;
  uint64 catalog_epoch_ = 0;    // of the connection: node addresses and passwords may have changed since
  int depth_ = 0;               // savepoint levels open there, as GetCurrentTransactionNestLevel counts; 0: none
  bool wrote_ = false;
  bool lost_writes_ = false;    // the connection went away with writes open: this transaction must not commit
  bool opened_ = false;         // the command under way opened the transaction
  bool may_retry_ = false;      // it did so on a connection of before
  bool unread_ = false;         // results of control commands are still to be read
  Waiter *waiter_ = nullptr;    // whose command is under way
  bool busy_ = false;           // a command is under way
  LocalTransactionId failed_in_ = InvalidLocalTransactionId;  // the transaction in which connecting failed, and how
  std::optional<Error> failure_;
  std::string sent_;
  std::optional<Form> once_;    // what was sent, if it was by send_once(), and at which savepoint level
  int once_level_ = 0;
  bridge::PgResult beside_;
  std::string before_;          // travels in front of the next command
  int last_cursor_ = 0;
  std::map<int, int> cursors_;  // open cursors: number -> savepoint level
  /// What is known of a form on this connection.
  struct Kept {
    int uses = 0;
    int number = 0;             // of the statement prepared there; 0: none
    bool is_long = false;
  };
  std::unordered_map<std::string, Kept> kept_;
  int last_number_ = 0;
  bool deallocate_ = false;     // statements of before are to be forgotten there
};

/// The session at `node`. Needs an open transaction; does not connect yet.
Session &session_at(NodeId node);
/// Every session of this backend.
std::vector<Session *> all_sessions();

/// True if this transaction has changed rows at other nodes: workers of a parallel plan would not see that.
bool wrote_elsewhere();

/// Raises `error` as the failure to reach `node`, with a hint about on_unreachable.
[[noreturn]] void raise_unreachable(const Session &session, const Error &error);

}  // namespace vectorshard::read
