// One connection to a peer, in pipeline mode: what waits for it and what is under way. Nothing here blocks and nothing here
// touches the database, so a peer that hangs or dies holds up nobody. The peer commits a batch without waiting for its
// disk; a batch counts as delivered, and may be forgotten here, only once the peer has said that all its WAL up to there
// is flushed. One that got no answer, or whose connection ends before that, is sent again: the receiver decides by
// version. It never drops a batch; only take_unsent() hands undelivered ones back.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ship/batch_builder.hpp"
#include "pg/bridge/link.hpp"
#include "pg/ship/region.hpp"
#include "pg/ship/routes.hpp"

namespace vectorshard::ship {

/// A debt as it stood when its payment was read. `seen`: its row version (xmin), so that a renewed debt survives.
struct DueDebt {
  std::string client;
  std::string table;
  std::string seen;
};

/// What is sent in one call of vectorshard.apply().
struct Shipment {
  SealedBatch batch;
  std::optional<DueDebt> pays;
  bool last = true;  // of a payment: with it all of the debt is paid
  std::string left_out;  // of a payment: … but for a row that does not travel, because of this
  int failures = 0;  // times the peer answered with an error
  bool bulky = false;  // large before it was compressed
};

/// A shipment that is through: answered, or given up after the peer failed on it again and again.
struct Delivered {
  Shipment shipment;
  std::optional<Reply> reply;  // nothing: given up
  std::string error;
};

class Lane {
 public:
  explicit Lane(const PeerRow &row) : row_(row), builder_(kBatchBytes, kBatchRows) {}

  bool ready() const { return state_ == State::ready; }
  /// It has enough to do: what comes now gathers until it answers.
  bool working() const { return in_flight_ >= kAhead; }
  /// It answered batches whose commits may not be on its disk yet.
  bool unflushed() const { return !merged_.empty(); }
  /// Somebody waits until what was sent is durable: the peer is asked to flush at once.
  void flush_soon() { urgent_ = urgent_ || in_flight_ > 0 || unflushed(); }
  /// A connection is wanted now: call begin() inside a transaction.
  bool wants_connection() const;
  void begin();
  /// Gives the connection up; what was under way counts as unsent again.
  void give_up(const std::string &why) { fail(why); }

  void add(const Change &change);
  /// Compresses its batch if the setting says so.
  void push(Shipment shipment);
  /// Room for a payment of debt beside the stream.
  bool has_room() const;
  bool paying(const std::string &client, const std::string &table) const;
  bool idle() const { return queue_.empty() && builder_.empty(); }
  /// Changes that the peer has not flushed.
  size_t stream_bytes() const;
  /// The oldest transaction among them; 0: none.
  Lsn oldest() const;
  /// The changes that are not under way, for making them debt. Payments among them are dropped: they are debt already.
  std::vector<Shipment> take_unsent();

  /// It has said how far this node's WAL is, and waits for the answer.
  bool greeting() const { return state_ == State::greeting; }
  /// Moves everything as far as the socket allows. With `hold` no further batch is sent.
  void pump(std::vector<Delivered> &out, bool hold);
  /// -1: no socket to wait for. `events`: WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE or both.
  int socket(int *events) const;
  /// Which connection that is, of all this process ever made: numbers of sockets are used again.
  uint64_t connection() const { return connection_; }
  /// How far this node's clock seemed ahead of the peer's at the last greeting; nothing: not greeted yet.
  std::optional<int64_t> ahead_ms() const { return ahead_ms_; }
  void forget_clock() { ahead_ms_.reset(); }
  /// Adds what is here to `status`.
  void add_to(PeerStatus &status) const;

 private:
  enum class State { down, connecting, greeting, ready };
  static constexpr size_t kBatchBytes = 1 << 20, kBatchRows = 10000, kGatherBytes = 64 << 10, kInFlight = 8,
                          kPaymentBytes = 4 << 20;
  static constexpr size_t kAhead = 2;  // one that it works on, and one so that it need not wait for the next
  /// What the peer answered to an ask: every batch before `covers` (counted from the front of the queue) is in its WAL
  /// before `written`.
  struct Mark {
    size_t covers = 0;
    Lsn written = 0;
  };

  void fail(const std::string &why);
  void renew();
  void send_hello();
  void take_hello(PGresult *r);
  void take_verdict(const std::string &verdict);
  void start_pipeline();
  void seal();
  void send_next();
  void ask_flushed();
  void ask(bool flush);
  void take_flushed(PGresult *r, std::vector<Delivered> &out);
  void receive(std::vector<Delivered> &out);
  void take_result(bridge::PgResult r, std::vector<Delivered> &out);
  void take_answer(PGresult *r, std::vector<Delivered> &out);
  bool overdue() const;

  PeerRow row_;
  State state_ = State::down;
  std::unique_ptr<bridge::Link> link_;
  bridge::PgResult answer_;  // of the first under way; counts when its transaction has ended
  PostgresPollingStatusType polling_ = PGRES_POLLING_WRITING;
  BatchBuilder builder_;
  // In this order: answered (merged_ has their replies), under way (in_flight_ of them), not sent.
  std::deque<Shipment> queue_;
  std::deque<Reply> merged_;
  size_t queued_bytes_ = 0;  // of those in queue_ that pay nothing
  size_t in_flight_ = 0;
  size_t merged_bytes_ = 0;
  std::optional<size_t> asked_;  // an ask is under way, behind so many batches counted from the front
  std::optional<Mark> mark_;     // the last one answered that was not flushed yet
  bool urgent_ = false;      // the next ask makes the peer flush
  int64 asked_us_ = 0;       // when the last ask was sent
  int64 merged_us_ = 0;      // when the oldest of merged_ was answered
  uint64_t connection_ = 0;
  bool unsent_ = false;      // libpq holds bytes that the socket did not take
  bool bulky_ = false;       // something large went over this connection
  int64 next_try_us_ = 0;    // wall clock
  int64 retry_ms_ = 0;
  int64 rtt_us_ = 0;         // when place was told the link's round trip
  int64 progress_us_ = 0;    // when the peer last answered, or was given something to do
  int64 hello_ms_ = 0;       // wall clock when the greeting was sent
  std::optional<int64_t> ahead_ms_;
  std::string last_error_;
};

}  // namespace vectorshard::ship
