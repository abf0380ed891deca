// The figures of a run, in words for people and in the one last line for programs.
#pragma once
#include <string>
#include <vector>

#include "archive.hpp"
#include "outcome.hpp"
#include "simulated.hpp"
#include "verify.hpp"

namespace vectorshard::demo {

struct Summary {
  std::string source;  // of the trajectories
  std::string window;  // which stretch, in words
  double speed = 1;
  size_t clients = 0;
  Outcome predicted, reactive;
  ArchiveOutcome archive;
  Simulated simulated;  // of `predicted`
  Verdict verdict;

  std::vector<std::string> lines() const;
  std::string last_line() const;
  bool good() const { return verdict.rows_lost == 0 && verdict.diverged == 0; }
};

}  // namespace vectorshard::demo
