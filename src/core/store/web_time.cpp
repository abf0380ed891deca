// Moments as HTTP and XML write them: see web_time.hpp.
#include "core/store/web_time.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>

namespace vectorshard::store {

namespace {

using namespace std::chrono;

constexpr const char *kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr const char *kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Parts {
  int year, month, day, hour, minute, second, weekday;
};

Parts parts_of(int64_t unix_s) {
  sys_seconds moment{seconds(unix_s)};
  sys_days day = floor<days>(moment);
  year_month_day date(day);
  hh_mm_ss time(moment - day);
  return {int(date.year()), static_cast<int>(unsigned(date.month())), static_cast<int>(unsigned(date.day())),
          static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
          static_cast<int>(time.seconds().count()), static_cast<int>(weekday(day).c_encoding())};
}

std::optional<int64_t> seconds_of(const Parts &p) {
  year_month_day date{year(p.year), month(static_cast<unsigned>(p.month)), day(static_cast<unsigned>(p.day))};
  if (!date.ok()) return std::nullopt;
  int64_t whole_days = sys_days(date).time_since_epoch().count();
  return whole_days * 86400 + p.hour * 3600 + p.minute * 60 + p.second;
}

}  // namespace

std::string basic_time(int64_t unix_s) {
  Parts p = parts_of(unix_s);
  char out[64];
  snprintf(out, sizeof out, "%04d%02d%02dT%02d%02d%02dZ", p.year, p.month, p.day, p.hour, p.minute, p.second);
  return out;
}

std::string http_time(int64_t unix_s) {
  Parts p = parts_of(unix_s);
  char out[64];
  snprintf(out, sizeof out, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[p.weekday], p.day, kMonths[p.month - 1], p.year,
           p.hour, p.minute, p.second);
  return out;
}

std::optional<int64_t> read_time(std::string_view text) {
  std::string s(text);
  Parts p{};
  if (sscanf(s.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &p.year, &p.month, &p.day, &p.hour, &p.minute, &p.second) == 6)
    return seconds_of(p);
  char name[4] = "";
  if (sscanf(s.c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d", &p.day, name, &p.year, &p.hour, &p.minute, &p.second) != 6)
    return std::nullopt;
  for (int i = 0; i < 12; i++)
    if (strcmp(name, kMonths[i]) == 0) p.month = i + 1;
  return seconds_of(p);
}

}  // namespace vectorshard::store
