// What a history will do, all of it from one seed: which worker runs which operation when, and which faults come when. Pure: the
// same seed gives the same plan, whatever the machine does with it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vectorshard::histories {

constexpr int kNodes = 3;           // 0 and 1 are core nodes, 2 is an edge
constexpr int kWorkersPerNode = 3;  // connections that write and read at once
constexpr int kClients = 12;        // 0..3 are resident everywhere, 4..8 are copied and let go, 9..11 are born meanwhile

enum class OpKind { insert, upsert, update, rewrite, remove, rekey, several, reference, remove_reference, add, read, place, evict };

struct Touch {
  int client = 0;
  int key = 0;
  OpKind kind = OpKind::upsert;
  int64_t value = 0;  // of a write: unique in the whole run
};

struct Op {
  int at_ms = 0;
  OpKind kind = OpKind::read;
  std::vector<Touch> touches;  // more than one for `several`
};

enum class FaultKind {
  isolate,       // node a from both others
  cut,           // a and b
  cut_one_way,   // what a sends to b vanishes
  reset,         // connections between a and b are reset
  kill_worker,   // kill -9 of the shipper, holder or navigator of a: its server restarts after a crash
  kill_apply,    // kill -9 of a backend of a that merges
  end_worker,    // SIGTERM
  kill_server,   // kill -9 of the postmaster, started again after the duration
  restart,       // fast shutdown and start
  freeze,        // SIGSTOP of all processes
  clock          // a's clock is `amount` seconds ahead
};

struct Fault {
  int at_ms = 0;
  int for_ms = 0;
  FaultKind kind = FaultKind::cut;
  int a = 0, b = 1;
  double amount = 0;
};

struct Plan {
  uint64_t seed = 0;
  std::string prefix;  // of the names of this history's clients
  int length_ms = 0;
  std::vector<std::vector<Op>> workers;  // kNodes * kWorkersPerNode lists, in time order; worker w runs at node w % kNodes
  std::vector<Fault> faults;             // in time order
  size_t operations() const;
  std::string client(int index) const { return prefix + std::to_string(index); }
  bool fakes_clock(int node) const;
};

struct PlanOptions {
  int operations = 3000;
  int length_ms = 45000;
  int faults = 9;
  bool clocks = true;      // plan clocks that are off
  std::string only;        // name of the one kind of fault wanted, or empty
};

const char *name_of(FaultKind kind);
/// `history` numbers the histories of a run: it makes values and names unique.
Plan make_plan(uint64_t seed, int history, const PlanOptions &options);

}  // namespace vectorshard::histories
