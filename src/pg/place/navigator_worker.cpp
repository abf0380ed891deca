// The navigator worker. One round: the clients that reported, that queries missed, or whose policies are due, are
// planned, and what changed of their wishes is written in one transaction; then motion is checkpointed for clients
// whose rows are here. It writes wishes, motion, and into which geofences clients came, and nothing else; what they lead to
// is the holders' affair.
#include <map>
#include <set>

#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/worker.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/wall.hpp"
#include "pg/place/economy.hpp"
#include "pg/place/motion_table.hpp"
#include "pg/place/navigator_plan.hpp"
#include "pg/place/navigator_queue.hpp"
#include "pg/place/quality.hpp"
#include "pg/place/sessions.hpp"
#include "pg/predict/api.hpp"
extern "C" {
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::steady_s;

using bridge::p_float8;
using bridge::p_int4;
using bridge::p_text_array;

constexpr size_t kClientsARound = 256;
// Reports that come one by one are planned together: a round costs a transaction.
constexpr double kGapS = 0.02;
// Policies are looked at when one changes, when one is due, and this often.
constexpr double kPolicyLookS = 60;
constexpr long kIdleMs = 60000;
constexpr long kNotMemberMs = 1000;
// Motion in the table is for restarts and for the node that serves the client next.
constexpr int64_t kCheckpointEveryUs = 30 * USECS_PER_SEC;
constexpr int64_t kCheckpointLeavingUs = USECS_PER_SEC;
constexpr double kSaveMostS = 5;  // the server's shutdown waits for it
// The pass over all clients goes on by so many slots a round, so that reports are planned meanwhile.
constexpr int kPassSlots = 16384;

constexpr char kWishStatement[] = R"(
  INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version, value, eta)
  SELECT u.client, u.node::int, $1, to_timestamp(u.until::float8), u.reason, 0, u.value::float8, to_timestamp(nullif(u.eta::float8, 0))
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS u (client, node, until, reason, value, eta)
   ORDER BY u.client COLLATE "C", u.node::int
  ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until, reason = excluded.reason,
    value = excluded.value, eta = excluded.eta)";

// Given here, in force or soon, and not wished for all of its time; of cold ones the home and the store.
constexpr char kDueQuery[] = R"(
  SELECT p.client, extract(epoch FROM p.valid_from)::float8, h.node, coalesce(h.store, '')
    FROM vectorshard.policy p
    LEFT JOIN LATERAL (SELECT h.node, h.store FROM vectorshard.holder h
                        WHERE h.client = p.client AND h.state = 'cold' ORDER BY h.node LIMIT 1) h ON true
   WHERE p.kind IN ('hint', 'pin') AND p.valid_to > now() AND (p._version & 1023) = $1
     AND NOT EXISTS (SELECT FROM vectorshard.wish w
                      WHERE w.client = p.client AND w.node = p.node AND w.planner = $1
                        AND w.until >= p.valid_to - interval '1 second'))";

constexpr char kSinceQuery[] =
    "SELECT client, extract(epoch FROM since)::float8 FROM vectorshard.resident WHERE client = ANY ($1) AND NOT leaving";
constexpr double kLogTidyS = 60;

std::string number(double v) {
  char text[64];
  snprintf(text, sizeof text, "%.6f", v);
  return text;
}

class Navigator {
 public:
  long round();
  void save();

 private:
  void start_up();
  void keep_gap();
  std::vector<Subject> subjects(bool &more);
  void add_due(std::vector<Subject> &out);
  void pass(std::vector<Subject> &out);
  void learn(std::vector<Subject> &subjects);
  void rest();
  void hand_over(const Plan &plan);
  std::vector<Plan> plan(std::vector<Subject> subjects);
  void note_crossings(const std::vector<Plan> &plans);
  void fence_silent();
  void write(const std::vector<Plan> &plans, bool dry_run);
  void note_leads(const std::vector<Plan> &plans);
  void keep_books();
  void checkpoint(std::vector<Plan> &plans);

