// Quality by the hour: see quality.hpp.
#include "pg/place/quality.hpp"

#include <cmath>
#include <map>
#include <set>

#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/lwlocked.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/wall.hpp"
#include "pg/place/navigator_queue.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::place {

namespace {

using bridge::wall_s;

using bridge::p_float8;
using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text_array;

constexpr double kWriteEveryS = 60, kRetryS = 10;
constexpr int kTablesMost = 256;
constexpr size_t kNameBytes = 2 * NAMEDATALEN + 8;
constexpr double kFirstLeadS = 0.1;

struct CopiedTable {
  char name[kNameBytes];
  uint64 rows, bytes, rows_written, bytes_written;
};

struct Region {
  LWLock lock;  // guards what is not atomic
  pg_atomic_uint64 dry_arrivals, dry_hits, leads[kLeadBuckets];
  Quality written;
  int tables;
  CopiedTable table[kTablesMost];
};

Region *region = nullptr;

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  LWLockInitialize(&r->lock, LWLockNewTrancheId());
  pg_atomic_init_u64(&r->dry_arrivals, 0);
  pg_atomic_init_u64(&r->dry_hits, 0);
  for (auto &lead : r->leads) pg_atomic_init_u64(&lead, 0);
}

// The row ships to every node: one statement a minute.
constexpr char kHourStatement[] = R"(
  INSERT INTO vectorshard.quality AS q (node, hour, arrivals, hits, copies, wasted, wishes, dry_arrivals, dry_hits, leads, held_s, surplus_s,
                                        tables, table_rows, table_bytes, _version)
  SELECT $12, date_trunc('hour', to_timestamp($1), 'UTC'), $2, $3, $4, $5, $6, $7, $8, $9::bigint[], held.n * $10, greatest(held.n - $11, 0) * $10,
         $14::text[], $15::text[]::bigint[], $16::text[]::bigint[], 0
    FROM (SELECT count(*)::float8 AS n FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client WHERE c.home <> $12) held
   WHERE held.n > 0 OR $13
  ON CONFLICT (node, hour) DO UPDATE SET arrivals = q.arrivals + excluded.arrivals, hits = q.hits + excluded.hits,
    copies = q.copies + excluded.copies, wasted = q.wasted + excluded.wasted, wishes = q.wishes + excluded.wishes,
    dry_arrivals = q.dry_arrivals + excluded.dry_arrivals, dry_hits = q.dry_hits + excluded.dry_hits,
    leads = vectorshard.add_counts(q.leads, excluded.leads), held_s = q.held_s + excluded.held_s, surplus_s = q.surplus_s + excluded.surplus_s,
    (tables, table_rows, table_bytes) =
      (SELECT coalesce(array_agg(t.name ORDER BY t.name), '{}'), coalesce(array_agg(t.rows ORDER BY t.name), '{}'), coalesce(array_agg(t.bytes ORDER BY t.name), '{}')
         FROM (SELECT u.name, sum(u.rows)::bigint AS rows, sum(u.bytes)::bigint AS bytes
                 FROM (SELECT * FROM unnest(q.tables, q.table_rows, q.table_bytes)
                       UNION ALL SELECT * FROM unnest(excluded.tables, excluded.table_rows, excluded.table_bytes)) AS u (name, rows, bytes)
                GROUP BY u.name) t))";

constexpr double kPgEpochS = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * 86400.0;
Quality less(Quality a, const Quality &b) {
  a.arrivals -= b.arrivals;
  a.hits -= b.hits;
  a.copies -= b.copies;
  a.wasted -= b.wasted;
  a.wishes -= b.wishes;
  a.dry_arrivals -= b.dry_arrivals;
  a.dry_hits -= b.dry_hits;
  for (int i = 0; i < kLeadBuckets; i++) a.leads[i] -= b.leads[i];
  return a;
}

bool any(const Quality &q) { return q.arrivals || q.hits || q.copies || q.wasted || q.wishes || q.dry_arrivals || q.dry_hits; }

std::string array_of(const Quality &q) {
  std::string out;
  for (uint64_t n : q.leads) out += (out.empty() ? "{" : ",") + std::to_string(n);
  return out + "}";
}

std::vector<CopiedTable> tables_now() {
  std::vector<CopiedTable> out(kTablesMost);
  int tables = 0;
  {
    bridge::LwLocked held(&region->lock, LW_SHARED);
    tables = region->tables;
    memcpy(out.data(), region->table, sizeof(CopiedTable) * static_cast<size_t>(tables));
  }
  out.resize(static_cast<size_t>(tables));
  return out;
}

/// What the table lacks, column by column.
struct Lacking {
  std::vector<std::string> names, rows, bytes;
};
Lacking lacking(const std::vector<CopiedTable> &tables) {
  Lacking out;
  for (const CopiedTable &t : tables) {
    if (t.rows == t.rows_written) continue;
    out.names.push_back(t.name);
    out.rows.push_back(std::to_string(t.rows - t.rows_written));
    out.bytes.push_back(std::to_string(t.bytes - t.bytes_written));
  }
  return out;
}

void note_written(const Quality &now, const std::vector<CopiedTable> &tables) {
  bridge::LwLocked held(&region->lock, LW_EXCLUSIVE);
  region->written = now;
  for (size_t i = 0; i < tables.size(); i++) {  // none goes, and none moves
    region->table[i].rows_written = tables[i].rows;
    region->table[i].bytes_written = tables[i].bytes;
  }
}

}  // namespace

