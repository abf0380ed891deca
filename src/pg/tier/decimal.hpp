// Numerics of fixed scale as integers, without the arithmetic of type numeric.
#pragma once
#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// `value` in units of 10^-scale; kNoDecimal if it is NaN, infinite, has more digits behind the point, or needs more than
/// kDecimalDigitsMax digits. May ereport (detoasting).
int64_t decimal_units(Datum value, int scale);
/// The numeric of so many units, with `scale` digits behind the point. May ereport.
Datum decimal_datum(int64_t units, int scale);
/// What writes the numeric of so many units with `scale` (0 to kDecimalDigitsMax) digits behind the point to `memory`, which has room for
/// kDecimalBytesMax bytes and is aligned as an int, and gives how many it takes, with what aligns the next.
constexpr size_t kDecimalBytesMax = 28;
using PutDecimal = size_t(int64_t units, char *memory);
PutDecimal *put_decimal(int scale);

}  // namespace vectorshard::tier
