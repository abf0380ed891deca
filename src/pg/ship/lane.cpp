// One connection to a peer: see lane.hpp.
#include "pg/ship/lane.hpp"

#include <malloc.h>

#include "core/ship/envelope.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/api.hpp"
#include "pg/ship/routes.hpp"
extern "C" {
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

constexpr int64 kFirstRetryMs = 100, kMostRetryMs = 5000;
// A peer that works on a batch may be silent for a while, and longer on a large one; one that is silent for so many link
// time-outs, and a second for so many bytes, is gone.
constexpr int64 kSilenceTimeouts = 6, kSlowestBytesPerS = 1 << 20;
constexpr int kFailuresMax = 3;
constexpr size_t kBulkyBytes = 16 << 20;
// The peer's WAL writer flushes what is committed there within some 200 ms: while there is more to send, the peer is only
// asked how far it is. It flushes for us when nothing was sent for a moment, when somebody waits, when so much is
// answered that keeping it costs more than a flush, and when its WAL writer does not get there.
constexpr int64 kAskEveryUs = 100000, kFlushIdleUs = 4000, kFlushLateUs = 1000000;
constexpr size_t kFlushBytes = 4 << 20;
constexpr int64 kRttEveryUs = 1000000;

// Batches are parameters: whatever a peer logs of its statements, it should not be all that it is sent; and a plan made
// for one batch would hold copies of it.
constexpr const char *kHello =
    "SELECT node, uuid, wall_ms, verdict, set_config('log_parameter_max_length_on_error', '0', false), "
    "set_config('plan_cache_mode', 'force_generic_plan', false), set_config('synchronous_commit', 'off', false) "
    "FROM vectorshard.hello($1::int, $2::uuid, $3::bigint, $4, $5::bigint)";
constexpr const char *kApplyName = "apply", *kFlushedName = "flushed";
constexpr const char *kApply = "SELECT vectorshard.apply($1)";
constexpr const char *kFlushed = "SELECT written - '0/0', flushed - '0/0' FROM vectorshard.flush_applied($1)";

int64 now_us() { return bridge::steady_us(); }

using bridge::one_line;

std::string error_text(const PGresult *r) {
  const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL), *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  if (state && strcmp(state, "42501") == 0 && !detail) detail = bridge::kPeerRoleHint;
  return one_line(message) + (detail ? " (" + one_line(detail) + ")" : "");
}

/// What counts as the peer's stream; payments have a limit of their own.
size_t stream_part(const Shipment &s) { return s.pays ? 0 : s.batch.bytes.size(); }

}  // namespace

bool Lane::wants_connection() const { return state_ == State::down && now_us() >= next_try_us_; }

void Lane::begin() {
  auto link = bridge::Link::begin(row_.node, "vectorshard shipper");
  progress_us_ = now_us();
  if (!link.ok()) return fail(link.error().message);
  link_ = std::move(link).value();
  static uint64_t connections = 0;
  connection_ = ++connections;
  polling_ = PGRES_POLLING_WRITING;
  state_ = State::connecting;
}

void Lane::fail(const std::string &why) {
  if (last_error_ != why)
    ereport(LOG, (errmsg("vectorshard shipper: node \"%s\" does not take changes", row_.name.c_str()),
                  errdetail("%s", why.c_str())));
  last_error_ = why;
  answer_.reset();
  link_.reset();
  state_ = State::down;
  in_flight_ = merged_bytes_ = 0;
  merged_.clear();
  asked_.reset();
  mark_.reset();
  unsent_ = bulky_ = urgent_ = false;
  retry_ms_ = std::clamp(retry_ms_ * 2, kFirstRetryMs, kMostRetryMs);
  next_try_us_ = now_us() + retry_ms_ * 1000;
}

/// libpq's buffer never shrinks, here and in the peer's backend: after a large batch the connection is made anew. And
/// malloc keeps what is free below a chunk in use: the room of the batch, and of the rows that it was made of.
void Lane::renew() {
  link_.reset();
  asked_.reset();
  mark_.reset();
  malloc_trim(0);
  state_ = State::down;
  bulky_ = false;
  next_try_us_ = 0;
}

void Lane::send_hello() {
  bridge::Shared *s = bridge::shared();
  std::string self = std::to_string(bridge::self_node());
  std::string incarnation = std::to_string(pg_atomic_read_u64(&s->incarnation));
  std::string starts = to_text(fabric::own_starts());
  std::string position = std::to_string(GetFlushRecPtr(nullptr));
  const char *values[] = {self.c_str(), row_.uuid.c_str(), incarnation.c_str(), starts.c_str(), position.c_str()};
  hello_ms_ = apply::wall_unix_ms();
  state_ = State::greeting;
  if (!PQsendQueryParams(link_->conn(), kHello, 5, nullptr, values, nullptr, nullptr, 0))
    return fail(one_line(PQerrorMessage(link_->conn())));
  unsent_ = PQflush(link_->conn()) > 0;
}

