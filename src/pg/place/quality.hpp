// How placement fares, hour by hour: counters in shared memory, which the navigator adds to a table that ships to every node each
// minute, at the end of each hour, and when the server is shut down. A crash costs what was counted since.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/ship/types.hpp"

namespace vectorshard::place {

/// Hits by how long the copy had been there: bucket i from 0.1 s times sqrt(2)^i on.
constexpr int kLeadBuckets = 40;
int lead_bucket(double lead_s);

/// Since the server started.
struct Quality {
  uint64_t arrivals = 0, hits = 0;  // telemetry's
  uint64_t copies = 0, wasted = 0, wishes = 0;
  uint64_t dry_arrivals = 0, dry_hits = 0;  // of what dry_run would have wished
  std::array<uint64_t, kLeadBuckets> leads{};
};

void init_quality();
Quality quality_now();
/// What the tables do not have yet.
Quality quality_unwritten();

void note_lead(double lead_s);
void note_dry_arrival(bool hit);
/// A copy came: rows and bytes by table.
void note_copied(const ship::Batch &batch);

/// The navigator's: adds to the tables.
class QualityWriter {
 public:
  /// When it is due: see above.
  void write_if_due();
  void write();
  double next_s() const { return next_s_; }

 private:
  double next_s_ = 0;     // wall clock, of PostgreSQL's epoch
  double sampled_s_ = 0;  // when copies were counted last; 0: not yet
};

}  // namespace vectorshard::place
