// What a greeting tells of its sender: whether it is the server that was heard before, started again, or one that comes
// from the past (restored from a backup or a snapshot), or one of two copies. Invariant 10 of the design. It decides by
// what the receiver remembers; it must never take "not heard of" for "in order" when something was heard before.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/ship/pgoutput.hpp"

namespace vectorshard::ship {

/// One start of a server: a random number drawn when it started, and where its WAL ended then.
struct Start {
  uint64_t token = 0;
  Lsn position = 0;
  bool operator==(const Start &) const = default;
};

/// The starts of a data directory in one incarnation, the present one last. A copy of the directory has the same
/// beginning and an end of its own.
using StartChain = std::vector<Start>;
constexpr size_t kChainMax = 64;  // older ones are forgotten

/// "token@position token@position …", in hexadecimal, for the boot record and the greeting.
std::string to_text(const StartChain &chain);
/// Errors: corrupt.
Result<StartChain> parse_chain(std::string_view text);
/// Appends a start, forgetting the oldest beyond kChainMax.
void add_start(StartChain &chain, Start start);

/// What a sender says of itself. `position`: the end of its WAL now.
struct Greeting {
  int64_t incarnation = 0;
  StartChain chain;  // not empty
  Lsn position = 0;
};

/// What the receiver remembers of it: its last start and the furthest position heard from that.
struct Heard {
  int64_t incarnation = 0;
  uint64_t token = 0;
  Lsn position = 0;
};

enum class Standing {
  known,    // the same start as before, further on
  started,  // a new start of the same data: believed if it is the one that answers under the node's address
  past,     // its WAL ends before what was heard, or it has another history: it lacks what it once had sent
};

/// Judges a greeting. `heard`: nothing if this receiver never heard of the node.
/// A later incarnation was given by the registrar, which has looked: it begins anew (started). An earlier one is past.
Standing judge(const Greeting &greeting, const std::optional<Heard> &heard);

}  // namespace vectorshard::ship
