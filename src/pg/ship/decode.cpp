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
constexpr size_t kLengthBytes = 4;  // before each value

Version version_of(std::string_view bytes) {
  Version v = 0;
  for (unsigned char c : bytes) v = v << 8 | c;
  return v;
}

std::optional<std::string_view> bytes_of(const TupleValue &v) {
  if (v.kind != TupleValue::text && v.kind != TupleValue::binary) return {};
  return v.bytes;
}

/// Bytes that are the same for the same row of the same table, and for no other; empty if the key was not decoded.
std::string key_of(const RowMessage &message, const std::vector<size_t> &key) {
  std::string out;
  if (key.empty() || !std::all_of(key.begin(), key.end(), [&](size_t i) { return bytes_of(message.values[i]); })) return out;
  auto append = [&](uint32_t v) { out.append(reinterpret_cast<const char *>(&v), sizeof v); };
  append(message.relation);
  for (size_t i : key) {
    append(static_cast<uint32_t>(message.values[i].bytes.size()));
    out += message.values[i].bytes;
  }
  return out;
}

std::string type_text(Oid type, int32 typmod) {
  char *s = bridge::pg_call([&] { return format_type_with_typemod(type, typmod); });
  std::string out = s;
  pfree(s);
  return out;
}

bool is_key(const bridge::EnrolledTable &table, std::string_view column) {
  return std::any_of(table.columns.begin(), table.columns.end(), [&](const bridge::EnrolledColumn &c) {
    return c.name == column && std::find(table.key.begin(), table.key.end(), c.attnum) != table.key.end();
  });
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
    if (is_key(*known, c.name)) r.key.push_back(i);
    if (c.name == "state" && table->name == kHolders) r.state_column = i;
    r.types.push_back(c.type);
    table->columns.push_back({std::string(c.name), type_text(c.type, c.typmod)});
  }
  // What the fabric says of itself is heard step by step.
  if (known->fabric || known->name == kTombstones || r.key.size() != known->key.size()) r.key.clear();
  if (versioned && (client_column.empty() || r.client_column)) r.table = std::move(table);
  relations_[message.id] = std::move(r);
}

void Decoder::take_row(RowMessage &message, Decoded &out) {
  uint64_t oversized_bytes = std::exchange(oversized_bytes_, 0);
  auto it = relations_.find(message.relation);
  if (it == relations_.end())
    bridge::raise({Errc::corrupt, "a decoded row names a relation that was not described", "", ""});
  const Relation &r = it->second;
  if (!r.table) return;
  const std::vector<TupleValue> &values = message.values;
  if (values.size() != r.types.size())
    bridge::raise({Errc::corrupt, "a decoded row does not have the columns of its table", "Table " + r.table->name + ".", ""});
  auto version = bytes_of(values[r.version_column]);
  if (!version) return;  // a row from before the table was enrolled: enrolling stamps it again
  DecodedChange change;
  if (r.client_column) {
    auto client = bytes_of(values[*r.client_column]);
    if (client) change.client = text_of_value(r.types[*r.client_column], *client);
    if (change.client.empty() && r.table->name != kTombstones) return;  // no client: refused by the trigger
  }
  change.table = r.table;
  change.relid = message.relation;
  change.version = version_of(*version);
  change.transaction = begin_.commit_lsn;
  change.commit_time = begin_.commit_time;
  change.oversized_bytes = oversized_bytes;
  change.copy_under_way = r.state_column && bytes_of(values[*r.state_column]) == "copying";
  if (std::string key = message.update ? key_of(message, r.key) : ""; !key.empty()) {
    auto [last, first] = out.updated.try_emplace(std::move(key), out.changes.size());
    if (!first) out.changes[std::exchange(last->second, out.changes.size())].superseded = true;
  }
  change.decoded = std::move(message.values);
  out.changes.push_back(std::move(change));
}

void Decoder::encode(Decoded &out, bool all) {
  if (!all) std::erase_if(out.changes, [](const DecodedChange &c) { return c.superseded; });
  for (DecodedChange &change : out.changes) {
    size_t bytes = 0;
    for (const TupleValue &v : change.decoded) bytes += v.bytes.size() + kLengthBytes;
    std::string encoded;
    encoded.reserve(bytes);
    for (size_t i = 0; i < change.decoded.size(); i++) {
      if (change.decoded[i].kind == TupleValue::unchanged_toast) change.missing.push_back(i);
      append_value(encoded, bytes_of(change.decoded[i]));
    }
    change.encoded = std::make_shared<const std::string>(std::move(encoded));
    if (!change.missing.empty()) {
      change.values = std::make_shared<Values>();
      for (const TupleValue &v : change.decoded) change.values->emplace_back(bytes_of(v));
    }
    std::vector<TupleValue>().swap(change.decoded);
  }
  out.updated.clear();
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
    take_row(*row, out);
  }
}

}  // namespace vectorshard::ship
