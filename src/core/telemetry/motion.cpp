// Motion as bytes: a version byte, then the fields in order. Doubles travel as their bit patterns.
#include <bit>

#include "core/base/bytes.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::telemetry {

namespace {

constexpr uint8_t kMotionFormat = 1;

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

}  // namespace

const char *refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::late: return "late";
    case Refusal::future: return "future";
    case Refusal::duplicate: return "duplicate";
    case Refusal::too_fast: return "too_fast";
  }
  return "unknown";
}

std::string encode(const Motion &motion) {
  ByteWriter w;
  w.u8(kMotionFormat);
  visit_fields(
      motion, [&](double v) { w.u64(std::bit_cast<uint64_t>(v)); }, [&](uint32_t v) { w.u32(v); },
      [&](uint64_t v) { w.u64(v); }, [&](int32_t v) { w.i32(v); });
  return std::move(w).take();
}

Result<Motion> decode_motion(std::string_view bytes) {
  ByteReader r(bytes);
  if (r.u8() != kMotionFormat || !r.ok())
    return Error{Errc::corrupt, "motion state is of an unknown format", "", "Upgrade vectorshard on this node."};
  Motion m;
  bool finite = true;
  visit_fields(
      m,
      [&](double &v) {
        v = std::bit_cast<double>(r.u64());
        finite = finite && std::isfinite(v);
      },
      [&](uint32_t &v) { v = r.u32(); }, [&](uint64_t &v) { v = r.u64(); }, [&](int32_t &v) { v = r.i32(); });
  if (!r.ok() || !r.at_end() || !finite || std::fabs(m.lat) > 90 || std::fabs(m.lon) > 180 ||
      std::fabs(m.kalman.anchor_lat) > 90 || std::fabs(m.kalman.anchor_lon) > 180)
    return Error{Errc::corrupt, "motion state does not decode",
                 "It has " + std::to_string(bytes.size()) + " bytes.", ""};
  return m;
}

}  // namespace vectorshard::telemetry
