// Motion as rows: see motion_table.hpp.
#include "pg/place/motion_table.hpp"

#include <map>
#include <set>

#include "core/predict/habit.hpp"
#include "core/telemetry/intake.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_text_array;

// Only where the rows are: motion is one of them.
constexpr char kCheckpointStatement[] = R"(
  INSERT INTO vectorshard.motion (client, state, observed_at)
  SELECT u.client, decode(u.state, 'hex'), to_timestamp(u.at::float8)
    FROM unnest($1::text[], $2::text[], $3::text[]) AS u (client, state, at)
    JOIN vectorshard.resident r ON r.client = u.client AND NOT r.leaving
   ORDER BY u.client COLLATE "C"
  ON CONFLICT (client) DO UPDATE SET state = excluded.state, observed_at = excluded.observed_at
  RETURNING client)";

// What other nodes wrote.
constexpr char kHistoryQuery[] = "SELECT client, encode(state, 'hex') FROM vectorshard.motion WHERE client = ANY ($1)";

std::string number(double v) {
  char text[64];
  snprintf(text, sizeof text, "%.6f", v);
  return text;
}

std::string hex(const std::string &bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::string unhex(const std::string &digits) {
  std::string out;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

}  // namespace

bool write_motion(const std::vector<const telemetry::Known *> &of) {
  std::vector<std::string> clients, states, times;
  std::set<std::string> written;
  TimestampTz now = GetCurrentTimestamp();
  for (const telemetry::Known *k : of) {
    clients.push_back(k->client);
    states.push_back(hex(telemetry::encode(k->motion)));
    times.push_back(number(k->motion.at_s / bridge::guc::time_scale));
  }
  try {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto rows = spi.query_kept(kCheckpointStatement, {p_text_array(clients), p_text_array(states), p_text_array(times)});
      for (size_t i = 0; i < rows.size(); i++) written.insert(rows.at(i, 0));
    }
    tx.commit();
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here; the next round tries again.
    ereport(DEBUG1, (errmsg("vectorshard navigator: motion is not checkpointed: %s", e.message.c_str())));
    return false;
  }
  for (const telemetry::Known *k : of)
    if (written.contains(k->client)) telemetry::note_checkpoint(k->client, k->motion.at_s, now);
  return true;
}

void take_history(const std::vector<telemetry::Known *> &of) {
  std::map<std::string, telemetry::Known *> by_name;
  std::vector<std::string> clients;
  for (telemetry::Known *k : of) by_name[clients.emplace_back(k->client)] = k;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kHistoryQuery, {p_text_array(clients)});
    for (size_t i = 0; i < rows.size(); i++) {
      telemetry::Known &k = *by_name.at(rows.at(i, 0));
      auto before = telemetry::decode_motion(unhex(rows.at(i, 1)));
      if (!before.ok() || !telemetry::go_on_from(before.value(), k.motion)) continue;
      predict::learn_habit(k.motion);
      telemetry::note_history(k.client, k.motion);
    }
  }
  tx.commit();
}

}  // namespace vectorshard::place
