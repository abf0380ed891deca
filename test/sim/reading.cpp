// Reading over several nodes: a scan of all homes while homes move, and a read at a holder that may have let the client go.
#include <algorithm>

#include "world.hpp"

namespace sim {

namespace {

/// What one node answered to a scan.
struct Page {
  bool came = false;
  std::array<bool, kClients> mine{};           // whose home it is, with rows here
  std::array<ClientRow, kClients> knows;       // moves travel with the answer
};

constexpr int64_t kScanMs = 4000;
constexpr int kTriesMost = 5;

}  // namespace

/// Each home returns the clients whose home it is. Two answers of different times may both say "not mine" of a client that
/// moved; the answers' own knowledge of homes shows that, and the scan is made again. At worst it fails; it never misses one.
void World::scan(NodeId asker, int tries) {
  auto pages = std::make_shared<std::array<Page, kNodes>>();
  Disk &d = node(asker).disk;
  auto known = std::make_shared<std::array<ClientRow, kClients>>(d.clients);
  for (NodeId n = 1; n < kNodes; n++) {
    if (!d.nodes[n].known || d.nodes[n].removed) continue;
    auto answer = [this, n, pages](Page page) {
      page.came = true;
      (*pages)[n] = page;
    };
    auto read = [this, n] {
      Page page;
      for (int c = 0; c < kClients; c++) page.mine[c] = node(n).is_home(c) && node(n).disk.resident[c].here;
      page.knows = node(n).disk.clients;
      return page;
    };
    if (n == asker) {
      answer(read());
      continue;
    }
    message(asker, n, [this, asker, n, answer, read] { message(n, asker, [answer, page = read()] { answer(page); }); });
  }
  after(asker, kScanMs, [this, asker, tries, pages, known] {
    Disk &here = node(asker).disk;
    for (NodeId n = 1; n < kNodes; n++)
      if (here.nodes[n].known && !here.nodes[n].removed && !(*pages)[n].came) return;  // it fails: a node does not answer
    for (int c = 0; c < kClients; c++) {
      if ((*known)[c].version == 0) continue;
      bool found = std::any_of(pages->begin(), pages->end(), [&](const Page &p) { return p.mine[c]; });
      if (found) continue;
      if (rules.scan_follows_moves()) {
        if (tries < kTriesMost) scan(asker, tries + 1);
        return;
      }
      return report("missed", "a scan did not return " + client_name(c) + ", whose home was moving");
    }
  });
}

/// A read of a client that is elsewhere, at a holder that is listed: one that let it go says so.
void World::read_elsewhere(NodeId asker) {
  auto c = static_cast<int>(random.below(profile.clients));
  if (node(asker).disk.resident[c].here) return;
  std::vector<ship::HolderRef> listed = node(asker).receiving_holders(c, kNoNode);
  if (listed.empty()) return;
  NodeId holder = random.pick(listed).node;
  message(asker, holder, [this, c, holder] {
    Node &there = node(holder);
    if (there.disk.resident[c].here || rules.absent_is_not_empty()) return;
    // Planted: no rows are an answer.
    NodeId home = there.disk.clients[c].version ? there.disk.clients[c].home : kNoNode;
    if (home == kNoNode) return;
    const auto &cells = node(home).disk.cells[c];
    if (std::any_of(cells.begin(), cells.end(), [](const Cell &cell) { return cell.row.version != 0; }))
      report("missed", "a read of " + client_name(c) + " at node " + std::to_string(holder) + " returned nothing");
  });
}

}  // namespace sim
