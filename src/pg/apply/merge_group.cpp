// Groups of a batch: see merge_group.hpp. Works on bytes alone and calls nothing of PostgreSQL.
#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

namespace {

size_t column_index(const Group &group, std::string_view column) {
  for (size_t i = 0; i < group.table.columns.size(); i++)
    if (group.table.columns[i].name == column) return i;
  return group.table.columns.size();
}

/// Binary integers are big-endian, 4 or 8 bytes.
int64_t integer_of(const std::string &bytes) {
  uint64_t v = 0;
  for (char c : bytes) v = v << 8 | static_cast<uint8_t>(c);
  return bytes.size() == 4 ? static_cast<int32_t>(static_cast<uint32_t>(v)) : static_cast<int64_t>(v);
}

const std::optional<std::string> *value(const Group &group, const ship::Row &row, std::string_view column) {
  size_t i = column_index(group, column);
  return i < group.source.size() ? &row.values[group.source[i]] : nullptr;
}

/// Length-prefixed, so that no two keys run into the same bytes.
std::string key_bytes(const Group &group, const ship::Row &row) {
  std::string out;
  for (size_t k : group.key) {
    const auto &v = row.values[group.source[k]];
    uint32_t n = v ? static_cast<uint32_t>(v->size()) : 0;
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift));
    if (v) out += *v;
  }
  return out;
}

}  // namespace

bool same_columns(const bridge::EnrolledTable &local, const ship::Table &remote) {
  if (local.columns.size() != remote.columns.size()) return false;
  for (const bridge::EnrolledColumn &c : local.columns)
    if (std::find(remote.columns.begin(), remote.columns.end(), ship::Column{c.name, c.type_text()}) ==
        remote.columns.end())
      return false;
  return true;
}

Group make_group(const bridge::EnrolledTable &local, const ship::Table &remote) {
  Group g;
  g.table = local;
  for (const bridge::EnrolledColumn &c : local.columns)
    for (size_t i = 0; i < remote.columns.size(); i++)
      if (remote.columns[i].name == c.name) g.source.push_back(i);
  for (AttrNumber attnum : local.key)
    for (size_t i = 0; i < local.columns.size(); i++)
      if (local.columns[i].attnum == attnum) g.key.push_back(i);
  return g;
}

void add_row(Group &group, const ship::Row &row) {
  Item item{&row, key_bytes(group, row), {0, row.version}};
  if (group.clients()) item.rank.epoch = integer_value(group, row, "epoch");
  group.items.push_back(std::move(item));
}

void keep_newest(Group &group) {
  auto ascending = [](const Item &a, const Item &b) { return a.key < b.key; };
  auto not_after = [&](const Item &a, const Item &b) { return !ascending(a, b); };
  if (std::adjacent_find(group.items.begin(), group.items.end(), not_after) == group.items.end()) return;
  std::vector<Keyed> keyed;
  keyed.reserve(group.items.size());
  for (size_t i = 0; i < group.items.size(); i++) keyed.push_back({std::move(group.items[i].key), group.items[i].rank, i});
  std::vector<Item> kept;
  kept.reserve(keyed.size());
  for (Keyed &k : newest_per_key(std::move(keyed))) {
    kept.push_back(std::move(group.items[k.index]));
    kept.back().key = std::move(k.key);
  }
  group.items = std::move(kept);
}

std::string text_value(const Group &group, const ship::Row &row, std::string_view column) {
  const auto *v = value(group, row, column);
  return v && *v ? **v : std::string();
}

int64_t integer_value(const Group &group, const ship::Row &row, std::string_view column) {
  const auto *v = value(group, row, column);
  return v && *v ? integer_of(**v) : 0;
}

}  // namespace vectorshard::apply
