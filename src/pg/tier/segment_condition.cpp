// Conditions of a query on a segment: see segment_condition.hpp.
#include "pg/tier/segment_condition.hpp"

#include <bit>

#include "pg/bridge/guard.hpp"
#include "pg/tier/duckdb_types.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
}

namespace vectorshard::tier {

namespace {

/// What kinds of values a comparison compares.
enum class Family { none, integer, floating, number, date, timestamp, timestamptz, text, boolean, uuid };

struct Comparison {
  Family family = Family::none;
  Compare op = Compare::equal;
  bool ordered() const { return op != Compare::equal && op != Compare::unequal; }
};

#define VECTORSHARD_COMPARISONS(X, family, prefix)                                             \
  case F_##prefix##EQ: return {Family::family, Compare::equal};                                \
  case F_##prefix##NE: return {Family::family, Compare::unequal};                              \
  case F_##prefix##LT: return {Family::family, Compare::less};                                 \
  case F_##prefix##LE: return {Family::family, Compare::less_equal};                           \
  case F_##prefix##GT: return {Family::family, Compare::greater};                              \
  case F_##prefix##GE: return {Family::family, Compare::greater_equal};

Comparison comparison_of(Oid function) {
  switch (function) {
    VECTORSHARD_COMPARISONS(X, integer, INT2)
    VECTORSHARD_COMPARISONS(X, integer, INT4)
    VECTORSHARD_COMPARISONS(X, integer, INT8)
    VECTORSHARD_COMPARISONS(X, integer, INT24)
    VECTORSHARD_COMPARISONS(X, integer, INT42)
    VECTORSHARD_COMPARISONS(X, integer, INT28)
    VECTORSHARD_COMPARISONS(X, integer, INT82)
    VECTORSHARD_COMPARISONS(X, integer, INT48)
    VECTORSHARD_COMPARISONS(X, integer, INT84)
    VECTORSHARD_COMPARISONS(X, floating, FLOAT4)
    VECTORSHARD_COMPARISONS(X, floating, FLOAT8)
    VECTORSHARD_COMPARISONS(X, floating, FLOAT48)
    VECTORSHARD_COMPARISONS(X, floating, FLOAT84)
    VECTORSHARD_COMPARISONS(X, number, NUMERIC_)
    VECTORSHARD_COMPARISONS(X, date, DATE_)
    VECTORSHARD_COMPARISONS(X, timestamp, TIMESTAMP_)
    VECTORSHARD_COMPARISONS(X, timestamptz, TIMESTAMPTZ_)
    VECTORSHARD_COMPARISONS(X, boolean, BOOL)
    case F_TEXTEQ: return {Family::text, Compare::equal};
    case F_TEXTNE: return {Family::text, Compare::unequal};
    case F_TEXT_LT: return {Family::text, Compare::less};
    case F_TEXT_LE: return {Family::text, Compare::less_equal};
    case F_TEXT_GT: return {Family::text, Compare::greater};
    case F_TEXT_GE: return {Family::text, Compare::greater_equal};
    case F_UUID_EQ: return {Family::uuid, Compare::equal};
    case F_UUID_NE: return {Family::uuid, Compare::unequal};
    default: return {};
  }
}
#undef VECTORSHARD_COMPARISONS

bool is_of(CellKind kind, Family family) {
  switch (family) {
    case Family::integer: return kind == CellKind::int2 || kind == CellKind::int4 || kind == CellKind::int8;
    case Family::floating: return kind == CellKind::float4 || kind == CellKind::float8;
    case Family::number: return kind == CellKind::decimal;
    case Family::date: return kind == CellKind::date;
    case Family::timestamp: return kind == CellKind::timestamp;
    case Family::timestamptz: return kind == CellKind::timestamptz;
    // DuckDB 1.5.6 drops row groups in which a blob is: its statistics of blobs are not the bytes. Text is a blob where it is not UTF-8.
    case Family::text: return kind == CellKind::text && !duck::text_as_blob();
    case Family::boolean: return kind == CellKind::boolean;
    case Family::uuid: return kind == CellKind::output && !duck::text_as_blob();
    case Family::none: return false;
  }
  return false;
}

/// Text is compared by bytes there: equality of every deterministic collation, and the order of C.
bool collates(const Comparison &c, Oid collation) {
  if (c.family != Family::text) return true;
  if (collation == C_COLLATION_OID || collation == POSIX_COLLATION_OID) return true;
  return !c.ordered() && OidIsValid(collation) && bridge::pg_call([&] { return get_collation_isdeterministic(collation); });
}

class Maker {
 public:
  Maker(const SegmentColumns &columns, int first_param, List *values) : columns_(columns), first_param_(first_param), values_(values) {}

