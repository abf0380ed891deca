// Forgetting clients for good: objects that hold their rows, copies of those, and what this node learned of them.
#pragma once

namespace vectorshard::tier {

/// Does what forget_client() asked for, here or on another node, as far as it can be done now; what cannot says why in
/// vectorshard.erasures, and is tried again. Outside a transaction, by the tiering worker alone. Milliseconds until the next try; -1: none.
long run_erasures();

}  // namespace vectorshard::tier
