// The demo: builds a fabric on this machine, replays moving clients against it with prediction and without, and says
// what came of it. Exit code 1 if a row was lost or a copy differs, or if anything else went wrong; 130 after Ctrl-C.
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <random>

#include "city.hpp"
#include "fabric.hpp"
#include "input.hpp"
#include "map.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "progress.hpp"
#include "replay.hpp"
#include "schema.hpp"
#include "simulated.hpp"
#include "sites.hpp"
#include "stop.hpp"
#include "verify.hpp"

namespace vectorshard::demo {
namespace {

/// A directory that only we can read, removed at the end.
class WorkDirectory {
 public:
  explicit WorkDirectory(bool keep) : keep_(keep) {
    std::string name = (std::filesystem::temp_directory_path() / "vectorshard-demo.XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a directory like " + name);
    path_ = name;
  }
  ~WorkDirectory() {
    std::error_code ignored;
    if (keep_)
      say("kept: " + path_.string());
    else
      std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path &path() const { return path_; }

 private:
  bool keep_;
  std::filesystem::path path_;
};

std::string random_password() {
  std::random_device random;
  char text[40];
  std::snprintf(text, sizeof text, "%08x%08x%08x%08x", random(), random(), random(), random());
  return text;
}

Trace read_trace(const Options &options) {
  if (options.trajectories.empty()) {
    say("no TRAJECTORIES given: the clients and their city are GENERATED, not measured");
    return generate_city(options.clients + options.pausing_clients + 30);
  }
  say("reading " + options.source);
  return {read_trajectories(options.trajectories), read_sites(options.sites), options.source};
}

std::string describe_window(const Plan &plan) {
  const auto start = static_cast<time_t>(plan.start_unix_s);
  char text[80];
  std::tm parts{};
  strftime(text, sizeof text, "%F %R UTC", gmtime_r(&start, &parts));
  return std::to_string(static_cast<int>(plan.length_s / 60)) + " minutes from " + text;
}

void write_map(const Options &options, const std::string &svg) {
  constexpr std::string_view kInherited = "/dev/fd/";
  if (options.map.starts_with(kInherited)) {
    FILE *out = fdopen(dup(std::atoi(options.map.c_str() + kInherited.size())), "w");
    if (!out || std::fwrite(svg.data(), 1, svg.size(), out) != svg.size() || std::fclose(out) != 0)
      throw std::runtime_error("cannot write " + options.map_shown);
    return;
  }
  std::ofstream out(options.map, std::ios::binary);
  out << svg;
  if (!out.flush()) throw std::runtime_error("cannot write " + options.map);
}

/// Loads the clients and replays the plan once; returns what came of it.
Outcome run_replay(Fabric &fabric, const Plan &plan, Fleet &fleet, const Options &options, double speed,
                   const std::string &title) {
  {
    Connection core(fabric.conninfo_admin(fabric.core_index()));
    load_fleet(core, fleet);
  }
  ReplaySettings settings;
  settings.speed = speed;
  settings.threads = options.threads;
  return replay(fabric, plan, fleet, settings, title);
}

int run(const Options &options) {
  const Trace trace = read_trace(options);
  const std::vector<Point> places = cluster_sites(trace.sites, options.nodes);
  const Plan plan = make_plan(trace, places, {options.window_s, options.clients, options.pausing_clients, options.pause_s});
  const double speed = plan.length_s / options.replay_s;
  Summary summary;
  summary.source = trace.source;
  summary.window = describe_window(plan);
  summary.speed = speed;
  summary.clients = plan.clients.size();
  char facts[200];
  std::snprintf(facts, sizeof facts, "%zu clients, %zu reports, %zu arrivals (%zu with a session start), %s, %.0f times faster",
                plan.clients.size(), plan.reports, plan.arrivals, plan.session_starts, summary.window.c_str(), speed);
  say(facts);

  const WorkDirectory work(options.keep);
  const Installation installation{options.bin, work.path(), random_password()};
  say("starting 1 core node and " + std::to_string(places.size()) + " edge nodes");
  Fabric fabric(installation, places, {speed, options.pause_s});
  say("making the fabric: create_fabric, tables, join_fabric");
  fabric.join_all();

  say("replay with prediction");
  Fleet predicted(plan, ""), reactive(plan, ".off");
  summary.predicted = run_replay(fabric, plan, predicted, options, speed, "prediction on ");
  summary.simulated = simulate(fabric, plan, speed);
  const Verdict first = verify(fabric, {&predicted});
  const Plan expected = archived_clients(options.archive.url.empty() ? 0 : options.archived);
  Fleet archived(expected, "");
  if (!archived.clients.empty()) {
    say("clients whose rows lie in an archive are expected");
    summary.archive = archive_act(fabric, archived, options.archive);
    say(std::to_string(summary.archive.in_time) + " of " + std::to_string(summary.archive.clients) + " had their rows where they came");
    for (const std::string &finding : summary.archive.findings) say(finding);
  }
  say("the same with prediction off, with fresh clients on the same nodes");
  fabric.set_everywhere("vectorshard.predictor", "none");
  summary.reactive = run_replay(fabric, plan, reactive, options, speed, "prediction off");
  say("writes have stopped; comparing every copy with its home and with what was acknowledged");
  summary.verdict = verify(fabric, {&predicted, &reactive, &archived});
  summary.verdict.converged_s = std::max(summary.verdict.converged_s, first.converged_s);
  say("stopping the servers");
  fabric.stop();
  write_map(options, draw_map(plan, places, centroid(places), summary));

  for (const std::string &line : summary.lines()) std::printf("%s\n", line.c_str());
  std::printf("map: %s\n%s\n", options.map_shown.c_str(), summary.last_line().c_str());
  return summary.good() ? 0 : 1;
}

}  // namespace
}  // namespace vectorshard::demo

int main() {
  using namespace vectorshard::demo;
  catch_signals(kill_all_servers);
  try {
    return run(read_options());
  } catch (const Stopped &) {
    std::fprintf(stderr, "\ndemo: stopped; every server it had started is stopped\n");
    return 130;
  } catch (const PgError &e) {
    std::fprintf(stderr, "\ndemo: %s (SQLSTATE %s)\n", e.what(), e.sqlstate.c_str());
  } catch (const std::exception &e) {
    std::fprintf(stderr, "\ndemo: %s\n", e.what());
  }
  return 1;
}
