// Outputs of segments: see partition_outputs.hpp.
#include "pg/read/partition_outputs.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "catalog/pg_aggregate.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/pg_locale.h"
}

namespace vectorshard::read {

namespace {

using Kind = tier::SegmentOutput::Kind;
using tier::CellKind;

/// The attribute of a column that lies in the segment as it is; 0: none.
int attribute_of(Node *form, const tier::SegmentColumns &columns, CellKind *kind) {
  while (IsA(form, RelabelType)) form = reinterpret_cast<Node *>(castNode(RelabelType, form)->arg);
  if (!IsA(form, Var) || castNode(Var, form)->varattno <= 0) return 0;
  int at = columns.at(castNode(Var, form)->varattno);
  if (at < 0) return 0;
  *kind = columns.column(at).kind;
  return castNode(Var, form)->varattno;
}

/// What the aggregate gives of a column of this kind; none: it is computed here.
std::optional<Kind> half_of(const Aggref *aggregate, CellKind kind) {
  switch (aggregate->aggfnoid) {
    case F_COUNT_ANY: return Kind::count;
    default: break;
  }
  if (tier::is_opaque(kind)) return std::nullopt;  // text of values that fit into no column of their kind
  switch (aggregate->aggfnoid) {
    case F_SUM_INT2:
    case F_SUM_INT4: return Kind::sum;
    case F_AVG_INT2:
    case F_AVG_INT4: return Kind::average;
    case F_SUM_INT8:
    case F_AVG_INT8:
      if (tier::states_are_known()) return Kind::wide_state;
      return std::nullopt;
    case F_SUM_NUMERIC:
    case F_AVG_NUMERIC:
      if (kind == CellKind::decimal && tier::states_are_known()) return Kind::decimal_state;
      return std::nullopt;
    case F_BOOL_AND:
    case F_EVERY: return Kind::all_true;
    case F_BOOL_OR: return Kind::any_true;
    case F_MIN_INT2: case F_MIN_INT4: case F_MIN_INT8: case F_MIN_DATE: case F_MIN_TIMESTAMP: case F_MIN_TIMESTAMPTZ: return Kind::least;
    case F_MAX_INT2: case F_MAX_INT4: case F_MAX_INT8: case F_MAX_DATE: case F_MAX_TIMESTAMP: case F_MAX_TIMESTAMPTZ: return Kind::greatest;
    case F_MIN_NUMERIC:
      if (kind == CellKind::decimal) return Kind::least;
      return std::nullopt;
    case F_MAX_NUMERIC:
      if (kind == CellKind::decimal) return Kind::greatest;
      return std::nullopt;
    case F_MIN_TEXT:
    case F_MAX_TEXT:
      if (aggregate->inputcollid != C_COLLATION_OID && aggregate->inputcollid != POSIX_COLLATION_OID) return std::nullopt;
      return aggregate->aggfnoid == F_MIN_TEXT ? Kind::least : Kind::greatest;
    default: return std::nullopt;
  }
}

// Midnights in the units of timestamps: of the year 1, and of the year 10000.
constexpr int64_t kFirstUsual = -63082281600000000, kAfterUsual = 252455616000000000;

/// In these years, and without infinities, days, weeks, months and years begin at the same moments for both.
bool usual_times(const tier::SegmentColumns &columns, int attribute) {
  const tier::Zone &zone = columns.zone(columns.at(attribute));
  return zone.has_range && zone.min_number >= kFirstUsual && zone.max_number < kAfterUsual;
}

bool is_unit(const std::string &text) {
  for (const char *unit : {"second", "minute", "hour", "day", "week", "month", "quarter", "year"})
    if (text == unit) return true;
  return false;
}

/// A timestamp without time zone, cut off to a unit that is a constant, or to its date. Whatever depends on a time zone is computed here.
std::optional<tier::SegmentOutput> cut_off(Node *form, const tier::SegmentColumns &columns) {
  if (!IsA(form, FuncExpr)) return std::nullopt;
  auto *function = castNode(FuncExpr, form);
  bool truncates = function->funcid == F_DATE_TRUNC_TEXT_TIMESTAMP;
  if (!truncates && function->funcid != F_DATE_TIMESTAMP) return std::nullopt;
  CellKind kind = CellKind::send;
  tier::SegmentOutput out;
  out.kind = truncates ? Kind::truncated : Kind::day;
  out.attribute = attribute_of(static_cast<Node *>(llast(function->args)), columns, &kind);
  if (out.attribute == 0 || kind != CellKind::timestamp || !usual_times(columns, out.attribute)) return std::nullopt;
  if (!truncates) return out;
  auto *unit = static_cast<Node *>(linitial(function->args));
  if (!IsA(unit, Const) || castNode(Const, unit)->constisnull || castNode(Const, unit)->consttype != TEXTOID) return std::nullopt;
  out.unit = bridge::pg_call([&] { return TextDatumGetCString(castNode(Const, unit)->constvalue); });
  if (!is_unit(out.unit)) return std::nullopt;
  return out;
}

Oid type_of_column(Node *form) {
  while (IsA(form, RelabelType)) form = reinterpret_cast<Node *>(castNode(RelabelType, form)->arg);
  return castNode(Var, form)->vartype;
}

}  // namespace

std::optional<tier::SegmentOutput> segment_output(Node *form, const tier::SegmentColumns &columns, List *values) {
  tier::SegmentOutput out;
  CellKind kind = CellKind::send;
  if (auto time = cut_off(form, columns)) return time;
  if (!IsA(form, Aggref)) {
    out.attribute = attribute_of(form, columns, &kind);
    if (out.attribute == 0) return std::nullopt;
    return out;
  }
  auto *aggregate = castNode(Aggref, form);
  if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->aggdistinct || aggregate->aggorder || aggregate->aggvariadic) return std::nullopt;
  if (aggregate->aggfilter) {
    out.filter = tier::condition_of(reinterpret_cast<Node *>(aggregate->aggfilter), columns, kFirstConditionParam, values);
    if (!out.filter) return std::nullopt;
  }
  if (aggregate->aggfnoid == F_COUNT_) {
    out.kind = Kind::count_rows;
    return out;
  }
  if (list_length(aggregate->args) != 1) return std::nullopt;
  out.attribute = attribute_of(reinterpret_cast<Node *>(linitial_node(TargetEntry, aggregate->args)->expr), columns, &kind);
  std::optional<Kind> half = out.attribute ? half_of(aggregate, kind) : std::nullopt;
  if (!half) return std::nullopt;
  out.kind = *half;
  return out;
}

bool groups_alike(Node *form, const tier::SegmentColumns &columns) {
  CellKind kind;
  if (cut_off(form, columns)) return true;
  if (!attribute_of(form, columns, &kind)) return false;
  switch (kind) {
    case CellKind::boolean: case CellKind::int2: case CellKind::int4: case CellKind::int8: case CellKind::date: case CellKind::timestamp:
    case CellKind::timestamptz: case CellKind::decimal: case CellKind::bytes:
      return true;
    case CellKind::text: {
      Oid collation = exprCollation(form);
      return type_of_column(form) != BPCHAROID && (!OidIsValid(collation) || bridge::pg_call([&] { return get_collation_isdeterministic(collation); }));
    }
    case CellKind::output: return type_of_column(form) == UUIDOID;
    default: return false;
  }
}

bool orders_alike(Node *form, const tier::SegmentColumns &columns) {
  CellKind kind;
  if (!attribute_of(form, columns, &kind)) return false;
  return !tier::is_opaque(kind) && type_of_column(form) != BPCHAROID;
}

}  // namespace vectorshard::read
