// INSERT and COPY into tables of consistency home, at a node that is not the client's home: the executor does with the row all that it does
// here (defaults, BEFORE triggers, row security, RETURNING, the count), but instead of the heap it is given to the home, in the transaction
// there that ends with ours. AFTER triggers, constraints and generated columns are the home's business; BEFORE triggers were this node's.
#pragma once

namespace vectorshard::read {

/// Installs the hooks of executor and utility statements, and the trigger's router. Called once, at library load.
void init_home_inserts();

}  // namespace vectorshard::read
