// Errors that say nothing about the row: the batch is tried again, by us or by its sender.
#pragma once
#include "pg/bridge/guard.hpp"

namespace vectorshard::apply {

/// True for SQLSTATE classes 40 (deadlock, serialization), 53 (resources), 55 (locks), 57 (cancel, shutdown), 58
/// (system), XX (internal).
inline bool transient(const bridge::PgError &e) {
  switch (ERRCODE_TO_CATEGORY(e.sqlstate)) {
    case MAKE_SQLSTATE('4', '0', '0', '0', '0'):
    case MAKE_SQLSTATE('5', '3', '0', '0', '0'):
    case MAKE_SQLSTATE('5', '5', '0', '0', '0'):
    case MAKE_SQLSTATE('5', '7', '0', '0', '0'):
    case MAKE_SQLSTATE('5', '8', '0', '0', '0'):
    case MAKE_SQLSTATE('X', 'X', '0', '0', '0'):
      return true;
    default:
      return false;
  }
}

/// True for deadlocks and serialization failures, which a new attempt may not meet.
inline bool retriable(const bridge::PgError &e) {
  return ERRCODE_TO_CATEGORY(e.sqlstate) == MAKE_SQLSTATE('4', '0', '0', '0', '0');
}

/// Throws what `e` says once more: its ErrorData went with the subtransaction that was rolled back.
[[noreturn]] inline void throw_again(const bridge::PgError &e) {
  bridge::raise_sqlstate(e.sqlstate, e.message, e.detail, e.hint);
}

}  // namespace vectorshard::apply
