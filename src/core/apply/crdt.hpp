// Column values that merge by type: counter, text_set, max_register, min_register (docs/formats/crdt.md).
//
// A value is a state of a join semilattice: merge() is commutative, associative and idempotent, so states may be
// delivered twice, late and in any order. Three rules carry it:
//
// 1. What a node adds stands under an entry of its own, keyed by (node, incarnation, generation of the client's
//    residency there). One entry has one writer, who only ever moves it forward, so the further of two states of an
//    entry holds the other. A node that was restored has a new incarnation, a client that left and came back a new
//    generation: no entry is ever counted on from an old copy.
// 2. A value carries its birth: the row version of the INSERT, or of the assignment, that made it. Of two births the
//    later wins whole; only equal births merge. (The lexicographic product of a total order and a semilattice is one.)
// 3. A tombstone ends what was born before it: it merges as an empty value born at the tombstone's version. So a
//    delete is one more state to merge, and its order does not matter either.
//
// An SQL operator knows neither node nor generation: `c + 1` is the state read plus a *pending* change. The row
// trigger takes the pending part up into the row's present state under this node's entry (grown), or, if what is written
// is a value of its own, makes it a new birth (born). Pending parts are no part of the lattice: merging ignores them.
//
// Pure: no database, no clock. Decoding takes hostile bytes: each count is checked against what is left, and only the one
// canonical form of a state is accepted, so equal states have equal bytes.
#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "core/apply/crdt_counter.hpp"
#include "core/apply/crdt_register.hpp"
#include "core/apply/crdt_text_set.hpp"

namespace vectorshard::apply {

using Crdt = std::variant<Counter, TextSet, Register>;

std::string encode(const Crdt &value);
/// Errors: corrupt.
Result<Crdt> decode_crdt(std::string_view bytes);
CrdtKind kind_of(const Crdt &value);

/// The join. Errors: invalid_argument if the kinds differ.
Result<Crdt> merge(const Crdt &a, const Crdt &b);
/// Whether merging `b` into `a` would change nothing of `a`'s state. Errors: as merge.
Result<bool> contains(const Crdt &a, const Crdt &b);
/// The state after a tombstone of version `deleted` is known.
Crdt ended(const Crdt &value, Version deleted);

/// What an UPDATE that puts `now` where `was` stood means. Errors: invalid_argument if the kinds differ.
Result<CrdtWrite> classify(const Crdt &was, const Crdt &now);
/// For CrdtWrite::grow: `was` with the pending part of `now` under `entry`. Errors: out of range as invalid_argument.
Result<Crdt> grown(const Crdt &was, const Crdt &now, const EntryKey &entry);
/// The value of `now`, born at `birth`, without entries. Errors: out of range as invalid_argument.
Result<Crdt> born(const Crdt &now, Version birth);
/// The value of `now`, marked so that writing it is an assignment even if it says what stands there already.
Result<Crdt> fresh(const Crdt &now);
Version birth_of(const Crdt &value);
/// How many entries the state carries.
size_t entries(const Crdt &value);

}  // namespace vectorshard::apply
