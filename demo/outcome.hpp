// What a replay measured. Each thread fills its own; they are added up at the end.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "geo.hpp"

namespace vectorshard::demo {

/// The first access of a client at a node that did not serve it before.
struct Arrival {
  Point at;
  size_t node = 0;
  bool starts_session = false;
  bool resident = false;
  bool hit = false;  // resident and current
  double access_ms = 0;
};

/// A copy that appeared on a node which was not serving the client.
struct CopyAhead {
  Point client_at;
  size_t node = 0;
};

struct Outcome {
  std::vector<Arrival> arrivals;
  std::vector<CopyAhead> ahead;
  std::vector<double> write_ms;
  std::vector<double> lag_ms;           // how late a step ran
  double slip_s = 0;                    // how much longer the replay took than planned
  std::map<std::string, int> errors;    // SQLSTATE and message -> how often
  int64_t reports = 0, writes = 0, retries = 0;
  int64_t stale_writes = 0;    // an UPDATE that started from an older state than the application knew
  int64_t missed_writes = 0;   // an UPDATE or DELETE that did not find its row (it had not arrived yet)
  int64_t wrong_reads = 0;     // a profile missing or doubled, a tile doubled
  int64_t needed_from_store = 0, back_in_time = 0;  // clients sent to the store and needed again
  int64_t sent_to_store = 0;
  int64_t back_by_prediction = 0, back_by_access = 0;  // why the fabric brought clients back
  double surplus_sum = 0, idle_copies_sum = 0;  // per active client, summed over samples
  int64_t samples = 0;

  void add(const Outcome &other);
  double hit_ratio() const;
  double surplus() const { return samples ? surplus_sum / static_cast<double>(samples) : 0; }
  double idle_copies() const { return samples ? idle_copies_sum / static_cast<double>(samples) : 0; }
};

enum class Which { all, hits, misses };
/// First-access latencies.
std::vector<double> access_ms(const Outcome &outcome, Which which);
/// The value below which `share` of `values` lie; 0 if there are none.
double quantile(std::vector<double> values, double share);

}  // namespace vectorshard::demo
