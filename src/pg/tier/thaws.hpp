// When what lies in an archive will be there: what the store says of the object, when this server has asked for it (in shared memory, for stores do not
// tell that), and how long the store takes by its operator (store.thaw_s).
#pragma once
#include <string>

#include "core/store/types.hpp"

namespace vectorshard::tier {

/// Somebody on this server has asked for the object and the store has taken it up. Asking again does not begin anew.
void note_thaw(const std::string &key);

struct ThawOutlook {
  store::Availability availability = store::Availability::archived;
  std::string words;  // a sentence or two, for a DETAIL
};
/// Of an object that could not be read. Asks the store. Needs an open transaction.
ThawOutlook thaw_outlook(store::Store &store, const std::string &key);

void register_thaws();

}  // namespace vectorshard::tier
