// Operators, casts, comparison and aggregates of the types that merge. An operator knows neither node nor generation: what
// it makes is the state it was given and a pending change (core/apply/crdt.hpp). All compare by value, never by state.
#include "pg/apply/types_value.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
}

namespace vectorshard::apply {

namespace {

int64_t int8_of(const Counter &c) {
  CounterValue v = value(c);
  if (v > INT64_MAX || v < INT64_MIN)
    bridge::raise_sqlstate(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range",
                           std::string("The counter stands at ") + text_of(c) + ".");
  return static_cast<int64_t>(v);
}

Datum numeric_of(const char *text) {
  return bridge::pg_call([&] {
    return DirectFunctionCall3(numeric_in, CStringGetDatum(const_cast<char *>(text)), ObjectIdGetDatum(InvalidOid),
                               Int32GetDatum(-1));
  });
}

Datum counter_numeric(const Counter &c) {
  CounterValue v = value(c);
  if (v > INT64_MAX || v < INT64_MIN) return numeric_of(text_of(c));
  return bridge::pg_call([&] { return NumericGetDatum(int64_to_numeric(static_cast<int64>(v))); });
}

int64_t negated(int64_t n) {
  if (n == INT64_MIN) raise_crdt({Errc::invalid_argument, "bigint out of range", "", ""});
  return -n;
}

/// `a` with the value of `b` added, `sign` times; counts on whichever of two summands is a stored state.
Datum sum(const Counter &a, const Counter &b, int sign) {
  if (sign > 0 && a.birth == 0 && a.entries.empty() && b.birth != 0) return datum_of(in_range(plus(b, int8_of(a))));
  int64_t n = int8_of(b);
  return datum_of(in_range(plus(a, sign > 0 ? n : negated(n))));
}

Datum counter_of(int64_t n) {
  Counter c;
  c.base = n;
  return datum_of(c);
}

int compare_values(const Crdt &a, const Crdt &b) {
  if (kind_of(a) != kind_of(b)) raise_crdt({Errc::corrupt, "value is of another type than its column", "", ""});
  if (const auto *c = std::get_if<Counter>(&a)) {
    CounterValue x = value(*c), y = value(std::get<Counter>(b));
    return x < y ? -1 : x > y;
  }
  if (const auto *r = std::get_if<Register>(&a)) return compare(*r, std::get<Register>(b));
  auto order = values(std::get<TextSet>(a)) <=> values(std::get<TextSet>(b));
  return order < 0 ? -1 : order > 0;
}

int compare_args(FunctionCallInfo fcinfo) {
  return compare_values(crdt_of(PG_GETARG_DATUM(0)), crdt_of(PG_GETARG_DATUM(1)));
}

/// The bytes by which equal values are equal.
std::string value_bytes(const Crdt &v) {
  if (const auto *s = std::get_if<TextSet>(&v)) {
    ByteWriter out;
    for (const std::string &t : values(*s)) out.str(t);
    return std::move(out).take();
  }
  return text_of(v);
}

bool includes_texts(const Crdt &a, const Crdt &b) {
  std::vector<std::string> x = values(std::get<TextSet>(a)), y = values(std::get<TextSet>(b));
  return std::includes(x.begin(), x.end(), y.begin(), y.end());
}

std::string text_arg(Datum value) {
  text *t = bridge::pg_call([&] { return DatumGetTextPP(value); });
  return {VARDATA_ANY(t), static_cast<size_t>(VARSIZE_ANY_EXHDR(t))};
}

Datum with_changes(Datum set, const std::vector<std::string> &texts, bool add) {
  return datum_of(changed(crdt_as<TextSet>(set), texts, add));
}

/// The second operand of `-`, which is polymorphic so that it does not compete with the operators of other types.
std::vector<std::string> removed_texts(FunctionCallInfo fcinfo) {
  Oid type = bridge::pg_call([&] { return getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 1)); });
  if (type == TEXTOID || type == VARCHAROID) return {text_arg(PG_GETARG_DATUM(1))};
  if (type == TEXTARRAYOID) return texts_of_array(PG_GETARG_DATUM(1));
  bridge::raise_sqlstate(ERRCODE_DATATYPE_MISMATCH, "only texts are removed from a text set", {},
                         "Write set - 'text' or set - ARRAY['text', 'text'].");
}

