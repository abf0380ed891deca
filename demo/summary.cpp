// Formatting only.
#include "summary.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace vectorshard::demo {
namespace {

__attribute__((format(printf, 1, 2))) std::string text(const char *format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

std::string latencies(const std::vector<double> &ms) {
  if (ms.empty()) return "none";
  return text("p50 %.1f  p95 %.1f  p99 %.1f ms (%zu)", quantile(ms, 0.5), quantile(ms, 0.95), quantile(ms, 0.99),
              ms.size());
}

/// Hit ratio of the arrivals with which a session starts, or of the others.
std::string ratio_of(const Outcome &outcome, bool starts) {
  int all = 0, hits = 0;
  for (const Arrival &a : outcome.arrivals)
    if (a.starts_session == starts) {
      all++;
      hits += a.hit;
    }
  return all ? text("%.3f of %d", static_cast<double>(hits) / all, all) : "none";
}

void describe(std::vector<std::string> &out, const char *title, const Outcome &o) {
  int stale = 0;
  for (const Arrival &a : o.arrivals) stale += a.resident && !a.hit;
  out.push_back(std::string(title));
  out.push_back(text("  arrivals %zu, hit ratio %.3f", o.arrivals.size(), o.hit_ratio()) + "; while moving " +
                ratio_of(o, false) + ", at session starts " + ratio_of(o, true) +
                text("; resident but not current: %d", stale));
  out.push_back(text("  surplus copies per active client %.2f (and %.2f of idle clients)", o.surplus(), o.idle_copies()));
  out.push_back("  first access after arrival, hit:  " + latencies(access_ms(o, Which::hits)));
  out.push_back("  first access after arrival, miss: " + latencies(access_ms(o, Which::misses)));
  out.push_back("  writes: " + latencies(o.write_ms) +
                text(", tried again %lld, from a stale copy %lld, row not there yet %lld", (long long)o.retries,
                     (long long)o.stale_writes, (long long)o.missed_writes));
  out.push_back(text("  clients sent to the store %lld, needed again %lld, of these brought back before they were needed %lld",
                     (long long)o.sent_to_store, (long long)o.needed_from_store, (long long)o.back_in_time) +
                text(" (brought back by prediction %lld, by access %lld)", (long long)o.back_by_prediction,
                     (long long)o.back_by_access));
  out.push_back(text("  reports %lld; the replay ran late by p50 %.0f, p99 %.0f ms", (long long)o.reports,
                     quantile(o.lag_ms, 0.5), quantile(o.lag_ms, 0.99)) +
                (o.slip_s > 0.5 ? text("; it took %.0f s longer than planned: this machine could not keep up", o.slip_s) : ""));
  if (o.wrong_reads) out.push_back(text("  READS WITH MISSING OR DOUBLED ROWS: %lld", (long long)o.wrong_reads));
  for (const auto &[what, count] : o.errors) out.push_back(text("  error, %d times: ", count) + what);
}

void describe(std::vector<std::string> &out, const ArchiveOutcome &o) {
  if (o.clients == 0) {
    out.push_back("no archive: nothing was expected from one");
    return;
  }
  out.push_back(text("clients in an archive that takes up to %.0f s (a read says so: %zu of %zu)", o.thaw_s, o.refused, o.clients));
  out.push_back(text("  expected at edge nodes: %zu, their rows there before they came: %zu (brought back by prediction: %zu)", o.clients, o.in_time,
                     o.by_prediction));
  out.push_back("  first access where they came: " + latencies(o.access_ms));
  for (const std::string &finding : o.findings) out.push_back("  late: " + finding);
}

}  // namespace

std::vector<std::string> Summary::lines() const {
  std::vector<std::string> out;
  out.push_back(text("%zu clients of ", clients) + source + ", " + window + text(", %.0f times faster", speed));
  describe(out, "with prediction", predicted);
  out.push_back(text("  vectorshard-sim on the same reports, a copy taking %.1f s: %zu moves, hit ratio %.3f, surplus %.2f", simulated.copy_s,
                     simulated.moves, simulated.hit_ratio, simulated.surplus));
  describe(out, archive);
  describe(out, "with prediction off (copies only after the client has come)", reactive);
  out.push_back(text("once writes had stopped: %zu rows of %zu clients compared with what was acknowledged, %zu of the "
                     "clients read from the store",
                     verdict.rows, verdict.clients, verdict.cold));
  out.push_back(text("  %zu copies compared with their homes by hash: %zu rows lost, %zu diverged, after %.1f s",
                     verdict.copies, verdict.rows_lost, verdict.diverged, verdict.converged_s));
  for (const std::string &finding : verdict.findings) out.push_back("  wrong: " + finding);
  return out;
}

std::string Summary::last_line() const {
  const auto ms = access_ms(predicted, Which::all);
  return text("demo: arrivals=%zu hit_ratio=%.3f hit_ratio_reactive=%.3f surplus=%.2f first_access_p50_ms=%.1f "
              "first_access_p99_ms=%.1f rows_lost=%zu diverged=%zu",
              predicted.arrivals.size(), predicted.hit_ratio(), reactive.hit_ratio(), predicted.surplus(),
              quantile(ms, 0.5), quantile(ms, 0.99), verdict.rows_lost, verdict.diverged);
}

}  // namespace vectorshard::demo
