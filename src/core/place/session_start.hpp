// Session starts: a client that fell silent on a node may come back there, at hours of its own or after pauses of its own. What each
// node learned of that for each client that rested there, and at which tier its rows should lie meanwhile: hot on this node, hot
// at its home, or in a store. Pure; clients' seconds since 1970.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/place/value.hpp"

namespace vectorshard::place {

/// How likely a start is in a stretch of time, and by what.
struct StartOdds {
  double from_s = 0, to_s = 0;
  int silent = 0, began = 0;  // so often it rested until then, and so often it came then
  bool by_pause = false;      // after a pause of that length; else at that hour
  double chance() const;
  double rate() const { return chance() / (to_s - from_s); }
};

/// Counted for each quarter of an hour of the day and each class of pauses: how often the client was silent when it began, and how
/// often it came back here in it. Plain data of 240 bytes.
class RestHabit {
 public:
  static constexpr int kBins = 96;
  static constexpr double kBinS = 900;
  static constexpr int kPauses = 24;  // from kSessionGapS on, each half as long again as the one before: up to 40 days

  /// A rest that began here has ended; `here`: by a session that began here, else by one elsewhere.
  void note(double from_s, double to_s, bool here);
  /// Starts here a second, at `at_s`, of a client that is silent since `from_s` until then. A habit takes some days to be believed.
  double rate(double from_s, double at_s) const;
  StartOdds odds(double from_s, double at_s) const;
  /// The first time after `at_s` at which they may change.
  static double next_change(double from_s, double at_s);

  std::string encode() const;
  static std::optional<RestHabit> decode(std::string_view bytes);

 private:
  struct Seen {
    uint8_t silent = 0, began = 0;
  };
  static void count(Seen &seen, bool began);

  Seen bins_[kBins];
  Seen pauses_[kPauses];
};
static_assert(std::is_trivially_copyable_v<RestHabit> && sizeof(RestHabit) == 240);

/// What decides about a resting client.
struct RestInput {
  double from_s = 0;        // silent since
  double now_s = 0;
  double lead_s = 0;        // of a copy to this node, from where the rows are now
  double thaw_s = 0;        // what the store takes, of this if the rows are there
  double miss_s = kMissS;   // waited at a start that finds no copy here
  double cold_miss_s = kMissS;  // and besides, if the rows are in a store
  double edge_cost_h = kCopyHourCost;  // of a copy here
  double home_cost_h = 0;   // of rows that are hot at the home, beyond those in a store
};

struct RestPlan {
  PlaceTier tier = PlaceTier::cold;  // the cheapest at which more is not worth its cost
  double until_s = 0;       // as long as this tier is the best; when it is decided anew
  double eta_s = 0;         // when a start is expected that decided it
  double rate_per_s = 0;    // of starts then
};

/// Looks a day ahead. What lies in a store is brought back so early that it is here at the start.
RestPlan plan_rest(const RestHabit &habit, const RestInput &in);

/// The next start, within a day, that is worth having the rows there for.
struct ExpectedStart {
  StartOdds odds;
  PlaceTier tier = PlaceTier::edge;  // or home
  double act_s = 0;                  // when the rows are brought there
};
std::optional<ExpectedStart> expected_start(const RestHabit &habit, const RestInput &in);

}  // namespace vectorshard::place
