// Cursors over many rows: see scan.hpp. While an error unwinds, the portal and the memory are left to the end of the
// (sub)transaction, because the error's text may lie in that memory.
#include "pg/bridge/scan.hpp"

#include <memory>
extern "C" {
#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
}

namespace vectorshard::bridge {

namespace {

constexpr long kPortion = 256;

Portal open_cursor(const std::string &sql, const std::vector<Param> &params) {
  auto n = static_cast<int>(params.size());
  const char *text = sql.c_str();
  return pg_call([&] {
    auto *types = static_cast<Oid *>(palloc(sizeof(Oid) * static_cast<size_t>(n + 1)));
    auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<size_t>(n + 1)));
    auto *nulls = static_cast<char *>(palloc(static_cast<size_t>(n + 1)));
    for (int i = 0; i < n; i++) {
      const Param &p = params[static_cast<size_t>(i)];
      types[i] = p.type;
      nulls[i] = p.null ? 'n' : ' ';
      values[i] = p.varlena && !p.null
                      ? PointerGetDatum(cstring_to_text_with_len(p.owned.data(), static_cast<int>(p.owned.size())))
                      : p.value;
    }
    return SPI_cursor_open_with_args(nullptr, text, n, types, values, nulls, true, CURSOR_OPT_NO_SCROLL);
  });
}

}  // namespace

void scan(const std::string &sql, const std::vector<Param> &params,
          const std::function<bool(const Datum *values, const bool *nulls)> &row) {
  Spi spi;
  Portal portal = open_cursor(sql, params);
  MemoryContext per_row = pg_call(
      [] { return AllocSetContextCreate(CurrentMemoryContext, "vectorshard scan", ALLOCSET_DEFAULT_SIZES); });
  auto columns = static_cast<size_t>(portal->tupDesc->natts);
  std::vector<Datum> values(columns);
  std::unique_ptr<bool[]> nulls(new bool[columns]);
  for (bool more = true; more;) {
    pg_call([&] { SPI_cursor_fetch(portal, true, kPortion); });
    SPITupleTable *found = SPI_tuptable;
    more = found->numvals == static_cast<uint64>(kPortion);
    for (uint64 i = 0; i < found->numvals; i++) {
      MemoryContext before = MemoryContextSwitchTo(per_row);
      pg_call([&] { heap_deform_tuple(found->vals[i], found->tupdesc, values.data(), nulls.get()); });
      bool go_on = row(values.data(), nulls.get());
      MemoryContextSwitchTo(before);
      MemoryContextReset(per_row);
      if (go_on) continue;
      more = false;
      break;
    }
    pg_call([&] { SPI_freetuptable(found); });
  }
  pg_call([&] {
    SPI_cursor_close(portal);
    MemoryContextDelete(per_row);
  });
}

}  // namespace vectorshard::bridge