int lead_bucket(double lead_s) {
  if (!(lead_s > kFirstLeadS)) return 0;
  return std::min(kLeadBuckets - 1, static_cast<int>(2 * std::log2(lead_s / kFirstLeadS)));
}

void init_quality() {
  bridge::register_region({"vectorshard placement quality", [] { return sizeof(Region); }, init_region, reinterpret_cast<void **>(&region)});
}

Quality quality_now() {
  bridge::require_preloaded();
  telemetry::Counters t = telemetry::counters();
  PlaceCounters p = place_counters();
  Quality q{t.arrivals, t.hits, p.copies, p.wasted, p.wishes, pg_atomic_read_u64(&region->dry_arrivals), pg_atomic_read_u64(&region->dry_hits), {}};
  for (int i = 0; i < kLeadBuckets; i++) q.leads[i] = pg_atomic_read_u64(&region->leads[i]);
  return q;
}

Quality quality_unwritten() {
  Quality now = quality_now();
  bridge::LwLocked held(&region->lock, LW_SHARED);
  return less(now, region->written);
}

void note_lead(double lead_s) { pg_atomic_fetch_add_u64(&region->leads[lead_bucket(lead_s)], 1); }

void note_dry_arrival(bool hit) {
  pg_atomic_fetch_add_u64(&region->dry_arrivals, 1);
  if (hit) pg_atomic_fetch_add_u64(&region->dry_hits, 1);
}

void note_copied(const ship::Batch &batch) {
  std::vector<uint64_t> rows(batch.tables.size()), bytes(batch.tables.size());
  for (const ship::Row &r : batch.rows) {
    rows[r.table]++;
    for (const auto &v : r.values) bytes[r.table] += v ? v->size() : 0;
  }
  bridge::LwLocked held(&region->lock, LW_EXCLUSIVE);
  for (size_t i = 0; i < rows.size(); i++) {
    if (rows[i] == 0) continue;
    int at = 0;
    while (at < region->tables && batch.tables[i].name != region->table[at].name) at++;
    if (at == kTablesMost || batch.tables[i].name.size() >= kNameBytes) continue;
    CopiedTable &t = region->table[at];
    if (at == region->tables) {
      memcpy(t.name, batch.tables[i].name.c_str(), batch.tables[i].name.size() + 1);
      region->tables++;
    }
    t.rows += rows[i];
    t.bytes += bytes[i];
  }
}

void QualityWriter::write() {
  double now_s = wall_s(), since_s = sampled_s_ > 0 ? sampled_s_ : now_s;
  Quality now = quality_now(), more = quality_unwritten();
  std::vector<CopiedTable> tables = tables_now();
  Lacking copied = lacking(tables);
  double passed_s = (now_s - since_s) * bridge::guc::time_scale;
  auto active = static_cast<double>(telemetry::active_clients(telemetry::kSessionGapS));
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto n = [](uint64_t v) { return p_int8(static_cast<int64_t>(v)); };
    spi.execute(kHourStatement, {p_float8(since_s + kPgEpochS), n(more.arrivals), n(more.hits), n(more.copies), n(more.wasted), n(more.wishes),
                                 n(more.dry_arrivals), n(more.dry_hits), bridge::p_text(array_of(more)), p_float8(passed_s),
                                 p_float8(active), p_int4(bridge::self_node()), bridge::p_bool(any(more) || !copied.names.empty()),
                                 p_text_array(copied.names), p_text_array(copied.rows), p_text_array(copied.bytes)});
  }
  tx.commit();
  note_written(now, tables);
  sampled_s_ = now_s;
}

void QualityWriter::write_if_due() {
  double now_s = wall_s();
  if (now_s < next_s_ && next_s_ - now_s <= kWriteEveryS) return;
  next_s_ = now_s + kRetryS;  // if it fails: a node in doubt may not stamp
  write();
  // What belongs to an hour is written as soon as that has ended.
  next_s_ = std::min(now_s + kWriteEveryS, (std::floor(now_s / 3600) + 1) * 3600);
}

}  // namespace vectorshard::place

using namespace vectorshard;

/// quality_counters(unwritten): see struct Quality; since the server started, or what the tables lack.
VECTORSHARD_FUNCTION(vectorshard_quality_counters) {
  return bridge::entry([&]() -> Datum {
    place::Quality q = PG_GETARG_BOOL(0) ? place::quality_unwritten() : place::quality_now();
    bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      Datum leads[place::kLeadBuckets], values[8];
      int i = 0;
      for (uint64_t n : {q.arrivals, q.hits, q.copies, q.wasted, q.wishes, q.dry_arrivals, q.dry_hits}) values[i++] = Int64GetDatum(static_cast<int64>(n));
      for (i = 0; i < place::kLeadBuckets; i++) leads[i] = Int64GetDatum(static_cast<int64>(q.leads[i]));
      values[7] = PointerGetDatum(construct_array(leads, place::kLeadBuckets, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
      bool nulls[8] = {};
      tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    });
    return 0;
  });
}

/// copied_unwritten(): tables, rows and bytes that came by copies and are not in table quality yet.
VECTORSHARD_FUNCTION(vectorshard_copied_unwritten) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    auto tables = place::tables_now();
    bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      for (const auto &t : tables) {
        if (t.rows == t.rows_written) continue;
        Datum values[3] = {CStringGetTextDatum(t.name), Int64GetDatum(static_cast<int64>(t.rows - t.rows_written)),
                           Int64GetDatum(static_cast<int64>(t.bytes - t.bytes_written))};
        bool nulls[3] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      }
    });
    return 0;
  });
}
