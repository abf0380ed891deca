// The holder worker: obeys wishes that name this node and the requests of writers.
#include "pg/place/api.hpp"
#include "pg/place/holder_queue.hpp"

namespace vectorshard::place {

void init_holder() { register_holder_queue(); }

}  // namespace vectorshard::place
