// Questions with a short answer, asked outside a transaction: see session.hpp. A form that comes again is prepared at the other node.
// Nothing here may run where the transaction has something open there, or has a snapshot to keep.
#include "pg/read/session.hpp"

#include "core/read/statements.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "utils/builtins.h"
}

namespace vectorshard::read {

namespace {

// Beyond that all are forgotten: texts differ then, as with constants that never come again.
constexpr size_t kMostForms = 100;

/// The types are known by the same number at every node.
bool same_everywhere(const Form &form) {
  for (Oid type : form.types)
    if (type >= FirstNormalObjectId) return false;
  return true;
}

std::string statement_name(int number) { return "v" + std::to_string(number); }

std::string prepared_by(const Form &form, const std::string &name) {
  std::string types, values;
  for (size_t i = 0; i < form.types.size(); i++) {
    const char *between = i == 0 ? "" : ", ";
    types += between;
    types += form.types[i] == InvalidOid ? "unknown"
                                         : bridge::pg_call([&] { return format_type_extended(form.types[i], -1, FORMAT_TYPE_FORCE_QUALIFY); });
    values += between + (form.values[i] ? quote_value(*form.values[i]) : "NULL");
  }
  return "PREPARE " + name + " (" + types + ") AS " + form.text + "; EXECUTE " + name + " (" + values + ")";
}

}  // namespace

bool Session::may_ask_once(const std::string &text) const {
  if (depth_ > 0 || lost_writes_) return false;
  auto known = kept_.find(text);
  return known == kept_.end() || !known->second.is_long;
}

Result<void> Session::send_once(Form form, Waiter *waiter) {
  if (auto begun = begin_command(waiter); !begun.ok()) return begun;
  once_ = std::move(form);
  once_level_ = GetCurrentTransactionNestLevel();
  sent_ = once_->text;
  return dispatch();
}

bool Session::transmit_once() {
  if (!link_ || !link_->alive()) return false;
  const Form &form = *once_;
  if (kept_.size() >= kMostForms && !kept_.contains(form.text)) {
    kept_.clear();
    deallocate_ = true;
  }
  Kept &kept = kept_[form.text];
  bool known = kept.number != 0;
  if (!known && (kept.uses++ > 0 || !same_everywhere(form))) {
    kept.number = ++last_number_;
    return transmit((std::exchange(deallocate_, false) ? "DEALLOCATE ALL; " : "") + prepared_by(form, statement_name(kept.number)));
  }
  std::vector<const char *> values;
  for (const auto &value : form.values) values.push_back(value ? value->c_str() : nullptr);
  int n = static_cast<int>(values.size());
  PGconn *conn = link_->conn();
  int sent = known ? PQsendQueryPrepared(conn, statement_name(kept.number).c_str(), n, values.data(), nullptr, nullptr, 0)
                   : PQsendQueryParams(conn, form.text.c_str(), n, form.types.data(), values.data(), nullptr, nullptr, 0);
  return sent && flush();
}

}  // namespace vectorshard::read
