// The keys of encrypted stores: in the file that vectorshard.store_key_file names, outside the database. Read anew for each store that is
// opened, so that a new key counts at once; never kept, never logged.
#pragma once
#include <string>

#include "core/store/key_ring.hpp"

namespace vectorshard::tier {

/// For the store of that name, which is told in errors. Errors: denied (no file is set, or others may read it), io, invalid_argument.
Result<store::KeyRing> store_keys(const std::string &store);

}  // namespace vectorshard::tier
