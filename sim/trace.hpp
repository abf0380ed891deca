// Trajectories in memory, in the order in which a fabric would hear of them: by time over all clients. 32 bytes a report.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vectorshard::sim {

struct Fix {
  double at_s = 0;                  // since 1970
  int32_t lat_e7 = 0, lon_e7 = 0;   // degrees x 10^7
  float speed_mps = -1;             // below zero: not reported
  float heading_deg = -1;
  uint32_t client = 0;              // index in Trace::clients
  double lat() const { return lat_e7 / 1e7; }
  double lon() const { return lon_e7 / 1e7; }
  void stand_at(double lat, double lon);
};

struct Trace {
  std::vector<std::string> clients;
  std::vector<Fix> fixes;  // by time, then client
};

/// A CSV file (columns client|cab|user|taxi, lat, lon, unix_time|time_utc; if there speed, heading), plain or xz; or a folder
/// of GeoLife as it is downloaded (its root, its Data, or one user): client = user. Rows in any order; of two at the same
/// time of a client the first counts. Throws std::runtime_error for what it cannot read.
Trace read_trace(const std::string &path);

/// Puts the reports into the order of Trace::fixes.
void sort_by_time(Trace &trace);
/// Leaves reports out so that those of a client are at least `seconds` apart.
void thin(Trace &trace, double seconds);
/// Leaves clients out: keeps those whose rank by name is `rest` modulo `parts`.
void keep_part(Trace &trace, uint32_t rest, uint32_t parts);

}  // namespace vectorshard::sim
