// Each cell is the rectangle cut by the half-plane towards every other site (Sutherland and Hodgman).
#include "voronoi.hpp"

namespace vectorshard::demo {
namespace {

/// What of `polygon` lies nearer to `mine` than to `other`.
std::vector<Pixel> cut(const std::vector<Pixel> &polygon, Pixel mine, Pixel other) {
  // Positive on the far side: the scalar product with the direction to the other site, from the middle between them.
  auto side = [&](Pixel p) {
    return (p.x - (mine.x + other.x) / 2) * (other.x - mine.x) + (p.y - (mine.y + other.y) / 2) * (other.y - mine.y);
  };
  std::vector<Pixel> out;
  for (std::size_t i = 0; i < polygon.size(); i++) {
    const Pixel a = polygon[i], b = polygon[(i + 1) % polygon.size()];
    const double sa = side(a), sb = side(b);
    if (sa <= 0) out.push_back(a);
    if ((sa < 0 && sb > 0) || (sa > 0 && sb < 0)) {
      const double t = sa / (sa - sb);
      out.push_back({a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)});
    }
  }
  return out;
}

}  // namespace

std::vector<std::vector<Pixel>> voronoi(const std::vector<Pixel> &sites, Pixel size) {
  std::vector<std::vector<Pixel>> cells;
  for (std::size_t i = 0; i < sites.size(); i++) {
    std::vector<Pixel> cell = {{0, 0}, {size.x, 0}, size, {0, size.y}};
    for (std::size_t j = 0; j < sites.size(); j++)
      if (j != i) cell = cut(cell, sites[i], sites[j]);
    cells.push_back(cell);
  }
  return cells;
}

}  // namespace vectorshard::demo
