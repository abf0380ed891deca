// Nodes of the simulation: see nodes.hpp.
#include "nodes.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "core/place/areas.hpp"
#include "lines.hpp"

namespace vectorshard::sim {

namespace {

struct GridSpec {
  int rows = 0, columns = 0;
  double lat0 = 0, lat1 = 0, lon0 = 0, lon1 = 0;
};

class Grid : public predict::NodeAt {
 public:
  explicit Grid(const GridSpec &s) : s_(s) {}
  NodeId node_at(double lat, double lon) const override {
    auto part = [](double x, double from, double to, int n) {
      return static_cast<int>(std::clamp((x - from) / (to - from) * n, 0.0, n - 0.5));
    };
    return 1 + part(lat, s_.lat0, s_.lat1, s_.rows) * s_.columns + part(lon, s_.lon0, s_.lon1, s_.columns);
  }

 private:
  GridSpec s_;
};

}  // namespace

Nodes from_sites(std::vector<place::NodeSite> sites) {
  Nodes n;
  n.sites = std::move(sites);
  n.map = std::make_unique<place::NodeMap>(n.sites);
  return n;
}

Nodes read_sites(const std::string &path) {
  text::LineReader in(path);
  const text::Header header(in);
  const size_t lat = header.need({"lat"}), lon = header.need({"lon"});
  std::vector<place::NodeSite> sites;
  std::string_view line;
  std::vector<std::string_view> f;
  while (in.next(line)) {
    if (line.empty()) continue;
    text::split(line, f);
    if (f.size() != header.width()) in.fail("the number of fields differs from the header's");
    place::NodeSite s;
    s.node = static_cast<NodeId>(sites.size() + 1);
    s.lat = text::number(in, f[lat], -90, 90);
    s.lon = text::number(in, f[lon], -180, 180);
    sites.push_back(std::move(s));
  }
  if (sites.empty()) in.fail("no sites");
  return from_sites(std::move(sites));
}

Nodes grid(const std::string &spec) {
  GridSpec g;
  char rest = 0;
  if (std::sscanf(spec.c_str(), "%dx%d:%lf,%lf,%lf,%lf%c", &g.rows, &g.columns, &g.lat0, &g.lat1, &g.lon0, &g.lon1, &rest) != 6 ||
      g.rows < 1 || g.columns < 1 || g.rows * g.columns > 1000000 || !(g.lat0 < g.lat1) || !(g.lon0 < g.lon1))
    throw std::runtime_error("--grid " + spec + ": give RxC:lat0,lat1,lon0,lon1 with lat0 < lat1 and lon0 < lon1");
  Nodes n;
  for (int r = 0; r < g.rows; r++)
    for (int c = 0; c < g.columns; c++) {
      place::NodeSite s;
      s.node = static_cast<NodeId>(n.sites.size() + 1);
      s.lat = g.lat0 + (g.lat1 - g.lat0) * (r + 0.5) / g.rows;
      s.lon = g.lon0 + (g.lon1 - g.lon0) * (c + 0.5) / g.columns;
      n.sites.push_back(std::move(s));
    }
  n.map = std::make_unique<Grid>(g);
  return n;
}

}  // namespace vectorshard::sim
