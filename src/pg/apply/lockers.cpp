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

bool among(const std::vector<VirtualTransactionId> &all, const VirtualTransactionId &v) {
  return std::any_of(all.begin(), all.end(), [&](const VirtualTransactionId &w) { return VirtualTransactionIdEquals(v, w); });
}

VirtualTransactionId holder_of(const LockInstanceData &lock) {
#if PG_VERSION_NUM >= 170000
  return {lock.vxid.procNumber, lock.vxid.localTransactionId};
#else
  return {lock.backend, lock.lxid};
#endif
}

/// Who holds ROW SHARE on the table: read from the whole lock table, so it is not asked lightly.
std::vector<VirtualTransactionId> row_share_holders(Oid relid) {
  std::vector<VirtualTransactionId> out;
  LockData *locks = bridge::pg_call([] { return GetLockStatusData(); });
  for (int i = 0; i < locks->nelements; i++) {
    const LockInstanceData &lock = locks->locks[i];
    bool on_table = lock.locktag.locktag_type == LOCKTAG_RELATION && lock.locktag.locktag_field1 == MyDatabaseId && lock.locktag.locktag_field2 == relid;
    if (on_table && (lock.holdMask & LOCKBIT_ON(RowShareLock))) out.push_back(holder_of(lock));
  }
  return out;
}

}  // namespace

void collect_writers(Oid relid, std::vector<VirtualTransactionId> *out) {
  auto found = conflicts(relid, ShareLock);
  out->insert(out->end(), found.begin(), found.end());
}

void collect_row_lockers(Oid relid, std::vector<VirtualTransactionId> *out) {
  // ROW SHARE conflicts with what VACUUM and ANALYZE conflict with, and these with each other: whoever conflicts with both is one of these, or a
  // transaction that has locked rows and then made statistics. The lock table tells the two apart.
  auto vacuums = conflicts(relid, ShareUpdateExclusiveLock);
  std::vector<VirtualTransactionId> row_lockers;
  if (!vacuums.empty()) row_lockers = row_share_holders(relid);
  for (const VirtualTransactionId &v : conflicts(relid, ExclusiveLock))
    if (!among(vacuums, v) || among(row_lockers, v)) out->push_back(v);
}

bool any_open(std::vector<VirtualTransactionId> *writers) {
  std::erase_if(*writers, [](VirtualTransactionId v) { return bridge::pg_call([&] { return VirtualXactLock(v, false); }); });
  return !writers->empty();
}

void wait_for(const std::vector<VirtualTransactionId> &writers) {
  for (VirtualTransactionId v : writers) bridge::pg_call([&] { (void)VirtualXactLock(v, true); });
}

}  // namespace vectorshard::apply
