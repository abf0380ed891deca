// Text and binary forms of the types that merge. Text is the value alone: a number, or an array of texts, so that
// applications, ORMs, COPY and pg_dump see plain values; what is read back from it is a value that is not born yet. Binary
// is the full state, which is what travels between nodes; "\x…" is the same in text, for the reader of rows elsewhere.
#include "pg/apply/types_value.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/merging_types.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
}

namespace vectorshard::apply {

namespace {

CrdtKind wanted_kind(Oid type) {
  auto kind = bridge::merging_kind(type);
  if (!kind) bridge::raise({Errc::invalid_argument, "this is the input function of a type that merges", {}, {}});
  return *kind;
}

/// Texts that a peer or a client sent must be texts of this database.
void check_texts(const Crdt &value) {
  const auto *s = std::get_if<TextSet>(&value);
  if (!s) return;
  auto check = [](const std::string &text) {
    bridge::pg_call([&] { (void)pg_verifymbstr(text.data(), static_cast<int>(text.size()), false); });
  };
  for (const SetElement &e : s->elements) check(e.key);
  for (const SetChange &c : s->pending) check(c.key);
}

Datum checked_state(std::string_view bytes, CrdtKind kind) {
  Result<Crdt> r = decode_crdt(bytes);
  if (!r.ok())
    bridge::raise_sqlstate(ERRCODE_INVALID_BINARY_REPRESENTATION, "incorrect binary data format", r.error().detail);
  if (kind_of(r.value()) != kind)
    bridge::raise_sqlstate(ERRCODE_INVALID_BINARY_REPRESENTATION, "incorrect binary data format", "It is of another type.");
  check_texts(r.value());
  return datum_of_text(bytes);
}

Datum state_from_hex(const char *text, CrdtKind kind) {
  size_t n = strlen(text);
  std::string bytes(n / 2 + 1, '\0');
  uint64 used = bridge::pg_call([&] { return hex_decode(text, n, bytes.data()); });
  bytes.resize(used);
  return checked_state(bytes, kind);
}

Counter counter_from_text(char *text) {
  Counter c;
  c.base = bridge::pg_call([&] { return DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(text))); });
  return c;
}

/// "Infinity" and "-Infinity" stand for the empty register, whichever the kind ignores.
Register register_from_text(CrdtKind kind, char *text) {
  char *canonical = bridge::pg_call([&] {
    Datum n = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    return DatumGetCString(DirectFunctionCall1(numeric_out, n));
  });
  Register r;
  r.kind = kind;
  if (strcmp(canonical, kind == CrdtKind::max_register ? "-Infinity" : "Infinity") == 0) return r;
  Result<std::string> number = canonical_decimal(canonical);
  if (!number.ok())
    bridge::raise_sqlstate(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, std::string("a register cannot hold ") + canonical, {},
                           "It holds finite numbers.");
  r.number = number.value();
  return r;
}

TextSet set_from_text(char *text) {
  Datum array = bridge::pg_call([&] {
    FmgrInfo function;
    fmgr_info(F_ARRAY_IN, &function);
    return InputFunctionCall(&function, text, TEXTOID, -1);
  });
  return text_set(texts_of_array(array));
}

const char *decimal_text(CounterValue v) {
  char digits[48];
  char *at = digits + sizeof digits;
  *--at = 0;
  bool negative = v < 0;
  do {
    int d = static_cast<int>(v % 10);
    *--at = static_cast<char>('0' + (d < 0 ? -d : d));
    v /= 10;
  } while (v != 0);
  if (negative) *--at = '-';
  return bridge::pg_call([&] { return pstrdup(at); });
}

}  // namespace

std::vector<std::string> texts_of_array(Datum array) {
  Datum *items;
  bool *nulls;
  int n = 0, dimensions = 0;
  bridge::pg_call([&] {
    ArrayType *a = DatumGetArrayTypeP(array);
    dimensions = ARR_NDIM(a);
    deconstruct_array(a, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &n);
  });
  if (dimensions > 1)
    bridge::raise_sqlstate(ERRCODE_ARRAY_SUBSCRIPT_ERROR, "a text set is made from an array of one dimension");
  std::vector<std::string> out;
  for (int i = 0; i < n; i++) {
    if (nulls[i]) bridge::raise_sqlstate(ERRCODE_NULL_VALUE_NOT_ALLOWED, "a text set holds no nulls");
    text *t = bridge::pg_call([&] { return DatumGetTextPP(items[i]); });
    out.emplace_back(VARDATA_ANY(t), static_cast<size_t>(VARSIZE_ANY_EXHDR(t)));
  }
  return out;
}

Datum array_of_texts(const std::vector<std::string> &texts) {
  return bridge::pg_call([&] {
    auto *items = static_cast<Datum *>(palloc(sizeof(Datum) * (texts.size() + 1)));
    for (size_t i = 0; i < texts.size(); i++)
      items[i] = PointerGetDatum(cstring_to_text_with_len(texts[i].data(), static_cast<int>(texts[i].size())));
    return PointerGetDatum(construct_array(items, static_cast<int>(texts.size()), TEXTOID, -1, false, TYPALIGN_INT));
  });
}

const char *text_of(const Crdt &v) {
  if (const auto *c = std::get_if<Counter>(&v)) return decimal_text(value(*c));
  if (const auto *r = std::get_if<Register>(&v)) {
    const char *empty = r->kind == CrdtKind::max_register ? "-Infinity" : "Infinity";
    return bridge::pg_call([&] { return pstrdup(r->number.empty() ? empty : r->number.c_str()); });
  }
  Datum array = array_of_texts(values(std::get<TextSet>(v)));
  return bridge::pg_call([&] { return OidOutputFunctionCall(F_ARRAY_OUT, array); });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_in) {
  return bridge::entry([&]() -> Datum {
    char *text = PG_GETARG_CSTRING(0);
    CrdtKind kind = wanted_kind(PG_GETARG_OID(1));
    if (text[0] == '\\' && text[1] == 'x') return state_from_hex(text + 2, kind);
    if (kind == CrdtKind::counter) return datum_of(counter_from_text(text));
    if (kind == CrdtKind::text_set) return datum_of(set_from_text(text));
    return datum_of(register_from_text(kind, text));
  });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_out) {
  return bridge::entry([&]() -> Datum { return CStringGetDatum(text_of(crdt_of(PG_GETARG_DATUM(0)))); });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_recv) {
  return bridge::entry([&]() -> Datum {
    auto *in = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    int n = in->len - in->cursor;
    const char *bytes = bridge::pg_call([&] { return pq_getmsgbytes(in, n); });
    return checked_state({bytes, static_cast<size_t>(n)}, wanted_kind(PG_GETARG_OID(1)));
  });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_send) {
  return bridge::entry([&]() -> Datum {
    std::string bytes = encode(crdt_of(PG_GETARG_DATUM(0)));
    return datum_of_text(bytes);
  });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_state) {
  return bridge::entry([&]() -> Datum {
    Oid type = bridge::pg_call([&] { return get_fn_expr_argtype(fcinfo->flinfo, 0); });
    (void)wanted_kind(type);
    return datum_of_text(bridge::merging_state_text(type, PG_GETARG_DATUM(0)));
  });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_merges) {
  return bridge::entry([&]() -> Datum { return BoolGetDatum(bridge::merging_kind(PG_GETARG_OID(0)).has_value()); });
}

}  // namespace vectorshard::apply
