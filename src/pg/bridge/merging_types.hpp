// The types whose values merge (vectorshard.counter, text_set, max_register, min_register), known by name: stages ask
// whether a column has one.
#pragma once
#include <optional>

#include "core/apply/crdt_entry.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::bridge {

/// The kind of a type that merges, or of a domain over one. Kept for the backend's life. Needs a transaction.
std::optional<apply::CrdtKind> merging_kind(Oid type);

/// The text form of a value of such a type that carries its full state ("\x…"), which the type's input takes.
std::string merging_state_text(Oid type, Datum value);

}  // namespace vectorshard::bridge
