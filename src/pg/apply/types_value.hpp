// Values that merge as Datums: taken apart into core values and made anew. Every function checks the kind it is given.
#pragma once
#include "core/apply/crdt.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::apply {

/// Raises ERRCODE_DATA_CORRUPTED if the bytes are no state.
Crdt crdt_of(Datum value);
/// In the current memory context.
Datum datum_of(const Crdt &value);
Datum datum_of_text(std::string_view s);

/// The texts of a text[]. Raises for nulls and more dimensions than one.
std::vector<std::string> texts_of_array(Datum array);
Datum array_of_texts(const std::vector<std::string> &texts);
/// The text form of a value, in the current memory context.
const char *text_of(const Crdt &value);

/// As a Result's value, but an out-of-range error leaves with its own SQLSTATE.
template <class T>
T in_range(Result<T> r);
[[noreturn]] void raise_crdt(const Error &error);

/// crdt_of, of the one kind T.
template <class T>
T crdt_as(Datum value) {
  Crdt v = crdt_of(value);
  if (T *x = std::get_if<T>(&v)) return std::move(*x);
  raise_crdt({Errc::corrupt, "value is of another type than its column", "", ""});
}

template <class T>
T in_range(Result<T> r) {
  if (!r.ok()) raise_crdt(r.error());
  return std::move(r).value();
}

}  // namespace vectorshard::apply