/// The peer does not believe that this server is the node it says it is.
void Lane::take_verdict(const std::string &verdict) {
  if (verdict == "unverified")
    return fail("it cannot reach this node under its address, to see that no copy of it answers there");
  if (verdict == "removed") {
    // A node that leaves in peace is told so too, and resigns by itself.
    if (!leaving_now()) fabric::enter_doubt(fabric::Doubt::removed);
    return fail("it knows that this node was removed from the fabric; let it join anew");
  }
  fabric::enter_doubt(verdict == "clone" ? fabric::Doubt::clone : fabric::Doubt::past);
  fail(verdict == "clone" ? "another server answers it under this node's address"
                          : "it has heard more of this node than this server knows: an earlier incarnation");
}

/// The peer must be the very node that our table names, with a clock near ours.
void Lane::take_hello(PGresult *r) {
  if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) return fail(error_text(r));
  int64 back_ms = apply::wall_unix_ms();
  if (std::atoi(PQgetvalue(r, 0, 0)) != row_.node || row_.uuid != PQgetvalue(r, 0, 1))
    return fail("another node answers under its address: node " + std::string(PQgetvalue(r, 0, 0)) + ", uuid " +
                PQgetvalue(r, 0, 1));
  if (std::string verdict = PQgetvalue(r, 0, 3); verdict != "ok") return take_verdict(verdict);
  int64 theirs_ms = std::atoll(PQgetvalue(r, 0, 2));
  // Somewhere between sending and receiving: only what cannot be the way there and back counts.
  int64 ahead = theirs_ms < hello_ms_ ? hello_ms_ - theirs_ms : theirs_ms > back_ms ? back_ms - theirs_ms : 0;
  ahead_ms_ = ahead;
  if (std::abs(ahead) > bridge::guc::max_clock_skew_ms)
    return fail("its clock is " + std::to_string(std::abs(ahead)) + " ms " + (ahead > 0 ? "behind" : "ahead of") +
                " this node's; vectorshard.max_clock_skew_ms is " + std::to_string(bridge::guc::max_clock_skew_ms));
}

void Lane::add(const Change &change) {
  builder_.add(change);
  if (builder_.full()) seal();
}

void Lane::seal() {
  if (builder_.empty()) return;
  bridge::Shared *s = bridge::shared();
  Shipment next;
  next.batch = builder_.seal(bridge::self_node(), static_cast<int64_t>(pg_atomic_read_u64(&s->incarnation)),
                             static_cast<Version>(pg_atomic_read_u64(&s->clock_high_water)), GetFlushRecPtr(nullptr));
  push(std::move(next));
}

void Lane::push(Shipment shipment) {
  shipment.bulky = shipment.batch.bytes.size() > kBulkyBytes;
  shipment.batch.bytes = close_envelope(std::move(shipment.batch.bytes), static_cast<Compression>(bridge::guc::batch_compression));
  queued_bytes_ += stream_part(shipment);
  queue_.push_back(std::move(shipment));
}

bool Lane::paying(const std::string &client, const std::string &table) const {
  return std::any_of(queue_.begin(), queue_.end(), [&](const Shipment &s) {
    return s.pays && s.pays->client == client && s.pays->table == table;
  });
}

size_t Lane::stream_bytes() const { return builder_.bytes() + queued_bytes_; }

Lsn Lane::oldest() const {
  for (const Shipment &s : queue_)
    if (!s.batch.pieces.empty()) return s.batch.pieces.begin()->first;
  return builder_.oldest();
}

bool Lane::has_room() const {
  size_t paying = 0;
  for (size_t i = merged_.size(); i < queue_.size(); i++) paying += queue_[i].pays ? queue_[i].batch.bytes.size() : 0;
  return ready() && queue_.size() < merged_.size() + kInFlight && paying < kPaymentBytes;
}

std::vector<Shipment> Lane::take_unsent() {
  seal();
  std::vector<Shipment> out;
  auto first = queue_.begin() + static_cast<ptrdiff_t>(merged_.size() + in_flight_);
  for (auto it = first; it != queue_.end(); ++it) {
    queued_bytes_ -= stream_part(*it);
    if (!it->pays) out.push_back(std::move(*it));
  }
  queue_.erase(first, queue_.end());
  return out;
}

