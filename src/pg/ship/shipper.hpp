// The shipper worker: decodes WAL once, routes each change to the nodes that hold its client, pays debts. One object for
// as long as all goes well; after any error it is made anew and starts again where the slot was confirmed, which only
// repeats what receivers decide by version.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "core/ship/durability.hpp"
#include "core/ship/router.hpp"
#include "core/ship/slot_progress.hpp"
#include "pg/ship/debt_pay.hpp"
#include "pg/ship/debt_table.hpp"
#include "pg/ship/decode.hpp"
#include "pg/ship/peer.hpp"
#include "pg/ship/slot.hpp"
extern "C" {
#include "storage/latch.h"
}

namespace vectorshard::ship {

class Shipper {
 public:
  Shipper() : slot_([this] { pump_sockets(); }), router_(kNoNode, {}), progress_(0) {}
  ~Shipper();
  Shipper(const Shipper &) = delete;
  Shipper &operator=(const Shipper &) = delete;
  /// Opens the slot; owes everything if it had to be made.
  void start();
  /// One round, with its waiting.
  void round();

 private:
  void follow_nodes();
  // shipper_read.cpp
  int64 gather_us() const;
  bool more_to_read() const;
  bool pressed() const;
  std::string next_run();
  void read();
  void route(Decoded &decoded);
  bool counts_for_durability(const DecodedChange &change) const;
  void send(const DecodedChange &change, const std::vector<Target> &targets, bool watched, std::vector<Debt> &debts);
  void owe_instead(const DecodedChange &change, const std::string &why, const std::vector<Target> &targets,
                   std::vector<Debt> &debts);
  // shipper.cpp
  void pump_sockets();
  void pump();
  void take(Peer &peer, Delivered &delivered, std::vector<Debt> &debts);
  bool holds_back_too_much(const Peer &peer) const;
  void relieve();
  void settle_all(const SealedBatch &batch);
  void note_answer(NodeId peer, const SealedBatch &batch, const Reply &reply);
  void note_debt(NodeId peer, const SealedBatch &batch);
  void pay();
  void confirm();
  void publish();
  void judge_clock();
  void wait(long timeout_ms);
  void gather(int64 for_us);

  Slot slot_;
  Decoder decoder_;
  Router router_;
  SlotProgress progress_;
  DurabilityTracker durability_;
  DebtPayer payer_;
  std::map<NodeId, std::unique_ptr<Peer>> peers_;
  std::map<NodeId, std::vector<Delivered>> delivered_;  // answered, not yet looked at
  std::vector<SealedBatch> settled_;  // settled once the current transaction has committed
  struct Watched {
    uint64_t connection;
    int socket, events;
    bool operator==(const Watched &) const = default;
  };
  std::vector<Watched> watched_;  // by wait_set_
  WaitEventSet *wait_set_ = nullptr;
  uint64 catalog_epoch_ = ~uint64{0};  // nothing followed yet
  uint64 debt_epoch_ = 0;
  bool leaving_ = false;   // this node is leaving the fabric
  bool debts_ = false;     // there are some, as of the last look
  bool sent_something_ = false;  // of what was read last
  bool busy_ = false;      // something moved: look again at once
  int64 last_read_us_ = 0;
  int64 next_debts_us_ = 0;
  int64 next_publish_us_ = 0;
};

}  // namespace vectorshard::ship
