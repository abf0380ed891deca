// How errors cross between C++ and PostgreSQL. Every crossing goes through this file.
//
//   pg_call(lambda)   we call PostgreSQL: an ereport(ERROR) inside the lambda becomes a C++ PgError.
//   entry(lambda)     PostgreSQL calls us: a C++ exception becomes an ereport(ERROR).
//   raise(error)      a core Error leaves as a PgError with SQLSTATE, detail and hint (error_map.cpp).
//
// ereport(ERROR) is a longjmp, which skips C++ destructors; a C++ exception must never pass through C frames of the
// server. The whole ErrorData travels inside PgError, so SQLSTATE, detail, hint, context and source line survive.
// Rule for callers: a caught PgError is rethrown, unless the code stands inside a Subtransaction (spi.hpp).
#pragma once
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "core/base/result.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"
}

namespace vectorshard::bridge {

/// An ereport(ERROR) in flight as a C++ exception. The texts are copies; the ErrorData itself lives in the memory
/// context that was current at the pg_call that caught it, so data() is gone once that context is (transaction end).
class PgError : public std::exception {
 public:
  explicit PgError(ErrorData *e)
      : message(e->message ? e->message : "PostgreSQL error"),
        detail(e->detail ? e->detail : ""),
        hint(e->hint ? e->hint : ""),
        sqlstate(e->sqlerrcode),
        e_(e) {}
  const char *what() const noexcept override { return message.c_str(); }
  ErrorData *data() const noexcept { return e_; }
  ErrorData *release() noexcept { return std::exchange(e_, nullptr); }

  std::string message, detail, hint;
  int sqlstate;

 private:
  ErrorData *e_;
};

/// Runs PostgreSQL code; an ereport(ERROR) in it becomes a PgError. The static_asserts turn misuse into a compile
/// error: capture by reference only, return plain data only. No C++ object with a destructor may be made inside `f`.
template <class F>
auto pg_call(F &&f) {
  using R = std::invoke_result_t<F>;
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<F>>,
                "capture by reference only: longjmp skips destructors");
  static_assert(std::is_void_v<R> || std::is_trivially_copyable_v<R>, "return plain data only");
  using Slot = std::conditional_t<std::is_void_v<R>, char, R>;
  Slot slot{};
  Slot *volatile out = &slot;
  MemoryContext volatile cxt = CurrentMemoryContext;
  ErrorData *volatile err = nullptr;
  PG_TRY();
  {
    if constexpr (std::is_void_v<R>)
      f();
    else
      *out = f();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(cxt);
    err = CopyErrorData();
    FlushErrorState();
  }
  PG_END_TRY();
  if (err) throw PgError(err);
  if constexpr (!std::is_void_v<R>) return slot;
}

/// Throws `error` as a PgError with the SQLSTATE of its class.
[[noreturn]] void raise(const Error &error);

/// As raise, with a SQLSTATE of the caller's choice (MAKE_SQLSTATE value).
[[noreturn]] void raise_sqlstate(int sqlstate, const std::string &message, const std::string &detail = {},
                                 const std::string &hint = {});

/// The value of a Result, or raise(its error).
template <class T>
T value_or_raise(Result<T> r) {
  if (!r.ok()) raise(r.error());
  if constexpr (!std::is_void_v<T>) return std::move(r).value();
}

/// The only place where C++ exceptions leave for PostgreSQL. Each extern "C" function is one line:
///   Datum my_function(PG_FUNCTION_ARGS) { return bridge::entry([&]() -> Datum { ... }); }
/// Also used, with void lambdas, by FDW callbacks and hooks.
template <class F>
auto entry(F &&f) -> std::invoke_result_t<F> {
  enum { kPg, kOutOfMemory, kOther } kind;
  ErrorData *err = nullptr;
  char msg[512];  // a plain local: no palloc inside a catch block
  msg[0] = 0;
  try {
    return f();
  } catch (PgError &e) {
    kind = kPg;
    err = e.release();
  } catch (const std::bad_alloc &) {
    kind = kOutOfMemory;
  } catch (const std::exception &e) {
    kind = kOther;
    strlcpy(msg, e.what(), sizeof msg);
  } catch (...) {
    kind = kOther;
    strlcpy(msg, "unknown C++ exception", sizeof msg);
  }
  // No C++ object is alive here, so longjmp is safe.
  if (kind == kPg) ReThrowError(err);
  if (kind == kOutOfMemory) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
  ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("%s", msg)));
  pg_unreachable();
}

}  // namespace vectorshard::bridge