void Lane::send_next() {
  if (in_flight_ >= kInFlight) return;
  size_t next = merged_.size() + in_flight_;
  // While the peer has enough to do, small changes gather: an apply call costs more than the rows in it.
  if (next == queue_.size() && (in_flight_ < kAhead || builder_.bytes() >= kGatherBytes)) seal();
  if (next == queue_.size()) return;
  const SealedBatch &batch = queue_[next].batch;
  const char *values[] = {batch.bytes.data()};
  const int lengths[] = {static_cast<int>(batch.bytes.size())};
  const int formats[] = {1};
  if (!PQsendQueryPrepared(link_->conn(), kApplyName, 1, values, lengths, formats, 1) || !PQpipelineSync(link_->conn()))
    return fail(one_line(PQerrorMessage(link_->conn())));
  urgent_ = urgent_ || !batch.watched.empty() || queue_[next].bulky;
  if (in_flight_++ == 0) progress_us_ = now_us();
}

/// Asks how far the peer's disk is, one ask at a time.
void Lane::ask_flushed() {
  size_t sent = merged_.size() + in_flight_;
  if (sent == 0 || asked_) return;
  int64 now = now_us();
  if (!urgent_ && merged_.empty()) return;
  bool idle = sent == queue_.size() && in_flight_ == 0 && builder_.empty() && now - progress_us_ >= kFlushIdleUs;
  bool flush = urgent_ || idle || merged_bytes_ >= kFlushBytes || now - merged_us_ >= kFlushLateUs;
  if (!flush && now - asked_us_ < kAskEveryUs) return;
  ask(flush);
}

void Lane::ask(bool flush) {
  const char *values[] = {flush ? "t" : "f"};
  if (!PQsendQueryPrepared(link_->conn(), kFlushedName, 1, values, nullptr, nullptr, 0) || !PQpipelineSync(link_->conn()))
    return fail(one_line(PQerrorMessage(link_->conn())));
  urgent_ = false;
  asked_ = merged_.size() + in_flight_;
  asked_us_ = now_us();
  if (in_flight_ == 0) progress_us_ = asked_us_;
}

/// `written`: where the peer's WAL ended when it was asked; `flushed`: how much of it is on its disk now.
void Lane::take_flushed(PGresult *r, std::vector<Delivered> &out) {
  size_t covered = *std::exchange(asked_, std::nullopt);
  if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) return fail(error_text(r));
  Lsn written = std::strtoull(PQgetvalue(r, 0, 0), nullptr, 10), flushed = std::strtoull(PQgetvalue(r, 0, 1), nullptr, 10);
  progress_us_ = now_us();
  if (progress_us_ - rtt_us_ > kRttEveryUs) {
    rtt_us_ = progress_us_;
    place::note_link_rtt(row_.node, link_->rtt_s());
  }
  if (!mark_ || flushed >= written) mark_ = Mark{covered, written};
  if (flushed < mark_->written) return;
  for (size_t i = 0; i < mark_->covers; i++) {
    merged_bytes_ -= queue_.front().batch.bytes.size();
    queued_bytes_ -= stream_part(queue_.front());
    std::string().swap(queue_.front().batch.bytes);
    out.push_back({std::move(queue_.front()), std::move(merged_.front()), ""});
    queue_.pop_front();
    merged_.pop_front();
  }
  merged_us_ = progress_us_;
  // What was answered since is covered by this ask as well, but its flush is still to come.
  covered -= mark_->covers;
  mark_ = covered > 0 ? std::optional<Mark>(Mark{covered, written}) : std::nullopt;
}

void Lane::take_answer(PGresult *r, std::vector<Delivered> &out) {
  if (asked_ == merged_.size()) return take_flushed(r, out);
  if (in_flight_ == 0) return fail("it answered without having been asked: " + error_text(r));
  Shipment &first = queue_[merged_.size()];
  if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
    std::string why = error_text(r);
    if (++first.failures >= kFailuresMax) {
      queued_bytes_ -= stream_part(first);
      out.push_back({std::move(first), std::nullopt, why});
      queue_.erase(queue_.begin() + static_cast<ptrdiff_t>(merged_.size()));
    }
    return fail(why);
  }
  auto reply = decode_reply({PQgetvalue(r, 0, 0), static_cast<size_t>(PQgetlength(r, 0, 0))});
  if (!reply.ok()) return fail(reply.error().message);
  bulky_ = bulky_ || first.bulky;
  in_flight_--;
  retry_ms_ = 0;
  last_error_.clear();
  progress_us_ = now_us();
  if (merged_.empty()) merged_us_ = progress_us_;
  merged_bytes_ += first.batch.bytes.size();
  merged_.push_back(std::move(reply).value());
}

