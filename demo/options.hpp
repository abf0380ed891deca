// What the user asks for, from environment variables: make demo TRAJECTORIES=… SITES=… NODES=8 CLIENTS=60.
// Throws std::runtime_error that names the variable and what may stand in it.
#pragma once
#include <string>

#include "archive.hpp"

namespace vectorshard::demo {

struct Options {
  std::string trajectories;    // TRAJECTORIES; empty: a generated city
  std::string sites;           // SITES
  std::string source;          // SOURCE: how to call the trajectories in the output
  std::string map;             // MAP: where the picture goes
  std::string map_shown;       // MAP_SHOWN: how to call that in the output
  std::string bin;             // PG_BIN: directory of the server programs
  size_t nodes = 8;            // NODES: edge nodes
  size_t clients = 60;         // CLIENTS: those with most reports
  size_t pausing_clients = 12; // PAUSING: and so many with long pauses
  double window_s = 5400;      // WINDOW, in minutes of the trace
  double replay_s = 70;        // REPLAY_SECONDS: how long each replay lasts
  double pause_s = 900;        // PAUSE, in minutes: idle that long, clients go to the store
  size_t archived = 6;         // ARCHIVED: clients of the archive, if ARCHIVE_URL says where an archive is
  ArchiveOptions archive;      // ARCHIVE_URL, ARCHIVE_LOGIN, ARCHIVE_THAW_S: scripts/demo sets them
  size_t threads = 6;          // THREADS
  bool keep = false;           // KEEP: leave the working directory
};

Options read_options();

}  // namespace vectorshard::demo
