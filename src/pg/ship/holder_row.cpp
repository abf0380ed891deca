// Merging a `holder` row that a peer stated about itself, outside the stream. Generations only grow; within one, the
// state only moves on (copying, live, cold, gone), but live and cold may alternate, which the version decides.
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/ship/api.hpp"

namespace vectorshard::ship {

namespace {

// A client at home goes cold and comes back live: a new generation each time, or the same one with a newer version.
constexpr const char *kLearn = R"(
  INSERT INTO vectorshard.holder AS h (client, node, generation, state, _version) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (client, node) DO UPDATE
     SET generation = excluded.generation, state = excluded.state, _version = greatest(h._version, excluded._version)
   WHERE excluded.generation > h.generation
      OR (excluded.generation = h.generation AND h.state <> 'gone' AND excluded.state <> h.state
          AND (excluded._version > h._version
               OR array_position('{copying,live,cold,gone}'::text[], excluded.state)
                  > array_position('{copying,live,cold,gone}'::text[], h.state))
          AND excluded.state <> 'copying'))";

}  // namespace

void learn_holder(std::string_view client, NodeId node, Generation generation, const std::string &state,
                  Version version) {
  bridge::AsSuperuser rights;
  bridge::LearnedWrites learned;
  bridge::Spi spi;
  spi.execute(kLearn, {bridge::p_text(client), bridge::p_int4(node), bridge::p_int8(generation),
                       bridge::p_text(state), bridge::p_int8(version)});
}

}  // namespace vectorshard::ship