  WouldBe would_be_;
  DecisionLog log_;
  QualityWriter quality_;
  double next_log_tidy_s_ = 0;
  bool started_ = false;
  double last_round_s_ = 0;
  double lead_s_ = 0;  // the longest of the last round: trails must reach back so far
  double next_policy_look_s_ = 0;
  int planned_in_mode_ = -1;  // the placement_mode then
  int64_t fences_seen_ = 0;  // when the newest of them began
  telemetry::PassCursor fence_pass_;
  bool fencing_ = false;  // clients that do not report are looked up in geofences that are new
  telemetry::PassCursor pass_;
  double next_pass_s_ = 0;
  bool passing_ = false;
  Sessions sessions_;
};

/// A fence that waits for a copy would hold up everybody: motion of a client that leaves is dropped instead.
void never_wait() {
  bridge::pg_call([] { SetConfigOption("vectorshard.insert_wait_ms", "0", PGC_USERSET, PGC_S_SESSION); });
}

/// What planning needs is read, and its statements are planned, before the first client reports.
void Navigator::start_up() {
  never_wait();
  bridge::WorkerTransaction tx;
  make_plans({}, nullptr);
  tx.commit();
  started_ = true;
}

void Navigator::keep_gap() {
  double left_s = last_round_s_ + kGapS - steady_s();
  if (left_s > 0 && left_s <= kGapS)
    bridge::pg_call([&] {
      WaitLatch(nullptr, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, static_cast<long>(left_s * 1000) + 1, PG_WAIT_EXTENSION);
    });
}

Subject subject_of(const std::string &client) {
  Subject s;
  s.known.client = client;
  if (auto known = telemetry::known_in_memory(client); known && known->motion.at_s > 0) s = {*known, true, false, silent_s(*known)};
  return s;
}

/// Hints and pins that must be wished now, and clients that lack copies; and when to look again.
void Navigator::add_due(std::vector<Subject> &out) {
  bool changed = take_policies_changed() || planned_in_mode_ != bridge::guc::placement_mode;
  planned_in_mode_ = bridge::guc::placement_mode;
  if (!changed && steady_s() < next_policy_look_s_) return;
  double now = steady_s(), next = now + kPolicyLookS;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kDueQuery, {p_int4(bridge::self_node())});
    const Economy &reckoning = economy(spi);
    double now_s = telemetry::clients_now();
    for (size_t i = 0; i < rows.size(); i++) {
      // The planner takes the measured copy time into account; being early by a look costs nothing. An archive may take hours, though.
      double from_s = rows.float8(i, 1) * bridge::guc::time_scale - bridge::guc::horizon_margin_s - bridge::guc::copy_time_s;
      if (!rows.null(i, 2)) from_s -= reckoning.thaw_of(static_cast<NodeId>(rows.int8(i, 2)), rows.at(i, 3));
      double wait_s = (from_s - now_s) / bridge::guc::time_scale;
      if (wait_s > 0) {
        next = std::min(next, now + wait_s);
        continue;
      }
      out.push_back(subject_of(rows.at(i, 0)));
    }
    if (int64_t fence = newest_fence(spi); fence > fences_seen_) {
      fences_seen_ = fence;
      fencing_ = true;
      fence_pass_ = {};
    }
    PoliciesDue due = policies_due(spi, kClientsARound, changed);
    for (const std::string &client : due.clients) out.push_back(subject_of(client));
    next = std::min(next, now + due.again_s);
  }
  tx.commit();
  next_policy_look_s_ = next;
}

/// Clients that have to be looked at though they do not report.
void Navigator::pass(std::vector<Subject> &out) {
  double now = steady_s(), now_s = telemetry::clients_now();
  if (bridge::guc::navigator_pass_ms == 0 || (!passing_ && now < next_pass_s_)) return;
  if (!passing_) next_pass_s_ = now + bridge::guc::navigator_pass_ms / 1000.0;
  std::vector<telemetry::Known> due;
  passing_ = !telemetry::pass_on(pass_, kPassSlots, now_s, kClientsARound, due);
  for (auto &known : due) out.push_back({known, true, false, std::max(0.0, now_s - known.motion.at_s)});
}

