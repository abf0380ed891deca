// Waiting for open writers: see lockers.hpp. Prepared transactions count; they are found by their own lock.
#include "pg/apply/lockers.hpp"

#include <algorithm>

#include "pg/bridge/guard.hpp"

namespace vectorshard::apply {

namespace {

std::vector<VirtualTransactionId> conflicts(Oid relid, LOCKMODE mode) {
  int count = 0;
  VirtualTransactionId *found = bridge::pg_call([&] {
    LOCKTAG tag;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
    return GetLockConflicts(&tag, mode, &count);
  });
  return {found, found + count};
}

}  // namespace

void collect_writers(Oid relid, std::vector<VirtualTransactionId> *out) {
  auto found = conflicts(relid, ShareLock);
  out->insert(out->end(), found.begin(), found.end());
}

void collect_row_lockers(Oid relid, std::vector<VirtualTransactionId> *out) {
  // ROW SHARE conflicts with what VACUUM and ANALYZE conflict with, and these with each other: whoever conflicts with both is one of these.
  auto vacuums = conflicts(relid, ShareUpdateExclusiveLock);
  auto among = [&](const VirtualTransactionId &v) {
    return std::any_of(vacuums.begin(), vacuums.end(), [&](const VirtualTransactionId &w) { return VirtualTransactionIdEquals(v, w); });
  };
  for (const VirtualTransactionId &v : conflicts(relid, ExclusiveLock))
    if (!among(v)) out->push_back(v);
}

bool any_open(std::vector<VirtualTransactionId> *writers) {
  std::erase_if(*writers, [](VirtualTransactionId v) { return bridge::pg_call([&] { return VirtualXactLock(v, false); }); });
  return !writers->empty();
}

void wait_for(const std::vector<VirtualTransactionId> &writers) {
  for (VirtualTransactionId v : writers) bridge::pg_call([&] { (void)VirtualXactLock(v, true); });
}

}  // namespace vectorshard::apply
