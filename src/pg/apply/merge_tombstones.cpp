// Merging tombstones: see merge_tombstones.hpp. The order matters: versions were observed, then the tombstone is
// written, then writers are collected. A writer that takes the table's lock later stamps above the tombstone.
#include "pg/apply/merge_tombstones.hpp"

#include "pg/apply/lockers.hpp"
#include "pg/apply/tombstone.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::apply {

namespace {

struct Death {
  size_t item = 0;
  std::string table;
  std::vector<std::string> key;
  Version version = 0;
};

/// The binary form of a one-dimensional text[].
std::vector<std::string> parse_text_array(const std::string &bytes) {
  size_t at = 0;
  auto int4 = [&]() -> int32_t {
    uint32_t v = 0;
    for (int i = 0; i < 4 && at < bytes.size(); i++) v = v << 8 | static_cast<uint8_t>(bytes[at++]);
    return static_cast<int32_t>(v);
  };
  std::vector<std::string> out;
  if (int4() != 1) return out;
  int4();  // has nulls
  int4();  // element type
  int32_t count = int4();
  int4();  // lower bound
  for (int32_t i = 0; i < count && at < bytes.size(); i++) {
    auto length = static_cast<size_t>(std::max(int4(), 0));
    out.push_back(bytes.substr(std::min(at, bytes.size()), length));
    at += length;
  }
  return out;
}

const std::string &key_value(const Group &g, const ship::Row &row) {
  static const std::string none;
  for (size_t i = 0; i < g.table.columns.size(); i++)
    if (g.table.columns[i].name == "key" && row.values[g.source[i]]) return *row.values[g.source[i]];
  return none;
}

/// The tombstones of the range that say something new here.
std::vector<Death> news(const Group &g, size_t begin, size_t end) {
  std::vector<Death> out;
  for (size_t i = begin; i < end; i++) {
    const ship::Row &row = *g.items[i].row;
    Death d{i, text_value(g, row, "table_name"), parse_text_array(key_value(g, row)), row.version};
    if (tombstone_now(d.table, d.key) < d.version) out.push_back(std::move(d));
  }
  return out;
}

/// Removes what the tombstones end; gives those for which there was no row.
std::vector<Death> remove_rows(const std::vector<Death> &deaths) {
  std::vector<Death> absent;
  std::map<std::string, std::optional<bridge::EnrolledTable>> tables;
  for (const Death &d : deaths) {
    auto [t, first] = tables.try_emplace(d.table);
    if (first) t->second = bridge::locked_table(d.table, RowExclusiveLock);
    if (t->second && !t->second->key.empty() && remove_ended(*t->second, d.key, d.version) == 0) absent.push_back(d);
  }
  return absent;
}

void wait_for_writers(const std::vector<Death> &deaths) {
  std::set<std::string> names;
  for (const Death &d : deaths) names.insert(d.table);
  std::vector<VirtualTransactionId> writers;
  for (const std::string &name : names)
    if (const auto *t = bridge::enrolled_table_by_name(name)) collect_writers(t->relid, &writers);
  wait_for(writers);
}

}  // namespace

Outcome write_tombstones(const Group &g, size_t begin, size_t end, bool wait) {
  std::vector<Death> deaths = news(g, begin, end);
  Outcome out;
  out.stale = static_cast<uint32_t>(end - begin - deaths.size());
  if (deaths.empty()) return out;
  Group fresh = g;
  fresh.items.clear();
  for (const Death &d : deaths) fresh.items.push_back(g.items[d.item]);
  WriteOptions options;
  options.refuse_too_old = false;
  Outcome written = write_rows(fresh, 0, fresh.items.size(), options);
  out.applied = written.applied;
  out.stale += written.stale;
  bump_tombstone_epoch();
  std::vector<Death> absent = remove_rows(deaths);
  if (absent.empty() || !wait) return out;
  wait_for_writers(absent);
  remove_rows(absent);
  return out;
}

}  // namespace vectorshard::apply
