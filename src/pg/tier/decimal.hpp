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
/// Writes that numeric to `memory`, which has room for kDecimalBytesMax bytes and is aligned as an int; how many it takes, with what
/// aligns the next.
constexpr size_t kDecimalBytesMax = 28;
size_t put_decimal(int64_t units, int scale, char *memory);

}  // namespace vectorshard::tier
