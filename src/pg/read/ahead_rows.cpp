// Rows fetched ahead: see ahead_rows.hpp.
#include "pg/read/ahead_rows.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "utils/memutils.h"
}

namespace vectorshard::read {

void AheadRows::begin(const std::vector<std::string> &clients, MemoryContext query) {
  rows_.clear();
  bridge::pg_call([&] {
    if (context_) MemoryContextReset(context_);
    else context_ = AllocSetContextCreate(query, "vectorshard rows fetched ahead", ALLOCSET_DEFAULT_SIZES);
  });
  for (const auto &c : clients) rows_[c];
}

void AheadRows::add(const std::string &client, TupleTableSlot *slot) {
  auto it = rows_.find(client);
  if (it == rows_.end()) return;
  it->second.push_back(bridge::pg_call([&] {
    MemoryContext old = MemoryContextSwitchTo(context_);
    MinimalTuple row = ExecCopySlotMinimalTuple(slot);
    MemoryContextSwitchTo(old);
    return row;
  }));
}

const AheadRows::Rows *AheadRows::rows_of(const std::string &client) const {
  auto it = rows_.find(client);
  return it == rows_.end() ? nullptr : &it->second;
}

}  // namespace vectorshard::read
