// Datums of values that merge: see types_value.hpp.
#include "pg/apply/types_value.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::apply {

void raise_crdt(const Error &error) {
  int state = error.code == Errc::corrupt ? ERRCODE_DATA_CORRUPTED : ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
  bridge::raise_sqlstate(state, error.message, error.detail, error.hint);
}

Crdt crdt_of(Datum value) {
  struct varlena *v = bridge::pg_call([&] { return PG_DETOAST_DATUM_PACKED(value); });
  Result<Crdt> r = decode_crdt({VARDATA_ANY(v), static_cast<size_t>(VARSIZE_ANY_EXHDR(v))});
  if (reinterpret_cast<Pointer>(v) != DatumGetPointer(value)) pfree(v);
  if (!r.ok()) raise_crdt(r.error());
  return std::move(r).value();
}

Datum datum_of_text(std::string_view s) {
  return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text_with_len(s.data(), static_cast<int>(s.size()))); });
}

Datum datum_of(const Crdt &value) { return datum_of_text(encode(value)); }

}  // namespace vectorshard::apply
