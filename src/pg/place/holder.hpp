// The holder worker: obeys wishes that name this node and the requests of writers. One round:
//
//   take requests, find what is wished but not resident  (holder.cpp)
//   births, bring-backs, copies                          (holder_bring.cpp; jobs run on in CopyPort)
//   within budgets, and telling the others               (holder_budget.cpp, holder_fabric.cpp)
//   let go what nobody wishes any more                   (holder_let_go.cpp, evict.cpp)
//   tidy                                                 (holder_tidy.cpp)
//
// All state here can be lost: after a restart wishes, holder rows and residency in tables tell what to do.
#pragma once
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/place/budget.hpp"
#include "core/place/fabric_budget.hpp"
#include "core/place/keep.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/place/copy.hpp"
#include "pg/place/evict.hpp"
#include "pg/place/holder_queue.hpp"

namespace vectorshard::place {

/// A client that should be resident here and is not (or not confirmed by its home).
struct Missing {
  std::string client;
  NodeId home = kNoNode;   // kNoNode: not known here
  bool resident = false;   // an unconfirmed copy
  bool requested = false;
  std::string state;       // of our holder row, empty: none
  Generation generation = 0;
  Version version = 0;
  double value = kPriceless;  // of the best wish in force; priceless: asked for, whatever it is worth
  int64_t bytes = 0;          // as some holder knows them; 0: not known
};

/// A copy that may have to go for a better one.
struct Held {
  Leaver leaver;
  double value = 0;  // of the best wish in force; 0: none is
};

/// What the limits over the fabric leave this node.
struct FabricRoom {
  int64_t copies = std::numeric_limits<int64_t>::max(), bytes = copies;  // of what is only predicted
  int64_t transfers = copies;                                            // at once
};

/// A home that is to move away from here, as the tables say.
struct HomeMove {
  std::string client;
  NodeId to = kNoNode;
  NodeId home = kNoNode;
  int64_t epoch = 0;
  bool resident = false;        // here; else it is cold
  bool target_live = false;     // holds the client
  bool target_may = false;      // is an active core node
  bool asked = false;           // may be the home already
  bool target_removed = false;
  bool wished = false;
  std::string banned_by{};      // the policy that keeps it off the target
  std::string to_name{};
};

/// A copy that could not be made just now is tried again after so long.
constexpr double kSoonS = 0.02;

/// When a client that failed may be tried again.
struct Retry {
  int failures = 0;
  bool written = false;  // the last copy missed a change, or met an open one, of a session of this node
  double not_before_s = 0;
};

class Holder {
 public:
  /// One round; gives the milliseconds until the next if nothing wakes the worker.
  long round();

 private:
  // holder.cpp
  void take_marks_back();
  void follow_catalog();
  void take();
  std::vector<Missing> find_missing();
  void refuse_banned(bridge::Spi &spi, std::vector<Missing> &missing);
  void settle(std::vector<CopyEnded> &ended);
  long wait_ms() const;
  void follow_jobs();
  bool may_try(const std::string &client) const;
  void try_later(const std::string &client, double after_s);
  void fail(const Missing &m, int sqlstate, const Error &why);
  double now_s() const;

  // holder_bring.cpp
  void bring(const std::vector<Missing> &missing);
  bool is_to_copy(const Missing &m);
  void bring_back(const Missing &m);
  void birth(const Missing &m);
  bool birth_at(NodeId core, const Missing &m);
  void birth_alone(const Missing &m, const std::vector<NodeId> &cores);
  std::vector<Source> other_holders(const Missing &m);
  NodeId choose_source(const Missing &m);
  void announce_and_start(std::vector<CopyItem> items, int64_t fabric_transfers);
  void commit_copying(std::vector<CopyItem> &items);
  bool keep_if_written(const std::string &client);
  void let_go_kept(const std::string &client);
  void forget_lost_jobs();