std::vector<Subject> Navigator::subjects(bool &more) {
  std::vector<Subject> out;
  auto marked = telemetry::take_marked(kClientsARound);
  more = marked.size() == kClientsARound;
  for (const auto &known : marked) out.push_back({known, known.motion.at_s > 0, false, silent_s(known)});
  for (const std::string &client : take_missed()) {
    Subject s = subject_of(client);
    s.missed = true;
    out.push_back(std::move(s));
  }
  add_due(out);
  pass(out);
  // A client that comes up twice is planned once.
  std::stable_sort(out.begin(), out.end(), [](auto &a, auto &b) { return a.known.client < b.known.client; });
  std::vector<Subject> once;
  for (Subject &s : out) {
    if (once.empty() || once.back().known.client != s.known.client) {
      once.push_back(std::move(s));
      continue;
    }
    once.back().missed |= s.missed;
  }
  return once;
}

/// In every placement_mode: a region binds whoever brings rows, and writers do too.
void Navigator::note_crossings(const std::vector<Plan> &plans) {
  std::vector<FenceCrossing> all;
  for (const Plan &p : plans) all.insert(all.end(), p.crossings.begin(), p.crossings.end());
  if (all.empty()) return;
  bridge::Spi spi;
  write_crossings(spi, all);
}

/// A geofence that is new holds for those that stand in it, too.
void Navigator::fence_silent() {
  if (!fencing_) return;
  std::vector<telemetry::Known> placed;
  bool all = telemetry::pass_on_placed(fence_pass_, kPassSlots, kClientsARound, placed);
  std::vector<std::vector<Policy>> none(placed.size());
  std::vector<Located> clients;
  for (size_t i = 0; i < placed.size(); i++) {
    predict::Position at{placed[i].motion.lat, placed[i].motion.lon};
    clients.push_back({placed[i].client, at, at, &none[i]});
  }
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    write_crossings(spi, apply_fences(spi, clients));
  }
  tx.commit();
  fencing_ = !all;
}

/// In dry_run nothing is wished; but who serves a client is told, by a wish that is over when it is written: else its former
/// planner would go on planning, and would not hear that it arrived.
bool to_be_written(const Plan &p, const Decision &d, bool dry_run) {
  if (d.verdict != Verdict::wish && d.verdict != Verdict::end) return false;
  if (!dry_run) return true;
  bool told = std::any_of(p.wishes.begin(), p.wishes.end(), [&](const Wish &w) { return w.node == d.node; });
  return d.verdict == Verdict::wish && d.reason == kServesReason && (p.arrived || !told);
}

void Navigator::write(const std::vector<Plan> &plans, bool dry_run) {
  std::vector<std::string> clients, nodes, untils, reasons, values, etas;
  for (const Plan &p : plans)
    for (const Decision &d : p.decisions) {
      if (!to_be_written(p, d, dry_run)) continue;
      clients.push_back(p.subject.known.client);
      nodes.push_back(std::to_string(d.node));
      untils.push_back(number((dry_run ? telemetry::clients_now() : d.until_s) / bridge::guc::time_scale));
      reasons.push_back(d.reason);
      values.push_back(number(d.value));
      etas.push_back(number(d.eta_s / bridge::guc::time_scale));
    }
  if (clients.empty()) return;
  bridge::Spi spi;
  count_wishes(spi.execute(kWishStatement, {p_int4(bridge::self_node()), p_text_array(clients), p_text_array(nodes),
                                            p_text_array(untils), p_text_array(reasons), p_text_array(values), p_text_array(etas)}));
}

/// How long the copies had been here that clients found at their arrival.
void Navigator::note_leads(const std::vector<Plan> &plans) {
  std::map<std::string, int64_t> arrived;
  std::vector<std::string> clients;
  for (const Plan &p : plans)
    if (p.arrived && p.serving && p.home != bridge::self_node()) {
      clients.push_back(p.subject.known.client);
      arrived[p.subject.known.client] = p.subject.known.received_at;
    }
  if (clients.empty()) return;
  bridge::Spi spi;
  auto rows = spi.query_kept(kSinceQuery, {p_text_array(clients)});
  double pg_epoch_s = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * 86400.0;
  for (size_t i = 0; i < rows.size(); i++) {
    double lead_s = static_cast<double>(arrived.at(rows.at(i, 0))) / 1e6 + pg_epoch_s - rows.float8(i, 1);
    if (lead_s > 0) note_lead(lead_s * bridge::guc::time_scale);
  }
}

