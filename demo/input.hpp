// Reads trajectories and sites from CSV files with a header line, plain or compressed with xz, rows in any order.
// Throws std::runtime_error that names the file and the line of what it cannot read; never skips a row silently.
#pragma once
#include <string>

#include "trace.hpp"

namespace vectorshard::demo {

/// Tracks from `path`: columns client or cab, lat, lon, unix_time, and if there speed and heading; others are ignored.
/// A path /dev/fd/N is read from the inherited descriptor N, so that a user who may not open a file can be handed it.
std::vector<Track> read_trajectories(const std::string &path);

/// Sites from `path`: columns site (ignored), lat, lon.
std::vector<Point> read_sites(const std::string &path);

}  // namespace vectorshard::demo
