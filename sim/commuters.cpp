// The commuters: see commuters.hpp. Each has a home, a place of work and some others, on a grid of streets, and a way to get about.
// Workdays: to work, perhaps out for lunch, back, perhaps out in the evening; at weekends elsewhere. The same way each time,
// mostly; now and then another one, or somewhere new.
#include "commuters.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

namespace vectorshard::sim {

namespace {

constexpr unsigned kSeed = 7;
constexpr double kSouth = 50.0, kWest = 10.0;  // nowhere in particular
constexpr double kSideM = 50000, kBlockM = 500;
constexpr double kFirstUnixS = 1699833600;  // a Monday
constexpr int kDays = 28;
constexpr double kGpsErrorM = 5;
constexpr double kLoggedStayS = 150;  // shorter than what ends a session

struct Spot {
  double x = 0, y = 0;  // metres east and north of the corner
};

struct Mode {
  double speed_mps, stop_share, stop_s, reach_m;  // how often it stops at a corner, for how long at most, and how far people go with it
};
constexpr Mode kModes[] = {{1.4, 0.2, 30, 3000}, {4.5, 0.2, 30, 8000}, {9, 0.6, 40, 15000}, {13, 0.35, 60, 25000}};

class Person {
 public:
  Person(uint32_t client, std::vector<Fix> &out) : random_(kSeed + client), client_(client), out_(out), mode_(kModes[random_() % 4]) {
    interval_s_ = 1 + static_cast<double>(random_() % 5);
    home_ = anywhere();
    work_ = near(home_);
    for (Spot &s : others_) s = near(random_() % 2 ? home_ : work_);
  }

  void live() {
    for (int day = 0; day < kDays; day++) {
      const double midnight = kFirstUnixS + day * 86400;
      if (day % 7 < 5) {
        go(midnight + 3600 * uniform(7, 8.5), home_, work_);
        if (chance(0.3)) {
          Spot lunch = chance(0.8) ? others_[0] : near(work_);
          go(midnight + 3600 * 12, work_, lunch);
          go(std::max(now_s_ + 1500, midnight + 3600 * 12.7), lunch, work_);
        }
        go(std::max(now_s_ + 600, midnight + 3600 * uniform(16.5, 18.5)), work_, home_);
      }
      if (!chance(0.4)) continue;
      Spot to = chance(0.8) ? others_[1 + random_() % (kOthers - 1)] : near(home_);
      go(std::max(now_s_ + 1800, midnight + 3600 * uniform(10, 19.5)), home_, to);
      go(now_s_ + uniform(1800, 7200), to, home_);
    }
  }

 private:
  double uniform(double from, double to) { return std::uniform_real_distribution<double>(from, to)(random_); }
  bool chance(double p) { return uniform(0, 1) < p; }
  static double snap(double metres) { return std::clamp((std::floor(metres / kBlockM) + 0.5) * kBlockM, kBlockM / 2, kSideM - kBlockM / 2); }
  Spot anywhere() { return {snap(uniform(0, kSideM)), snap(uniform(0, kSideM))}; }
  Spot near(Spot s) { return {snap(s.x + uniform(-1, 1) * mode_.reach_m), snap(s.y + uniform(-1, 1) * mode_.reach_m)}; }

  void report(Spot at) {
    if (now_s_ < next_s_) return;
    next_s_ = now_s_ + interval_s_;
    std::normal_distribution<double> error(0, kGpsErrorM);
    Fix x;
    x.at_s = now_s_;
    double lat = kSouth + (at.y + error(random_)) / telemetry::kMetresPerDegree;
    x.stand_at(lat, kWest + (at.x + error(random_)) / (telemetry::kMetresPerDegree * std::cos(telemetry::radians(kSouth))));
    x.client = client_;
    out_.push_back(x);
  }
  void stand(Spot at, double seconds) {
    for (const double end = now_s_ + seconds; now_s_ < end; now_s_ += interval_s_) report(at);
  }
  /// Straight along one street, with stops at some of the corners.
  void along(Spot &at, Spot to) {
    const double length = std::hypot(to.x - at.x, to.y - at.y);
    const double speed = mode_.speed_mps * uniform(0.8, 1.2);
    const Spot from = at;
    double corner = kBlockM;
    for (double done = 0; done < length; now_s_ += 1) {
      done = std::min(done + speed, length);
      at = {from.x + (to.x - from.x) * done / length, from.y + (to.y - from.y) * done / length};
      report(at);
      if (done < corner) continue;
      corner += kBlockM;
      if (chance(mode_.stop_share)) stand(at, uniform(5, mode_.stop_s));
    }
  }
  void go(double at_s, Spot from, Spot to) {
    now_s_ = at_s;
    stand(from, uniform(0, kLoggedStayS));
    // The usual way is one of two, the same every time there, and another one back.
    bool east_first = (std::lround(from.x + 3 * from.y + 7 * to.x) / 500) % 2 == 0;
    if (chance(0.1)) east_first = !east_first;
    Spot at = from;
    along(at, east_first ? Spot{to.x, from.y} : Spot{from.x, to.y});
    along(at, to);
    stand(to, uniform(0, kLoggedStayS));
  }

  static constexpr size_t kOthers = 5;
  std::mt19937 random_;
  uint32_t client_;
  std::vector<Fix> &out_;
  const Mode &mode_;
  double interval_s_ = 1, now_s_ = 0, next_s_ = 0;
  Spot home_, work_, others_[kOthers];
};

}  // namespace

Trace commuters(size_t people) {
  Trace out;
  for (uint32_t c = 0; c < people; c++) {
    out.clients.push_back("person-" + std::to_string(c + 1));
    Person(c, out.fixes).live();
  }
  sort_by_time(out);
  return out;
}

Nodes commuters_grid() {
  const double degrees = kSideM / telemetry::kMetresPerDegree, wide = degrees / std::cos(telemetry::radians(kSouth));
  return grid("10x10:" + std::to_string(kSouth) + ',' + std::to_string(kSouth + degrees) + ',' + std::to_string(kWest) + ',' + std::to_string(kWest + wide));
}

}  // namespace vectorshard::sim
