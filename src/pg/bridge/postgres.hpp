// The one way to include postgres.h: after the standard library, whose headers its macros (snprintf, printf, _) break.
// Every header and source under src/pg includes this instead of postgres.h, and before other server headers.
#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>
extern "C" {
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
}