/// The peer commits at the end of the statement's pipeline step: an answer that came before may still fail.
void Lane::take_result(bridge::PgResult r, std::vector<Delivered> &out) {
  if (PQresultStatus(r.get()) == PGRES_COMMAND_OK) return;  // prepared
  if (PQresultStatus(r.get()) == PGRES_TUPLES_OK && !answer_) {
    answer_ = std::move(r);
    return;
  }
  if (PQresultStatus(r.get()) != PGRES_PIPELINE_SYNC) return take_answer(r.get(), out);
  if (bridge::PgResult answer = std::move(answer_)) take_answer(answer.get(), out);
}

void Lane::start_pipeline() {
  PGconn *conn = link_->conn();
  const Oid batch[] = {BYTEAOID}, now[] = {BOOLOID};
  if (!PQenterPipelineMode(conn) || !PQsendPrepare(conn, kApplyName, kApply, 1, batch) ||
      !PQsendPrepare(conn, kFlushedName, kFlushed, 1, now) || !PQpipelineSync(conn))
    return fail(one_line(PQerrorMessage(conn)));
  state_ = State::ready;
  ask(false);
}

void Lane::receive(std::vector<Delivered> &out) {
  PGconn *conn = link_->conn();
  if (!PQconsumeInput(conn)) return fail(one_line(PQerrorMessage(conn)));
  // A statement's results end with a null; in pipeline mode the next statement's follow, and two nulls mean idle.
  for (int nulls = 0; link_ && nulls < 2 && !PQisBusy(conn);) {
    bridge::PgResult r(PQgetResult(conn));
    if (r) {
      nulls = 0;
      if (state_ == State::ready)
        take_result(std::move(r), out);
      else
        take_hello(r.get());
    } else if (nulls++ == 0 && state_ == State::greeting) {
      return start_pipeline();
    }
  }
}

bool Lane::overdue() const {
  if (state_ == State::down || (state_ == State::ready && in_flight_ == 0 && !asked_)) return false;
  int64 patience_ms = bridge::guc::link_timeout_ms * (state_ == State::ready ? kSilenceTimeouts : 1);
  if (in_flight_ > 0)
    patience_ms += static_cast<int64>(queue_[merged_.size()].batch.bytes.size()) * 1000 / kSlowestBytesPerS;
  return now_us() - progress_us_ > patience_ms * 1000;
}

void Lane::pump(std::vector<Delivered> &out, bool hold) {
  if (state_ == State::down) return;
  if (state_ == State::connecting) {
    polling_ = link_->poll();
    if (polling_ == PGRES_POLLING_FAILED) return fail(link_->connection_failure().detail);
    if (polling_ == PGRES_POLLING_OK) send_hello();
  } else {
    receive(out);
  }
  if (state_ == State::ready && bulky_ && in_flight_ == 0 && merged_.empty()) return renew();
  if (state_ == State::ready && !hold && !bulky_) {
    for (size_t before = in_flight_ + 1; link_ && before != in_flight_;) {
      before = in_flight_;
      send_next();
    }
  }
  if (state_ == State::ready) ask_flushed();
  if (link_ && state_ != State::connecting) {
    int left = PQflush(link_->conn());
    if (left < 0) return fail(one_line(PQerrorMessage(link_->conn())));
    unsent_ = left > 0;
  }
  if (overdue()) fail("no answer within the time-out");
}

int Lane::socket(int *events) const {
  if (!link_) return -1;
  if (state_ == State::connecting)
    *events = polling_ == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
  else
    *events = WL_SOCKET_READABLE | (unsent_ ? WL_SOCKET_WRITEABLE : 0);
  return PQsocket(link_->conn());
}

void Lane::add_to(PeerStatus &status) const {
  status.queue_bytes += stream_bytes();
  status.queue_rows += builder_.rows();
  int64 oldest = builder_.oldest_commit_time();
  for (auto it = queue_.rbegin(); it != queue_.rend(); ++it) {
    if (it->pays) continue;
    status.queue_rows += it->batch.rows;
    if (it->batch.oldest_commit_time != 0) oldest = it->batch.oldest_commit_time;
  }
  if (oldest != 0 && (status.oldest_commit_time == 0 || oldest < status.oldest_commit_time))
    status.oldest_commit_time = oldest;
  if (!last_error_.empty()) strlcpy(status.last_error, last_error_.c_str(), sizeof status.last_error);
}

}  // namespace vectorshard::ship
