// Benefit and cost of a copy in one unit: seconds of clients' waiting, for each hour that the copy is held. Benefit: arrivals in
// that hour, times what an arrival waits that finds no copy. Cost: what an operator would rather let clients wait than pay.
// Pure. docs/reference.md, "What placement reckons with", has the same in words.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vectorshard::place {

enum class PlaceTier { edge, home, cold };

constexpr double kBytesAMb = 1 << 20;
/// An hour of a copy of an average client on another node than its home. At 1 s a miss: 2.16 arrivals an hour.
constexpr double kCopyHourCost = 2.16;
constexpr double kMissS = 1;        // what an arrival waits that finds no copy, at least
constexpr double kAccessesPerS = 1;  // of a client until its copy is there, each a remote read
constexpr double kHoldS = 600;      // how long a copy is expected to be held: its transfer is spread over it

/// What one tier of one table costs, in seconds of waiting.
struct Price {
  double copy_hour = 0;  // an hour of a copy, however small
  double mb_hour = 0;    // an hour of each MB
  double mb_moved = 0;   // each MB moved to where it is held
  double miss_s = 0;     // waited at an arrival that finds no copy; 0: what is measured
  double weight = 1;     // of that waiting: the mean of its tables
};

/// While no price is set: half of kCopyHourCost for each copy, half by bytes, in proportion to those of an average client
/// (0: not known); moving it costs as much as holding it for two minutes.
Price default_price(PlaceTier tier, double average_bytes);

/// As an operator set it, fields that were left out empty.
struct PriceRow {
  std::string table;  // empty: all tables
  PlaceTier tier = PlaceTier::edge;
  std::optional<double> copy_hour, mb_hour, mb_moved, miss_s;
};

/// Share of a table in the bytes of an average client.
struct TableShare {
  std::string table;
  double share = 0;
  double weight = 1;    // of accesses to it
  bool in_size = true;  // its bytes cost
};

/// The price of a client's copy on a tier: of each table its own where it is set, else that for all tables, else the default;
/// by bytes as the tables share them. A miss waits for the table that is most missed, and counts by the mean of their weights.
Price price_of(PlaceTier tier, const std::vector<PriceRow> &rows, const std::vector<TableShare> &shares, double average_bytes);

/// What a copy of `bytes` costs an hour, its transfer spread over `hold_s`.
double cost_per_h(const Price &price, double bytes, double hold_s = kHoldS);

/// Cost relative to that of an average client's copy at default prices: by this a planner's threshold moves. bytes 0: not
/// known, an average client.
double price_factor(const Price &price, double bytes, double average_bytes);

/// What an arrival waits that finds no copy: at least kMissS, and more where what is measured is slow: a remote read for each
/// access until the copy is there.
double miss_s(const Price &price, double copy_s, double rtt_s);

/// Benefit less cost of a copy, seconds of waiting an hour. `least_rate`: arrivals a second at which a copy of price factor 1
/// pays (PlanSettings::min_rate).
double worth_per_h(double rate_per_s, double miss_s, double least_rate, double price_factor);

/// How long a copy is kept after its last wish (ski rental): until holding it has cost as much as moving it again would, so that
/// whatever comes costs at most twice the best. At least keep_s, at most kMostHolds times that.
constexpr double kMostHolds = 30;
double hold_s(const Price &price, double bytes, double average_bytes, double keep_s);

}  // namespace vectorshard::place
