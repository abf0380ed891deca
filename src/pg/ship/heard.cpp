// Greetings at the receiver: whether a sender is believed (core/ship/greeting.hpp), and what is remembered of it in table
// peer_start. How far a sender's WAL had come is collected in shared memory and made durable now and then: a crash of
// this node may forget some seconds of it, never which start was heard last. A start that is new is believed only if the
// server that answers under the node's address is the one that began it; so of a node and its copy one is refused.
#include "pg/ship/heard.hpp"

#include "core/ship/greeting.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/api.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::ship {

namespace {

struct HeardRegion {
  pg_atomic_uint64 position[kNodeMax + 1];  // the furthest since this server started; 0: none
};
HeardRegion *region = nullptr;

NodeId greeted = kNoNode;  // as which node the peer of this session has greeted

constexpr const char *kRead = "SELECT incarnation, token, position FROM vectorshard.peer_start WHERE node = $1";
constexpr const char *kWrite = R"(
  INSERT INTO vectorshard.peer_start (node, incarnation, token, position) VALUES ($1, $2, $3, $4)
  ON CONFLICT (node) DO UPDATE SET incarnation = excluded.incarnation, token = excluded.token, position = excluded.position)";
constexpr const char *kKeep = "UPDATE vectorshard.peer_start SET position = $2 WHERE node = $1 AND position < $2";

void init_region(void *memory) {
  auto *r = static_cast<HeardRegion *>(memory);
  for (auto &p : r->position) pg_atomic_init_u64(&p, 0);
}

bool valid(NodeId node) { return node >= 1 && node <= kNodeMax; }

std::optional<Heard> heard_of(NodeId node) {
  bridge::Spi spi;
  auto rows = spi.query_kept(kRead, {bridge::p_int4(node)});
  if (rows.empty()) return std::nullopt;
  Lsn since = pg_atomic_read_u64(&region->position[node]);
  return Heard{rows.int8(0, 0), static_cast<uint64_t>(rows.int8(0, 1)), std::max(since, static_cast<Lsn>(rows.int8(0, 2)))};
}

void remember(NodeId node, const Greeting &greeting) {
  bridge::Spi spi;
  spi.execute(kWrite, {bridge::p_int4(node), bridge::p_int8(greeting.incarnation),
                       bridge::p_int8(static_cast<int64_t>(greeting.chain.back().token)),
                       bridge::p_int8(static_cast<int64_t>(greeting.position))});
  pg_atomic_write_u64(&region->position[node], greeting.position);
}

/// The answer to a greeting: ok, past, clone, or unverified (try again: nobody answers under the node's address).
const char *answer(NodeId node, const Greeting &greeting) {
  Standing standing = judge(greeting, heard_of(node));
  if (standing == Standing::known) return "ok";
  if (greeting.chain.empty()) return "past";
  auto token = fabric::token_at(node);
  if (!token.ok()) return standing == Standing::past ? "past" : "unverified";
  if (token.value() != greeting.chain.back().token) return "clone";
  if (standing == Standing::past) return "past";
  remember(node, greeting);
  return "ok";
}

}  // namespace

void register_heard_region() {
  bridge::register_region(
      {"vectorshard heard", [] { return sizeof(HeardRegion); }, init_region, reinterpret_cast<void **>(&region)});
}

void note_position(NodeId node, uint64_t position) noexcept {
  if (node != greeted || !valid(node)) return;
  uint64_t seen = pg_atomic_read_u64(&region->position[node]);
  while (seen < position && !pg_atomic_compare_exchange_u64(&region->position[node], &seen, position)) {
  }
}

void keep_positions() {
  static std::array<uint64_t, kNodeMax + 1> kept{};
  bridge::AsSuperuser rights;
  for (NodeId node = 1; node <= kNodeMax; node++) {
    uint64_t position = pg_atomic_read_u64(&region->position[node]);
    if (position == kept[node]) continue;
    bridge::Spi().execute(kKeep, {bridge::p_int4(node), bridge::p_int8(static_cast<int64_t>(position))});
    kept[node] = position;
  }
}

}  // namespace vectorshard::ship

using namespace vectorshard;

/// check_start(node, incarnation, starts, position): see 40_ship.sql.
VECTORSHARD_FUNCTION(vectorshard_check_start) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    NodeId node = PG_GETARG_INT32(0);
    text *starts = bridge::pg_call([&] { return PG_GETARG_TEXT_PP(2); });
    ship::Greeting greeting{
        PG_GETARG_INT64(1),
        bridge::value_or_raise(ship::parse_chain({VARDATA_ANY(starts), static_cast<size_t>(VARSIZE_ANY_EXHDR(starts))})),
        static_cast<ship::Lsn>(PG_GETARG_INT64(3))};
    if (!ship::valid(node))
      bridge::raise({Errc::invalid_argument, "bad node number", "Given: " + std::to_string(node) + ".", ""});
    const char *answer = ship::answer(node, greeting);
    ship::greeted = strcmp(answer, "ok") == 0 ? node : kNoNode;
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(answer)); });
  });
}
