// A simulated node: what src/pg does with transactions, workers and links, by the same decisions of src/core. Split like the
// stages: node_write.cpp (backends), node_ship.cpp and node_debt.cpp (shipper), node_apply.cpp (apply), node_place.cpp
// (holder worker and the answers of homes).
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/ship/batch_builder.hpp"
#include "core/ship/router.hpp"
#include "core/ship/slot_progress.hpp"
#include "disk.hpp"
#include "rules.hpp"

namespace sim {

class World;

struct Due {
  DebtKey key;
  uint64_t stamp = 0;
};

struct Shipment {
  ship::SealedBatch batch;
  std::shared_ptr<const std::string> bytes;
  std::optional<Due> pays;
  uint64_t serial = 0;  // of the last time it was sent
  int failures = 0;
};

/// The sending end towards one peer.
struct Peer {
  bool connected = false;
  uint64_t connection = 0;
  ship::BatchBuilder builder{1 << 20, 12};
  std::deque<Shipment> queue;
  size_t in_flight = 0;
  int64_t last_arrival = 0;
  int64_t retry_ms = 0;
  uint64_t answers = 0;
  int64_t last_contact = 0;
  bool watched = false;
};

/// A copy under way into this node.
struct Job {
  uint64_t id = 0;
  NodeId source = kNoNode;
  Generation generation = 0;
};

/// A local transaction that is open: it has locked cells, what it writes is not visible.
struct OpenTxn {
  uint64_t id = 0;
  bool logged = false;  // its commit is in WAL
  std::vector<Fact> changes;
  std::vector<std::function<void()>> waiting;  // run when it has ended
};

/// What an apply did, for the sender.
using Answered = std::function<void(const std::optional<ship::Reply> &)>;

class Node {
 public:
  Node(World &world, NodeId self);

  // State
  Disk disk;
  bool up = true;
  uint64_t boot = 1;            // grows with each start: events of earlier lives are void
  Version high_water = 0;
  std::array<std::optional<Job>, kClients> jobs;
  std::array<int64_t, kClients> wanted_until{};    // a writer waits for the client
  std::array<int64_t, kClients> retry_at{};
  std::array<int64_t, kClients> resident_since{};
  std::array<uint64_t, kClients> leaving_id{};     // an eviction under way
  std::array<NodeId, kClients> moving_to{};        // the home is being moved there
  std::array<uint64_t, kClients> moving_id{};
  std::vector<OpenTxn> open;
  std::map<NodeId, Peer> peers;

  NodeId self() const { return disk.self; }
  bool is_home(int client) const { return disk.clients[client].version != 0 && disk.clients[client].home == self(); }
  bool quiet() const;
  std::string stuck_on() const;

  // node.cpp: clock, life
  int64_t wall_ms() const;
  Version stamp(Version replaced = 0);
  void observe(Version seen);
  void crash();
  void start();
  void lose_slot();
  void log(std::vector<Fact> changes, int64_t visible_at);
  void set_own_holder(int client, HolderState state, Generation generation, std::vector<Fact> &changes);
  std::vector<ship::HolderRef> receiving_holders(int client, NodeId but) const;

  // node_write.cpp
  void write(int client, int key);
  void write_many();
  void write_slowly(int client, int key);  // REPEATABLE READ: looked before it writes
  void write_forwarded(int client, int key);
  bool born_here(int client, std::vector<Fact> &changes);
  void end_open(uint64_t id, bool commit);
  bool locked(int client, int key) const;

  // node_ship.cpp
  void read_wal();
  void follow_nodes();
  void pump(NodeId peer);
  void arrived(NodeId from, uint64_t serial, std::shared_ptr<const std::string> bytes);
  void relieve();
  void settle_all(const ship::SealedBatch &batch);
  bool all_shipped() const;

  // node_debt.cpp
  void owe(NodeId peer, int client, Kind table = Kind::app);
  void owe_everything();
  void pay();
  void settle_payment(NodeId peer, Shipment &shipment, const std::optional<ship::Reply> &reply);
  ship::Batch export_client(int client, ship::BatchKind kind) const;
  ship::Batch export_table(Kind table) const;

  // node_apply.cpp
  void apply(const ship::Batch &batch, const Answered &answered);
  void owe_both_ways(int client);
  void forget_node(NodeId node);
  bool learn_client(int client, const ClientRow &row);
  void learn_holder(int client, NodeId node, const HolderStatement &said);
  void merge_tombstone(int client, int key, Version version);
  void collect_tombstones();

  // node_place.cpp and node_leave.cpp
  void bring(int client);
  void look_after_clients();
  void receive_copy(int client, const Job &job, const ship::Batch &batch, bool from_home);
  void birth(int client);
  void evict(int client);
  void move_home(int client);
  place::AskedStanding standing(int client) const;
  uint64_t digest(int client) const;

 private:
  friend class ApplyRun;
  bool fence(int client) const;
  void plan_write(int client, int key, std::vector<Fact> &changes);
  void perform(const Fact &change);
  void commit(std::vector<Fact> changes);
  void insert_after(uint64_t waits_for, int client, int key);
  void route(const Txn &txn);
  void send(const Fact &change, const Txn &txn, const std::vector<ship::Target> &targets);
  void connect(NodeId peer);
  void broken(NodeId peer, uint64_t connection);
  void watch(NodeId peer);
  void owe_undelivered(NodeId peer, const ship::SealedBatch &batch);
  void reply_came(NodeId peer, uint64_t serial, const std::optional<ship::Reply> &reply);
  void take(NodeId peer, Shipment &shipment, const std::optional<ship::Reply> &reply);
  std::vector<Shipment> take_unsent(Peer &peer);
  void assign_homes();
  void pay_peer(NodeId node, Peer &peer);
  std::optional<Shipment> read_payment(NodeId peer, const Due &due);
  void hand_to_home(NodeId peer, const Due &due);
  void clear_debt(const Due &due);
  void become_first(int client, bool confirmed);
  void confirmed(int client, const Job &job);
  void birth_alone(int client, NodeId home);
  void copy_failed(int client, uint64_t job);
  void export_asked(int client, const Job &job);
  void wait_to_leave(int client, uint64_t id, int64_t deadline);
  void ask_home(int client, uint64_t id, bool sent);
  void send_all(int client, uint64_t id);
  void cancel_leave(int client, uint64_t id);
  void remove_here(int client, const std::vector<NodeId> &handed_over);

  World &world_;
  const Rules &rules_;
  uint64_t ids_ = 0;
  ship::Router router_{kNoNode, {}};
  ship::SlotProgress progress_{0};
  ship::Lsn read_to_ = 0;
  bool read_planned_ = false;
  bool pay_planned_ = false;
  std::array<int64_t, kNodes> answers_at_{};  // answers of a connection come in order
  std::map<DebtKey, std::pair<int64_t, int>> waits_;  // until, tries
};

}  // namespace sim
