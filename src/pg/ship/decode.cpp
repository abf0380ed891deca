// Messages to changes: see decode.hpp. A table that is not enrolled now was undistributed since: its changes end here.
#include "pg/ship/decode.hpp"

#include "core/ship/codec.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/spool.hpp"
#include "pg/ship/values.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kTombstones = "vectorshard.tombstone";
constexpr const char *kHolders = "vectorshard.holder";

Version version_of(std::string_view bytes) {
  Version v = 0;
  for (unsigned char c : bytes) v = v << 8 | c;
  return v;
}

std::string type_text(Oid type, int32 typmod) {
  char *s = bridge::pg_call([&] { return format_type_with_typemod(type, typmod); });
  std::string out = s;
  pfree(s);
  return out;
}

}  // namespace

void Decoder::take_relation(const RelationMessage &message) {
  bridge::Spi pinned;  // its search path decides how types are written, as for the cache of enrolled tables
  Relation r;
  const bridge::EnrolledTable *known = bridge::enrolled_table(message.id);
  if (!known) {
    relations_[message.id] = std::move(r);
    return;
  }
  std::string client_column = known->name == kTombstones ? "client" : known->client_column;
  auto table = std::make_shared<Table>();
  table->name = known->name;
  bool versioned = false;
  for (const RelationColumn &c : message.columns) {
    size_t i = table->columns.size();
    if (c.name == "_version") {
      table->version_column = static_cast<uint16_t>(i);
      r.version_column = i;
      versioned = true;
    }
    if (c.name == client_column) r.client_column = i;
    if (c.name == "state" && table->name == kHolders) r.state_column = i;
    r.types.push_back(c.type);
    table->columns.push_back({std::string(c.name), type_text(c.type, c.typmod)});
  }
  if (versioned && (client_column.empty() || r.client_column)) r.table = std::move(table);
  relations_[message.id] = std::move(r);
}

void Decoder::take_row(const RowMessage &message, size_t row_bytes, Decoded &out) {
  uint64_t oversized_bytes = std::exchange(oversized_bytes_, 0);
  auto it = relations_.find(message.relation);
  if (it == relations_.end())
    bridge::raise({Errc::corrupt, "a decoded row names a relation that was not described", "", ""});
  const Relation &r = it->second;
  if (!r.table) return;
  if (message.values.size() != r.types.size())
    bridge::raise({Errc::corrupt, "a decoded row does not have the columns of its table", "Table " + r.table->name + ".", ""});
  auto bytes_of = [&](size_t i) -> std::optional<std::string_view> {
    const TupleValue &v = message.values[i];
    if (v.kind != TupleValue::text && v.kind != TupleValue::binary) return {};
    return v.bytes;
  };
  auto version = bytes_of(r.version_column);
  if (!version) return;  // a row from before the table was enrolled: enrolling stamps it again
  DecodedChange change;
  if (r.client_column) {
    auto client = bytes_of(*r.client_column);
    if (client) change.client = text_of_value(r.types[*r.client_column], *client);
    if (change.client.empty() && r.table->name != kTombstones) return;  // no client: refused by the trigger
  }
  change.table = r.table;
  change.relid = message.relation;
  change.version = version_of(*version);
  change.transaction = begin_.commit_lsn;
  change.commit_time = begin_.commit_time;
  change.oversized_bytes = oversized_bytes;
  change.copy_under_way = r.state_column && bytes_of(*r.state_column) == "copying";
  std::string encoded;
  encoded.reserve(row_bytes);
  for (size_t i = 0; i < message.values.size(); i++) {
    if (message.values[i].kind == TupleValue::unchanged_toast) change.missing.push_back(i);
    append_value(encoded, bytes_of(i));
  }
  change.encoded = std::make_shared<const std::string>(std::move(encoded));
  if (!change.missing.empty()) {
    change.values = std::make_shared<Values>();
    for (size_t i = 0; i < message.values.size(); i++) change.values->emplace_back(bytes_of(i));
  }
  out.changes.push_back(std::move(change));
}

std::vector<TransactionId> begun_transactions(std::string_view run) {
  std::vector<TransactionId> out;
  for_each_message(run, [&](std::string_view m) {
    if (m.empty() || m[0] != 'B') return;
    Message message = bridge::value_or_raise(decode_message(m));
    if (auto *b = std::get_if<BeginMessage>(&message)) out.push_back(b->xid);
  });
  return out;
}

void Decoder::take(std::string_view bytes, Decoded &out) {
  Message message = bridge::value_or_raise(decode_message(bytes));
  if (auto *b = std::get_if<BeginMessage>(&message)) {
    begin_ = *b;
    out.begun.push_back(*b);
  } else if (std::holds_alternative<CommitMessage>(message)) {
    out.ended.push_back(begin_.commit_lsn);
  } else if (auto *oversized = std::get_if<OversizedMessage>(&message)) {
    oversized_bytes_ = oversized->bytes;
  } else if (auto *relation = std::get_if<RelationMessage>(&message)) {
    take_relation(*relation);
  } else if (auto *row = std::get_if<RowMessage>(&message)) {
    take_row(*row, bytes.size(), out);
  }
}

}  // namespace vectorshard::ship