  std::optional<Condition> make(Node *node);

 private:
  std::optional<Condition> boolean(BoolExpr *node);
  std::optional<Condition> operation(OpExpr *node);
  std::optional<Condition> in_array(ScalarArrayOpExpr *node);
  std::optional<Condition> like(OpExpr *node);
  std::optional<Condition> null_test(NullTest *node);
  std::optional<Condition> constant(Node *node);
  std::optional<Condition> compared(int column, Comparison c, Node *value);

  int column_of(Node *node) const;
  /// The value of a constant or parameter; null pointer if it is neither. `*known` false: a parameter whose value is not there yet.
  Const *value_of(Node *node, bool *known) const;
  std::optional<Value> as_value(int column, Oid type, Datum datum) const;

  const SegmentColumns &columns_;
  int first_param_;
  List *values_;
};

Node *without_relabel(Node *node) {
  while (IsA(node, RelabelType)) node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
  return node;
}

int Maker::column_of(Node *node) const {
  node = without_relabel(node);
  return IsA(node, Var) && castNode(Var, node)->varattno > 0 ? columns_.at(castNode(Var, node)->varattno) : -1;
}

Const *Maker::value_of(Node *node, bool *known) const {
  node = without_relabel(node);
  *known = true;
  if (IsA(node, Const)) return castNode(Const, node);
  if (!IsA(node, Param) || castNode(Param, node)->paramkind != PARAM_EXTERN) return nullptr;
  int at = castNode(Param, node)->paramid - first_param_;
  *known = at < list_length(values_);
  static Const unknown = {};
  if (*known) return static_cast<Const *>(list_nth(values_, at));
  unknown.consttype = castNode(Param, node)->paramtype;
  return &unknown;
}

/// A value of one of the types that the column's family is compared with. Numbers (numeric) are no such values: compare_decimal().
std::optional<Value> Maker::as_value(int column, Oid type, Datum datum) const {
  const ManifestColumn &c = columns_.column(column);
  Value v;
  v.kind = c.kind;
  switch (type) {
    case BOOLOID: v.number = DatumGetBool(datum); break;
    case INT2OID: v.kind = CellKind::int8, v.number = DatumGetInt16(datum); break;
    case INT4OID: v.kind = CellKind::int8, v.number = DatumGetInt32(datum); break;
    case INT8OID: v.kind = CellKind::int8, v.number = DatumGetInt64(datum); break;
    case FLOAT4OID: v.kind = CellKind::float8, v.number = std::bit_cast<int64_t>(static_cast<double>(DatumGetFloat4(datum))); break;
    case FLOAT8OID: v.kind = CellKind::float8, v.number = std::bit_cast<int64_t>(DatumGetFloat8(datum)); break;
    case DATEOID: v.number = DatumGetDateADT(datum); break;
    case TIMESTAMPOID:
    case TIMESTAMPTZOID: v.number = DatumGetInt64(datum); break;
    case TEXTOID:
    case VARCHAROID: {
      struct varlena *s = bridge::pg_call([&] { return PG_DETOAST_DATUM_PACKED(datum); });
      v.bytes.assign(VARDATA_ANY(s), VARSIZE_ANY_EXHDR(s));
      break;
    }
    case UUIDOID: v.bytes = bridge::pg_call([&] { return DatumGetCString(DirectFunctionCall1(uuid_out, datum)); }); break;
    default: return std::nullopt;
  }
  return v;
}

/// A comparison with a time after all that a segment can have but infinity (kLastTimestamp).
Condition beyond_all(size_t column, Compare op, Value value) {
  Condition out;
  out.column = column;
  bool equality = op == Compare::equal || op == Compare::unequal;
  out.kind = equality ? Condition::Kind::each : Condition::Kind::compare;
  out.op = op == Compare::less || op == Compare::less_equal ? Compare::less : Compare::greater_equal;
  value.number = equality ? op == Compare::unequal : INT64_MAX;
  out.values.push_back(std::move(value));
  return out;
}

std::optional<Condition> Maker::compared(int column, Comparison c, Node *node) {
  bool known;
  Const *value = value_of(node, &known);
  if (!value || !is_of(columns_.column(column).kind, c.family)) return std::nullopt;
  Condition out;
  out.kind = Condition::Kind::compare;
  out.op = c.op;
  out.column = static_cast<size_t>(column);
  Value v;
  v.kind = columns_.column(column).kind;
  v.unknown = !known;
  v.null = known && value->constisnull;
  if (!v.unknown && !v.null) {
    if (c.family == Family::number) {
      std::string number = bridge::pg_call([&] { return DatumGetCString(DirectFunctionCall1(numeric_out, value->constvalue)); });
      return compare_decimal(out.column, columns_.column(column).scale, c.op, number);
    }
    std::optional<Value> is = as_value(column, value->consttype, value->constvalue);
    if (!is) return std::nullopt;
    if ((c.family == Family::timestamp || c.family == Family::timestamptz) && is->number > kLastTimestamp && is->number != INT64_MAX)
      return beyond_all(out.column, c.op, std::move(*is));
    v = std::move(*is);
  }
  out.values.push_back(std::move(v));
  return out;
}

std::optional<Condition> Maker::operation(OpExpr *node) {
  bridge::pg_call([&] { set_opfuncid(node); });
  if (node->opfuncid == F_TEXTLIKE || node->opfuncid == F_TEXTNLIKE) return like(node);
  Comparison c = comparison_of(node->opfuncid);
  if (c.family == Family::none || !collates(c, node->inputcollid)) return std::nullopt;
  Node *left = static_cast<Node *>(linitial(node->args)), *right = static_cast<Node *>(lsecond(node->args));
  int a = column_of(left), b = column_of(right);
  if (a >= 0 && b >= 0) {
    bool same = is_of(columns_.column(a).kind, c.family) && is_of(columns_.column(b).kind, c.family);
    if (!same || c.family == Family::number) return std::nullopt;
    Condition out;
    out.kind = Condition::Kind::columns;
    out.op = c.op;
    out.column = static_cast<size_t>(a);
    out.other = static_cast<size_t>(b);
    return out;
  }
  if (a >= 0) return compared(a, c, right);
  if (b < 0) return std::nullopt;
  c.op = turned(c.op);
  return compared(b, c, left);
}

std::optional<Condition> Maker::like(OpExpr *node) {
  int column = column_of(static_cast<Node *>(linitial(node->args)));
  bool known;
  Const *pattern = value_of(static_cast<Node *>(lsecond(node->args)), &known);
  Comparison equality{Family::text, Compare::equal};
  // An escape means something else there; and only characters of UTF-8 are.
  if (column < 0 || !pattern || !known || pattern->constisnull || duck::text_as_blob() || !collates(equality, node->inputcollid)) return std::nullopt;
  if (columns_.column(column).kind != CellKind::text) return std::nullopt;
  std::optional<Value> v = as_value(column, pattern->consttype, pattern->constvalue);
  if (!v || v->bytes.find('\\') != std::string::npos) return std::nullopt;
  Condition out;
  out.kind = Condition::Kind::like;
  out.column = static_cast<size_t>(column);
  out.values.push_back(std::move(*v));
  if (node->opfuncid == F_TEXTLIKE) return out;
  Condition no;
  no.kind = Condition::Kind::negated;
  no.parts.push_back(std::move(out));
  return no;
}

std::optional<Condition> Maker::in_array(ScalarArrayOpExpr *node) {
  bridge::pg_call([&] { set_sa_opfuncid(node); });
  Comparison c = comparison_of(node->opfuncid);
  int column = column_of(static_cast<Node *>(linitial(node->args)));
  bool known, wanted = node->useOr ? c.op == Compare::equal : c.op == Compare::unequal;
  Const *array = value_of(static_cast<Node *>(lsecond(node->args)), &known);
  if (!wanted || column < 0 || !array || !collates(c, node->inputcollid) || !is_of(columns_.column(column).kind, c.family)) return std::nullopt;
  Condition any;
  any.kind = Condition::Kind::any;
  if (!known || array->constisnull) {
    Condition open;
    open.kind = Condition::Kind::constant;
    open.values.push_back({CellKind::boolean, known, !known, 0, "", 0});
    return open;
  }
  ArrayType *elements = bridge::pg_call([&] { return DatumGetArrayTypeP(array->constvalue); });
  struct Elements { Datum *values; bool *nulls; int n; } e = bridge::pg_call([&] {
    Elements out{};
    int16 length;
    bool by_value;
    char align;
    get_typlenbyvalalign(ARR_ELEMTYPE(elements), &length, &by_value, &align);
    deconstruct_array(elements, ARR_ELEMTYPE(elements), length, by_value, align, &out.values, &out.nulls, &out.n);
    return out;
  });
  Condition in;
  in.kind = Condition::Kind::in;
  in.column = static_cast<size_t>(column);
  Const element = {};
  element.xpr.type = T_Const;
  element.consttype = ARR_ELEMTYPE(elements);
  for (int i = 0; i < e.n; i++) {
    element.constvalue = e.values[i];
    element.constisnull = e.nulls[i];
    std::optional<Condition> equals = compared(column, {c.family, Compare::equal}, reinterpret_cast<Node *>(&element));
    if (!equals) return std::nullopt;
    (equals->kind == Condition::Kind::compare ? in.values : any.values).push_back(equals->values[0]);
    if (equals->kind != Condition::Kind::compare) any.parts.push_back(std::move(*equals));
  }
  any.values.clear();
  if (!in.values.empty()) any.parts.push_back(std::move(in));
  if (node->useOr) return any;
  Condition none;
  none.kind = Condition::Kind::negated;
  none.parts.push_back(std::move(any));
  return none;
}

std::optional<Condition> Maker::null_test(NullTest *node) {
  int column = column_of(reinterpret_cast<Node *>(node->arg));
  if (column < 0 || node->argisrow) return std::nullopt;
  Condition is;
  is.kind = Condition::Kind::is_null;
  is.column = static_cast<size_t>(column);
  if (node->nulltesttype == IS_NULL) return is;
  Condition is_not;
  is_not.kind = Condition::Kind::negated;
  is_not.parts.push_back(std::move(is));
  return is_not;
}

std::optional<Condition> Maker::boolean(BoolExpr *node) {
  Condition out;
  out.kind = node->boolop == AND_EXPR ? Condition::Kind::all : node->boolop == OR_EXPR ? Condition::Kind::any : Condition::Kind::negated;
  ListCell *lc;
  foreach (lc, node->args) {
    std::optional<Condition> part = make(static_cast<Node *>(lfirst(lc)));
    if (!part) return std::nullopt;
    out.parts.push_back(std::move(*part));
  }
  return out;
}

std::optional<Condition> Maker::constant(Node *node) {
  bool known;
  Const *value = value_of(node, &known);
  if (!value || value->consttype != BOOLOID) return std::nullopt;
  Condition out;
  out.kind = Condition::Kind::constant;
  out.values.push_back({CellKind::boolean, known && value->constisnull, !known, known && !value->constisnull && DatumGetBool(value->constvalue), "", 0});
  return out;
}

std::optional<Condition> Maker::make(Node *node) {
  switch (nodeTag(node)) {
    case T_BoolExpr: return boolean(castNode(BoolExpr, node));
    case T_OpExpr: return operation(castNode(OpExpr, node));
    case T_ScalarArrayOpExpr: return in_array(castNode(ScalarArrayOpExpr, node));
    case T_NullTest: return null_test(castNode(NullTest, node));
    case T_Const:
    case T_Param: return constant(node);
    case T_Var: {
      int column = column_of(node);
      if (column < 0 || columns_.column(column).kind != CellKind::boolean) return std::nullopt;
      Condition out;
      out.kind = Condition::Kind::truth;
      out.column = static_cast<size_t>(column);
      return out;
    }
    default: return std::nullopt;
  }
}

}  // namespace

SegmentColumns::SegmentColumns(const SegmentFacts &facts, TupleDesc desc) : columns_(facts.segment.columns), zones_(facts.zones), at_(stored_columns(columns_, desc)) {
  for (int i = 0; i < desc->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    int &at = at_[static_cast<size_t>(i)];
    if (at < 0) continue;
    const ManifestColumn &c = columns_[static_cast<size_t>(at)];
    bool same = stored_as_is(c, a);
    if (same && c.kind == CellKind::decimal) {
      StoredAs now = bridge::pg_call([&] { return stored_as(a->atttypid, a->atttypmod); });
      same = a->atttypmod < 0 || (now.kind == CellKind::decimal && now.scale == c.scale);
    }
    if (!same) at = -1;
  }
}

int SegmentColumns::at(int attnum) const { return attnum <= static_cast<int>(at_.size()) ? at_[static_cast<size_t>(attnum) - 1] : -1; }

std::optional<Condition> condition_of(Node *expression, const SegmentColumns &columns, int first_param, List *values) {
  return Maker(columns, first_param, values).make(expression);
}

}  // namespace vectorshard::tier
