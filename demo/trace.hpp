// What moving clients did: reports in time order, one track a client, and the sites that may carry nodes.
// Read from files (input.cpp) or made up (city.cpp).
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "geo.hpp"

namespace vectorshard::demo {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// One report of a client. Speed and heading are kUnknown when the source has none.
struct Report {
  double unix_s = 0;
  Point at;
  double speed_mps = kUnknown;
  double heading_deg = kUnknown;
};

/// All reports of one client, sorted by time.
struct Track {
  std::string client;
  std::vector<Report> reports;
};

struct Trace {
  std::vector<Track> tracks;
  std::vector<Point> sites;
  std::string source;  // for people: file names, or "generated city"
};

}  // namespace vectorshard::demo
