// Batches for one peer: see batch_builder.hpp. A batch never mixes two shapes of a table in one entry, nor two routes
// of a client in one entry: the home must see with each row where that very row went.
#include "core/ship/batch_builder.hpp"

#include <algorithm>

namespace vectorshard::ship {

namespace {
constexpr size_t kRowOverheadBytes = 32;
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
  known.push_back(static_cast<uint32_t>(batch_.clients.size()));
  batch_.clients.push_back({change.client, change.as_home, change.shipped_to});
  return known.back();
}

void BatchBuilder::add(const Change &change) {
  Row row;
  row.table = table_index(change.table);
  row.client = client_index(change);
  row.version = change.version;
  row.values = *change.values;
  bytes_ += kRowOverheadBytes + change.client.size();
  for (const auto &v : row.values) bytes_ += 4 + (v ? v->size() : 0);
  batch_.rows.push_back(std::move(row));
  sealed_.pieces[change.transaction]++;
  if (change.watched) sealed_.watched[{change.transaction, change.client}]++;
  if (change.client.empty())
    sealed_.reference_tables.insert(change.table->name);
  else
    sealed_.clients.insert(change.client);
  if (change.as_home) sealed_.as_home.insert(change.client);
  if (sealed_.oldest_commit_time == 0) sealed_.oldest_commit_time = change.commit_time;
}

SealedBatch BatchBuilder::seal(NodeId from, int64_t incarnation, Version clock) {
  batch_.from = from;
  batch_.from_incarnation = incarnation;
  batch_.clock = clock;
  SealedBatch out = std::move(sealed_);
  out.bytes = encode(batch_);
  out.rows = batch_.rows.size();
  batch_ = {};
  sealed_ = {};
  bytes_ = 0;
  tables_.clear();
  clients_.clear();
  return out;
}

}  // namespace vectorshard::ship
