// Memory of resident clients: see resident_known.hpp. Emptied whenever a client starts to leave, or the fabric changes.
#include "pg/apply/resident_known.hpp"

#include <unordered_set>

#include "pg/bridge/shmem.hpp"

namespace vectorshard::apply {

namespace {

constexpr size_t kClientsMax = 20000;  // about 2 MB in each session that writes so many

struct Known {
  std::unordered_set<ClientName, NameHash, std::equal_to<>> clients;
  Epochs epochs;
};

Known known;

}  // namespace

bool Epochs::renew() {
  Epochs now{pg_atomic_read_u64(&bridge::shared()->eviction_epoch), pg_atomic_read_u64(&bridge::shared()->catalog_epoch)};
  bool moved = now.eviction != eviction || now.catalog != catalog;
  *this = now;
  return moved;
}

bool known_resident(std::string_view client) {
  if (known.epochs.renew() || known.clients.size() >= kClientsMax) known.clients.clear();
  return known.clients.contains(client);
}

void remember_resident(std::string_view client, const Residency &found) {
  // Under the epochs of the look-up: if they have moved since, the next one forgets it again.
  if (found.resident && !found.leaving && !found.own) known.clients.emplace(client);
}

}  // namespace vectorshard::apply
