// Copying clients in: see copy.hpp.
#include "pg/place/copy.hpp"

#include "core/place/handshake.hpp"
#include "core/ship/types.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/place/api.hpp"
#include "pg/place/holder_queue.hpp"
#include "pg/place/receive.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

constexpr char kAnnounce[] =
    "SELECT u.c, vectorshard.copy_announce(u.c, $2::int, u.g, u.s, u.v) "
    "FROM unnest($1::text[], $3::bigint[], $4::text[], $5::bigint[]) AS u(c, g, s, v)";
constexpr char kExport[] = "SELECT u.c, vectorshard.copy_export(u.c, u.d) FROM unnest($1::text[], $2::text[]) AS u(c, d)";

TimestampTz in_ms(int ms) { return TimestampTzPlusMilliseconds(bridge::steady_us(), ms); }

double s_since(TimestampTz start) { return static_cast<double>(bridge::steady_us() - start) / 1e6; }

Error gone_error(const CopyItem &item, const std::string &answer) {
  return Error{Errc::not_found, "client \"" + item.client + "\" cannot be copied here",
               "Node " + std::to_string(item.source) + " answers that the client is " + answer + " there.",
               "Look at vectorshard.placements for the client."};
}

Error too_large(const CopyItem &item) {
  return Error{Errc::no_space, "node is full: client \"" + item.client + "\" is not copied here",
               "It has " + std::to_string(item.bytes) + " bytes, and " + std::to_string(item.most_bytes) + " were kept for it.",
               "Raise vectorshard.max_bytes_per_node or max_fabric_bytes, or let clients go with vectorshard.evict()."};
}

std::string field(const PGresult *r, int code) {
  const char *s = PQresultErrorField(r, code);
  return s ? s : "";
}

std::string trimmed(const char *text) {
  std::string s = text ? text : "";
  while (!s.empty() && (s.back() == '\n' || s.back() == ' ')) s.pop_back();
  return s;
}

}  // namespace

