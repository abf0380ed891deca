// The city is a grid of streets 200 m apart; every fifth is an avenue, which is faster. A trip goes along its street to the
// nearest avenue, along that, and along the other street to its end, stopping at some of the crossings.
#include "city.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace vectorshard::demo {
namespace {

constexpr unsigned kSeed = 20;
constexpr Point kCorner = {50.0, 10.0};  // south-west corner; nowhere in particular
constexpr double kWidthM = 14000, kHeightM = 11000;
constexpr double kBlockM = 200;
constexpr int kBlocksPerAvenue = 5;
constexpr double kStreetMps = 8, kAvenueMps = 14;
constexpr double kReportS = 20;
constexpr double kDayS = 3 * 3600;
constexpr double kFirstUnixS = 1700000000;
constexpr double kGpsErrorM = 4;

struct Spot {
  double x = 0, y = 0;  // metres east and north of the corner
};

class Driver {
 public:
  Driver(std::string name, unsigned seed) : random_(seed) { track_.client = std::move(name); }

  Track commuter() {
    const Spot home = anywhere(), work = near_centre();
    wait_silently(home, uniform(0, 3600));
    trip(home, work);
    stand(work, uniform(200, 700));
    wait_silently(work, uniform(1200, 5400));
    Spot lunch = {snap(work.x + uniform(-2500, 2500), kWidthM), snap(work.y + uniform(-2500, 2500), kHeightM)};
    trip(work, lunch);
    stand(lunch, uniform(300, 900));
    trip(lunch, work);
    return std::move(track_);
  }

  Track taxi() {
    Spot at = near_centre();
    wait_silently(at, uniform(0, 1500));
    while (now_s_ < kDayS) {
      const Spot to = uniform(0, 1) < 0.6 ? near_centre() : anywhere();
      trip(at, to);
      at = to;
      stand(at, uniform(30, 240));
      if (uniform(0, 1) < 0.05) wait_silently(at, uniform(1000, 2000));
    }
    return std::move(track_);
  }

 private:
  double uniform(double from, double to) { return std::uniform_real_distribution<double>(from, to)(random_); }
  static double snap(double metres, double limit) {
    return std::clamp(std::round(metres / kBlockM) * kBlockM, 0.0, limit);
  }
  static bool is_avenue(double metres) { return std::lround(metres / kBlockM) % kBlocksPerAvenue == 0; }
  Spot anywhere() { return {snap(uniform(0, kWidthM), kWidthM), snap(uniform(0, kHeightM), kHeightM)}; }
  Spot near_centre() {
    std::normal_distribution<double> spread(0, 2200);
    return {snap(kWidthM / 2 + spread(random_), kWidthM), snap(kHeightM / 2 + spread(random_), kHeightM)};
  }

  void report(Spot at, double speed_mps, double heading_deg) {
    std::normal_distribution<double> error(0, kGpsErrorM);
    const Point p = moved(kCorner, at.x + error(random_), at.y + error(random_));
    track_.reports.push_back({kFirstUnixS + now_s_, p, speed_mps, heading_deg});
    next_report_s_ = now_s_ + kReportS;
  }
  void pass(double seconds, Spot at, double speed_mps) {
    now_s_ += seconds;
    if (now_s_ >= next_report_s_) report(at, speed_mps, heading_deg_);
  }
  void stand(Spot at, double seconds) {
    for (const double end_s = now_s_ + seconds; now_s_ < end_s && now_s_ < kDayS;) pass(5, at, 0);
  }
  void wait_silently(Spot, double seconds) {
    now_s_ += seconds;
    next_report_s_ = now_s_;
  }
  /// Straight along one street, with stops at some crossings.
  void drive(Spot &at, Spot to) {
    const double length = std::hypot(to.x - at.x, to.y - at.y);
    if (length < 1) return;
    const double east = (to.x - at.x) / length, north = (to.y - at.y) / length;
    heading_deg_ = std::fmod(std::atan2(east, north) * 180 / M_PI + 360, 360);
    const bool avenue = is_avenue(std::abs(east) > 0.5 ? at.y : at.x);
    const double speed = (avenue ? kAvenueMps : kStreetMps) * uniform(0.8, 1.1);
    const Spot from = at;
    double next_crossing = kBlockM;
    for (double done = 0; done < length && now_s_ < kDayS;) {
      done = std::min(done + speed, length);
      at = {from.x + east * done, from.y + north * done};
      pass(1, at, speed);
      if (done < next_crossing) continue;
      next_crossing += kBlockM;
      if (uniform(0, 1) < (avenue ? 0.06 : 0.15)) stand(at, uniform(10, 45));
    }
  }
  void trip(Spot at, Spot to) {
    const double block = kBlockM * kBlocksPerAvenue;
    const double avenue_y = std::clamp(std::round((at.y + to.y) / 2 / block) * block, 0.0, kHeightM);
    drive(at, {at.x, avenue_y});
    drive(at, {to.x, avenue_y});
    drive(at, to);
  }

  std::mt19937 random_;
  Track track_;
  double now_s_ = 0, next_report_s_ = 0, heading_deg_ = 0;
};

std::vector<Point> generated_sites() {
  std::mt19937 random(kSeed);
  std::normal_distribution<double> x(kWidthM / 2, kWidthM / 4), y(kHeightM / 2, kHeightM / 4);
  std::vector<Point> sites;
  while (sites.size() < 25) {
    const double east = std::clamp(x(random), 0.0, kWidthM), north = std::clamp(y(random), 0.0, kHeightM);
    const Point p = moved(kCorner, east, north);
    if (sites.empty() || distance_m(p, sites[nearest(sites, p)]) > 900) sites.push_back(p);
  }
  return sites;
}

}  // namespace

Trace generate_city(size_t clients) {
  Trace trace{{}, generated_sites(), "a generated city (no measured data)"};
  for (size_t i = 0; i < clients; i++) {
    const bool commuter = i % 5 < 2;
    Driver driver((commuter ? "commuter-" : "taxi-") + std::to_string(i + 1), kSeed + 1 + static_cast<unsigned>(i));
    trace.tracks.push_back(commuter ? driver.commuter() : driver.taxi());
  }
  return trace;
}

}  // namespace vectorshard::demo
