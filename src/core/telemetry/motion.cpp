// Motion as bytes: a version byte, then the fields in order. Doubles travel as their bit patterns.
#include <algorithm>
#include <bit>

#include "core/base/bytes.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::telemetry {

namespace {

constexpr uint8_t kMotionFormat = 3, kWithoutHabit = 2, kWithoutTrail = 1;

/// Visits every field in the order of the format; one list for both directions.
template <class M, class D, class U32, class U64, class I32>
void visit_fields(M &m, D number, U32 u32, U64 u64, I32 i32) {
  auto &k = m.kalman;
  for (auto *v : {&m.at_s, &m.lat, &m.lon, &m.speed_mps, &m.heading_deg, &m.interval_s, &m.pace_mps, &m.session_s,
                  &k.anchor_lat, &k.anchor_lon, &k.x, &k.y, &k.vx, &k.vy, &k.p_pos, &k.p_cross, &k.p_vel, &k.at_s,
                  &m.stay.lat, &m.stay.lon, &m.stay.since_s, &m.serving_since_s})
    number(*v);
  u32(k.resets);
  u32(k.updates);
  i32(m.serving);
  u64(m.reports);
}

/// The trail travels as it is: with the stands that there are.
template <class T, class D, class U64, class I32>
void visit_trail(T &t, D number, U64 u64, I32 i32) {
  for (auto *v : {&t.anchor.at_s, &t.anchor.lat, &t.anchor.lon}) number(*v);
  for (auto *v : {&t.anchor.east, &t.anchor.north}) {
    double wide = static_cast<double>(*v);
    number(wide);
    if constexpr (!std::is_const_v<T>) *v = static_cast<float>(wide);
  }
  i32(t.anchor.way_class);
  i32(t.count);
  for (int i = 0; i < std::clamp(t.count, 0, Trail::kStands); i++) {
    number(t.stands[i].at_s);
    u64(t.stands[i].place);
    i32(t.stands[i].serving);
  }
}

template <class K, class D>
void visit_stop(K &k, D number) {
  for (auto *v : {&k.stopped, &k.stop_x, &k.stop_y, &k.p_stop}) number(*v);
}

/// As many moves as there are; the rest are free.
template <class H, class D, class U16>
void visit_habit(H &h, D number, U16 u16) {
  for (auto *v : {&h.session_s, &h.since_s, &h.last_s}) number(*v);
  u16(h.before);
  u16(h.here);
  u16(h.skill);
  for (auto &m : h.moves) {
    u16(m.times);
    if (m.times == 0) break;
    for (auto *v : {&m.before, &m.here, &m.next, &m.dwell, &m.spread, &m.hours}) u16(*v);
  }
}

}  // namespace

void Trail::note(const Stand &here, double lead_s) {
  if (count > 1 && here.at_s - stands[count - 2].at_s <= lead_s / 3) {
    stands[count - 1] = here;  // the one before is near enough
    return;
  }
  if (count == kStands) std::copy(stands + 1, stands + count--, stands);
  stands[count++] = here;
}

const Stand *Trail::before(double at_s) const {
  for (int i = count - 1; i >= 0; i--)
    if (stands[i].at_s <= at_s) return &stands[i];
  return nullptr;
}

const char *refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::late: return "late";
    case Refusal::future: return "future";
    case Refusal::duplicate: return "duplicate";
    case Refusal::too_fast: return "too_fast";
    case Refusal::malformed: return "malformed";
  }
  return "unknown";
}

std::string encode(const Motion &motion) {
  ByteWriter w;
  w.u8(kMotionFormat);
  auto number = [&](double v) { w.u64(std::bit_cast<uint64_t>(v)); };
  auto u64 = [&](uint64_t v) { w.u64(v); };
  auto i32 = [&](int32_t v) { w.i32(v); };
  visit_fields(motion, number, [&](uint32_t v) { w.u32(v); }, u64, i32);
  visit_trail(motion.trail, number, u64, i32);
  visit_stop(motion.kalman, number);
  visit_habit(motion.habit, number, [&](uint16_t v) { w.u16(v); });
  return std::move(w).take();
}

Result<Motion> decode_motion(std::string_view bytes) {
  ByteReader r(bytes);
  const uint8_t format = r.u8();
  if (format < kWithoutTrail || format > kMotionFormat || !r.ok())
    return Error{Errc::corrupt, "motion state is of an unknown format", "", "Upgrade vectorshard on this node."};
  Motion m;
  bool finite = true;
  auto number = [&](double &v) {
    v = std::bit_cast<double>(r.u64());
    finite = finite && std::isfinite(v);
  };
  auto u64 = [&](uint64_t &v) { v = r.u64(); };
  auto i32 = [&](int32_t &v) { v = r.i32(); };
  visit_fields(m, number, [&](uint32_t &v) { v = r.u32(); }, u64, i32);
  if (format >= kWithoutHabit) visit_trail(m.trail, number, u64, i32);
  if (format == kMotionFormat) {
    visit_stop(m.kalman, number);
    visit_habit(m.habit, number, [&](uint16_t &v) { v = r.u16(); });
  }
  finite = finite && m.trail.count >= 0 && m.trail.count <= Trail::kStands;
  if (!r.ok() || !r.at_end() || !finite || std::fabs(m.lat) > 90 || std::fabs(m.lon) > 180 ||
      std::fabs(m.kalman.anchor_lat) > 90 || std::fabs(m.kalman.anchor_lon) > 180)
    return Error{Errc::corrupt, "motion state does not decode",
                 "It has " + std::to_string(bytes.size()) + " bytes.", ""};
  return m;
}

}  // namespace vectorshard::telemetry
