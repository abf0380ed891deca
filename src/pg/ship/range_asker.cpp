// Questions for digests: see range_asker.hpp.
#include "pg/ship/range_asker.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/steady.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kAsk =
    "SELECT vectorshard.digest_between($1, $2, u.a::text[], u.b::text[]) "
    "FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS u (a, b, n) ORDER BY u.n";
constexpr int64_t kPatienceUs = 60 * USECS_PER_SEC;

std::string quoted(const std::string &element) {
  std::string out = "\"";
  for (char c : element) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string array_literal(const std::vector<std::string> &elements) {
  std::string out = "{";
  for (const std::string &e : elements) out += (out.size() > 1 ? "," : "") + quoted(e);
  return out + "}";
}

}  // namespace

void RangeAsker::ask(NodeId peer, const std::string &client, const std::string &table,
                     const std::vector<bridge::KeyRange> &ranges) {
  std::vector<std::string> after, upto;
  for (const bridge::KeyRange &r : ranges) {
    after.push_back(array_literal(r.after));
    upto.push_back(array_literal(r.upto));
  }
  params_ = {client, table, array_literal(after), array_literal(upto)};
  ranges_ = ranges.size();
  answer_.clear();
  failed_.clear();
  busy_ = true;
  deadline_us_ = bridge::steady_us() + kPatienceUs;
  connecting_ = !link_ || !link_->alive();
  if (!connecting_) {
    const char *values[] = {params_[0].c_str(), params_[1].c_str(), params_[2].c_str(), params_[3].c_str()};
    if (!PQsendQueryParams(link_->conn(), kAsk, 4, nullptr, values, nullptr, nullptr, 0)) link_.reset();
    return;
  }
  auto link = bridge::Link::begin(peer, "vectorshard shipper");
  link_ = link.ok() ? std::move(link).value() : nullptr;
}

Result<std::vector<std::string>> RangeAsker::give_up(const std::string &why) {
  busy_ = false;
  link_.reset();
  return Error{Errc::unreachable, "ranges could not be compared: " + why, "", ""};
}

std::optional<Result<std::vector<std::string>>> RangeAsker::poll() {
  if (!link_) return give_up("no connection");
  if (bridge::steady_us() > deadline_us_) return give_up("no answer");
  if (connecting_) {
    auto state = link_->poll();
    if (state == PGRES_POLLING_FAILED) return give_up(link_->connection_failure().detail);
    if (state != PGRES_POLLING_OK) return {};
    connecting_ = false;
    const char *values[] = {params_[0].c_str(), params_[1].c_str(), params_[2].c_str(), params_[3].c_str()};
    if (!PQsendQueryParams(link_->conn(), kAsk, 4, nullptr, values, nullptr, nullptr, 0)) return give_up("could not ask");
  }
  PGconn *conn = link_->conn();
  if (PQflush(conn) < 0 || !PQconsumeInput(conn)) return give_up("the connection is lost");
  while (!PQisBusy(conn)) {
    bridge::PgResult r(PQgetResult(conn));
    if (!r) {
      if (!failed_.empty()) return give_up(failed_);
      if (answer_.size() != ranges_) return give_up("the answer is not one to the question");
      busy_ = false;
      return std::move(answer_);
    }
    if (PQresultStatus(r.get()) == PGRES_TUPLES_OK)
      for (int i = 0; i < PQntuples(r.get()); i++) answer_.push_back(PQgetvalue(r.get(), i, 0));
    else
      failed_ = PQresultErrorField(r.get(), PG_DIAG_MESSAGE_PRIMARY) ? PQresultErrorField(r.get(), PG_DIAG_MESSAGE_PRIMARY)
                                                                      : "the connection is lost";
  }
  return {};
}

}  // namespace vectorshard::ship
