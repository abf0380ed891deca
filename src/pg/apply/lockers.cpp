// Waiting for open writers: see lockers.hpp. Prepared transactions count; they are found by their own lock.
#include "pg/apply/lockers.hpp"

#include "pg/bridge/guard.hpp"

namespace vectorshard::apply {

void collect_writers(Oid relid, std::vector<VirtualTransactionId> *out) {
  int count = 0;
  VirtualTransactionId *found = bridge::pg_call([&] {
    LOCKTAG tag;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
    return GetLockConflicts(&tag, ShareLock, &count);
  });
  out->insert(out->end(), found, found + count);
}

bool any_open(std::vector<VirtualTransactionId> *writers) {
  std::erase_if(*writers, [](VirtualTransactionId v) { return bridge::pg_call([&] { return VirtualXactLock(v, false); }); });
  return !writers->empty();
}

void wait_for(const std::vector<VirtualTransactionId> &writers) {
  for (VirtualTransactionId v : writers) bridge::pg_call([&] { (void)VirtualXactLock(v, true); });
}

}  // namespace vectorshard::apply
