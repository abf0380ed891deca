// Datums and cells: see cells.hpp.
#include "pg/tier/cells.hpp"

#include <bit>

#include "pg/bridge/guard.hpp"
#include "pg/tier/decimal.hpp"
#include "pg/tier/spatial.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
}

namespace vectorshard::tier {

namespace {

/// Types whose text form is exact and better for other readers than send bytes.
bool as_output(Oid type) {
  switch (type) {
    case NUMERICOID:
    case UUIDOID:
    case JSONOID:
    case JSONBOID: return true;
    default: return get_typtype(type) == TYPTYPE_ENUM;
  }
}

CellKind kind_of(Oid type) {
  switch (type) {
    case BOOLOID: return CellKind::boolean;
    case INT2OID: return CellKind::int2;
    case INT4OID: return CellKind::int4;
    case INT8OID: return CellKind::int8;
    case FLOAT4OID: return CellKind::float4;
    case FLOAT8OID: return CellKind::float8;
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID: return CellKind::text;
    case BYTEAOID: return CellKind::bytes;
    case PG_NODE_TREEOID: return CellKind::text;
    // Their input and receive functions refuse every value: the bytes as they lie in the heap, which no address or OID is among.
    case PG_NDISTINCTOID:
    case PG_DEPENDENCIESOID:
    case PG_MCV_LISTOID: return CellKind::bytes;
    case DATEOID: return CellKind::date;
    case TIMESTAMPOID: return CellKind::timestamp;
    case TIMESTAMPTZOID: return CellKind::timestamptz;
    default: return as_output(type) ? CellKind::output : CellKind::send;
  }
}

std::string_view bytes_of(Datum value) {
  struct varlena *v = PG_DETOAST_DATUM_PACKED(value);
  return {VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v)};
}

/// Of the typmod of a numeric, as numeric.c packs it; a scale may be negative since version 15.
int scale_of(int32 typmod) { return (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024; }

bool has_binary_form(Oid type);
bool fields_have_binary_form(Oid type) {
  TupleDesc fields = lookup_rowtype_tupdesc_copy(type, -1);
  for (int i = 0; i < fields->natts; i++) {
    Form_pg_attribute field = TupleDescAttr(fields, i);
    if (!field->attisdropped && !has_binary_form(field->atttypid)) return false;
  }
  return true;
}

/// A type without send or receive function is stored as its text, and so are arrays of it and rows with it: their functions call its own.
bool has_binary_form(Oid type) {
  type = getBaseType(type);
  // Their receive functions refuse the empty ones that their send functions send.
  if (type == INT2VECTOROID || type == OIDVECTOROID) return false;
  if (Oid element = get_element_type(type); OidIsValid(element)) return has_binary_form(element);
  if (get_typtype(type) == TYPTYPE_COMPOSITE) return fields_have_binary_form(type);
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", type);
  Form_pg_type form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
  bool has = OidIsValid(form->typsend) && OidIsValid(form->typreceive);
  ReleaseSysCache(tuple);
  return has;
}

/// XML is received as the setting xmloption says; arrays and rows may have it in them.
bool may_hold_xml(Oid type) {
  Oid element = get_base_element_type(type);
  if (OidIsValid(element)) type = getBaseType(element);
  return type == XMLOID || get_typtype(type) == TYPTYPE_COMPOSITE;
}

}  // namespace

StoredAs stored_as(Oid type, int32 typmod) {
  Oid base = getBaseTypeAndTypmod(type, &typmod);
  StoredAs out{kind_of(base)};
  if (out.kind == CellKind::send && !has_binary_form(base)) out.kind = CellKind::output;
  if (Spatial spatial = out.kind == CellKind::send ? spatial_of(base) : Spatial::none; spatial != Spatial::none && fits_iso_wkb(typmod)) {
    out.kind = CellKind::wkb;
    out.srid = srid_of(typmod);
    if (out.srid == 0 && spatial == Spatial::geography) out.srid = kLonLat;
  }
  if (base != NUMERICOID || typmod < 0) return out;
  int precision = ((typmod - VARHDRSZ) >> 16) & 0xffff, scale = scale_of(typmod);
  if (precision <= kDecimalDigitsMax && scale >= 0 && scale <= precision) out = {CellKind::decimal, precision, scale};
  return out;
}

ColumnCodec ColumnCodec::make(Oid type, const StoredAs &stored, MemoryContext context) {
  ColumnCodec c;
  Oid base = getBaseType(type);
  c.kind_ = stored.kind;
  c.scale_ = stored.scale;
  c.srid_ = stored.srid;
  bool text = c.kind_ == CellKind::output;
  if (!text && c.kind_ != CellKind::send && c.kind_ != CellKind::wkb) return c;
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", base);
  Form_pg_type form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
  c.needs_settings_ = text ? !as_output(base) : may_hold_xml(base);
  fmgr_info_cxt(text ? form->typoutput : form->typsend, &c.out_, context);
  fmgr_info_cxt(text ? form->typinput : form->typreceive, &c.in_, context);
  c.io_param_ = getTypeIOParam(tuple);
  ReleaseSysCache(tuple);
  return c;
}

Cell ColumnCodec::to_cell(Datum value, bool null) {
  Cell cell;
  if (null) return cell;
  cell.null = false;
  switch (kind_) {
    case CellKind::boolean: cell.number = DatumGetBool(value); break;
    case CellKind::int2: cell.number = DatumGetInt16(value); break;
    case CellKind::int4: cell.number = DatumGetInt32(value); break;
    case CellKind::float4: cell.number = std::bit_cast<int32_t>(DatumGetFloat4(value)); break;
    case CellKind::float8: cell.number = std::bit_cast<int64_t>(DatumGetFloat8(value)); break;
    case CellKind::date: cell.number = DatumGetDateADT(value); break;
    case CellKind::int8:
    case CellKind::timestamp:
    case CellKind::timestamptz: cell.number = DatumGetInt64(value); break;
    case CellKind::text:
    case CellKind::bytes: cell.bytes = bytes_of(value); break;
    case CellKind::output: cell.bytes = OutputFunctionCall(&out_, value); break;
    case CellKind::decimal: cell.number = decimal_units(value, scale_); break;
    case CellKind::send: {
      bytea *b = SendFunctionCall(&out_, value);
      cell.bytes = {VARDATA(b), VARSIZE(b) - VARHDRSZ};
      break;
    }
    case CellKind::wkb: {
      bytea *b = SendFunctionCall(&out_, value);
      std::optional<IsoGeometry> iso = iso_of_ewkb(VARDATA(b), VARSIZE(b) - VARHDRSZ);
      cell.number = iso ? iso->srid : kNoGeometry;
      if (iso) cell.bytes = iso->wkb;
      break;
    }
  }
  return cell;
}

Datum ColumnCodec::from_cell(const Cell &cell, int32 typmod) {
  switch (kind_) {
    case CellKind::boolean: return BoolGetDatum(cell.number != 0);
    case CellKind::int2: return Int16GetDatum(static_cast<int16>(cell.number));
    case CellKind::int4: return Int32GetDatum(static_cast<int32>(cell.number));
    case CellKind::float4: return Float4GetDatum(std::bit_cast<float>(static_cast<int32_t>(cell.number)));
    case CellKind::float8: return Float8GetDatum(std::bit_cast<double>(cell.number));
    case CellKind::date: return DateADTGetDatum(static_cast<DateADT>(cell.number));
    case CellKind::int8:
    case CellKind::timestamp:
    case CellKind::timestamptz: return Int64GetDatum(cell.number);
    case CellKind::text:
    case CellKind::bytes:
      return PointerGetDatum(cstring_to_text_with_len(cell.bytes.data(), static_cast<int>(cell.bytes.size())));
    case CellKind::decimal: {
      Datum value = decimal_datum(cell.number, scale_);
      bool same = typmod < 0 || scale_of(typmod) == scale_;
      return same ? value : DirectFunctionCall2(numeric, value, Int32GetDatum(typmod));
    }
    case CellKind::output: {
      char *s = pnstrdup(cell.bytes.data(), cell.bytes.size());
      return InputFunctionCall(&in_, s, io_param_, typmod);
    }
    case CellKind::send: {
      StringInfoData buffer;
      initStringInfo(&buffer);
      appendBinaryStringInfo(&buffer, cell.bytes.data(), static_cast<int>(cell.bytes.size()));
      return ReceiveFunctionCall(&in_, &buffer, io_param_, typmod);
    }
    case CellKind::wkb: {
      StringInfoData buffer;
      initStringInfo(&buffer);
      enlargeStringInfo(&buffer, static_cast<int>(cell.bytes.size() + kSridBytes));
      buffer.len = static_cast<int>(ewkb_of_iso(cell.bytes, srid_, buffer.data));
      if (buffer.len == 0) ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a geometry of a segment is no well-known binary")));
      return ReceiveFunctionCall(&in_, &buffer, io_param_, typmod);
    }
  }
  return 0;
}

StableConversion::StableConversion(bool settings) {
  if (pg_get_client_encoding() != GetDatabaseEncoding()) {
    encoding_ = pg_get_client_encoding();
    SetClientEncoding(GetDatabaseEncoding());  // no conversion needed: cannot fail
  }
  if (!settings) return;
  guc_level_ = bridge::pg_call([] {
    int level = NewGUCNestLevel();
    const char *values[][2] = {{"datestyle", "ISO, YMD"},     {"intervalstyle", "postgres"}, {"timezone", "UTC"},
                               {"extra_float_digits", "3"}, {"bytea_output", "hex"},       {"xmloption", "content"}};
    for (auto &v : values)
      (void)set_config_option(v[0], v[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    return level;
  });
}

StableConversion::~StableConversion() {
  // Neither call raises: the encoding was in use before, and the level is ours.
  if (encoding_ >= 0) SetClientEncoding(encoding_);
  if (guc_level_) AtEOXact_GUC(false, guc_level_);
}

std::vector<ManifestColumn> manifest_columns(TupleDesc desc) {
  std::vector<ManifestColumn> out;
  for (int i = 0; i < desc->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    if (a->attisdropped) continue;
    StoredAs stored = bridge::pg_call([&] { return stored_as(a->atttypid, a->atttypmod); });
    char *type = bridge::pg_call([&] { return format_type_with_typemod(a->atttypid, a->atttypmod); });
    out.push_back({NameStr(a->attname), type, a->attnum, stored.kind, stored.precision, stored.scale});
  }
  return out;
}

std::string field_name(const std::vector<ManifestColumn> &columns, size_t index) {
  auto lower = [](std::string s) {
    for (char &c : s)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return s;
  };
  const std::string &name = columns[index].name;
  bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  for (size_t i = 0; i < columns.size(); i++)
    if (i != index && lower(columns[i].name) == lower(name)) plain = false;
  if (lower(name) == "file_row_number") plain = false;  // a column that DuckDB adds
  return plain ? name : "c$" + std::to_string(columns[index].attnum);
}

}  // namespace vectorshard::tier
