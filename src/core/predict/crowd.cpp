// The crowd's memory of places: see crowd.hpp.
#include "core/predict/crowd.hpp"

#include <algorithm>
#include <cmath>

#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

namespace {

constexpr float kForgetSeconds = 20000;  // then all counts of a place are halved: roads change
constexpr double kHeadingFromMps = 1, kFastFromMps = 7;

}  // namespace

PlaceKey place_key(double lat, double lon, double east, double north, double speed, double cell_m) {
  double row = std::floor(lat * telemetry::kMetresPerDegree / cell_m);
  // All cells of a row are equally wide, so that a place belongs to one of them.
  double cosine = std::max(0.01, std::cos(telemetry::radians((row + 0.5) * cell_m / telemetry::kMetresPerDegree)));
  double column = std::floor(lon * telemetry::kMetresPerDegree * cosine / cell_m);
  auto eighth = static_cast<uint64_t>(8);
  if (speed >= kHeadingFromMps) {
    double turn = (std::atan2(north, east) + telemetry::kPi) / (2 * telemetry::kPi);
    eighth = static_cast<uint64_t>(turn * 8) & 7;
  }
  uint64_t pace = speed < kHeadingFromMps ? 0 : speed < kFastFromMps ? 1 : 2;
  auto bits = [](double x) { return static_cast<uint64_t>(static_cast<int64_t>(x)) & 0xFFFFFF; };
  return bits(row) << 40 | bits(column) << 16 | eighth << 8 | pace << 4 | 1;
}

size_t Crowd::bucket(PlaceKey key) const {
  uint64_t h = (key ^ key >> 32) * 0x9E3779B97F4A7C15ULL;  // a product's low bits know nothing of the factor's high ones
  return (h >> 32) % (count_ / kWays) * kWays;
}

const Crowd::Place *Crowd::find(PlaceKey key) const {
  for (size_t i = bucket(key), end = i + kWays; i < end; i++)
    if (places_[i].key == key) return &places_[i];
  return nullptr;
}

Crowd::Place &Crowd::entry(PlaceKey key) {
  if (const Place *p = find(key)) return const_cast<Place &>(*p);
  Place *first = places_ + bucket(key);
  Place *least = std::min_element(first, first + kWays, [](const Place &a, const Place &b) { return a.seconds < b.seconds; });
  *least = Place{};
  least->key = key;
  return *least;
}

void Crowd::stayed(PlaceKey key, double seconds) {
  Place &p = entry(key);
  p.seconds += static_cast<float>(seconds);
  if (p.seconds < kForgetSeconds) return;
  p.seconds /= 2;
  for (Moved &m : p.moved) {
    m.times /= 2;
    m.soon /= 2;
  }
}

void Crowd::moved(PlaceKey key, NodeId to, float times, float soon) {
  Place &p = entry(key);
  auto it = std::find_if(p.moved.begin(), p.moved.end(), [&](const Moved &m) { return m.node == to; });
  if (it == p.moved.end()) {
    auto weight = [](const Moved &m) { return m.times + m.soon; };
    it = std::min_element(p.moved.begin(), p.moved.end(), [&](const Moved &a, const Moved &b) { return weight(a) < weight(b); });
    *it = {to, 0, 0};
  }
  it->times += times;
  it->soon += soon;
}

}  // namespace vectorshard::predict
