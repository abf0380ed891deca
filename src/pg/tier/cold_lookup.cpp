// Whether clients are cold: look-ups in the primary key of vectorshard.cold_client without SPI, under a snapshot that the
// caller chooses, because every read of a client that is not resident asks. It never caches an answer.
#include "pg/bridge/lookup.hpp"
#include "pg/tier/api.hpp"

namespace vectorshard::tier {

namespace {

bridge::FabricIndex cold_clients{"cold_client", "cold_client_pkey"};

}  // namespace

bool cold_under(Snapshot snapshot, std::string_view client) {
  return bridge::pg_call([&] {
    bool cold = false;
    ScanKeyData key[1];
    bridge::name_key(&key[0], 1, client);
    bridge::lookup(cold_clients, snapshot, key, 1, [&](TupleTableSlot *) { cold = true; });
    return cold;
  });
}

std::vector<bool> cold_under(Snapshot snapshot, const std::vector<std::string> &clients) {
  std::vector<char> cold(clients.size());
  bridge::pg_call([&] { bridge::lookup_names(cold_clients, snapshot, clients, [&](size_t i, TupleTableSlot *) { cold[i] = 1; }); });
  return {cold.begin(), cold.end()};
}

}  // namespace vectorshard::tier
