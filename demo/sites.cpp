// Lloyd's algorithm with k-means++ starts.
#include "sites.hpp"

#include <algorithm>
#include <limits>
#include <random>

namespace vectorshard::demo {
namespace {

constexpr unsigned kSeed = 7;
constexpr int kStarts = 24;
constexpr int kRounds = 60;

double square(double x) { return x * x; }

std::vector<Point> first_centres(const std::vector<Point> &sites, size_t count, std::mt19937 &random) {
  std::vector<Point> centres = {sites[random() % sites.size()]};
  while (centres.size() < count) {
    std::vector<double> weights;
    double sum = 0;
    for (const Point &p : sites) {
      weights.push_back(square(distance_m(p, centres[nearest(centres, p)])));
      sum += weights.back();
    }
    if (sum == 0) break;  // fewer distinct sites than centres
    double target = static_cast<double>(random()) / static_cast<double>(std::mt19937::max()) * sum;
    size_t chosen = 0;
    while (chosen + 1 < sites.size() && (target -= weights[chosen]) > 0) chosen++;
    centres.push_back(sites[chosen]);
  }
  return centres;
}

void improve(const std::vector<Point> &sites, std::vector<Point> &centres) {
  for (int round = 0; round < kRounds; round++) {
    std::vector<std::vector<Point>> members(centres.size());
    for (const Point &p : sites) members[nearest(centres, p)].push_back(p);
    for (size_t i = 0; i < centres.size(); i++)
      if (!members[i].empty()) centres[i] = centroid(members[i]);
  }
}

}  // namespace

Point centroid(const std::vector<Point> &points) {
  Point sum;
  for (const Point &p : points) {
    sum.lat += p.lat;
    sum.lon += p.lon;
  }
  const auto n = static_cast<double>(points.size());
  return {sum.lat / n, sum.lon / n};
}

std::vector<Point> cluster_sites(const std::vector<Point> &sites, size_t count) {
  std::mt19937 random(kSeed);
  std::vector<Point> best;
  double best_cost = std::numeric_limits<double>::infinity();
  for (int start = 0; start < kStarts; start++) {
    auto centres = first_centres(sites, count, random);
    improve(sites, centres);
    double cost = 0;
    for (const Point &p : sites) cost += square(distance_m(p, centres[nearest(centres, p)]));
    if (cost < best_cost) {
      best_cost = cost;
      best = centres;
    }
  }
  std::sort(best.begin(), best.end(), [](Point a, Point b) { return a.lat > b.lat; });
  return best;
}

}  // namespace vectorshard::demo
