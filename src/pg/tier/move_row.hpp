// Rows of vectorshard.tier_move as the worker writes them: each change is committed before the step that follows.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "pg/bridge/spi.hpp"

namespace vectorshard::tier {

/// Runs `f` in a transaction of its own.
template <class F>
auto in_transaction(F &&f) {
  bridge::WorkerTransaction tx;
  if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
    f();
    tx.commit();
  } else {
    auto result = f();
    tx.commit();
    return result;
  }
}

/// In the current transaction: the state, and that the last error, if any, is over.
void set_move_state(int64_t move, const std::string &state);
/// In the current transaction: the error of the last attempt, counted in detail -> attempts; gives their number.
int count_move_error(int64_t move, const std::string &error);
/// In the current transaction: adds keys to detail (a JSON object).
void add_move_detail(int64_t move, const std::string &json);

}  // namespace vectorshard::tier
