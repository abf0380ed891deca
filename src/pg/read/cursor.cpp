// Cursors at other nodes: see cursor.hpp.
#include "pg/read/cursor.hpp"

#include "pg/bridge/steady.hpp"
#include "pg/read/home_marks.hpp"

namespace vectorshard::read {

namespace {

std::string fetch_text(int number) {
  return "FETCH " + std::to_string(Cursor::kBatchRows) + " FROM c" + std::to_string(number);
}

}  // namespace

Result<std::unique_ptr<Cursor>> Cursor::open(Session &session, const std::string &select, bool ahead, std::optional<int64_t> marks_since) {
  std::unique_ptr<Cursor> c(new Cursor(session, ahead));
  if (auto declared = c->declare(select, marks_since); !declared.ok()) return declared.error();
  return c;
}

Result<std::unique_ptr<Cursor>> Cursor::open_once(Session &session, Form form, std::function<std::string()> select) {
  std::unique_ptr<Cursor> c(new Cursor(session, true));
  c->once_ = form.text;
  c->select_ = std::move(select);
  if (auto sent = session.send_once(std::move(form), c.get()); !sent.ok()) return sent.error();
  c->under_way_ = true;
  return c;
}

Cursor::~Cursor() { session_.close_cursor(number_, this); }

Result<void> Cursor::declare(const std::string &select, std::optional<int64_t> marks_since) {
  number_ = session_.new_cursor();
  auto sent = session_.send("DECLARE c" + std::to_string(number_) + " CURSOR FOR " + select + "; " + (marks_since ? marks_query(number_, *marks_since) + "; " : "") +
                                fetch_text(number_),
                            this);
  if (sent.ok()) under_way_ = true;
  return sent;
}

Result<void> Cursor::fetch() {
  auto sent = session_.send(fetch_text(number_), this);
  if (sent.ok()) under_way_ = true;
  return sent;
}

/// The result that is under way. What was asked without a cursor in vain, or gave more than a batch, is asked again with one.
Result<bridge::PgResult> Cursor::receive() {
  auto r = session_.receive();
  if (once_.empty() || !r.ok()) return r;
  bool failed = PQresultStatus(r.value().get()) == PGRES_FATAL_ERROR;
  if (!failed && PQntuples(r.value().get()) <= kBatchRows) {
    last_batch_ = true;
    return r;
  }
  if (!failed) session_.note_long(once_);
  once_.clear();
  if (auto declared = declare(select_(), std::nullopt); !declared.ok()) return declared.error();
  return session_.receive();
}

Result<void> Cursor::take() {
  int64 before_us = bridge::steady_us();
  auto r = receive();
  under_way_ = false;
  waited_us_ += bridge::steady_us() - before_us;
  if (!r.ok()) return r.error();
  if (!beside_) beside_ = session_.take_beside();
  last_batch_ = last_batch_ || PQntuples(r.value().get()) < kBatchRows;
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
