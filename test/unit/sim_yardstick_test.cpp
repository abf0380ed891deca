// The yardstick of placement policies: metrics and peers on a case small enough to be worked out by hand, and the readers of
// trajectories. Proves that vectorshard-sim measures what docs/simulator.md says.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "line_of_sites.hpp"
#include "policies.hpp"
#include "replay.hpp"

namespace vectorshard::sim {
namespace {

// Three nodes on a line; the client reports every 10 s. A at longitude 0, B at 1 (reported at 1.2, so C is its second
// nearest), C at 2.
//   session 1: A 0, A 10, B 20, C 30      session 2: A 1000, B 1010, C 1020      session 3: A 2000, B 2010
// 5 moves, 60 s of sessions.
Nodes line() { return from_sites(line_of_sites()); }

Trace trips() {
  constexpr double kLon[] = {0, 1.2, 2};
  Trace t;
  t.clients = {"car"};
  auto add = [&](double at_s, int node) {
    Fix x;
    x.at_s = at_s;
    x.lon_e7 = static_cast<int32_t>(kLon[node] * 1e7);
    t.fixes.push_back(x);
  };
  for (auto [at, node] : {std::pair{0., 0}, {10., 0}, {20., 1}, {30., 2}, {1000., 0}, {1010., 1}, {1020., 2}, {2000., 0}, {2010., 1}}) add(at, node);
  return t;
}

Metrics run(const std::string &policy, double transfer_s, std::map<std::string, double> settings = {}, double keep_s = 0) {
  Nodes nodes = line();
  Trace trace = trips();
  ReplaySettings s;
  s.transfer_s = transfer_s;
  s.keep_s = keep_s;
  PolicyOptions o;
  o.transfer_s = transfer_s;
  o.settings = std::move(settings);
  if (policy == "oracle") return oracle(trace, nodes, s);
  return replay(trace, nodes, s, *make_policy(policy, trace, nodes, o));
}

// Session 1 teaches A->B, (A,B)->C, B->C, (B,C)->end, C->end. Session 2 hits B (wished at 1000, ready at 1005) and C
// (wished at 1010); nothing is wished at 1020, where the session ended before. Session 3 hits B, and wishes C for nothing.
void expect_bellmann(const Metrics &m) {
  EXPECT_EQ(m.moves, 5u);
  EXPECT_EQ(m.hits, 3u);
  EXPECT_DOUBLE_EQ(m.session_s, 60);
  EXPECT_DOUBLE_EQ(m.surplus_s, 30);        // B 1000-1010, C 1010-1020, B 2000-2010
  EXPECT_DOUBLE_EQ(m.surplus_ready_s, 15);  // the second half of each
  EXPECT_DOUBLE_EQ(m.available_s, 40);      // A 5-20, B 25-30, A 1005-1010, B 1010-1020, A 2005-2010
  EXPECT_EQ(m.transfers, 9u);
  EXPECT_EQ(m.wasted, 1u);
  EXPECT_EQ(m.starts_again, 2u);
  EXPECT_EQ(m.start_hits, 0u);
  EXPECT_DOUBLE_EQ(m.lead_s(0.5), 5);
}

TEST(SimYardstick, Vomm2) { expect_bellmann(run("vomm2", 5)); }

TEST(SimYardstick, Fomm5) {
  expect_bellmann(run("fomm5", 5));  // one outcome a context: the mixture of tables says the same
  // Without a pause the wish waits until the expected dwell (20 and 10 s in A, 10 in B) less the transfer has passed, and
  // with a report every 10 s that is too late each time.
  Metrics gated = run("fomm5", 5, {{"pause", 0}});
  EXPECT_EQ(gated.hits, 0u);
  EXPECT_EQ(gated.surplus_s, 0);
}

TEST(SimYardstick, EndOfSessionIsAnOutcome) {
  // After the three sessions A,B was followed by C twice and by the end once: C has 2/3, not the share of 0.9, so the end is
  // taken too, and then left out.
  Trace trace = trips();
  for (double at : {3000., 3010.}) {
    Fix x;
    x.at_s = at;
    x.lon_e7 = at == 3000 ? 0 : 12000000;
    trace.fixes.push_back(x);
  }
  Nodes nodes = line();
  PolicyOptions o;
  Metrics m = replay(trace, nodes, {}, *make_policy("vomm2", trace, nodes, o));
  EXPECT_EQ(m.hits, 4u);
  EXPECT_EQ(m.wasted, 2u);  // C again
}

TEST(SimYardstick, Bounds) {
  Metrics reactive = run("reactive", 5), nearest = run("nearest-2", 5), all = run("everywhere", 5);
  EXPECT_EQ(reactive.hits, 0u);
  EXPECT_EQ(reactive.transfers, 8u);
  EXPECT_EQ(nearest.hits, 5u);
  EXPECT_DOUBLE_EQ(nearest.surplus(), 1);
  EXPECT_EQ(all.hits, 5u);
  EXPECT_DOUBLE_EQ(all.surplus(), 2);
}

TEST(SimYardstick, Oracle) {
  Metrics m = run("oracle", 5);
  EXPECT_EQ(m.hits, 5u);
  EXPECT_DOUBLE_EQ(m.surplus_s, 25);
  EXPECT_DOUBLE_EQ(m.transfers_per_move(), 8.0 / 5);
  EXPECT_DOUBLE_EQ(m.available_s, 60 - 3 * 5);
  // 10 s after its start a session has not had the 15 s that a copy takes: sessions 2 and 3 miss B.
  EXPECT_EQ(run("oracle", 15).hits, 3u);
}

TEST(SimYardstick, CopyKeptAfterTheSession) {
  // A at 1000 and 2000 were served last in C and C: nothing is hit at the start, and both copies cost their time in full.
  Metrics m = run("reactive", 5, {}, 100);
  EXPECT_EQ(m.start_hits, 0u);
  EXPECT_DOUBLE_EQ(m.offline_s, 300);
  EXPECT_DOUBLE_EQ(m.surplus_s, 300);
}

TEST(SimYardstick, StartWhereItLastWas) {
  Nodes nodes = line();
  Trace trace;
  trace.clients = {"car"};
  for (double at : {0., 10., 1000., 3000.}) {
    Fix x;
    x.at_s = at;
    trace.fixes.push_back(x);
  }
  ReplaySettings s;
  s.keep_s = 1000;
  Metrics m = replay(trace, nodes, s, *make_policy("reactive", trace, nodes, {}));
  EXPECT_EQ(m.starts_again, 2u);
  EXPECT_EQ(m.start_hits, 1u);                          // at 1000, not at 3000
  EXPECT_DOUBLE_EQ(m.offline_s, 990 + 1000 + 1000);     // the last after the end of the trace
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("vectorshard-sim-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string &name, const std::string &text) {
    auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  std::filesystem::path folder_;
};

TEST_F(Files, CsvByHeader) {
  Trace t = read_trace(write("a.csv", "speed,taxi,time_utc,lon,lat\n3.5,x,2008-05-17 10:00:01,-122.5,37.5\n,y,2008-05-17T10:00:00Z,1,2\n,x,2008-05-17 10:00:01,9,9\n"));
  ASSERT_EQ(t.fixes.size(), 2u);  // of two at one time the first counts
  EXPECT_EQ(t.clients[t.fixes[0].client], "y");
  EXPECT_DOUBLE_EQ(t.fixes[1].at_s, 1211018401);
  EXPECT_DOUBLE_EQ(t.fixes[1].lon(), -122.5);
  EXPECT_FLOAT_EQ(t.fixes[1].speed_mps, 3.5F);
  EXPECT_LT(t.fixes[0].speed_mps, 0);
}

TEST_F(Files, WhatCannotBeReadIsNamed) {
  for (const char *text : {"", "client,lat,lon\n", "client,lat,lon,unix_time\na,91,0,1\n", "client,lat,lon,unix_time\na,1,0\n", "client,lat,lon,time_utc\na,1,0,noon\n"})
    EXPECT_THROW(read_trace(write("bad.csv", text)), std::runtime_error) << text;
  EXPECT_THROW(read_trace((folder_ / "none.csv").string()), std::runtime_error);
  EXPECT_THROW(grid("0x2:1,2,3,4"), std::runtime_error);
  EXPECT_THROW(grid("2x2:2,1,3,4"), std::runtime_error);
}

TEST_F(Files, GeoLifeFolder) {
  const std::string head = "Geolife trajectory\nWGS 84\nAltitude is in Feet\nReserved 3\n0,2,255,My Track,0,0,2,8421376\n0\n";
  write("Data/007/Trajectory/b.plt", head + "1.5,100.25,0,492,39744.12,1970-01-01,00:01:40\r\n400.1,100,0,0,0,1970-01-01,00:01:41\r\n");
  write("Data/007/Trajectory/a.plt", head + "1.5,100.5,0,492,39744.12,1970-01-01,00:00:40\r\n");
  write("Data/001/Trajectory/a.plt", head + "-1,0,0,0,0,1970-01-02,00:00:00\r\n");
  Trace t = read_trace(folder_.string());
  ASSERT_EQ(t.fixes.size(), 3u);
  EXPECT_EQ(t.clients[t.fixes[0].client], "007");
  EXPECT_DOUBLE_EQ(t.fixes[0].at_s, 40);
  EXPECT_DOUBLE_EQ(t.fixes[1].at_s, 100);
  EXPECT_EQ(t.clients[t.fixes[2].client], "001");
}

TEST(SimTrace, ThinnedAndParted) {
  Trace t;
  t.clients = {"b", "a"};
  for (int i = 0; i < 10; i++) {
    Fix x;
    x.at_s = i;
    x.client = static_cast<uint32_t>(i % 2);
    t.fixes.push_back(x);
  }
  keep_part(t, 0, 2);  // "a" ranks first
  ASSERT_EQ(t.fixes.size(), 5u);
  EXPECT_EQ(t.fixes[0].client, 1u);
  thin(t, 4);
  EXPECT_EQ(t.fixes.size(), 3u);  // 1, 5, 9
}

TEST(SimNodes, GridCellsAndBeyond) {
  Nodes g = grid("2x3:10,20,100,130");
  EXPECT_EQ(g.count(), 6u);
  EXPECT_EQ(g.map->node_at(11, 101), 1);
  EXPECT_EQ(g.map->node_at(19, 129), 6);
  EXPECT_EQ(g.map->node_at(-80, -170), 1);
  EXPECT_EQ(g.map->node_at(20, 130), 6);
}

}  // namespace
}  // namespace vectorshard::sim
