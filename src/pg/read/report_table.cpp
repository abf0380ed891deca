// Rows of vectorshard.telemetry: see report_table.hpp.
#include "pg/read/report_table.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace vectorshard::read {

namespace {

AttrNumber column(Relation relation, const char *name, Oid type) {
  TupleDesc desc = RelationGetDescr(relation);
  for (int i = 0; i < desc->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    if (!a->attisdropped && strcmp(NameStr(a->attname), name) == 0 && a->atttypid == type) return a->attnum;
  }
  ereport(ERROR, (errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
                  errmsg("foreign table \"%s\" has no column \"%s\" of type %s", RelationGetRelationName(relation), name,
                         format_type_be(type)),
                  errhint("Use the table vectorshard.telemetry as it was made.")));
  return 0;
}

std::optional<double> number(TupleTableSlot *slot, AttrNumber at) {
  if (slot->tts_isnull[at - 1]) return std::nullopt;
  return DatumGetFloat8(slot->tts_values[at - 1]);
}

/// Whether all values are at hand, the client's name in one piece: reading them calls nothing that could raise.
bool at_hand(const ReportColumns &columns, TupleTableSlot *slot) {
  if (slot->tts_nvalid < slot->tts_tupleDescriptor->natts) return false;
  if (slot->tts_isnull[columns.client - 1]) return true;
  const auto *name = reinterpret_cast<const varattrib_1b *>(DatumGetPointer(slot->tts_values[columns.client - 1]));
  return !VARATT_IS_EXTERNAL(name) && !VARATT_IS_COMPRESSED(name);
}

/// The client, or null; the other values are at hand afterwards.
const text *client_of(const ReportColumns &columns, TupleTableSlot *slot) {
  auto value = [&] { return slot->tts_values[columns.client - 1]; };
  if (at_hand(columns, slot)) return slot->tts_isnull[columns.client - 1] ? nullptr : reinterpret_cast<const text *>(DatumGetPointer(value()));
  return bridge::pg_call([&]() -> const text * {
    slot_getallattrs(slot);
    return slot->tts_isnull[columns.client - 1] ? nullptr : DatumGetTextPP(value());
  });
}

[[noreturn]] void raise_null(const char *what) {
  bridge::raise_sqlstate(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string("a report needs ") + what, "",
                         "Give client, lon, lat and observed_at; speed_mps and heading_deg may be null.");
}

}  // namespace

ReportColumns report_columns(Relation relation) {
  ReportColumns c;
  c.client = column(relation, "client", TEXTOID);
  c.lon = column(relation, "lon", FLOAT8OID);
  c.lat = column(relation, "lat", FLOAT8OID);
  c.speed_mps = column(relation, "speed_mps", FLOAT8OID);
  c.heading_deg = column(relation, "heading_deg", FLOAT8OID);
  c.observed_at = column(relation, "observed_at", TIMESTAMPTZOID);
  return c;
}

bool take_row(const ReportColumns &columns, TupleTableSlot *slot) {
  const text *client = client_of(columns, slot);
  auto lon = number(slot, columns.lon), lat = number(slot, columns.lat);
  bool complete = client && lon && lat && !slot->tts_isnull[columns.observed_at - 1];
  if (!complete && telemetry::refuse_malformed()) return false;
  if (!client) raise_null("a client");
  if (!lon || !lat) raise_null("lon and lat");
  if (slot->tts_isnull[columns.observed_at - 1]) raise_null("observed_at");
  telemetry::RawReport report;
  report.client = {VARDATA_ANY(client), static_cast<size_t>(VARSIZE_ANY_EXHDR(client))};
  report.lon = *lon;
  report.lat = *lat;
  report.speed_mps = number(slot, columns.speed_mps);
  report.heading_deg = number(slot, columns.heading_deg);
  report.observed_at = DatumGetInt64(slot->tts_values[columns.observed_at - 1]);
  return telemetry::accepted_or_raise(telemetry::take_report(report));
}

}  // namespace vectorshard::read
