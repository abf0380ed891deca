// Rows of vectorshard.tier_move: see move_row.hpp.
#include "pg/tier/move_row.hpp"

namespace vectorshard::tier {

using bridge::p_int8;
using bridge::p_text;

void set_move_state(int64_t move, const std::string &state) {
  bridge::Spi spi;
  spi.execute("UPDATE vectorshard.tier_move SET state = $2, changed_at = clock_timestamp(), "
              "error = CASE WHEN $2 IN ('failed', 'planned') THEN error END, detail = detail || jsonb_build_object('took', "
              "coalesce(detail -> 'took', '{}') || jsonb_build_object($2, round(extract(epoch FROM clock_timestamp() - changed_at), 3))) WHERE move = $1",
              {p_int8(move), p_text(state)});
}

int count_move_error(int64_t move, const std::string &error) {
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept(
      "UPDATE vectorshard.tier_move SET error = $2, detail = jsonb_set(detail, '{attempts}', "
      "to_jsonb(coalesce((detail ->> 'attempts')::int, 0) + 1)) WHERE move = $1 RETURNING detail ->> 'attempts'",
      {p_int8(move), p_text(error)});
  return rows.empty() ? 0 : static_cast<int>(rows.int8(0, 0));
}

void add_move_detail(int64_t move, const std::string &json) {
  bridge::Spi spi;
  spi.execute("UPDATE vectorshard.tier_move SET detail = detail || $2::jsonb WHERE move = $1",
              {p_int8(move), p_text(json)});
}

}  // namespace vectorshard::tier