  // holder_budget.cpp
  void recount();
  size_t room();
  bool fits(size_t bytes) const;
  size_t reserve_for(const Missing &m) const;
  bool make_room(const Missing &m, size_t planned, size_t bytes);
  bool replace(const Held &held, double value);
  void shed();
  const std::vector<Held> &least_valuable();
  void refuse(const Missing &m, const char *limit);
  void end_attempt(const Missing &m);
  void came(const CopyItem &item);
  void went(int64_t bytes);

  // holder_fabric.cpp
  void look_at_fabric();
  FabricRoom fabric_room();
  bool fabric_should_hear(const NodeState &state);
  NodeState state_now();
  void note_told(const NodeState &state);
  void tell();

  // holder_let_go.cpp
  void let_go();
  void let_go_asked();
  EvictEnd evict_asked(const Leaver &leaver);

  // holder_move.cpp
  void move_homes();
  void hand_over(const HomeMove &m);
  void confirm_home(const HomeMove &m);
  void ask_registrar(const HomeMove &m);

  // holder_leave.cpp
  void leave_fabric();
  void hand_debts_over();
  void resign(NodeId registrar, const std::string &uuid);
  void adopt_orphans();

  // holder_tidy.cpp
  void tidy();
  void keep_in_order();

  /// A link for short questions (births, handshakes); null: the node is not to be tried now, or failed (why).
  bridge::Link *link(NodeId node, Error &why);

  bool marks_left_ = true;  // leaving marks may stand that nobody works on
  std::map<NodeId, std::unique_ptr<CopyPort>> ports_;
  std::map<NodeId, std::unique_ptr<bridge::Link>> links_;
  PeerBackOff back_off_{0.25, 15};
  std::map<NodeId, Error> peer_errors_;
  std::map<std::string, Retry> retries_;        // of copies
  std::map<std::string, Retry> evict_retries_;
  std::map<std::string, Request> requested_;
  std::set<std::string> asked_to_evict_;
  std::set<std::string, std::less<>> in_flight_;
  std::set<std::string> kept_;  // of those, whose forwarded writes wait for the copy
  uint64_t catalog_epoch_ = ~uint64_t{0};  // nothing followed yet
  bool statements_left_ = false;
  double next_statements_s_ = 0;
  // Counted now and then, and kept in between.
  int64_t residents_ = 0, copies_ = 0, bytes_ = 0;
  double next_count_s_ = 0;
  std::map<std::string, size_t> reserved_;   // bytes of copies under way
  std::map<std::string, int64_t> sizes_;     // of clients that were larger than their room
  std::vector<Held> least_;                  // least valuable first
  double next_least_s_ = 0;
  std::map<std::string, double> room_for_;   // clients whose writers were told to retry, until when room is made for them
  int replaced_ = 0;                         // in this round
  size_t refused_ = 0;                       // for want of room, since it was logged
  double next_refused_log_s_ = 0;
  std::optional<NodeState> told_;
  double next_tell_s_ = 0, next_early_tell_s_ = 0;
  FabricView fabric_copies_, fabric_bytes_;  // as looked at last
  int64_t fabric_at_ = 0;                    // which of the active nodes this one is
  Told told_copies_, told_bytes_;
  std::map<NodeId, Path> paths_;             // as measured when this round began
  size_t queue_ = 0;                         // missing clients that no job has yet
  Pace pace_;
  double next_let_go_s_ = 0;
  double next_tidy_s_ = 0, next_order_s_ = 0, started_s_ = 0;
  bool leaving_ = false;        // this node is leaving the fabric
  bool orphans_ = true;         // there may be clients whose home was removed
  bool moving_ = true;          // there may be homes that are to move
  double next_move_s_ = 0, next_leave_s_ = 0, next_orphans_s_ = 0;
  bool more_missing_ = false;  // left over because a port was busy: taken when its job ends
};

}  // namespace vectorshard::place
