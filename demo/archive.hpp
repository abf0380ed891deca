// The demo's act between the replays: clients whose rows lie in an archive, which gives nothing back at once, are expected at edge nodes. Are their
// rows there, on that node, when they come? Reads and moves only what it made itself.
#pragma once
#include <string>

#include "fabric.hpp"
#include "fleet.hpp"
#include "outcome.hpp"

namespace vectorshard::demo {

/// An object store that behaves like an archive; scripts/demo starts it and says where.
struct ArchiveOptions {
  std::string url;       // for create_store(); empty: there is none
  std::string login;     // options of the user mapping
  double thaw_s = 0;     // what the store is said to take, at most, wall clock
};

struct ArchiveOutcome {
  size_t clients = 0;
  size_t refused = 0;     // reads of archived rows that said so, before anybody was expected
  size_t in_time = 0;     // rows current on the node where the client came, before it came
  size_t by_prediction = 0;
  double thaw_s = 0;
  std::vector<double> access_ms;      // of each client's first access where it came
  std::vector<std::string> findings;  // what went wrong, in words
};

/// Loads `fleet`, moves it to the archive, says of each client where it is expected, and is there when it comes.
/// Throws if clients do not get to the archive within two minutes.
ArchiveOutcome archive_act(const Fabric &fabric, Fleet &fleet, const ArchiveOptions &options);

/// A plan of clients that report nothing.
Plan archived_clients(size_t count);

}  // namespace vectorshard::demo