Datum better(FunctionCallInfo fcinfo, int sign) {
  return compare_args(fcinfo) * sign >= 0 ? PG_GETARG_DATUM(0) : PG_GETARG_DATUM(1);
}

}  // namespace

#define CRDT_FUNCTION(name, expression) \
  VECTORSHARD_FUNCTION(vectorshard_##name) { return bridge::entry([&]() -> Datum { return expression; }); }

CRDT_FUNCTION(counter_plus, sum(crdt_as<Counter>(PG_GETARG_DATUM(0)), crdt_as<Counter>(PG_GETARG_DATUM(1)), 1))
CRDT_FUNCTION(counter_minus, sum(crdt_as<Counter>(PG_GETARG_DATUM(0)), crdt_as<Counter>(PG_GETARG_DATUM(1)), -1))
CRDT_FUNCTION(counter_from_int2, counter_of(PG_GETARG_INT16(0)))
CRDT_FUNCTION(counter_from_int4, counter_of(PG_GETARG_INT32(0)))
CRDT_FUNCTION(counter_from_int8, counter_of(PG_GETARG_INT64(0)))
CRDT_FUNCTION(counter_to_int8, Int64GetDatum(int8_of(crdt_as<Counter>(PG_GETARG_DATUM(0)))))
CRDT_FUNCTION(counter_to_numeric, counter_numeric(crdt_as<Counter>(PG_GETARG_DATUM(0))))

VECTORSHARD_FUNCTION(vectorshard_counter_to_int4) {
  return bridge::entry([&]() -> Datum {
    int64_t n = int8_of(crdt_as<Counter>(PG_GETARG_DATUM(0)));
    return bridge::pg_call([&] { return DirectFunctionCall1(int84, Int64GetDatum(n)); });
  });
}

/// Transition of sum(counter): numeric, null before the first.
VECTORSHARD_FUNCTION(vectorshard_counter_sum) {
  return bridge::entry([&]() -> Datum {
    bool none = PG_ARGISNULL(0);
    if (PG_ARGISNULL(1)) {
      fcinfo->isnull = none;
      return none ? Datum(0) : PG_GETARG_DATUM(0);
    }
    Datum n = counter_numeric(crdt_as<Counter>(PG_GETARG_DATUM(1)));
    return none ? n : bridge::pg_call([&] { return DirectFunctionCall2(numeric_add, PG_GETARG_DATUM(0), n); });
  });
}

CRDT_FUNCTION(crdt_to_numeric, numeric_of(text_of(crdt_of(PG_GETARG_DATUM(0)))))

CRDT_FUNCTION(crdt_eq, BoolGetDatum(compare_args(fcinfo) == 0))
CRDT_FUNCTION(crdt_ne, BoolGetDatum(compare_args(fcinfo) != 0))
CRDT_FUNCTION(crdt_lt, BoolGetDatum(compare_args(fcinfo) < 0))
CRDT_FUNCTION(crdt_le, BoolGetDatum(compare_args(fcinfo) <= 0))
CRDT_FUNCTION(crdt_gt, BoolGetDatum(compare_args(fcinfo) > 0))
CRDT_FUNCTION(crdt_ge, BoolGetDatum(compare_args(fcinfo) >= 0))
CRDT_FUNCTION(crdt_cmp, Int32GetDatum(compare_args(fcinfo)))
CRDT_FUNCTION(crdt_larger, better(fcinfo, 1))
CRDT_FUNCTION(crdt_smaller, better(fcinfo, -1))

VECTORSHARD_FUNCTION(vectorshard_crdt_hash) {
  return bridge::entry([&]() -> Datum {
    std::string s = value_bytes(crdt_of(PG_GETARG_DATUM(0)));
    return hash_any(reinterpret_cast<const unsigned char *>(s.data()), static_cast<int>(s.size()));
  });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_hash_extended) {
  return bridge::entry([&]() -> Datum {
    std::string s = value_bytes(crdt_of(PG_GETARG_DATUM(0)));
    return hash_any_extended(reinterpret_cast<const unsigned char *>(s.data()), static_cast<int>(s.size()),
                             static_cast<uint64>(PG_GETARG_INT64(1)));
  });
}

CRDT_FUNCTION(text_set_add, with_changes(PG_GETARG_DATUM(0), {text_arg(PG_GETARG_DATUM(1))}, true))
CRDT_FUNCTION(text_set_add_all, with_changes(PG_GETARG_DATUM(0), texts_of_array(PG_GETARG_DATUM(1)), true))
CRDT_FUNCTION(text_set_remove, with_changes(PG_GETARG_DATUM(0), removed_texts(fcinfo), false))
CRDT_FUNCTION(text_set_from_array, datum_of(text_set(texts_of_array(PG_GETARG_DATUM(0)))))
CRDT_FUNCTION(text_set_to_array, array_of_texts(values(crdt_as<TextSet>(PG_GETARG_DATUM(0)))))
CRDT_FUNCTION(text_set_contains, BoolGetDatum(includes_texts(crdt_as<TextSet>(PG_GETARG_DATUM(0)),
                                                             crdt_as<TextSet>(PG_GETARG_DATUM(1)))))
CRDT_FUNCTION(text_set_contained, BoolGetDatum(includes_texts(crdt_as<TextSet>(PG_GETARG_DATUM(1)),
                                                              crdt_as<TextSet>(PG_GETARG_DATUM(0)))))
CRDT_FUNCTION(text_set_cardinality, Int32GetDatum(static_cast<int32>(values(crdt_as<TextSet>(PG_GETARG_DATUM(0))).size())))

CRDT_FUNCTION(crdt_fresh, datum_of(in_range(fresh(crdt_of(PG_GETARG_DATUM(0))))))
CRDT_FUNCTION(crdt_entries, Int32GetDatum(static_cast<int32>(entries(crdt_of(PG_GETARG_DATUM(0))))))
CRDT_FUNCTION(crdt_birth, Int64GetDatum(birth_of(crdt_of(PG_GETARG_DATUM(0)))))
CRDT_FUNCTION(crdt_born, datum_of(in_range(born(crdt_of(PG_GETARG_DATUM(0)), PG_GETARG_INT64(1)))))
CRDT_FUNCTION(crdt_ended, datum_of(ended(crdt_of(PG_GETARG_DATUM(0)), PG_GETARG_INT64(1))))

/// The join of two states; null is what was never written, and gives way.
VECTORSHARD_FUNCTION(vectorshard_crdt_merge) {
  return bridge::entry([&]() -> Datum {
    fcinfo->isnull = PG_ARGISNULL(0) && PG_ARGISNULL(1);
    if (PG_ARGISNULL(0)) return PG_GETARG_DATUM(1);
    if (PG_ARGISNULL(1)) return PG_GETARG_DATUM(0);
    return datum_of(in_range(merge(crdt_of(PG_GETARG_DATUM(0)), crdt_of(PG_GETARG_DATUM(1)))));
  });
}

VECTORSHARD_FUNCTION(vectorshard_crdt_contains) {
  return bridge::entry([&]() -> Datum {
    if (PG_ARGISNULL(1)) return BoolGetDatum(true);
    if (PG_ARGISNULL(0)) return BoolGetDatum(false);
    return BoolGetDatum(in_range(contains(crdt_of(PG_GETARG_DATUM(0)), crdt_of(PG_GETARG_DATUM(1)))));
  });
}

}  // namespace vectorshard::apply
