// A query at another node, read in batches through a cursor there. At most two batches are in memory. A query that likely gives one
// batch is asked without a cursor first.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pg/read/session.hpp"

namespace vectorshard::read {

class Cursor : public Waiter {
 public:
  // Rows a batch: enough to hide the round trip, few enough for wide rows.
  static constexpr int kBatchRows = 500;

  /// Sends the query and does not wait for its rows. `ahead`: fetch the next batch while this one is read. `marks_since`: ask
  /// too for the homes that moved since (home_marks.hpp). Errors as Session::send.
  static Result<std::unique_ptr<Cursor>> open(Session &session, const std::string &select, bool ahead, std::optional<int64_t> marks_since);
  /// The same, by Session::send_once() if it answers with kBatchRows or fewer. `form` gives no more than one row more; `select` the
  /// query with literals, and is called at most once, as long as the cursor lives.
  static Result<std::unique_ptr<Cursor>> open_once(Session &session, Form form, std::function<std::string()> select);
  ~Cursor() override;

  /// Moves to the next row; false at the end. Error unreachable: the node was lost.
  Result<bool> next();
  /// The column's text in the present row, null if it is null. Valid until the next call of next().
  const char *value(int column) const;
  /// Waits until the first rows, or what is there instead, have come.
  void wait() {
    if (under_way_) collect();
  }
  const Session &session() const { return session_; }
  /// What came with the first rows (`marks_since`); null if they have not come.
  const PGresult *beside() const { return beside_.get(); }
  bool any_row() const { return any_row_; }
  /// The next call of next() begins another batch.
  bool batch_is_read() const { return !batches_.empty() && row_ + 1 >= PQntuples(batches_.front().get()); }
  /// For how long rows were waited for.
  int64_t waited_us() const { return waited_us_; }

  void collect() override;

 private:
  Cursor(Session &session, bool ahead) : session_(session), ahead_(ahead) {}
  Result<void> declare(const std::string &select, std::optional<int64_t> marks_since);
  Result<void> fetch();
  Result<bridge::PgResult> receive();
  Result<void> take();

  Session &session_;
  int number_ = 0;          // 0: there is no cursor
  bool ahead_;
  std::string once_;        // the form that is asked without a cursor
  std::function<std::string()> select_;
  bool under_way_ = false;  // a FETCH was sent and not yet received
  bool last_batch_ = false;
  bool any_row_ = false;
  bridge::PgResult beside_;
  std::deque<bridge::PgResult> batches_;  // the front one is being read
  int row_ = -1;
  int64_t waited_us_ = 0;
  std::optional<Error> error_;  // found while collecting for somebody else
};

}  // namespace vectorshard::read
