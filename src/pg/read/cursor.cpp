// Cursors at other nodes: see cursor.hpp.
#include "pg/read/cursor.hpp"

#include "pg/bridge/steady.hpp"
#include "pg/read/home_marks.hpp"

namespace vectorshard::read {

namespace {

// Rows a batch: enough to hide the round trip, few enough for wide rows.
constexpr int kBatchRows = 500;

std::string fetch_text(int number) {
  return "FETCH " + std::to_string(kBatchRows) + " FROM c" + std::to_string(number);
}

}  // namespace

Result<std::unique_ptr<Cursor>> Cursor::open(Session &session, const std::string &select, bool ahead, bool marks) {
  int number = session.new_cursor();
  std::unique_ptr<Cursor> c(new Cursor(session, number, ahead));
  auto sent = session.send("DECLARE c" + std::to_string(number) + " CURSOR FOR " + select + "; " + (marks ? marks_query(number) + "; " : "") +
                               fetch_text(number),
                           c.get());
  if (!sent.ok()) return sent.error();
  c->under_way_ = true;
  return c;
}

Cursor::~Cursor() { session_.close_cursor(number_, this); }

Result<void> Cursor::fetch() {
  auto sent = session_.send(fetch_text(number_), this);
  if (sent.ok()) under_way_ = true;
  return sent;
}

Result<void> Cursor::take() {
  under_way_ = false;
  int64 before_us = bridge::steady_us();
  auto r = session_.receive();
  waited_us_ += bridge::steady_us() - before_us;
  if (!r.ok()) return r.error();
  if (!beside_) beside_ = session_.take_beside();
  last_batch_ = PQntuples(r.value().get()) < kBatchRows;
  batches_.push_back(std::move(r).value());
  return {};
}

void Cursor::collect() {
  if (auto t = take(); !t.ok()) error_ = t.error();
}

Result<bool> Cursor::next() {
  if (!batches_.empty() && ++row_ < PQntuples(batches_.front().get())) return any_row_ = true;
  if (!batches_.empty()) batches_.pop_front();
  row_ = 0;
  if (error_) return *error_;
  if (batches_.empty()) {
    if (last_batch_) return false;
    if (!under_way_)
      if (auto f = fetch(); !f.ok()) return f.error();
    if (auto t = take(); !t.ok()) return t.error();
  }
  if (ahead_ && !last_batch_ && !under_way_ && batches_.size() == 1)
    if (auto f = fetch(); !f.ok()) return f.error();
  if (PQntuples(batches_.front().get()) == 0) {
    batches_.pop_front();
    return false;
  }
  return any_row_ = true;
}

const char *Cursor::value(int column) const {
  const PGresult *r = batches_.front().get();
  return PQgetisnull(r, row_, column) ? nullptr : PQgetvalue(r, row_, column);
}

}  // namespace vectorshard::read
