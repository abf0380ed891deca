// Types that merge: see merging_types.hpp.
#include "pg/bridge/merging_types.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace vectorshard::bridge {

namespace {

/// 0 for any other type.
uint8_t kind_by_name(Oid type) {
  return pg_call([&]() -> uint8_t {
    Oid schema = get_namespace_oid("vectorshard", true);
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(getBaseType(type)));
    if (!HeapTupleIsValid(tuple)) return 0;
    auto form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
    static const char *const names[] = {"counter", "text_set", "max_register", "min_register"};
    uint8_t kind = 0;
    for (uint8_t i = 0; i < 4 && OidIsValid(schema) && form->typnamespace == schema; i++)
      if (strcmp(NameStr(form->typname), names[i]) == 0) kind = i + 1;
    ReleaseSysCache(tuple);
    return kind;
  });
}

}  // namespace

std::optional<apply::CrdtKind> merging_kind(Oid type) {
  if (type < FirstNormalObjectId) return {};
  static std::unordered_map<Oid, uint8_t> known;
  auto it = known.find(type);
  if (it == known.end()) it = known.emplace(type, kind_by_name(type)).first;
  if (it->second == 0) return {};
  return static_cast<apply::CrdtKind>(it->second);
}

std::string merging_state_text(Oid type, Datum value) {
  return pg_call([&] {
    Oid send;
    bool varlena;
    getTypeBinaryOutputInfo(type, &send, &varlena);
    bytea *state = OidSendFunctionCall(send, value);
    size_t n = VARSIZE(state) - VARHDRSZ;
    char *text = static_cast<char *>(palloc(2 * n + 3));
    text[0] = '\\';
    text[1] = 'x';
    text[2 + hex_encode(VARDATA(state), n, text + 2)] = 0;
    return static_cast<const char *>(text);
  });
}

}  // namespace vectorshard::bridge
