// The policy against moving clients: a generated city of streets, one report a minute; and, if
// VECTORSHARD_REPLAY_CSV and VECTORSHARD_REPLAY_SITES name files, recorded tracks (columns client,lat,lon,…,unix_time).
#include "place_replay.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

using namespace vectorshard;
using namespace vectorshard::place_replay;

namespace {

constexpr double kLat = 52.5, kLon = 13.4, kBlockM = 150, kCityM = 9000;

place::NodeMap city(int sites, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> any(0, kCityM);
  std::vector<place::NodeSite> list;
  double cosine = std::cos(telemetry::radians(kLat));
  for (int i = 0; i < sites; i++)
    list.push_back({i + 1, "n", false, kLat + any(random) / telemetry::kMetresPerDegree,
                    kLon + any(random) / telemetry::kMetresPerDegree / cosine, {}});
  return place::NodeMap(list);
}

/// A drive on a street grid: straight on mostly, turns at crossings, lights, and a stop now and then.
std::vector<Point> drive(unsigned seed, double interval_s, int reports) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> u(0, 1);
  double x = kBlockM * std::floor(u(random) * 60), y = kBlockM * std::floor(u(random) * 60), wait = 0, t = 1.7e9;
  int dx = 1, dy = 0;
  double left = kBlockM, mps = 9, next = t, cosine = std::cos(telemetry::radians(kLat));
  std::vector<Point> out;
  while (static_cast<int>(out.size()) < reports) {
    if (t >= next) {
      out.push_back({t, kLat + y / telemetry::kMetresPerDegree, kLon + x / telemetry::kMetresPerDegree / cosine});
      next += interval_s * (0.9 + 0.2 * u(random));
    }
    t += 1;
    if (wait > 0) {
      wait -= 1;
      continue;
    }
    double step = std::min(left, mps);
    x += dx * step;
    y += dy * step;
    left -= step;
    if (left > 0) continue;
    left = kBlockM;
    mps = 5 + 9 * u(random);
    double what = u(random);
    wait = what < 0.02 ? 240 : what < 0.3 ? 20 * u(random) : 0;
    if (u(random) < 0.3) std::swap(dx, dy), dx *= u(random) < 0.5 ? -1 : 1, dy *= u(random) < 0.5 ? -1 : 1;
    if (x + dx * kBlockM < 0 || x + dx * kBlockM > kCityM) dx = -dx;
    if (y + dy * kBlockM < 0 || y + dy * kBlockM > kCityM) dy = -dy;
  }
  return out;
}

Figures replay_city(int sites, double interval_s, bool predict) {
  place::NodeMap map = city(sites, 11);
  Settings settings;
  settings.plan.predict = predict;
  Replay replay(map, settings);
  for (unsigned c = 0; c < 20; c++) replay.client(drive(c + 1, interval_s, interval_s < 10 ? 4000 : 600));
  return replay.figures();
}

void print(const char *what, const Figures &f) {
  std::printf("%s: reports=%lu arrivals=%lu hit_ratio=%.4f surplus=%.3f with_offline=%.3f copies/arrival=%.2f "
              "wishes/report=%.2f\n", what, f.reports, f.arrivals, f.hit_ratio(), f.surplus(),
              f.surplus_with_offline(), double(f.copies) / double(f.arrivals), double(f.wishes) / double(f.reports));
}

}  // namespace

TEST(Replay, AReportAMinuteOverEightNodes) {
  Figures f = replay_city(8, 60, true);
  print("city, 8 nodes, 60 s", f);
  EXPECT_GT(f.arrivals, 300u);
  EXPECT_GE(f.hit_ratio(), 0.95);
  EXPECT_LE(f.surplus(), 0.45);
}

TEST(Replay, AReportAMinuteOverTwentyFiveNodes) {
  Figures f = replay_city(25, 60, true);
  print("city, 25 nodes, 60 s", f);
  EXPECT_GT(f.arrivals, 800u);
  EXPECT_GE(f.hit_ratio(), 0.94);
  EXPECT_LE(f.surplus(), 1.0);
}

TEST(Replay, AReportASecond) {
  Figures f = replay_city(25, 1, true);
  print("city, 25 nodes, 1 s", f);
  EXPECT_GT(f.arrivals, 200u);
  EXPECT_GE(f.hit_ratio(), 0.97);
  EXPECT_LE(f.surplus(), 0.55);
}

TEST(Replay, WithoutPredictionNothingIsAhead) {
  Figures f = replay_city(8, 60, false);
  print("city, 8 nodes, 60 s, reactive", f);
  EXPECT_LE(f.hit_ratio(), 0.25);  // only copies not yet let go
}

namespace {

/// Two generated tracks in the form of a recording, newest first as such files often are.
std::string generated_csv() {
  std::ostringstream out;
  out << "client,lat,lon,unix_time\n";
  out.precision(12);
  for (unsigned c = 0; c < 2; c++) {
    auto track = drive(c + 1, 60, 300);
    for (auto p = track.rbegin(); p != track.rend(); ++p) out << 'c' << c << ',' << p->lat << ',' << p->lon << ',' << p->at_s << '\n';
  }
  return out.str();
}

}  // namespace

TEST(Replay, RecordedTracks) {
  const char *csv = std::getenv("VECTORSHARD_REPLAY_CSV"), *sites_file = std::getenv("VECTORSHARD_REPLAY_SITES");
  std::vector<place::NodeSite> sites = city(8, 11).sites();
  std::string line, cell;
  std::ifstream file(csv ? csv : ""), in_sites(sites_file ? sites_file : "");
  std::istringstream generated(generated_csv());
  std::istream &in = csv ? static_cast<std::istream &>(file) : generated;
  if (sites_file) sites.clear();
  for (std::getline(in_sites, line); std::getline(in_sites, line);) {
    int id;
    double lat, lon;
    if (std::sscanf(line.c_str(), "%d,%lf,%lf", &id, &lat, &lon) == 3)
      sites.push_back({id + 1, "n", false, lat, lon, {}});
  }
  std::map<std::string, std::vector<Point>> tracks;
  for (std::getline(in, line); std::getline(in, line);) {
    std::vector<std::string> cells;
    for (std::istringstream s(line); std::getline(s, cell, ',');) cells.push_back(cell);
    ASSERT_GE(cells.size(), 4u);
    tracks[cells[0]].push_back({std::stod(cells.back()), std::stod(cells[1]), std::stod(cells[2])});
  }
  place::NodeMap map(sites);
  Replay replay(map, {});
  for (auto &[client, track] : tracks) {
    std::sort(track.begin(), track.end(), [](const Point &a, const Point &b) { return a.at_s < b.at_s; });
    replay.client(track);
  }
  print("recorded", replay.figures());
  EXPECT_GT(replay.figures().arrivals, 0u);
  EXPECT_GE(replay.figures().hit_ratio(), 0.85);
}
