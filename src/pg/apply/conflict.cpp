// The table `conflict`: see conflict.hpp and api.hpp. What stands there is this node's own and is never shipped; a dead
// letter leaves only when its row was merged, or its client is not held here any more (the home has the row).
#include "core/base/version.hpp"
#include "pg/apply/conflict.hpp"

#include "pg/apply/api.hpp"
#include "pg/apply/merge.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "catalog/pg_type.h"
}

namespace vectorshard::apply {

namespace {

constexpr const char *kRecord = R"(
  INSERT INTO vectorshard.conflict (kind, table_name, client, key, winner, loser, reason, payload, resolved)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $1 = 'beaten' THEN now() END
   WHERE NOT EXISTS (SELECT FROM vectorshard.conflict c
                      WHERE c.table_name = $2 AND c.key = $4 AND c.loser = $6 AND c.kind = $1
                        AND (c.resolved IS NULL OR $1 = 'beaten')))";
constexpr const char *kUnresolved = R"(
  SELECT conflict, encode(payload, 'hex') FROM vectorshard.conflict
   WHERE resolved IS NULL AND payload IS NOT NULL AND kind <> 'beaten' ORDER BY conflict LIMIT 1000)";
constexpr const char *kResolve = "UPDATE vectorshard.conflict SET resolved = now() WHERE conflict = $1";
constexpr const char *kStillFails = "UPDATE vectorshard.conflict SET reason = $2 WHERE conflict = $1 AND reason <> $2";

bridge::Param version_or_null(Version v) { return v ? bridge::p_int8(v) : bridge::p_null(INT8OID); }

std::string from_hex(const std::string &hex) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  return out;
}

/// True if the row is merged now, or need not be.
bool settled(const ship::Reply &reply) {
  if (reply.dead_letters > 0) return false;
  for (const ship::Refusal &r : reply.refusals)
    if (r.reason != ship::RefusalReason::gone) return false;
  return true;
}

bool retry(const std::string &payload, std::string *reason) {
  Result<ship::Batch> batch = ship::decode_batch(payload);
  if (!batch.ok()) {
    *reason = batch.error().message;
    return false;
  }
  try {
    bridge::Subtransaction sub;
    ship::Reply reply = merge_batch(batch.value(), MergeMode::retry, reason);
    sub.release();
    return settled(reply);
  } catch (const bridge::PgError &e) {
    *reason = e.message;
    return false;
  }
}

int64_t retry_all() {
  UserScope owner(extension_owner(), false);
  bridge::Rows letters = bridge::Spi().query(kUnresolved);
  int64_t merged = 0;
  for (size_t i = 0; i < letters.size(); i++) {
    std::string reason;
    bool done = retry(from_hex(letters.at(i, 1)), &reason);
    bridge::Spi spi;
    if (done)
      spi.execute(kResolve, {bridge::p_int8(letters.int8(i, 0))});
    else if (!reason.empty())
      spi.execute(kStillFails, {bridge::p_int8(letters.int8(i, 0)), bridge::p_text(reason)});
    merged += done;
  }
  return merged;
}

}  // namespace

void record_conflict(const std::string &kind, const std::string &table, const std::string &client,
                     const std::string &key, Version winner, Version loser, const std::string &reason,
                     std::string_view payload) {
  UserScope owner(extension_owner(), false);
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_REPLICA);
  bridge::Spi spi;
  spi.execute(kRecord, {bridge::p_text(kind), bridge::p_text(table), bridge::p_text(client), bridge::p_text(key),
                        version_or_null(winner), version_or_null(loser), bridge::p_text(reason),
                        payload.empty() ? bridge::p_null(BYTEAOID) : bridge::p_bytea(payload)});
}

void record_dead_letter(const ship::Batch &batch, const ship::Row &row, const std::string &key, const char *kind,
                        const std::string &reason) {
  ship::Batch alone;
  alone.kind = batch.kind == ship::BatchKind::copy ? ship::BatchKind::sync : batch.kind;
  alone.from = batch.from;
  alone.from_incarnation = batch.from_incarnation;
  alone.clock = batch.clock;
  alone.tables.push_back(batch.tables[row.table]);
  alone.clients.push_back({batch.clients[row.client].name, false, {}});
  alone.rows.push_back(row);
  alone.rows[0].table = 0;
  alone.rows[0].client = 0;
  record_conflict(kind, batch.tables[row.table].name, alone.clients[0].name, key, 0, row.version, reason,
                  ship::encode(alone));
}

std::string key_label(const std::vector<std::string> &key) {
  std::string out;
  for (const std::string &k : key) out += (out.empty() ? "(" : ", ") + k;
  return out + ")";
}

VECTORSHARD_FUNCTION(vectorshard_retry_conflicts) {
  return bridge::entry([&]() -> Datum { return Int32GetDatum(static_cast<int32>(retry_all())); });
}

}  // namespace vectorshard::apply
