// While apply merges, its backend looks for deadlocks early, and again and again by a clock that never jumps. PostgreSQL looks
// once, by the time of day: if that is set back just then, nobody looks until it has come there again, and the peers' changes
// wait as long as it was set back.
#pragma once

namespace vectorshard::apply {

/// This backend finds deadlocks early, and so is the one that loses them against users. The destructor may run while an error
/// unwinds.
class DeadlockScope {
 public:
  DeadlockScope();
  ~DeadlockScope();
  DeadlockScope(const DeadlockScope &) = delete;
  DeadlockScope &operator=(const DeadlockScope &) = delete;

 private:
  int old_;
};

}  // namespace vectorshard::apply
