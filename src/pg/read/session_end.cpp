// The end of transactions at other nodes. Those that only read end without waiting. Those that wrote are committed just
// before our own commit, and an error there aborts ours; after the first of several, a crash leaves the others open
// (docs/reference.md, "Reading"). An abort never waits: a session in the middle of a command is closed, which ends the
// command there.
#include "pg/read/session_end.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/session.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::read {

namespace {

/// How long a command under way, whose result nobody wants, may take to its end before the session is closed instead:
/// where that would cost a connection, or doom what the transaction has written.
constexpr long kWaitMs = 1000;

void before_commit() {
  for (Session *s : all_sessions())
    if ((s->open() && !s->wrote()) || s->asks_once()) s->commit_reads();
  std::string committed;
  for (Session *s : all_sessions()) {
    if (!s->open()) continue;
    s->commit_writes(committed);
    committed += (committed.empty() ? "" : ", ") + s->name();
  }
}

void before_prepare() {
  for (Session *s : all_sessions())
    if (s->wrote())
      bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED,
                             "cannot prepare a transaction that has written rows at other nodes",
                             "It has written rows at node \"" + s->name() + "\".",
                             "Commit it without PREPARE TRANSACTION, or write the client where it is resident.");
  before_commit();
}

void on_transaction(XactEvent event, void *) {
  bridge::entry([&]() -> void {
    switch (event) {
      case XACT_EVENT_PRE_COMMIT:
      case XACT_EVENT_PARALLEL_PRE_COMMIT:
        return before_commit();
      case XACT_EVENT_PRE_PREPARE:
        return before_prepare();
      case XACT_EVENT_ABORT:
      case XACT_EVENT_PARALLEL_ABORT:
        for (Session *s : all_sessions())
          if (s->open() || s->asks_once()) s->abort();
        return;
      default:
        return;
    }
  });
}

void on_savepoint(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  if (event != SUBXACT_EVENT_PRE_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB) return;
  int level = GetCurrentTransactionNestLevel();
  bridge::entry([&]() -> void {
    for (Session *s : all_sessions()) {
      if (!s->open() && !s->asks_once()) continue;
      if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
        s->release_savepoint(level);
      else
        s->abort_savepoint(level);
    }
  });
}

}  // namespace

void track_transactions() {
  static bool done = false;
  if (done) return;
  bridge::pg_call([] {
    RegisterXactCallback(on_transaction, nullptr);
    RegisterSubXactCallback(on_savepoint, nullptr);
  });
  done = true;
}

bool Session::send_control(const std::string &text) noexcept {
  if (!link_ || !link_->alive() || !PQsendQuery(link_->conn(), text.c_str())) return false;
  if (PQflush(link_->conn()) != 0) return false;
  return unread_ = true;
}

void Session::forget_transaction() noexcept {
  depth_ = 0;
  wrote_ = lost_writes_ = may_retry_ = busy_ = false;
  waiter_ = nullptr;
  before_.clear();
  cursors_.clear();
}

/// Closes the connection; what it had written is rolled back there.
void Session::drop() noexcept {
  bool writes = depth_ > 0 && wrote_;
  int depth = depth_;
  link_.reset();
  forget_transaction();
  unread_ = false;
  if (!writes) return;
  depth_ = depth;
  wrote_ = lost_writes_ = true;
}

void Session::commit_reads() noexcept {
  // A command under way is a FETCH for a cursor that nobody reads any more.
  bool ended = !(busy_ || unread_) || read_all(false, kWaitMs).ok(), in_transaction = open();
  forget_transaction();
  unread_ = false;
  if (!ended || (in_transaction && !send_control("COMMIT"))) drop();
}

void Session::commit_writes(const std::string &committed_before) {
  check_usable();
  if (busy_ && waiter_) waiter_->collect();
  settle();
  if (!transmit("COMMIT")) drop();
  busy_ = true;
  auto r = read_all(true, -1);
  busy_ = false;
  if (r.ok() && strcmp(PQcmdStatus(r.value().get()), "COMMIT") == 0) return forget_transaction();
  std::string also = committed_before.empty() ? "" : " Already committed at: " + committed_before + ".";
  if (!r.ok())
    bridge::raise_sqlstate(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
                           "node \"" + name_ + "\" did not confirm the commit of its part of the transaction",
                           "The writes of this transaction there may or may not be committed; here they are rolled back." + also,
                           "Look at the rows, then retry what is missing.");
  if (PQresultStatus(r.value().get()) == PGRES_FATAL_ERROR) raise_remote(r.value().get(), "COMMIT");
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE,
                         "node \"" + name_ + "\" rolled its part of the transaction back", also, "Retry the transaction.");
}

void Session::abort() noexcept {
  bool outstanding = busy_ || unread_;
  forget_transaction();
  if (outstanding || !send_control("ROLLBACK")) drop();
}

void Session::release_savepoint(int level) noexcept {
  once_level_ = std::min(once_level_, level - 1);
  if (depth_ < level) return;
  before_ += "RELEASE SAVEPOINT s" + std::to_string(level) + "; ";
  depth_ = level - 1;
  for (auto &[cursor, at] : cursors_) at = std::min(at, depth_);
}

void Session::abort_savepoint(int level) noexcept {
  if (depth_ == 0 && busy_ && once_level_ >= level) return drop();
  if (depth_ < level || lost_writes_) return;
  if (busy_ || unread_) {
    // Closing is simplest, but would lose what outer levels have written: a command that is nearly done may end.
    bool done = false;
    if (wrote_) done = read_all(false, kWaitMs).ok();
    if (!done) return drop();
    busy_ = unread_ = may_retry_ = false;
    waiter_ = nullptr;
  }
  std::erase_if(cursors_, [&](auto &c) { return c.second >= level; });
  before_.clear();
  depth_ = level - 1;
  std::string name = " s" + std::to_string(level) + "; ";
  if (!send_control("ROLLBACK TO SAVEPOINT" + name + "RELEASE SAVEPOINT" + name)) drop();
}

}  // namespace vectorshard::read
