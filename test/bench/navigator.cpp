// One pass of the navigator over a million clients in memory, on one core: who may get to another node's area is found by the
// clearance of where it is, and for those the forecast is asked and the policy decides. Clients are made up, from a fixed seed,
// over a country of 640 by 870 km with 64 nodes of unequal areas: half of them are parked, the others move at 1 to 30 m/s and
// report each 5 to 60 s; a fifth of all are in the country's towns, which lie round the nodes. The ways are learned first from
// other such clients, so that a forecast costs what it costs on a server that ran for long.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "core/place/clearance.hpp"
#include "core/place/planner.hpp"
#include "core/predict/forecast.hpp"
#include "core/predict/kalman.hpp"
#include "core/predict/reach_bound.hpp"
#include "core/telemetry/intake.hpp"

using namespace vectorshard;
using telemetry::Motion;

namespace {

constexpr int kNodes = 64;
constexpr double kSouth = 47.3, kNorth = 55.1, kWest = 6, kEast = 15;
constexpr double kLeadS = 5, kMarginS = 20, kNowS = 1.8e9;

struct Made {
  Motion motion;
  NodeId serving;
};

class Country {
 public:
  explicit Country(double scale) : scale_(scale) {
    std::vector<place::NodeSite> sites;
    for (int i = 1; i <= kNodes; i++) sites.push_back({i, "", false, lat(in(0, 1)), lon(in(0, 1)), {}});
    map_ = place::NodeMap(std::move(sites));
  }

  const place::NodeMap &map() const { return map_; }
  std::mt19937 &random() { return random_; }

  /// A client with a few reports behind it; `learner` learns from each.
  Made client(predict::Forecast *learner) {
    bool moves = in(0, 1) < 0.5, town = in(0, 1) < 0.2;
    const place::NodeSite &s = map_.sites()[static_cast<size_t>(in(0, kNodes - 1e-6))];
    double at_lat = town ? s.lat + in(-0.1, 0.1) * scale_ : lat(in(0, 1)), at_lon = town ? s.lon + in(-0.15, 0.15) * scale_ : lon(in(0, 1));
    double speed = moves ? in(1, 30) : 0, heading = in(0, 360), interval = in(5, 60);
    int reports = moves ? 4 : 7;
    Made made{{}, map_.node_at(at_lat, at_lon)};
    for (int k = 0; k < reports; k++) {
      heading += in(-40, 40);
      double metres = k == 0 ? 0 : speed * interval, angle = telemetry::radians(heading);
      at_lat += metres * std::cos(angle) / telemetry::kMetresPerDegree;
      at_lon += metres * std::sin(angle) / telemetry::kMetresPerDegree / std::cos(telemetry::radians(at_lat));
      telemetry::Report r{kNowS - in(0, interval) - interval * (reports - k), at_lat, at_lon, speed, std::fmod(heading + 720, 360)};
      made.serving = map_.node_at(at_lat, at_lon);
      telemetry::take(r, made.serving, made.motion);
      predict::observe(r, made.motion);
      if (learner) learner->learn(made.motion, kLeadS);
    }
    // Everybody has habits, and may set out by them.
    auto other = static_cast<uint16_t>(made.serving % kNodes + 1), here = static_cast<uint16_t>(made.serving);
    for (auto &move : made.motion.habit.moves) move = {other, here, other, 3, 20000, 1000, 0xFFFF};
    made.motion.habit.here = here;
    return made;
  }

 private:
  double in(double from, double to) { return std::uniform_real_distribution<>(from, to)(random_); }
  double lat(double share) const { return kSouth + scale_ * share * (kNorth - kSouth); }
  double lon(double share) const { return kWest + scale_ * share * (kEast - kWest); }

  double scale_;
  std::mt19937 random_{1};
  place::NodeMap map_;
};

struct Pass {
  size_t decided = 0, wishes = 0;
};

Pass pass(const std::vector<Made> &clients, const place::NodeMap &map, const predict::Forecast &forecast, const predict::Ways &ways) {
  place::Clearance clearance(map);
  predict::ReachBound bound(ways);
  std::vector<place::Target> targets;
  for (const auto &s : map.sites()) targets.push_back({s.node, kLeadS, false});
  place::PlanSettings settings;
  settings.margin_s = kMarginS;
  settings.words = false;
  Pass p;
  for (const Made &c : clients) {
    const Motion &m = c.motion;
    double reach = bound.metres(m, predict::ReachBound::horizon_s(m, kLeadS, kMarginS));
    if (clearance.metres(map, m.lat, m.lon, c.serving, reach) >= reach) continue;
    p.decided++;
    place::ClientView view;
    view.now_s = kNowS;
    view.self = c.serving;
    view.motion = &m;
    view.serving = true;
    view.wishes = {{c.serving, kNowS + 60}};
    view.holders = {c.serving};
    view.candidates = predict::Forecast::candidates(m, c.serving, map, kLeadS, forecast.learned(m));
    for (const place::Decision &d : place::plan(view, targets, settings)) p.wishes += d.verdict == place::Verdict::wish;
  }
  return p;
}

}  // namespace

/// Arguments: clients (1000000), size of the country as a share of the above in length (1).
int main(int argc, char **argv) {
  size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  double scale = argc > 2 ? std::strtod(argv[2], nullptr) : 1;
  if (count == 0 || !(scale > 0 && scale <= 1)) {
    std::fprintf(stderr, "usage: bench_navigator [clients [size of the country, above 0, at most 1]]\n");
    return 2;
  }
  Country country(scale);
  auto ways = std::make_unique<predict::Ways>();
  std::vector<predict::Crowd::Place> places(16384);
  predict::Forecast forecast(ways.get(), {places.data(), places.size()});
  for (int i = 0; i < 50000; i++) country.client(&forecast);
  std::vector<Made> clients;
  clients.reserve(count);
  for (size_t i = 0; i < count; i++) clients.push_back(country.client(nullptr));
  std::shuffle(clients.begin(), clients.end(), country.random());
  size_t moving = 0;
  for (const Made &c : clients) moving += c.motion.speed_mps > 0;
  std::printf("country %.0f x %.0f km, %d nodes, %zu moving at 1-30 m/s, %zu parked, a copy takes %.0f s\n", 640 * scale, 870 * scale, kNodes, moving, count - moving, kLeadS);
  auto start = std::chrono::steady_clock::now();
  Pass p = pass(clients, country.map(), forecast, *ways);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%zu wishes for other nodes\n", p.wishes);
  std::printf("navigator: clients=%zu pass_s=%.3f decided=%zu us_per_client=%.3f\n", count, seconds, p.decided, seconds * 1e6 / static_cast<double>(count));
}
