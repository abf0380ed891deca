// Benefit and cost: see value.hpp.
#include "core/place/value.hpp"

#include <algorithm>

namespace vectorshard::place {

namespace {

constexpr double kUnknownBytes = 65536;
constexpr double kMoveAsHoldingS = 120;

double average_or(double bytes) { return bytes > 0 ? bytes : kUnknownBytes; }

double share_of_tier(PlaceTier tier) {
  switch (tier) {
    case PlaceTier::edge: return 1;
    case PlaceTier::home: return 0.25;
    case PlaceTier::cold: break;
  }
  return 0.05;
}

void overlay(Price &price, const PriceRow &row) {
  price.copy_hour = row.copy_hour.value_or(price.copy_hour);
  price.mb_hour = row.mb_hour.value_or(price.mb_hour);
  price.mb_moved = row.mb_moved.value_or(price.mb_moved);
  price.miss_s = row.miss_s.value_or(price.miss_s);
}

}  // namespace

Price default_price(PlaceTier tier, double average_bytes) {
  double half = kCopyHourCost / 2 * share_of_tier(tier);
  double mb = average_or(average_bytes) / kBytesAMb;
  double moving = kMoveAsHoldingS / kHoldS;
  Price p{half, half / (1 + moving) / mb, 0, 0};
  p.mb_moved = p.mb_hour * kMoveAsHoldingS / 3600;
  return p;
}

Price price_of(PlaceTier tier, const std::vector<PriceRow> &rows, const std::vector<TableShare> &shares, double average_bytes) {
  Price all = default_price(tier, average_bytes);
  bool any = false;
  for (const PriceRow &r : rows) {
    if (r.tier != tier) continue;
    if (r.table.empty())
      overlay(all, r);
    else
      any = true;
  }
  any |= std::any_of(shares.begin(), shares.end(), [](const TableShare &s) { return s.weight != 1 || !s.in_size; });
  if (!any || shares.empty()) return all;
  Price sum;
  sum.weight = 0;
  double total = 0;
  for (const TableShare &s : shares) total += s.share;
  for (const TableShare &s : shares) {
    Price one = all;
    for (const PriceRow &r : rows)
      if (r.tier == tier && r.table == s.table) overlay(one, r);
    if (!s.in_size) one.mb_hour = one.mb_moved = 0;
    double part = total > 0 ? s.share / total : 1.0 / static_cast<double>(shares.size());
    sum.copy_hour += part * one.copy_hour;
    sum.mb_hour += part * one.mb_hour;
    sum.mb_moved += part * one.mb_moved;
    sum.miss_s = std::max(sum.miss_s, one.miss_s);
    sum.weight += s.weight / static_cast<double>(shares.size());
  }
  return sum;
}

double cost_per_h(const Price &price, double bytes, double hold_s) {
  double mb = bytes / kBytesAMb;
  return price.copy_hour + mb * price.mb_hour + mb * price.mb_moved * (3600 / hold_s);
}

double price_factor(const Price &price, double bytes, double average_bytes) {
  double average = average_or(average_bytes);
  // The same sum for both: an average client at default prices has the factor 1 to the last bit.
  return cost_per_h(price, bytes > 0 ? bytes : average) / cost_per_h(default_price(PlaceTier::edge, average), average);
}

double miss_s(const Price &price, double copy_s, double rtt_s) {
  return price.weight * (price.miss_s > 0 ? price.miss_s : std::max(kMissS, kAccessesPerS * copy_s * rtt_s));
}

double worth_per_h(double rate_per_s, double miss_s, double least_rate, double price_factor) {
  return 3600 * (rate_per_s * miss_s - least_rate * price_factor);
}

double hold_s(const Price &price, double bytes, double average_bytes, double keep_s) {
  double mb = (bytes > 0 ? bytes : average_or(average_bytes)) / kBytesAMb;
  double moving = mb * price.mb_moved, holding_per_s = (price.copy_hour + mb * price.mb_hour) / 3600;
  double even = holding_per_s > 0 ? moving / holding_per_s : kMostHolds * keep_s;
  return std::clamp(even, keep_s, kMostHolds * keep_s);
}

}  // namespace vectorshard::place