/// The client has come to another node, or from that on to a third: each is learned once.
void Navigator::hand_over(const Plan &p) {
  const telemetry::Motion &motion = p.subject.known.motion;
  if (motion.serving == p.served_by) return;
  const bool first = motion.serving == bridge::self_node();
  const double left_s = first ? p.served_since_s : motion.serving_since_s;
  const std::string &client = p.subject.known.client;
  const bool moved = left_s - motion.at_s <= telemetry::kSessionGapS && p.served_since_s >= left_s;
  if (moved) predict::learn_arrival(motion.trail, p.served_by, p.served_since_s, p.lead_s, left_s);
  if (moved && first && bridge::guc::placement_mode == bridge::guc::kPlacementDryRun)
    note_dry_arrival(p.home == p.served_by || would_be_.there(client, p.served_by, p.served_since_s, bridge::guc::keep_s));
  would_be_.forget(client);
  telemetry::served_by_other(client, p.served_by, motion.at_s, left_s);
}

/// From reports that came since the last time, whether or not they change anything for their clients.
void Navigator::learn(std::vector<Subject> &subjects) {
  if (bridge::guc::predictor != bridge::guc::kPredictorForecast && bridge::guc::predictor != bridge::guc::kPredictorCustom) return;
  for (Subject &s : subjects) {
    telemetry::Motion &motion = s.known.motion;
    if (!s.moving || motion.serving != bridge::self_node()) continue;
    predict::learn(motion, lead_s_);
    telemetry::note_learned(s.known.client, motion);
  }
}

std::vector<Plan> Navigator::plan(std::vector<Subject> subjects) {
  learn(subjects);
  std::vector<Plan> plans;
  bool dry_run = bridge::guc::placement_mode == bridge::guc::kPlacementDryRun;
  if (!dry_run) would_be_.clear();
  std::vector<std::pair<std::string, bool>> again;
  for (const Subject &s : subjects) again.push_back({s.known.client, s.known.arrived});
  try {
    sessions_.begin(subjects);
    bridge::WorkerTransaction tx;
    plans = make_plans(std::move(subjects), dry_run ? &would_be_ : nullptr);
    note_crossings(plans);
    if (bridge::guc::placement_mode != bridge::guc::kPlacementOff) {
      write(plans, dry_run);
      note_leads(plans);
      bridge::Spi spi;
      log_.write(spi, plans, dry_run);
    }
    tx.commit();
  } catch (const bridge::PgError &) {
    for (auto &[client, arrived] : again) telemetry::mark_for_navigator(client, arrived);
    throw;
  }
  lead_s_ = bridge::guc::copy_time_s;
  for (const Plan &p : plans) lead_s_ = std::max(lead_s_, p.lead_s);
  for (const Plan &p : plans)
    if (dry_run && p.served_by == kNoNode) would_be_.take(p, telemetry::clients_now());
  for (const Plan &p : plans)
    if (p.subject.moving && !p.serving && p.served_by != kNoNode)
      hand_over(p);
    else if (p.subject.moving)
      telemetry::note_planned(p.subject.known.client, p.subject.known.motion.at_s, p.look_again_s);
  sessions_.note(plans);
  return plans;
}

/// Clients that rest here and are expected back.
void Navigator::rest() {
  if (steady_s() < sessions_.next_s()) return;
  bridge::WorkerTransaction tx;
  std::vector<Plan> expected;
  {
    bridge::Spi spi;
    expected = sessions_.rest(spi);
  }
  if (!expected.empty() && bridge::guc::placement_mode != bridge::guc::kPlacementOff) {
    bool dry_run = bridge::guc::placement_mode == bridge::guc::kPlacementDryRun;
    write(expected, dry_run);
    bridge::Spi spi;
    log_.write(spi, expected, dry_run);
  }
  tx.commit();
}

