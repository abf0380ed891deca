// Histories on real servers: three of them in network namespaces, operations from nine clients, faults from a seed; afterwards all holders
// must be equal within 30 s and no acknowledged write may be gone. Prints one line a history and one for all. Exit code 1 if anything was
// lost or differs, 77 if this machine lets us make no namespaces. Everything it starts it stops, and it sends nothing out of its namespaces.
//   histories [--seed N] [--histories N] [--operations N] [--length-ms N] [--faults N] [--only KIND] [--no-clocks] [--verbose] [--self-test]
//             [--check-rate N]
// The background check of the product mends differences, and so would hide them: every second history runs without it, the others with it
// as users have it, and then what it finds counts as diverged. --check-rate: the same in all.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <thread>

#include "../../demo/pg.hpp"
#include "nemesis.hpp"
#include "verify.hpp"
#include "worker.hpp"

namespace vectorshard::histories {
namespace {

namespace fs = std::filesystem;
using demo::Connection;
using demo::PgError;

constexpr double kEqualS = 30;   // the promise
constexpr double kGiveUpS = 60;  // slow or never: worth knowing which

struct Settings {
  uint64_t seed = 0;
  int histories = 20;
  PlanOptions plan;
  std::optional<int> check_rate;
  bool verbose = false, self_test = false, keep = false;
};

constexpr int kUsualRate = -1;  // of the background check: as the product has it

struct Totals {
  int histories = 0;
  size_t operations = 0;
  int faults = 0;
  size_t lost = 0;
  int diverged = 0;
  double slowest_heal_s = 0;
};

void say(const std::string &text) {
  std::puts(text.c_str());
  std::fflush(stdout);
}

std::string format(const char *pattern, double x) {
  char out[40];
  std::snprintf(out, sizeof out, pattern, x);
  return out;
}

class Fabric {
 public:
  Fabric(const fs::path &work, const fs::path &bin) : net_(kNodes) {
    const fs::path source = make_template(work, bin, net_);
    for (int i = 0; i < kNodes; i++) {
      servers_.emplace_back(work, bin, i, net_);
      servers_.back().make(source);
    }
    for (Server &s : servers_) s.start();
    for (Server &s : servers_) set_up(s);
    make_tables();
  }
  Net &net() { return net_; }
  std::vector<Server> &servers() { return servers_; }
  bool counters() const { return counters_; }
  std::vector<std::string> mended() { return mended_meanwhile(servers_, checks_seen_); }
  /// Clients a minute that the background check of each node looks at; 0: none.
  void check(int rate) {
    for (Server &s : servers_) {
      Connection c(s.conninfo());
      c.run(rate == kUsualRate ? "ALTER SYSTEM RESET vectorshard.check_rate" : "ALTER SYSTEM SET vectorshard.check_rate = " + std::to_string(rate));
      c.run("SELECT pg_reload_conf()");
    }
  }

 private:
  void set_up(Server &s) {
    Connection c(s.conninfo());
    const std::string place = "ST_SetSRID(ST_MakePoint(" + std::to_string(-122.5 + 0.1 * s.index()) + ", 37.7), 4326)";
    c.run("CREATE EXTENSION vectorshard");
    c.run("CREATE ROLE fabric LOGIN IN ROLE vectorshard_peer");
    if (s.index() == 0) {
      c.run("SELECT vectorshard.create_fabric('n1', " + place + ")");
      c.run("CREATE USER MAPPING FOR postgres SERVER fabric OPTIONS (user 'fabric')");
      return;
    }
    c.run("CREATE SERVER hub FOREIGN DATA WRAPPER vectorshard_fdw OPTIONS (host '" + net_.address(0) + "', port '5432', dbname 'app')");
    c.run("CREATE USER MAPPING FOR postgres SERVER hub OPTIONS (user 'fabric')");
    c.run("SELECT vectorshard.join_fabric('" + s.name() + "', 'hub', " + place + ", kind => '" + (s.index() == kNodes - 1 ? "edge" : "core") + "')");
  }

