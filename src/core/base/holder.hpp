// What a node states about its copy of a client (table `holder`), and which of two statements counts. Only the node
// itself states anything, so of one generation the states follow each other; a statement may arrive late or twice.
#pragma once
#include <string_view>

#include "core/base/ids.hpp"

namespace vectorshard {

/// In the order in which a residency goes through them; `none`: no row. live and cold may alternate at a home.
enum class HolderState { none, copying, live, cold, gone };

constexpr HolderState holder_state(std::string_view text) {
  if (text == "copying") return HolderState::copying;
  if (text == "live") return HolderState::live;
  if (text == "cold") return HolderState::cold;
  return text == "gone" ? HolderState::gone : HolderState::none;
}

/// True if a holder in this state is sent what is written of the client.
constexpr bool receives(HolderState state) { return state == HolderState::copying || state == HolderState::live; }

struct HolderStatement {
  HolderState state = HolderState::none;
  Generation generation = 0;
  Version version = 0;  // 0: the node said so in an answer, not by its row
};

/// True if what a node says of itself outside the stream (announcement, refusal) replaces what is known here. A larger
/// generation does; within one, `gone` is the end, nothing goes back to copying, and a newer version or a later state
/// counts.
constexpr bool replaces(const HolderStatement &said, const HolderStatement &known) {
  if (known.state == HolderState::none) return true;
  if (said.generation != known.generation) return said.generation > known.generation;
  if (known.state == HolderState::gone || said.state == known.state || said.state == HolderState::copying) return false;
  return said.version > known.version || said.state > known.state;
}

}  // namespace vectorshard
