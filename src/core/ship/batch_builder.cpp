// Batches for one peer: see batch_builder.hpp. A batch never mixes two shapes of a table in one entry, nor two routes
// of a client in one entry: the home must see with each row where that very row went.
#include "core/ship/batch_builder.hpp"

#include "core/ship/codec.hpp"

namespace vectorshard::ship {

namespace {
constexpr size_t kClientBytes = 7, kHolderBytes = 12;
constexpr size_t kRowBytesKept = 4 << 20;
}

uint16_t BatchBuilder::table_index(const std::shared_ptr<const Table> &table) {
  for (size_t i = 0; i < tables_.size(); i++)
    if (tables_[i] == table) return static_cast<uint16_t>(i);
  tables_.push_back(table);
  batch_.tables.push_back(*table);
  return static_cast<uint16_t>(tables_.size() - 1);
}

uint32_t BatchBuilder::client_index(const Change &change) {
  auto &known = clients_[change.client];
  for (uint32_t i : known) {
    const BatchClient &c = batch_.clients[i];
    if (c.as_home == change.as_home && c.shipped_to == change.shipped_to) return i;
  }
  if (!change.client.empty()) sealed_.clients.insert(change.client);
  if (change.as_home) sealed_.as_home.insert(change.client);
  known.push_back(static_cast<uint32_t>(batch_.clients.size()));
  batch_.clients.push_back({change.client, change.as_home, change.shipped_to});
  client_bytes_ += change.client.size() + kClientBytes + change.shipped_to.size() * kHolderBytes;
  return known.back();
}

void BatchBuilder::add(const Change &change) {
  // The empty client has many tables, each of which may become debt.
  if (change.client.empty()) sealed_.reference_tables.insert(change.table->name);
  uint16_t table = table_index(change.table);
  append_row(rows_, table, client_index(change), change.version, *change.values);
  row_count_++;
  if (sealed_.pieces.empty() || sealed_.pieces.back().first != change.transaction)
    sealed_.pieces.push_back({change.transaction, 0});
  sealed_.pieces.back().second++;
  if (change.watched) sealed_.watched[{change.transaction, change.client}]++;
  if (sealed_.oldest_commit_time == 0) sealed_.oldest_commit_time = change.commit_time;
}

SealedBatch BatchBuilder::seal(NodeId from, int64_t incarnation, Version clock, uint64_t position) {
  batch_.from = from;
  batch_.from_incarnation = incarnation;
  batch_.clock = clock;
  batch_.position = position;
  SealedBatch out = std::move(sealed_);
  out.bytes = encode_with_rows(batch_, static_cast<uint32_t>(row_count_), rows_);
  out.rows = row_count_;
  batch_ = {};
  sealed_ = {};
  if (rows_.capacity() > kRowBytesKept)
    std::string().swap(rows_);  // a large row came: clear() would keep its room
  else
    rows_.clear();
  row_count_ = 0;
  client_bytes_ = 0;
  tables_.clear();
  clients_.clear();
  return out;
}

}  // namespace vectorshard::ship
