// What this node has learned of how clients move: in shared memory, because the navigator learns and others explain. It is
// learned anew after a restart; within minutes it is as good as before. Nothing here can fail.
#include "core/predict/forecast.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/lwlocked.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/predict/api.hpp"

namespace vectorshard::predict {

namespace {

constexpr size_t kPlaces = 16384;

struct Region {
  LWLock lock;  // guards what follows
  Ways ways;
  Crowd::Place places[kPlaces];
};
Region *region = nullptr;

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  LWLockInitialize(&r->lock, LWLockNewTrancheId());
  new (&r->ways) Ways();
  for (Crowd::Place &place : r->places) new (&place) Crowd::Place();
}

Forecast forecast_of_node() { return {&region->ways, {region->places, kPlaces}}; }

}  // namespace

void init() {
  bridge::register_region({"vectorshard predict", [] { return sizeof(Region); }, init_region, reinterpret_cast<void **>(&region)});
}

void learn(telemetry::Motion &motion, double lead_s) {
  bridge::LwLocked locked(&region->lock, LW_EXCLUSIVE);
  forecast_of_node().learn(motion, lead_s);
}

void learn_arrival(const telemetry::Trail &trail, NodeId to, double at_s, double lead_s, double left_s) {
  bridge::LwLocked locked(&region->lock, LW_EXCLUSIVE);
  Forecast f = forecast_of_node();
  if (at_s == left_s) f.left(trail, at_s);
  f.arrived(trail, bridge::self_node(), to, at_s, lead_s, left_s);
}

ReachBound learned_reach_bound() {
  bridge::LwLocked locked(&region->lock, LW_SHARED);
  return ReachBound(region->ways);
}

std::vector<Candidate> forecast(const telemetry::Motion &motion, NodeId serving, const place::NodeMap &map, double lead_s, double silent_s) {
  Forecast::Learned learned;
  {
    bridge::LwLocked locked(&region->lock, LW_SHARED);
    learned = forecast_of_node().learned(motion);
  }
  return Forecast::candidates(motion, serving, map, lead_s, learned, {}, silent_s);
}

}  // namespace vectorshard::predict
