// The last step of a copy: the client's rows, its residency and its holder row become one committed transaction.
#pragma once
#include <string_view>

#include "pg/place/copy.hpp"

namespace vectorshard::place {

struct Received {
  CopyEnd end = CopyEnd::live;
  int sqlstate = 0;
  Error why{};
};

/// Merges the batch that copy_export gave, outside a transaction. again_soon: somebody holds the client (an open
/// forwarded write), or the transaction lost a race. Never leaves half a client behind.
Received receive_copy(const CopyItem &item, std::string_view bytes);

/// The home has nothing that is not here: an unconfirmed copy becomes a confirmed one.
Received confirm_copy(const CopyItem &item);

}  // namespace vectorshard::place
