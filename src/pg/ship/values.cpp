// Conversions of values: see values.hpp.
#include "pg/ship/values.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace vectorshard::ship {

namespace {

struct TypeFunctions {
  Oid send = InvalidOid, output = InvalidOid, receive = InvalidOid, input = InvalidOid, io_param = InvalidOid;
};

/// What a type uses; functions of a type never change, so they are kept for the backend's life.
const TypeFunctions &functions_of(Oid type) {
  static std::unordered_map<Oid, TypeFunctions> known;
  auto it = known.find(type);
  if (it != known.end()) return it->second;
  TypeFunctions f = bridge::pg_call([&] {
    TypeFunctions out;
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", type);
    auto form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
    out.send = form->typsend;
    out.output = form->typoutput;
    out.receive = form->typreceive;
    out.input = form->typinput;
    out.io_param = getTypeIOParam(tuple);
    ReleaseSysCache(tuple);
    return out;
  });
  return known.emplace(type, f).first->second;
}

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID || type == BPCHAROID; }

}  // namespace

std::string send_value(Oid type, Datum value) {
  const TypeFunctions &f = functions_of(type);
  if (is_text(type)) {
    text *t = bridge::pg_call([&] { return DatumGetTextPP(value); });
    return std::string(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
  }
  if (f.send == InvalidOid) return bridge::pg_call([&] { return OidOutputFunctionCall(f.output, value); });
  bytea *b = bridge::pg_call([&] { return OidSendFunctionCall(f.send, value); });
  std::string out(VARDATA(b), VARSIZE(b) - VARHDRSZ);
  pfree(b);
  return out;
}

Datum receive_value(Oid type, int32 typmod, std::string_view bytes) {
  const TypeFunctions &f = functions_of(type);
  return bridge::pg_call([&] {
    StringInfoData in;
    initStringInfo(&in);
    appendBinaryStringInfo(&in, bytes.data(), static_cast<int>(bytes.size()));
    if (f.send == InvalidOid || f.receive == InvalidOid)
      return OidInputFunctionCall(f.input, in.data, f.io_param, typmod);
    return OidReceiveFunctionCall(f.receive, &in, f.io_param, typmod);
  });
}

std::string text_of_value(Oid type, std::string_view bytes) {
  if (is_text(type)) return std::string(bytes);
  Datum d = receive_value(type, -1, bytes);
  const TypeFunctions &f = functions_of(type);
  return bridge::pg_call([&] { return OidOutputFunctionCall(f.output, d); });
}

std::string too_large_to_travel(const std::string &table, size_t bytes) {
  return "a row of " + table + " has " + std::to_string(bytes >> 20) + " MB, and at most " +
         std::to_string(kRowBytesMax >> 20) + " MB travel";
}

Table describe(const bridge::EnrolledTable &table) {
  Table out;
  out.name = table.name;
  for (const bridge::EnrolledColumn &c : table.columns) {
    if (c.attnum == table.version_attnum) out.version_column = static_cast<uint16_t>(out.columns.size());
    out.columns.push_back({c.name, c.type_text()});
  }
  return out;
}

}  // namespace vectorshard::ship
