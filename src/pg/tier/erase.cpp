// Forgetting clients: see erase.hpp. An object goes before its row in the manifest does, and what a crash leaves is found again by
// segment_client, or is an object that nothing names; so nothing readable is left that nobody knows of. `done` is written last.
#include "pg/tier/erase.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/fabric/api.hpp"
#include "pg/telemetry/api.hpp"
#include "pg/tier/move_row.hpp"
#include "pg/tier/objects.hpp"
#include "pg/tier/rewrite.hpp"

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

struct Request {
  std::string client, asked_at;
  int64_t removed = 0;
  std::string problem;
};

struct Remains {
  std::string segment, store, key, sha256;
  bool counts = false;  // live: others' rows in it may count
};

constexpr double kFirstPauseS = 1, kMostPauseS = 300;

std::vector<Request> asked_for() {
  return in_transaction([] {
    std::vector<Request> out;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT e.client, max(e.asked_at) FROM vectorshard.erasure e GROUP BY e.client "
        "HAVING NOT EXISTS (SELECT FROM vectorshard.erasure o WHERE o.client = e.client AND o.node = $1 AND o.asked_at = max(e.asked_at) AND o.done_at IS NOT NULL)",
        {p_int4(bridge::self_node())});
    for (size_t i = 0; i < rows.size(); i++) out.push_back({rows.at(i, 0), rows.at(i, 1), 0, ""});
    return out;
  });
}

/// Objects with rows of the client; not those into which it was packed after it had been forgotten, and had come anew.
std::vector<Remains> remains_of(const Request &r) {
  return in_transaction([&] {
    std::vector<Remains> out;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept(
        "SELECT s.segment, s.store, s.object_key, s.sha256, s.state = 'live' FROM vectorshard.segment_client c "
        "JOIN vectorshard.segment s ON s.segment = c.segment WHERE c.client = $1 AND s.home = $3 AND NOT EXISTS (SELECT FROM "
        "vectorshard.cold_client k WHERE k.client = c.client AND k.segment = c.segment AND k.since > $2::timestamptz) ORDER BY 1",
        {p_text(r.client), p_text(r.asked_at), p_int4(bridge::self_node())});
    for (size_t i = 0; i < rows.size(); i++) out.push_back({rows.at(i, 0), rows.at(i, 1), rows.at(i, 2), rows.at(i, 3), rows.boolean(i, 4)});
    return out;
  });
}

void erase_objects(Request &r) {
  // A node that was its home, too, when it was born on two at once.
  in_transaction([&] {
    bridge::Spi spi;
    spi.execute("DELETE FROM vectorshard.cold_client WHERE client = $1 AND since <= $2::timestamptz", {p_text(r.client), p_text(r.asked_at)});
  });
  for (const Remains &o : remains_of(r)) {
    if (o.counts) rewrite_segments({o.segment}, r.client);
    in_transaction([&] { destroy_object(o.store, o.key, o.sha256); });
    in_transaction([&] {
      bridge::Spi spi;
      spi.execute("DELETE FROM vectorshard.segment WHERE segment = $1 AND state = 'dead'", {p_text(o.segment)});
      spi.execute("DELETE FROM vectorshard.segment_client WHERE segment = $1", {p_text(o.segment)});
    });
    r.removed++;
  }
}

/// Why it is not over, or nothing.
void erase_traces(Request &r) {
  telemetry::forget(r.client);
  in_transaction([&] {
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept("SELECT vectorshard.forget_traces($1, $2::timestamptz)", {p_text(r.client), p_text(r.asked_at)});
    if (!rows.null(0, 0)) r.problem = rows.at(0, 0);
  });
}

void report(const Request &r) {
  in_transaction([&] {
    bridge::Spi spi;
    // A later request may have come meanwhile: then this is no news.
    spi.execute("INSERT INTO vectorshard.erasure AS e (client, node, asked_at, done_at, objects, problem, _version) "
                "VALUES ($1, $2, $3::timestamptz, CASE WHEN $5 = '' THEN clock_timestamp() END, $4, nullif($5, ''), 0) "
                "ON CONFLICT (client, node) DO UPDATE SET asked_at = excluded.asked_at, done_at = excluded.done_at, problem = excluded.problem, "
                "objects = excluded.objects + CASE WHEN e.asked_at = excluded.asked_at THEN e.objects ELSE 0 END "
                "WHERE e.asked_at < excluded.asked_at OR e.asked_at = excluded.asked_at AND "
                "(excluded.done_at IS NOT NULL OR excluded.objects > 0 OR e.problem IS DISTINCT FROM excluded.problem)",
                {p_text(r.client), p_int4(bridge::self_node()), p_text(r.asked_at), p_int8(r.removed), p_text(r.problem)});
  });
}

template <class F>
void trying(Request &r, F &&f) {
  try {
    f();
  } catch (const bridge::PgError &e) {
    // Every transaction inside was aborted as a whole by its destructor, so the error may end here.
    r.problem = e.message + (e.detail.empty() ? "" : ". " + e.detail);
    ereport(LOG, (errmsg("vectorshard tiering: %s is not forgotten yet: %s", r.client.empty() ? "what moves left" : ("client \"" + r.client + "\"").c_str(), e.message.c_str()),
                  e.detail.empty() ? 0 : errdetail("%s", e.detail.c_str())));
  }
}

}  // namespace

long run_erasures() {
  static double not_before_s = 0, pause_s = 0;
  if (!fabric::certain()) return 1000;  // a copy of the data directory must not remove what the original needs
  std::vector<Request> requests = asked_for();
  if (requests.empty()) pause_s = not_before_s = 0;
  if (requests.empty()) return -1;
  if (double left_s = not_before_s - bridge::steady_s(); left_s > 0) return static_cast<long>(left_s * 1000) + 1;
  for (Request &r : requests) trying(r, [&] { erase_objects(r); });
  // What moves that were cut off have left may hold rows of anybody.
  Request orphans;
  trying(orphans, [] {
    destroy_orphans();
    purge_unknown_copies();
  });
  bool all = true;
  for (Request &r : requests) {
    if (r.problem.empty()) r.problem = orphans.problem;
    if (r.problem.empty()) trying(r, [&] { erase_traces(r); });
    report(r);
    all &= r.problem.empty();
  }
  pause_s = all ? 0 : std::clamp(pause_s * 2, kFirstPauseS, kMostPauseS);
  not_before_s = bridge::steady_s() + pause_s;
  return all ? -1 : static_cast<long>(pause_s * 1000);
}

}  // namespace vectorshard::tier
