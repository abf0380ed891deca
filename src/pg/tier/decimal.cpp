// Decimals: see decimal.hpp. The form of a numeric on disk is that of PostgreSQL's src/backend/utils/adt/numeric.c (NumericShort,
// NumericLong), the same in versions 15 to 18, and no header gives it: two bytes that tell sign, scale and weight (or four), then
// digits to the base 10000, the first one times 10000^weight.
#include "pg/tier/decimal.hpp"

#include <array>
#include <utility>

extern "C" {
#include "fmgr.h"
#include "utils/numeric.h"
}

namespace vectorshard::tier {

namespace {

constexpr uint16 kSpecial = 0xC000, kShort = 0x8000, kNegative = 0x4000, kShortNegative = 0x2000, kShortWeightSign = 0x0040, kShortWeight = 0x003F;
constexpr int kBaseDigits = 4, kBase = 10000, kShortScaleShift = 7;
constexpr int kMostBaseDigits = 7;  // 28 digits: more is refused before it could overflow

/// Digits and where their unit stands.
struct Digits {
  __int128 all = 0;
  int exponent = 0;  // value = all * 10^exponent
  bool negative = false, usable = false;
};

Digits digits_of(const char *p, size_t bytes) {
  Digits out;
  uint16 header;
  int16 weight;
  memcpy(&header, p, 2);
  if ((header & kSpecial) == kSpecial) return out;
  size_t at = 2;
  if (header & kShort) {
    out.negative = header & kShortNegative;
    weight = static_cast<int16>(header & kShortWeight);
    if (header & kShortWeightSign) weight = static_cast<int16>(weight - (kShortWeight + 1));
  } else {
    out.negative = header & kNegative;
    memcpy(&weight, p + 2, 2);
    at = 4;
  }
  int count = static_cast<int>((bytes - at) / 2);
  if (count > kMostBaseDigits) return out;
  for (int i = 0; i < count; i++) {
    int16 digit;
    memcpy(&digit, p + at + static_cast<size_t>(i) * 2, 2);
    out.all = out.all * kBase + digit;
  }
  out.exponent = (weight - count + 1) * kBaseDigits;
  out.usable = true;
  return out;
}

constexpr int64_t kMostUnits = 999999999999999999;  // kDecimalDigitsMax digits

}  // namespace

int64_t decimal_units(Datum value, int scale) {
  struct varlena *v = PG_DETOAST_DATUM_PACKED(value);
  Digits d = digits_of(VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
  if (!d.usable) return kNoDecimal;
  int shift = d.exponent + scale;
  for (; shift > 0 && d.all != 0; shift--) {
    if (d.all > kMostUnits) return kNoDecimal;
    d.all *= 10;
  }
  for (; shift < 0; shift++) {
    if (d.all % 10 != 0) return kNoDecimal;
    d.all /= 10;
  }
  if (d.all > kMostUnits) return kNoDecimal;
  auto units = static_cast<int64_t>(d.all);
  return d.negative ? -units : units;
}

namespace {

constexpr uint64_t kPowers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
                                1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
                                100000000000000000, 1000000000000000000};

/// One for each scale: a division by what is known when it is compiled takes a tenth of the time.
template <int kScale>
size_t put_with_scale(int64_t units, char *memory) {
  constexpr int kBehind = (kScale + kBaseDigits - 1) / kBaseDigits;
  constexpr uint64_t kFill = kPowers[kBehind * kBaseDigits - kScale];  // what fills up the last group with zeros
  const uint64_t all = units < 0 ? 0 - static_cast<uint64_t>(units) : static_cast<uint64_t>(units);
  uint64_t whole = all / kPowers[kScale], rest = all % kPowers[kScale];
  // Digits to the base 10000 on both sides of the point, from the last to the first.
  int16 digits[2 * kMostBaseDigits];
  int begin = 2 * kMostBaseDigits, end = 2 * kMostBaseDigits, weight = -1;
  if constexpr (kBehind > 0) {
    constexpr uint64_t kLast = kBase / kFill;
    digits[--begin] = static_cast<int16>(rest % kLast * kFill);
    rest /= kLast;
    for (int i = 1; i < kBehind; i++, rest /= kBase) digits[--begin] = static_cast<int16>(rest % kBase);
  }
  for (; whole != 0; whole /= kBase, weight++) digits[--begin] = static_cast<int16>(whole % kBase);
  while (begin < end && digits[begin] == 0) begin++, weight--;
  while (end > begin && digits[end - 1] == 0) end--;
  if (begin == end) weight = 0;
  const size_t count = static_cast<size_t>(end - begin), size = VARHDRSZ + sizeof(uint16) * (1 + count);
  SET_VARSIZE(memory, size);
  auto header = static_cast<uint16>(kShort | (units < 0 ? kShortNegative : 0) | (kScale << kShortScaleShift) |
                                    (weight < 0 ? kShortWeightSign : 0) | (weight & kShortWeight));
  memcpy(memory + VARHDRSZ, &header, sizeof header);
  memcpy(memory + VARHDRSZ + sizeof header, digits + begin, count * sizeof(int16));
  return INTALIGN(size);
}

template <size_t... kScales>
constexpr std::array<PutDecimal *, sizeof...(kScales)> all_scales(std::index_sequence<kScales...>) {
  return {put_with_scale<static_cast<int>(kScales)>...};
}

}  // namespace

PutDecimal *put_decimal(int scale) {
  static constexpr auto kAll = all_scales(std::make_index_sequence<kDecimalDigitsMax + 1>{});
  return kAll[static_cast<size_t>(scale)];
}

Datum decimal_datum(int64_t units, int scale) { return NumericGetDatum(int64_div_fast_to_numeric(units, scale)); }

}  // namespace vectorshard::tier
