// Arguments of SQL-callable functions as C++ values. Reading one may detoast, and so raise: it goes through pg_call.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "pg/bridge/guard.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
}

namespace vectorshard::bridge {

/// What a text holds that is in one piece. It lives as long as the text.
inline std::string_view view(const text *t) { return {VARDATA_ANY(t), static_cast<size_t>(VARSIZE_ANY_EXHDR(t))}; }

/// Argument `n` (from 0), of a type text; not null.
inline std::string text_argument(FunctionCallInfo fcinfo, int n) {
  text *t = pg_call([&] { return PG_GETARG_TEXT_PP(n); });
  return std::string(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

/// Argument `n`, text[] without nulls.
inline std::vector<std::string> texts_argument(FunctionCallInfo fcinfo, int n) {
  Datum *elements = nullptr;
  int count = 0;
  pg_call([&] {
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
  });
  std::vector<std::string> out;
  for (int i = 0; i < count; i++) {
    auto *t = reinterpret_cast<text *>(DatumGetPointer(elements[i]));
    out.emplace_back(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
  }
  return out;
}

/// Argument `n`, int[] without nulls.
inline std::vector<int32> integers_argument(FunctionCallInfo fcinfo, int n) {
  Datum *elements = nullptr;
  int count = 0;
  pg_call([&] {
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), INT4OID, 4, true, TYPALIGN_INT, &elements, nullptr, &count);
  });
  std::vector<int32> out;
  for (int i = 0; i < count; i++) out.push_back(DatumGetInt32(elements[i]));
  return out;
}

}  // namespace vectorshard::bridge
