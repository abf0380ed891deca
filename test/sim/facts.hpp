// What the simulated nodes store and send: rows of one vector-shard table, tombstones, and the rows of the fabric's own
// tables, with their packed form inside a ship::Row. A row of the application has two plain columns, one that is TOASTed,
// and a counter; each plain value is the number of the write that put it there.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/apply/crdt_counter.hpp"
#include "core/base/holder.hpp"
#include "core/ship/types.hpp"

namespace sim {

using namespace vectorshard;

constexpr int kNodes = 8;    // numbers 1..7
constexpr int kClients = 5;
constexpr int kKeys = 6;

struct AppRow {
  Version version = 0;  // 0: no row
  uint32_t a = 0, b = 0, big = 0;
  apply::Counter n;
  bool operator==(const AppRow &) const = default;
};

enum class Kind : uint8_t { app, tombstone, client, holder, wish, node };
constexpr int kKinds = 6;
const std::shared_ptr<const ship::Table> &table_of(Kind kind);
Kind kind_of(const std::string &table_name);

/// A row of any table. Which fields count depends on the kind.
struct Fact {
  Kind kind = Kind::app;
  uint8_t client = 0;
  uint8_t key = 0;      // app, tombstone
  uint8_t node = 0;     // holder, wish, node; client: the home
  uint8_t planner = 0;  // wish
  HolderState state = HolderState::none;  // holder
  bool flag = false;    // node: removed; app in WAL: the TOASTed value was not decoded
  bool core = false;    // node
  int64_t number = 0;   // client: epoch; holder: generation; wish: until; node: incarnation
  Version version = 0;
  AppRow row;           // app
};

std::string pack(const Fact &fact);
Fact unpack(std::string_view bytes);

constexpr bool of_client(Kind kind) { return kind == Kind::app || kind == Kind::tombstone; }
const ClientName &client_name(int client);
/// -1 for the name of no client (rows of the fabric's tables).
int client_number(const ClientName &name);

}  // namespace sim