std::string array_literal(const std::vector<std::string> &values) {
  std::string out = "{";
  for (const auto &v : values) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (char c : v) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

bool CopyPort::connect(std::vector<CopyEnded> &ended) {
  if (link_ && link_->alive()) return true;
  bridge::WorkerTransaction tx;
  auto fresh = bridge::Link::connect(source_, "vectorshard holder", kConnectMs);
  tx.commit();
  if (!fresh.ok()) {
    source_failed(fresh.error(), ended);
    return false;
  }
  link_ = std::move(fresh).value();
  return true;
}

bool CopyPort::send(const char *sql, const std::vector<std::string> &params, bool binary,
                    std::vector<CopyEnded> &ended) {
  std::vector<const char *> values;
  for (const auto &p : params) values.push_back(p.c_str());
  statement_failed_ = false;
  deadline_ = in_ms(bridge::guc::link_timeout_ms);
  bool sent = PQsendQueryParams(link_->conn(), sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr,
                                nullptr, binary);
  if (sent) PQsetSingleRowMode(link_->conn());
  int left = sent ? PQflush(link_->conn()) : -1;
  unsent_ = left > 0;
  if (left >= 0) return true;
  source_failed({Errc::unreachable, "could not send to node " + std::to_string(source_),
                 trimmed(PQerrorMessage(link_->conn())), "Check the node and the network."},
                ended);
  return false;
}

void CopyPort::start(std::vector<CopyItem> items, std::vector<CopyEnded> &ended) {
  items_ = std::move(items);
  announced_.clear();
  started_ = bridge::steady_us();
  job_clients_ = items_.size();
  job_bytes_ = 0;
  job_s_ = 0;
  if (!connect(ended)) return;
  note_job(source_);
  std::vector<std::string> clients, generations, states, versions;
  for (const CopyItem &i : items_) {
    clients.push_back(i.client);
    generations.push_back(std::to_string(i.generation));
    states.push_back(i.state);
    versions.push_back(std::to_string(i.version));
  }
  stage_ = Stage::announcing;
  send(kAnnounce, {array_literal(clients), std::to_string(bridge::self_node()), array_literal(generations),
                   array_literal(states), array_literal(versions)},
       false, ended);
}

void CopyPort::source_failed(const Error &why, std::vector<CopyEnded> &ended) {
  link_.reset();
  stage_ = Stage::idle;
  for (CopyItem &i : items_) ended.push_back({std::move(i), CopyEnd::source_failed, ERRCODE_CONNECTION_FAILURE, why});
  items_.clear();
}

void CopyPort::end_item(const std::string &client, CopyEnd end, int sqlstate, const Error &why,
                        std::vector<CopyEnded> &ended) {
  for (size_t i = 0; i < items_.size(); i++) {
    if (items_[i].client != client) continue;
    ended.push_back({std::move(items_[i]), end, sqlstate, why});
    items_.erase(items_.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
}

void CopyPort::pump(std::vector<CopyEnded> &ended) {
  while (busy()) {
    PGconn *conn = link_->conn();
    int left = PQflush(conn);
    unsent_ = left > 0;
    if (left < 0 || !PQconsumeInput(conn)) {
      source_failed({Errc::unreachable, "connection to node " + std::to_string(source_) + " is lost",
                     trimmed(PQerrorMessage(conn)), "Check the node and the network."},
                    ended);
      return;
    }
    if (PQisBusy(conn)) {
      if (bridge::steady_us() > deadline_)
        source_failed({Errc::unreachable, "node " + std::to_string(source_) + " does not answer",
                       "No answer within " + std::to_string(bridge::guc::link_timeout_ms) + " ms.",
                       "Check the node, or raise vectorshard.link_timeout_ms."},
                      ended);
      return;
    }
    bridge::PgResult r(PQgetResult(conn));
    if (r)
      take_result(r.get(), ended);
    else
      statement_done(ended);
  }
}

void CopyPort::take_result(PGresult *r, std::vector<CopyEnded> &ended) {
  switch (PQresultStatus(r)) {
    case PGRES_SINGLE_TUPLE:
      deadline_ = in_ms(bridge::guc::link_timeout_ms);
      if (stage_ == Stage::announcing)
        take_announced(r, ended);
      else
        take_exported(r, ended);
      return;
    case PGRES_TUPLES_OK: return;
    default: break;
  }
  // One statement serves several clients: which of them it was, the next tries (one by one) will tell.
  statement_failed_ = true;
  Error why{Errc::io, field(r, PG_DIAG_MESSAGE_PRIMARY), field(r, PG_DIAG_MESSAGE_DETAIL),
            field(r, PG_DIAG_MESSAGE_HINT)};
  if (why.message.empty()) why.message = trimmed(PQerrorMessage(link_->conn()));
  why.detail += (why.detail.empty() ? "" : " ") + std::string("Reported by node ") + std::to_string(source_) + ".";
  std::string state = field(r, PG_DIAG_SQLSTATE);
  int sqlstate = state.size() == 5 ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])
                                   : ERRCODE_CONNECTION_FAILURE;
  for (CopyItem &i : items_) ended.push_back({std::move(i), CopyEnd::failed, sqlstate, why});
  items_.clear();
}

void CopyPort::take_announced(PGresult *r, std::vector<CopyEnded> &ended) {
  std::string client = PQgetvalue(r, 0, 0), answer = PQgetvalue(r, 0, 1);
  AfterAnnouncement next = after_announcement(answer_of(answer));
  if (next == AfterAnnouncement::copy) {
    announced_.push_back(client);
    return;
  }
  for (const CopyItem &i : items_) {
    if (i.client != client) continue;
    bool soon = next == AfterAnnouncement::again_soon;
    Error why = gone_error(i, answer);
    end_item(client, soon ? CopyEnd::again_soon : CopyEnd::failed, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, why,
             ended);
    return;
  }
}

void CopyPort::take_exported(PGresult *r, std::vector<CopyEnded> &ended) {
  std::string client(PQgetvalue(r, 0, 0), static_cast<size_t>(PQgetlength(r, 0, 0)));
  auto item = std::find_if(items_.begin(), items_.end(), [&](const CopyItem &i) { return i.client == client; });
  if (item == items_.end()) return;
  if (PQgetisnull(r, 0, 1)) {
    Error why = gone_error(*item, "gone");
    return end_item(client, CopyEnd::again_soon, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, why, ended);
  }
  std::string_view bytes(PQgetvalue(r, 0, 1), static_cast<size_t>(PQgetlength(r, 0, 1)));
  if (bytes.empty()) {
    Received got = confirm_copy(*item);
    return end_item(client, got.end, got.sqlstate, got.why, ended);
  }
  item->bytes = bytes.size();
  job_bytes_ += bytes.size();
  if (bytes.size() > item->most_bytes) {
    Error why = too_large(*item);
    return end_item(client, CopyEnd::failed, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, why, ended);
  }
  Received got = receive_copy(*item, bytes);
  if (got.end == CopyEnd::live) note_copy(source_, static_cast<double>(job_bytes_), s_since(started_));
  end_item(client, got.end, got.sqlstate, got.why, ended);
}

/// Of the announced clients that are here already, what is here: the home need not send what is the same there.
std::vector<std::string> CopyPort::digests() const {
  std::vector<std::string> out;
  bridge::WorkerTransaction tx;
  for (const std::string &client : announced_) {
    auto item = std::find_if(items_.begin(), items_.end(), [&](const CopyItem &i) { return i.client == client; });
    out.push_back(item != items_.end() && item->resident ? apply::client_digest(client) : "");
  }
  tx.commit();
  return out;
}

void CopyPort::statement_done(std::vector<CopyEnded> &ended) {
  Stage done = std::exchange(stage_, Stage::idle);
  note_link_rtt(source_, link_->rtt_s());
  if (done == Stage::announcing && !statement_failed_ && !announced_.empty()) {
    stage_ = Stage::exporting;
    for (CopyItem &i : items_)
      if (i.source == i.home) i.unchanged_since_us = bridge::steady_us();
    send(kExport, {array_literal(announced_), array_literal(digests())}, true, ended);
    return;
  }
  job_s_ = s_since(started_);
  for (CopyItem &i : items_)
    ended.push_back({std::move(i), CopyEnd::again_soon, ERRCODE_IO_ERROR,
                     {Errc::io, "node " + std::to_string(source_) + " left the client out of its answer", "", ""}});
  items_.clear();
}

}  // namespace vectorshard::place
