// Merging a `holder` row that a peer stated about itself, outside the stream: core/base/holder.hpp decides. Two that come
// at once for a holder not known yet may each find the other's row; then the second is decided against the first.
#include "core/base/holder.hpp"
#include "core/base/version.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/ship/api.hpp"

namespace vectorshard::ship {

namespace {

constexpr const char *kInsert = R"(
  INSERT INTO vectorshard.holder (client, node, generation, state, _version) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (client, node) DO NOTHING)";
constexpr const char *kKnown =
    "SELECT state, generation, _version FROM vectorshard.holder WHERE client = $1 AND node = $2 FOR UPDATE";
constexpr const char *kReplace = R"(
  UPDATE vectorshard.holder SET generation = $3, state = $4, _version = greatest(_version, $5)
   WHERE client = $1 AND node = $2)";

}  // namespace

void learn_holder(std::string_view client, NodeId node, Generation generation, const std::string &state,
                  Version version) {
  bridge::AsSuperuser rights;
  bridge::LearnedWrites learned;
  bridge::Spi spi;
  // A statement has less than the row that it speaks of (its bytes): it is put down as a tick older, so that the row itself, which is
  // shipped, still counts as newer whichever comes first.
  constexpr Version kTick = Version{1} << kVersionTickShift;
  std::vector<bridge::Param> stated{bridge::p_text(client), bridge::p_int4(node), bridge::p_int8(generation),
                                    bridge::p_text(state), bridge::p_int8(version > kTick ? version - kTick : version)};
  if (spi.execute(kInsert, stated) > 0) return;
  bridge::Rows known = spi.query(kKnown, {bridge::p_text(client), bridge::p_int4(node)});
  if (known.empty()) return;  // tidied away this moment: it was long gone
  HolderStatement here{holder_state(known.at(0, 0)), known.int8(0, 1), known.int8(0, 2)};
  if (replaces({holder_state(state), generation, version}, here)) spi.execute(kReplace, stated);
}

}  // namespace vectorshard::ship
