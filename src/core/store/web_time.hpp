// Moments as HTTP and XML write them, to and from seconds since 1970. No clock here.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vectorshard::store {

/// 20150830T123600Z
std::string basic_time(int64_t unix_s);
/// Sun, 30 Aug 2015 12:36:00 GMT
std::string http_time(int64_t unix_s);
/// Reads http_time, and 2015-08-30T12:36:00[.000]Z.
std::optional<int64_t> read_time(std::string_view text);

}  // namespace vectorshard::store
