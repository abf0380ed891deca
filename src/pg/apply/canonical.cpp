// Bytes of values that do not depend on the node: see canonical.hpp.
#include "pg/apply/canonical.hpp"

#include "core/base/bytes.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/transam.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
}

namespace vectorshard::apply {

namespace {

/// Whether the send form of equal values may differ by node. That of an array tells whether it has a map of nulls, which it
/// keeps when the last null is replaced; it and that of a row hold oids of types. Inside pg_call.
bool sends_more(Oid type) {
  type = getBaseType(type);
  if (OidIsValid(get_element_type(type))) return true;
  switch (get_typtype(type)) {
    case TYPTYPE_RANGE: return sends_more(get_range_subtype(type));
    case TYPTYPE_MULTIRANGE: return sends_more(get_multirange_range(type));
    case TYPTYPE_COMPOSITE: break;
    default: return false;
  }
  TupleDesc desc = lookup_rowtype_tupdesc(type, -1);
  bool found = false;
  for (int i = 0; i < desc->natts && !found; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    found = !a->attisdropped && (a->atttypid >= FirstNormalObjectId || sends_more(a->atttypid));
  }
  ReleaseTupleDesc(desc);
  return found;
}

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID || type == BPCHAROID; }

}  // namespace

StableOutput::StableOutput() : exceptions_(std::uncaught_exceptions()) {
  level_ = bridge::pg_call([] {
    int level = NewGUCNestLevel();
    const char *values[][2] = {{"datestyle", "ISO, YMD"}, {"intervalstyle", "postgres"}, {"timezone", "UTC"},
                               {"extra_float_digits", "3"}, {"bytea_output", "hex"}, {"lc_monetary", "C"}};
    for (auto &v : values)
      (void)set_config_option(v[0], v[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    // Send functions of text-like types convert to the client's encoding.
    if (pg_get_client_encoding() != GetDatabaseEncoding())
      (void)set_config_option("client_encoding", GetDatabaseEncodingName(), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                              true, 0, false);
    return level;
  });
}

StableOutput::~StableOutput() {
  if (std::uncaught_exceptions() > exceptions_) return;  // the (sub)transaction's end does it
  AtEOXact_GUC(true, level_);
}

CanonicalRow::CanonicalRow(const bridge::EnrolledTable &table) : table_(table) {
  std::vector<bridge::EnrolledColumn> columns = table.columns;
  std::sort(columns.begin(), columns.end(), [](auto &a, auto &b) { return a.name < b.name; });
  for (const bridge::EnrolledColumn &c : columns) {
    Column column;
    column.name = c.name;
    column.attnum = c.attnum;
    if (c.attnum == table.version_attnum) version_ = order_.size();
    Oid base = bridge::pg_call([&] { return getBaseType(c.type); });
    if (is_text(base)) {
      column.form = Column::bytes;
    } else {
      bridge::pg_call([&] {
        HeapTuple row = SearchSysCache1(TYPEOID, ObjectIdGetDatum(c.type));
        if (!HeapTupleIsValid(row)) elog(ERROR, "cache lookup failed for type %u", c.type);
        auto type = reinterpret_cast<Form_pg_type>(GETSTRUCT(row));
        bool text = !OidIsValid(type->typsend) || sends_more(c.type);
        column.form = text ? Column::text : Column::send;
        fmgr_info(text ? type->typoutput : type->typsend, &column.function);
        ReleaseSysCache(row);
      });
    }
    columns_ += (columns_.empty() ? "" : ", ") +
                std::string(bridge::pg_call([&] { return quote_identifier(c.name.c_str()); }));
    order_.push_back(std::move(column));
  }
}

void CanonicalRow::append(const Datum *values, const bool *nulls, std::string &out) {
  ByteWriter bytes;
  for (size_t i = 0; i < order_.size(); i++) {
    Column &c = order_[i];
    bytes.str(c.name);
    bytes.u8(nulls[i]);
    if (nulls[i]) continue;
    if (c.form == Column::text) {
      bytes.str(bridge::pg_call([&] { return OutputFunctionCall(&c.function, values[i]); }));
      continue;
    }
    bytea *sent = bridge::pg_call([&] {
      return c.form == Column::send ? SendFunctionCall(&c.function, values[i]) : DatumGetByteaPP(values[i]);
    });
    bytes.str({VARDATA_ANY(sent), static_cast<size_t>(VARSIZE_ANY_EXHDR(sent))});
  }
  out += bytes.bytes();
}

std::vector<std::string> CanonicalRow::key(const Datum *values) const {
  AttrNumber last = 0;
  for (AttrNumber k : table_.key) last = std::max(last, k);
  std::vector<Datum> by_attnum(static_cast<size_t>(last), 0);
  for (size_t i = 0; i < order_.size(); i++)
    if (order_[i].attnum <= last) by_attnum[static_cast<size_t>(order_[i].attnum) - 1] = values[i];
  return bridge::key_text(table_, by_attnum.data());
}

}  // namespace vectorshard::apply
