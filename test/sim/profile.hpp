// What can go wrong in a history, and how often. drawn_profile() draws one from a seed; scenarios (scenarios.cpp) change
// some of it so that one interleaving becomes frequent. Times in milliseconds, chances in parts of 1000.
#pragma once
#include "random.hpp"

namespace sim {

struct Profile {
  int nodes = 3, cores = 1, spare = 0;  // spare: nodes that join later
  int clients = 2, keys = 3;
  int operations = 300;
  int pause_ms = 30;           // mean time between operations
  // Links
  int delay_ms = 10, slow_delay_ms = 400, slow_links = 150;
  int loss = 10, duplicate = 500, error = 4;
  // Time
  int skew_ms = 0;             // each node's clock is off by up to this
  int coarse_ms = 1;           // clocks tick in these steps: equal milliseconds are frequent
  int64_t retention_ms = 3600 * 1000;
  // The shipper
  int decode_ms = 20, visible_ms = 0;
  int queue_limit = 40;        // rows that a peer may hold back before they become debt
  int open_ms = 40;            // how long some transactions stay open
  // How often an operation is …, in parts of their sum
  int write = 600, many = 40, forwarded = 30, idle_update = 15, slow_writer = 10, wish = 60, evict = 60, move = 12;
  int birth_alone = 0, scan = 0, read_elsewhere = 0;
  int crash = 6, cut = 25, slot_loss = 0, remove = 0;
  int down_ms = 800, cut_ms = 2500;
  int wish_ms = 1500;
  int counter_share = 350, delete_share = 180;  // of the writes to rows that are there
};

Profile drawn_profile(Random &random);

}  // namespace sim
