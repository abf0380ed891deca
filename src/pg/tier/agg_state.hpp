// States of PostgreSQL's aggregates, made of sums that were computed elsewhere. Plain C: may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// The serialized state (bytea) that sum() and avg() of int8 have after `n` values that are not null and whose sum this is.
Datum int8_state(int64_t n, __int128 sum);
/// The same of numeric, whose values have `scale` digits behind the point; the sum in units of the last.
Datum numeric_state(int64_t n, __int128 sum, int scale);
/// The state of avg() of int2 and int4: an int8[] of count and sum.
Datum small_average_state(int64_t n, int64_t sum);

}  // namespace vectorshard::tier
