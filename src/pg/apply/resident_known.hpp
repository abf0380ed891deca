// Clients that earlier transactions of this process found resident on this node, so that a batch or a writer need not look
// each of them up. It may forget at any time; it must never remember a client that has begun to leave.
#pragma once
#include <string>
#include <string_view>

#include "pg/apply/api.hpp"

namespace vectorshard::apply {

/// For sets of names that are asked for views.
struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};

/// When something that was seen resident may be so no more.
struct Epochs {
  uint64 eviction = 0;
  uint64 catalog = 0;
  /// Takes the present ones; true if they have moved.
  bool renew();
};

/// True if `client` is resident and not leaving. Call with RowExclusiveLock on the tables whose rows are to be written:
/// whoever lets a client leave marks it, moves the eviction epoch, then waits for the holders of that lock.
bool known_resident(std::string_view client);
/// After known_resident() said no: what residency_now() has found since, with that lock held. Kept if a committed row says
/// that the client is here and stays; one of this transaction's own may be rolled back.
void remember_resident(std::string_view client, const Residency &found);

}  // namespace vectorshard::apply
