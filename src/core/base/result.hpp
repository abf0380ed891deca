// Result<T>: a value or an Error, for everything that can go wrong in operation (peer gone, bad bytes, store down).
// Exceptions are for bugs and out-of-memory only. Never put a secret into an Error: its text reaches logs and users.
#pragma once
#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace vectorshard {

/// What went wrong, as a class of error; src/pg/bridge/error_map.cpp gives each its SQLSTATE.
enum class Errc {
  invalid_argument,   // the caller's value is wrong
  corrupt,            // bytes that do not decode
  unreachable,        // a peer or a store does not answer
  denied,             // wrong password
  no_right,           // a role lacks a right
  not_found,          // object, client or node that is not there
  archived,           // an object that its store must thaw first
  conflict,           // somebody else was faster; retrying is right
  no_space,           // a disk, budget or bound is full
  clock_skew,         // a clock too far from ours
  unavailable,        // a library or feature that is not there
  io,                 // anything else an operating system call says
};

struct Error {
  Errc code;
  std::string message;  // lower case, no full stop (PostgreSQL's message style)
  std::string detail;   // sentences with the values, or empty
  std::string hint;     // what the user can do, or empty
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}
  Result(Error error) : v_(std::move(error)) {}
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T &value() & { assert(ok()); return std::get<0>(v_); }
  const T &value() const & { assert(ok()); return std::get<0>(v_); }
  T &&value() && { assert(ok()); return std::get<0>(std::move(v_)); }
  const Error &error() const { assert(!ok()); return std::get<1>(v_); }

 private:
  std::variant<T, Error> v_;
};

/// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : e_(std::move(error)) {}
  bool ok() const { return !e_; }
  explicit operator bool() const { return ok(); }
  const Error &error() const { assert(e_); return *e_; }

 private:
  std::optional<Error> e_;
};

}  // namespace vectorshard
