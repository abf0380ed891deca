// The city: see city.hpp. It is the demo's.
#include "city.hpp"

#include <cmath>

#include "../demo/city.hpp"

namespace vectorshard::sim {

Trace city(size_t clients) {
  Trace out;
  for (const demo::Track &track : demo::generate_city(clients).tracks) {
    auto client = static_cast<uint32_t>(out.clients.size());
    out.clients.push_back(track.client);
    for (const demo::Report &r : track.reports) out.fixes.push_back(fix_of(r, client));
  }
  sort_by_time(out);
  return out;
}

Nodes city_sites() { return nodes_at(demo::generate_city(0).sites); }

Fix fix_of(const demo::Report &r, uint32_t client) {
  Fix x;
  x.at_s = r.unix_s;
  x.stand_at(r.at.lat, r.at.lon);
  if (!std::isnan(r.speed_mps)) x.speed_mps = static_cast<float>(r.speed_mps);
  if (!std::isnan(r.heading_deg)) x.heading_deg = static_cast<float>(r.heading_deg);
  x.client = client;
  return x;
}

Nodes nodes_at(const std::vector<demo::Point> &places) {
  std::vector<place::NodeSite> sites;
  for (const demo::Point &p : places) {
    place::NodeSite s;
    s.node = static_cast<NodeId>(sites.size() + 1);
    s.lat = p.lat;
    s.lon = p.lon;
    sites.push_back(std::move(s));
  }
  return from_sites(std::move(sites));
}

}  // namespace vectorshard::sim
