// After writes have stopped: does every holder hold what the home holds, and does the home hold exactly what was
// acknowledged to the application? Waits for what is still under way, up to a limit.
#pragma once
#include <string>
#include <vector>

#include "fabric.hpp"
#include "fleet.hpp"

namespace vectorshard::demo {

struct Verdict {
  size_t clients = 0, rows = 0;  // compared with the application's knowledge
  size_t copies = 0;             // compared with the home, by hash
  size_t cold = 0;               // clients that were read from the store
  size_t rows_lost = 0;          // acknowledged, but missing, older, or a delete undone
  size_t diverged = 0;           // copies unlike the home; rows doubled, unknown or newer than acknowledged
  double converged_s = 0;        // how long it took until nothing differed
  std::vector<std::string> findings;  // the first few of what is wrong, in words
};

Verdict verify(const Fabric &fabric, const std::vector<const Fleet *> &fleets);

}  // namespace vectorshard::demo
