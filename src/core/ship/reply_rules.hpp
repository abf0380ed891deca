// What a sender does about an answer. Nothing that was refused may be forgotten: it becomes debt, or the peer said that
// it needs nothing.
#pragma once
#include "core/ship/types.hpp"

namespace vectorshard::ship {

enum class AfterRefusal {
  owe,           // debt to that peer
  owe_home,      // the peer was taken for the home and is none: debt to whoever the home is (node 0 until it is known)
  learn_gone,    // the peer does not hold the client: remember that, owe nothing
};

/// `as_home`: the peer was given the rows as the client's home. Of a payment `owe` means that the debt stays.
constexpr AfterRefusal after_refusal(RefusalReason reason, bool as_home) {
  if (reason != RefusalReason::gone) return AfterRefusal::owe;
  return as_home ? AfterRefusal::owe_home : AfterRefusal::learn_gone;
}

}  // namespace vectorshard::ship
