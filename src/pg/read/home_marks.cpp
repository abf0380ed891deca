// Homes that moved lately, told with the rows of a scan: see home_marks.hpp.
#include "pg/read/home_marks.hpp"

#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/read/whereabouts.hpp"
extern "C" {
#include "access/xact.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/portal.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::read {

namespace {

// From the step of one node to that of the other, with room for links that time out; the clocks of the two may differ besides.
constexpr int64_t kStepUs = 10 * USECS_PER_SEC;
constexpr int64_t kFirstPauseUs = 2000, kMostPauseUs = 50000;

// $1, $2: from when on steps are told, and count as fresh.
constexpr char kMarks[] = R"(
  SELECT coalesce(c.epoch, 0) || ' ' || coalesce(c.home, 0) || ' ' || m.taken_from || ' ' || m.taken || ' ' || m.asked || ' ' || m.fresh::int || ' ' || m.client
    FROM (SELECT e.client, coalesce(e.taken_from, 0) AS taken_from, coalesce(e.taken, 0) AS taken, 0 AS asked, e.at >= $2 AS fresh
            FROM vectorshard.home_event e WHERE e.at >= $1
          UNION ALL
          SELECT h.client, 0, 0, CASE WHEN h.asked THEN h.to_node ELSE 0 END, NOT h.asked OR coalesce(h.asked_at >= $2, false)
            FROM vectorshard.home_move h) m
    LEFT JOIN vectorshard.client c ON c.client = m.client)";

Snapshot snapshot_of(const std::string &cursor) {
  return bridge::pg_call([&] {
    Portal portal = GetPortalByName(cursor.c_str());
    if (!PortalIsValid(portal) || !portal->queryDesc)
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_CURSOR), errmsg("cursor \"%s\" does not exist", cursor.c_str()),
                      errhint("Only nodes call this function, behind the declaration of a cursor.")));
    return portal->queryDesc->snapshot;
  });
}

bridge::Rows marks_here(Snapshot snapshot, TimestampTz since) {
  int64_t margin_us = kStepUs + static_cast<int64_t>(bridge::guc::max_clock_skew_ms) * 1000;
  return read_fabric(kMarks, {bridge::p_timestamptz(since - 2 * margin_us), bridge::p_timestamptz(since - margin_us)}, snapshot);
}

}  // namespace

int64_t marks_since() {
  return bridge::pg_call([] { return IsolationUsesXactSnapshot() ? GetCurrentTransactionStartTimestamp() : GetCurrentTimestamp(); });
}

std::string marks_query(int cursor, int64_t since) {
  return "SELECT vectorshard.home_marks('c" + std::to_string(cursor) + "', " + std::to_string(since) + ")";
}

std::map<NodeId, std::vector<HomeMark>> marks_of(const std::vector<const Cursor *> &cursors) {
  std::map<NodeId, std::vector<HomeMark>> out;
  for (const Cursor *cursor : cursors) {
    const PGresult *told = cursor->beside();
    if (!told) continue;
    auto &marks = out[cursor->session().node()];
    for (int i = 0; i < PQntuples(told); i++) {
      auto mark = parse_home_mark(PQgetvalue(told, i, 0));
      if (!mark.ok()) bridge::raise(mark.error());
      marks.push_back(std::move(mark).value());
    }
  }
  return out;
}

void await_settled(int64_t began_us, int attempt, Homes verdict) {
  bool in_vain = verdict == Homes::came || bridge::pg_call([] { return IsolationUsesXactSnapshot(); });
  if (in_vain || bridge::steady_us() - began_us > static_cast<int64_t>(bridge::guc::link_timeout_ms) * 1000)
    bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "homes of clients moved while they were asked",
                           "The statement reads the clients of all homes, and one of them was about to move.", "Retry the transaction, or name the clients.");
  bridge::pg_call([&] {
    CHECK_FOR_INTERRUPTS();
    pg_usleep(std::min(kMostPauseUs, kFirstPauseUs << std::min(attempt, 10)));
  });
}

}  // namespace vectorshard::read

using namespace vectorshard;

/// home_marks(cursor, since): see 70_read.sql.
VECTORSHARD_FUNCTION(vectorshard_home_marks) {
  return bridge::entry([&]() -> Datum {
    bridge::Rows marks = read::marks_here(read::snapshot_of(bridge::text_argument(fcinfo, 0)), PG_GETARG_INT64(1));
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC); });
    for (size_t i = 0; i < marks.size(); i++) {
      std::string mark = marks.at(i, 0);
      bridge::pg_call([&] {
        Datum value = PointerGetDatum(cstring_to_text_with_len(mark.data(), static_cast<int>(mark.size())));
        bool null = false;
        tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
      });
    }
    return PointerGetDatum(nullptr);
  });
}
