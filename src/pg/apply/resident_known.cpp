// Memory of resident clients: see resident_known.hpp. Emptied whenever a client starts to leave, or the fabric changes.
#include "pg/apply/resident_known.hpp"

#include <unordered_set>

#include "pg/apply/api.hpp"
#include "pg/bridge/shmem.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::apply {

namespace {

constexpr size_t kClientsMax = 100000;

struct Known {
  std::unordered_set<ClientName> clients;
  uint64 eviction_epoch = 0;
  uint64 catalog_epoch = 0;
};

Known &known() {
  static Known k;
  uint64 eviction = pg_atomic_read_u64(&bridge::shared()->eviction_epoch);
  uint64 catalog = pg_atomic_read_u64(&bridge::shared()->catalog_epoch);
  if (k.eviction_epoch != eviction || k.catalog_epoch != catalog || k.clients.size() >= kClientsMax) k.clients.clear();
  k.eviction_epoch = eviction;
  k.catalog_epoch = catalog;
  return k;
}

}  // namespace

bool known_resident(const ClientName &client) { return known().clients.contains(client); }

void remember_resident(const ClientName &client) {
  if (!TransactionIdIsValid(GetTopTransactionIdIfAny())) known().clients.insert(client);
}

}  // namespace vectorshard::apply
