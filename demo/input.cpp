// Reading tracks and sites: see input.hpp.
#include "input.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "../sim/lines.hpp"

namespace vectorshard::demo {

using text::Header;
using text::LineReader;
using text::number;
using text::split;

namespace {

double optional_number(const LineReader &in, const std::vector<std::string_view> &fields, int column, double max) {
  if (column < 0 || fields[static_cast<size_t>(column)].empty()) return kUnknown;
  return number(in, fields[static_cast<size_t>(column)], 0, max);
}

}  // namespace

std::vector<Track> read_trajectories(const std::string &path) {
  LineReader in(path);
  const Header header(in);
  const auto client = header.need({"client", "cab"});
  const auto lat = header.need({"lat"});
  const auto lon = header.need({"lon"});
  const auto time = header.need({"unix_time"});
  const int speed = header.find({"speed", "speed_mps"});
  const int heading = header.find({"heading", "heading_deg"});
  std::map<std::string, std::vector<Report>, std::less<>> by_client;
  std::string_view line;
  std::vector<std::string_view> fields;
  while (in.next(line)) {
    if (line.empty()) continue;
    split(line, fields);
    if (fields.size() != header.width()) in.fail("the number of fields differs from the header's");
    auto it = by_client.find(fields[client]);
    if (it == by_client.end()) it = by_client.emplace(fields[client], std::vector<Report>()).first;
    it->second.push_back({number(in, fields[time], 0, 1e11),
                          {number(in, fields[lat], -90, 90), number(in, fields[lon], -180, 180)},
                          optional_number(in, fields, speed, 1e4),
                          optional_number(in, fields, heading, 360)});
  }
  std::vector<Track> tracks;
  for (auto &[name, reports] : by_client) {
    std::stable_sort(reports.begin(), reports.end(),
                     [](const Report &a, const Report &b) { return a.unix_s < b.unix_s; });
    auto same_time = [](const Report &a, const Report &b) { return a.unix_s == b.unix_s; };
    reports.erase(std::unique(reports.begin(), reports.end(), same_time), reports.end());
    tracks.push_back({name, std::move(reports)});
  }
  if (tracks.empty()) in.fail("no reports");
  return tracks;
}

std::vector<Point> read_sites(const std::string &path) {
  LineReader in(path);
  const Header header(in);
  const auto lat = header.need({"lat"});
  const auto lon = header.need({"lon"});
  std::vector<Point> sites;
  std::string_view line;
  std::vector<std::string_view> fields;
  while (in.next(line)) {
    if (line.empty()) continue;
    split(line, fields);
    if (fields.size() != header.width()) in.fail("the number of fields differs from the header's");
    sites.push_back({number(in, fields[lat], -90, 90), number(in, fields[lon], -180, 180)});
  }
  if (sites.empty()) in.fail("no sites");
  return sites;
}

}  // namespace vectorshard::demo
