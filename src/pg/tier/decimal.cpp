// Decimals: see decimal.hpp. The form of a numeric on disk is that of PostgreSQL's src/backend/utils/adt/numeric.c (NumericShort,
// NumericLong), the same in versions 15 to 18, and no header gives it: two bytes that tell sign, scale and weight (or four), then
// digits to the base 10000, the first one times 10000^weight.
#include "pg/tier/decimal.hpp"

extern "C" {
#include "fmgr.h"
#include "utils/numeric.h"
}

namespace vectorshard::tier {

namespace {

constexpr uint16 kSpecial = 0xC000, kShort = 0x8000, kNegative = 0x4000, kShortNegative = 0x2000, kShortWeightSign = 0x0040, kShortWeight = 0x003F;
constexpr int kBaseDigits = 4, kBase = 10000;
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

Datum decimal_datum(int64_t units, int scale) { return NumericGetDatum(int64_div_fast_to_numeric(units, scale)); }

}  // namespace vectorshard::tier