/// True if the client may soon be gone: its motion must be there when it arrives.
bool leaving(const Plan &p) {
  return std::any_of(p.decisions.begin(), p.decisions.end(), [](const Decision &d) {
    return d.verdict == Verdict::wish && d.node != bridge::self_node();
  });
}

void Navigator::checkpoint(std::vector<Plan> &plans) {
  std::vector<const telemetry::Known *> clients;
  std::vector<telemetry::Known *> came;
  TimestampTz now = GetCurrentTimestamp();
  for (Plan &p : plans) {
    if (!p.serving || p.home == kNoNode) continue;
    telemetry::Known &k = p.subject.known;
    int64_t age_us = now - k.checkpointed_at;
    bool first = k.checkpointed_at == 0 || k.written_at_s < k.motion.serving_since_s;  // since it came
    if (!first && age_us < (leaving(p) ? kCheckpointLeavingUs : kCheckpointEveryUs)) continue;
    if (first) came.push_back(&k);
    clients.push_back(&k);
  }
  if (!came.empty()) take_history(came);
  if (!clients.empty()) write_motion(clients);
}

/// The server is shut down: what came since the last checkpoint is written, as far as time allows. Nothing here waits for others.
void Navigator::save() {
  if (bridge::self_node() == kNoNode) return;
  never_wait();
  bridge::pg_call([] {
    SetConfigOption("vectorshard.durability", "local", PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("lock_timeout", "500", PGC_USERSET, PGC_S_SESSION);
  });
  try {
    quality_.write();
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    ereport(LOG, (errmsg("vectorshard navigator: could not write how placement fared: %s", e.message.c_str())));
  }
  telemetry::PassCursor cursor;
  double end = steady_s() + kSaveMostS;
  for (bool all = false; !all && steady_s() < end;) {
    std::vector<telemetry::Known> unwritten;
    all = telemetry::pass_on_unwritten(cursor, kClientsARound, unwritten);
    std::vector<const telemetry::Known *> clients;
    for (const auto &k : unwritten) clients.push_back(&k);
    if (!clients.empty()) write_motion(clients);
  }
}

/// Counters into tables, old decisions out of theirs. A failure costs a look: all is counted, and there, until the next.
void Navigator::keep_books() {
  try {
    quality_.write_if_due();
    if (steady_s() >= next_log_tidy_s_) next_log_tidy_s_ = steady_s() + (log_.tidy() ? 1 : kLogTidyS);
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    ereport(LOG, (errmsg("vectorshard navigator: could not keep its books: %s", e.message.c_str())));
    next_log_tidy_s_ = steady_s() + kLogTidyS;
  }
}

long Navigator::round() {
  if (bridge::self_node() == kNoNode) return kNotMemberMs;
  if (!started_) start_up();
  keep_gap();
  bool more = false;
  auto todo = subjects(more);
  if (!todo.empty()) {
    auto plans = plan(std::move(todo));
    checkpoint(plans);
  }
  rest();
  fence_silent();
  last_round_s_ = steady_s();
  keep_books();
  if (more || fencing_) return 0;
  // The books are kept by the time of day, whose hours they tell apart; everything else here only waits.
  double books_s = steady_s() + quality_.next_s() - bridge::wall_s();
  double next = std::min({next_policy_look_s_, next_log_tidy_s_, books_s, sessions_.next_s()});
  if (bridge::guc::navigator_pass_ms != 0) next = std::min(next, passing_ ? 0 : next_pass_s_);
  return std::clamp(static_cast<long>((next - steady_s()) * 1000) + 1, 1L, kIdleMs);
}

Navigator &navigator() {
  static Navigator navigator;
  return navigator;
}

long navigator_round() { return navigator().round(); }
void navigator_save() { navigator().save(); }

}  // namespace

}  // namespace vectorshard::place

using namespace vectorshard;

extern "C" __attribute__((visibility("default"))) void vectorshard_navigator_main(Datum) {
  static const bridge::WorkerSpec spec{bridge::kNavigator, "vectorshard navigator", "vectorshard_navigator_main",
                                       place::navigator_round, nullptr, place::navigator_save};
  bridge::run_worker(spec);
}
