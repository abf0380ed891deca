// How far the tiering worker is with the move that it is at, in shared memory, for tier_moves: nothing is committed for it. Everything that
// moves rows or bytes for a move counts them here, and is slowed down to vectorshard.tier_rate_mb_s and stopped by a pause on that occasion. Queries
// that read segments count nothing and are never held up.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace vectorshard::tier {

enum class Phase : uint32_t { none, writing, storing, verifying, loading };

/// The move that this process is at, for a scope.
class AtMove {
 public:
  explicit AtMove(int64_t move);
  ~AtMove();
  AtMove(const AtMove &) = delete;
  AtMove &operator=(const AtMove &) = delete;
};

/// A phase begins, of so many rows and bytes (0: not known). Without a move, this and what follows does nothing.
void begin_phase(Phase phase, int64_t rows, int64_t bytes);
/// The phase in which the rows of a segment are loaded.
void begin_loading(const std::string &segment);
/// Rows that were read from or written to the heap; their bytes are reckoned from those of the phase. Raises what interrupts and a pause
/// raise, and so may take long.
void count_rows(size_t rows);
/// Rows that were read back and compared: not slowed down, but stopped by a pause.
void count_verified(size_t rows);
/// Bytes of an object that went to (while storing) or came from its store (while verifying and loading). The same.
void count_bytes(Phase of, size_t bytes);

struct Progress {
  int64_t move = 0;  // 0: the worker is at none
  Phase phase = Phase::none;
  int64_t rows = 0, rows_total = 0, bytes = 0, bytes_total = 0;
  double elapsed_s = 0;  // of the phase
};
Progress progress();

void register_progress();

}  // namespace vectorshard::tier
