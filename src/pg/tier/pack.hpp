// Packing clients: from a move in state planned to rows that lie in a store alone, or everything as it was before.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vectorshard::tier {

/// Records a move of these clients to `store`, state planned. Own transaction.
int64_t plan_pack(const std::vector<std::string> &clients, const std::string &store);

/// Runs a planned move to its end (done or failed). Outside a transaction. Gives how many clients went cold; clients
/// that may not leave any more stay, and a move in which all stay has failed, with the reason in the move. Errors of the store or of
/// DuckDB end up there too. `again`: if the reason passes by itself the move stays planned, to be run again.
size_t run_pack(int64_t move, bool again);

/// After a crash: moves of clients that were cut off are taken back (rows stay in the heap, objects are removed).
void recover_packs();

}  // namespace vectorshard::tier
