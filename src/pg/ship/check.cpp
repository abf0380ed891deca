// What checks ask of the ship stage: a statement on another node, and whether all that was committed here before a moment
// is delivered. Neither waits longer than its time-out; neither changes anything of its own.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/region.hpp"
extern "C" {
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "replication/message.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

using Answer = std::vector<std::vector<std::optional<std::string>>>;

Answer local(const std::string &sql, const std::vector<std::string> &texts) {
  std::vector<bridge::Param> params;
  for (const std::string &t : texts) params.push_back(bridge::p_text(t));
  return bridge::Spi().query(sql, params).rows;
}

/// A link that was kept may have died unnoticed: then once more over a new one.
Answer remote(NodeId node, const std::string &sql, const std::vector<std::string> &texts, int timeout_ms) {
  std::vector<bridge::LinkParam> params;
  for (const std::string &t : texts) params.push_back({t, false});
  for (int attempt = 1;; attempt++) {
    bridge::Link *link = bridge::value_or_raise(bridge::session_link(node));
    auto answer = link->query(sql, params, false, timeout_ms);
    if (!answer.ok()) {
      const std::string &s = link->sqlstate();
      if (s.empty() && answer.error().message != "node does not answer" && attempt == 1) continue;
      if (s.empty()) bridge::raise(answer.error());
      bridge::raise_sqlstate(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]), answer.error().message,
                             answer.error().detail + " Reported by node " + std::to_string(node) + ".",
                             answer.error().hint);
    }
    const PGresult *r = answer.value().get();
    Answer out;
    for (int i = 0; i < PQntuples(r); i++) {
      auto &row = out.emplace_back();
      for (int c = 0; c < PQnfields(r); c++)
        row.push_back(PQgetisnull(r, i, c) ? std::nullopt : std::optional<std::string>(PQgetvalue(r, i, c)));
    }
    return out;
  }
}

void put_text_array(FunctionCallInfo fcinfo, const std::vector<std::optional<std::string>> &row) {
  auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  auto n = static_cast<int>(row.size());
  bridge::pg_call([&] {
    auto *values = static_cast<Datum *>(palloc0(sizeof(Datum) * static_cast<size_t>(n + 1)));
    auto *nulls = static_cast<bool *>(palloc0(static_cast<size_t>(n + 1)));
    for (int i = 0; i < n; i++) {
      const auto &v = row[static_cast<size_t>(i)];
      nulls[i] = !v;
      if (v) values[i] = PointerGetDatum(cstring_to_text_with_len(v->data(), static_cast<int>(v->size())));
    }
    int size = n, lower = 1;
    Datum array = PointerGetDatum(construct_md_array(values, nulls, 1, &size, &lower, TEXTOID, -1, false, TYPALIGN_INT));
    bool null = false;
    tuplestore_putvalues(info->setResult, info->setDesc, &array, &null);
  });
}

}  // namespace

/// Every commit before `since` is acknowledged by each of `peers`, or in debt. By places in the WAL: a clock may be set back.
bool delivered(uint64 since, const std::vector<NodeId> &peers) {
  uint64 routed = 0;
  std::vector<PeerStatus> all = read_peer_status(&routed);
  bool all_have = routed >= since && std::none_of(all.begin(), all.end(), [&](const PeerStatus &p) {
    bool asked = std::find(peers.begin(), peers.end(), p.node) != peers.end();
    return asked && p.oldest_commit != 0 && p.oldest_commit < since;
  });
  if (!all_have) want_confirmed();
  return all_have;
}

int64_t delivered_until() {
  uint64 routed = 0;
  std::vector<PeerStatus> all = read_peer_status(&routed);
  if (routed == 0) return 0;  // the shipper has not looked yet
  int64_t oldest = GetCurrentTimestamp();
  for (const PeerStatus &p : all)
    if (p.oldest_commit_time != 0) oldest = std::min<int64_t>(oldest, p.oldest_commit_time);
  return oldest;
}

}  // namespace vectorshard::ship

using namespace vectorshard;

/// (node, statement, parameters[], timeout_ms) → one text[] a row. The node may be this one.
VECTORSHARD_FUNCTION(vectorshard_ask_node) {
  return bridge::entry([&]() -> Datum {
    NodeId node = PG_GETARG_INT32(0);
    std::string sql = bridge::text_argument(fcinfo, 1);
    std::vector<std::string> params = bridge::texts_argument(fcinfo, 2);
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC); });
    ship::Answer rows = node == bridge::self_node() ? ship::local(sql, params)
                                                   : ship::remote(node, sql, params, PG_GETARG_INT32(3));
    for (const auto &row : rows) ship::put_text_array(fcinfo, row);
    return static_cast<Datum>(0);
  });
}

/// A mark in the WAL, flushed: every commit so far lies before it. What only stood in the WAL's buffers would not be
/// decoded until somebody else commits.
VECTORSHARD_FUNCTION(vectorshard_ship_mark) {
  return bridge::entry([&]() -> Datum {
    return bridge::pg_call([&]() -> Datum {
      char nothing[1] = {0};
      XLogRecPtr lsn = LogLogicalMessage("vectorshard", nothing, 0, false);
      XLogFlush(lsn);
      return LSNGetDatum(lsn);
    });
  });
}

/// (since pg_lsn, peers int[]) → boolean
VECTORSHARD_FUNCTION(vectorshard_ship_delivered) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    std::vector<NodeId> peers = bridge::integers_argument(fcinfo, 1);
    return BoolGetDatum(ship::delivered(DatumGetUInt64(PG_GETARG_DATUM(0)), peers));
  });
}