  void make_tables() {
    Connection c(servers_[0].conninfo());
    counters_ = c.run("SELECT to_regtype('vectorshard.counter') IS NOT NULL").flag(0, 0);
    c.run("CREATE TABLE item (client text, id int, val bigint, note text, big text, PRIMARY KEY (client, id)); "
          "ALTER TABLE item ALTER big SET STORAGE EXTERNAL; SELECT vectorshard.create_vector_shard_table('item', 'client'); "
          "CREATE TABLE ref (id int PRIMARY KEY, val bigint); SELECT vectorshard.create_reference_table('ref')");
    if (counters_)
      c.run("CREATE TABLE tally (client text, id int, n vectorshard.counter NOT NULL, PRIMARY KEY (client, id)); "
            "SELECT vectorshard.create_vector_shard_table('tally', 'client')");
    const std::string there = counters_ ? "3" : "2";
    for (Server &s : servers_) {
      Connection node(s.conninfo());
      for (int i = 0; i < 300; i++) {
        if (node.run("SELECT count(*) FROM pg_class WHERE relname IN ('item', 'ref', 'tally') AND relkind = 'r'").str(0, 0) == there) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }

  Net net_;
  std::vector<Server> servers_;
  bool counters_ = false;
  std::vector<int64_t> checks_seen_;
};

/// One insert that is repeated until it is taken, and logged.
void first_row(Fabric &f, const Plan &plan, Log &log, int node, int client, int64_t value) {
  for (int i = 0; i < 100; i++) {
    try {
      Connection c(f.servers()[static_cast<size_t>(node)].conninfo());
      const std::string name = plan.client(client);
      const auto rows = c.query("INSERT INTO item (client, id, val) VALUES ($1, $2::int, $3::bigint) RETURNING _version",
                                {name, std::to_string(900 + node), std::to_string(value)});
      log.transactions.push_back({Outcome::acknowledged, node, "", {{"item", name, 900 + node, false, value, rows.number(0, 0)}}});
      if (f.counters() && node == (client < 7 ? 0 : 1))
        c.run("INSERT INTO tally SELECT '" + name + "', i, 0 FROM generate_series(0, 5) i");
      return;
    } catch (const PgError &e) {
      if (!e.retryable() && i > 20) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  throw std::runtime_error("a first row is not taken");
}

void prepare(Fabric &f, const Plan &plan, int history, Log &log) {
  for (Server &s : f.servers()) {
    if (plan.fakes_clock(s.index()) == s.fakes_clock()) continue;
    s.stop_fast();
    s.fake_clock(plan.fakes_clock(s.index()));
    s.start();
  }
  int64_t value = int64_t{history} * 1000000 + 900001;
  for (int client = 0; client < 9; client++) {
    first_row(f, plan, log, client < 7 ? 0 : 1, client, value++);
    if (client >= 4) continue;
    for (const int node : {1, 2}) first_row(f, plan, log, node, client, value++);
  }
}

/// Runs one history; returns false if it found anything.
bool run_history(Fabric &f, const Settings &settings, int history, Totals &totals) {
  const Plan plan = make_plan(settings.seed + static_cast<uint64_t>(history), history, settings.plan);
  Log log;
  const int rate = settings.check_rate.value_or(history % 2 == 1 ? kUsualRate : 0);
  f.check(rate);
  prepare(f, plan, history, log);
  const Convergence before = wait_equal(plan, f.servers(), kGiveUpS);
  if (!before.equal) say("  not at rest before the history: " + before.difference);
  log_references(f.servers(), log);
  std::atomic<bool> stop = false;
  std::atomic<int> running = kNodes * kWorkersPerNode;
  const WorkerContext context{&plan, &log, std::chrono::steady_clock::now(), &stop, f.counters()};
  Nemesis nemesis(plan, f.net(), f.servers());
  std::vector<std::thread> threads;
  for (int w = 0; w < kNodes * kWorkersPerNode; w++)
    threads.emplace_back([&, w] {
      run_worker(context, w, f.servers()[static_cast<size_t>(w % kNodes)].conninfo("worker"));
      running--;
    });
  std::exception_ptr failure;
  double late_s = 0;  // operations that still waited for what the faults had held up
  try {
    nemesis.run(context.start, [&] { return running == 0; });
    const auto due = std::max(nemesis.quiet_since(), context.start + std::chrono::milliseconds(plan.length_ms));
    late_s = std::max(0.0, std::chrono::duration<double>(std::chrono::steady_clock::now() - due).count());
    nemesis.heal();
  } catch (...) {
    failure = std::current_exception();
    stop = true;
  }
  for (auto &t : threads) t.join();
  if (failure) std::rethrow_exception(failure);
  Convergence end = wait_equal(plan, f.servers(), kGiveUpS);
  const Findings found = check(plan, f.servers(), log);
  const std::vector<std::string> mended = f.mended();
  const bool slow = end.seconds > kEqualS || late_s > kEqualS;
  say("history " + std::to_string(history + 1) + " seed " + std::to_string(plan.seed) + ": operations " + std::to_string(log.operations) + " (" +
      std::to_string(log.failed_operations) + " refused), faults " + std::to_string(nemesis.done()) + ", operations end " + format("%.1f s", late_s) + " late, equal after " +
      (end.equal ? format("%.1f s", end.seconds) : std::string("NEVER")) + ", visible " + std::to_string(found.visible) + ", beaten " +
      std::to_string(found.beaten) + ", lost " + std::to_string(found.lost.size()) + ", mended " +
      (rate == 0 ? std::string("nothing: no check") : std::to_string(mended.size())));
  const bool clean = end.equal && !slow && mended.empty() && found.clean();
  if (!clean || settings.verbose) {
    for (const std::string &d : nemesis.diary()) say("    " + d);
    std::map<std::string, int> errors;
    for (const Transaction &t : log.transactions)
      if (!t.error.empty()) errors[t.error.substr(0, 140)]++;
    for (const auto &[text, n] : errors) say("    " + std::to_string(n) + " x " + text);
  }
  if (!end.difference.empty() && !clean) say("  last difference: " + end.difference);
  for (const auto &list : {found.lost, found.foreign, found.wrong, mended})
    for (size_t i = 0; i < std::min<size_t>(list.size(), 20); i++) say("  FOUND " + list[i]);
  totals.histories++;
  totals.operations += log.operations;
  totals.faults += nemesis.done();
  totals.lost += found.lost.size() + found.foreign.size() + found.wrong.size();
  totals.diverged += !end.equal || slow || !mended.empty();
  totals.slowest_heal_s = std::max(totals.slowest_heal_s, end.seconds);
  return clean;
}

/// The checker itself: faults planted by hand, each of which it must see. The background check would mend them.
bool self_test(Fabric &f, const Settings &settings) {
  PlanOptions quiet = settings.plan;
  quiet.operations = 60;
  quiet.length_ms = 1500;
  quiet.faults = 0;
  const Plan plan = make_plan(settings.seed, 999, quiet);
  Log log;
  f.check(0);
  prepare(f, plan, 999, log);
  if (const Convergence c = wait_equal(plan, f.servers(), kGiveUpS); !c.equal) {
    say("self-test: not at rest: " + c.difference);
    return false;
  }
  auto everywhere = [&](size_t nodes, const std::string &sql) {
    for (size_t i = 0; i < nodes; i++) {
      Connection c(f.servers()[i].conninfo());
      c.run("SET session_replication_role = replica; SET vectorshard.read_scope = local; " + sql);
    }
  };
  const std::string row = " WHERE client = '" + plan.client(0) + "' AND id = ";
  std::vector<std::string> wrong;
  auto expect = [&](bool right, const char *what) {
    if (!right) wrong.push_back(what);
  };
  expect(check(plan, f.servers(), log).clean(), "nothing is planted and something is found");
  everywhere(1, "UPDATE ONLY item SET note = 'planted'" + row + "900");
  expect(difference(plan, f.servers()).find("item " + plan.client(0) + " differs") != std::string::npos, "one node differs");
  everywhere(kNodes, "UPDATE ONLY item SET note = 'planted'" + row + "900");
  expect(wait_equal(plan, f.servers(), kGiveUpS).equal, "no node differs any more");
  everywhere(kNodes, "DELETE FROM ONLY item" + row + "900");
  expect(!check(plan, f.servers(), log).lost.empty(), "a row is gone everywhere");
  everywhere(kNodes, "UPDATE ONLY item SET val = -1" + row + "901");
  expect(!check(plan, f.servers(), log).foreign.empty(), "a value that nobody wrote");
  expect(f.mended().empty(), "nothing was checked, and something is mended");
  everywhere(1, "UPDATE ONLY item SET note = 'planted again'" + row + "901");
  Connection(f.servers()[0].conninfo()).run("SELECT vectorshard.check_client('" + plan.client(0) + "', true)");
  expect(!f.mended().empty(), "what a check mends");
  say("self-test: " + std::to_string(7 - wrong.size()) + " of 7 right");
  for (const std::string &w : wrong) say("  not seen: " + w);
  return wrong.empty();
}

Settings read_settings(int argc, char **argv) {
  Settings s;
  s.seed = static_cast<uint64_t>(std::time(nullptr));
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : throw std::runtime_error(word + " needs a value"); };
    if (word == "--seed") s.seed = std::stoull(value());
    else if (word == "--histories") s.histories = std::stoi(value());
    else if (word == "--operations") s.plan.operations = std::stoi(value());
    else if (word == "--length-ms") s.plan.length_ms = std::stoi(value());
    else if (word == "--faults") s.plan.faults = std::stoi(value());
    else if (word == "--only") s.plan.only = value();
    else if (word == "--check-rate") s.check_rate = std::stoi(value());
    else if (word == "--no-clocks") s.plan.clocks = false;
    else if (word == "--verbose") s.verbose = true;
    else if (word == "--keep") s.keep = true;
    else if (word == "--self-test") s.self_test = true;
    else throw std::runtime_error("unknown option " + word);
  }
  return s;
}

int run(const Settings &settings) {
  const char *bin = std::getenv("PG_BIN");
  std::string name = (fs::temp_directory_path() / "vectorshard-histories.XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make a directory like " + name);
  const fs::path work = name;
  chmod(work.c_str(), 0755);
  if (chown(work.c_str(), server_uid(), server_gid()) != 0) throw std::runtime_error("cannot chown " + name);
  bool clean = true;
  Totals totals;
  try {
    Fabric fabric(work, bin ? bin : "/usr/lib/postgresql/15/bin");
    say("seed " + std::to_string(settings.seed) + ", servers in " + name + (fabric.counters() ? "" : ", no counters"));
    if (settings.self_test) clean = self_test(fabric, settings);
    for (int h = 0; h < settings.histories && clean; h++) clean = run_history(fabric, settings, h, totals);
    if (!clean && std::getenv("HOLD")) {
      say("held for a look; press return");
      (void)std::getchar();
    }
  } catch (const std::exception &e) {
    say(std::string("error: ") + e.what());
    clean = false;
  }
  if (clean && !settings.keep)
    fs::remove_all(work);
  else
    say("kept: " + name + " (replay: --seed " + std::to_string(settings.seed) + ")");
  say("histories: histories=" + std::to_string(totals.histories) + " operations=" + std::to_string(totals.operations) + " faults=" +
      std::to_string(totals.faults) + " lost=" + std::to_string(totals.lost) + " diverged=" + std::to_string(totals.diverged) +
      " slowest_heal_s=" + format("%.1f", totals.slowest_heal_s));
  return clean ? 0 : 1;
}

}  // namespace
}  // namespace vectorshard::histories

int main(int argc, char **argv) {
  using namespace vectorshard::histories;
  std::string why;
  try {
    const Settings settings = read_settings(argc, argv);
    if (!enter_sandbox(&why)) {
      say("histories: SKIPPED: " + why);
      return 77;
    }
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
      std::signal(number, [](int) { g_interrupted = true; });
    return run(settings);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
