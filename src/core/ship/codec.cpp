// The bytes of a batch and of a reply (docs/formats/wire.md). Decoding fails closed: every count is checked against
// the bytes that are left before anything is reserved, every index against what was declared before it, and bytes
// after the end are an error. It must never allocate by a number that a peer merely claims.
#include "core/ship/codec.hpp"

#include "core/base/bytes.hpp"
#include "core/ship/envelope.hpp"

namespace vectorshard::ship {

namespace {

constexpr std::string_view kBatchMagic = "VSB1";
constexpr std::string_view kReplyMagic = "VSR1";
constexpr uint32_t kNull = 0xFFFFFFFF;  // in place of a value's length

// The fewest bytes an element can take: a claimed count times this must fit into what is left.
constexpr size_t kMinTable = 4 + 2 + 2;
constexpr size_t kMinColumn = 4 + 4;
constexpr size_t kMinClient = 4 + 1 + 2;
constexpr size_t kHolderBytes = 4 + 8;
constexpr size_t kMinRow = 2 + 4 + 8 + 4;
constexpr size_t kMinRefusal = 4 + 4 + 1 + 8;

Error corrupt(const char *what) { return {Errc::corrupt, "batch does not decode", what, ""}; }

bool fits(ByteReader &in, size_t count, size_t least) {
  if (count <= in.left() / least) return true;
  in.fail();
  return false;
}

void put(ByteWriter &out, const Table &table) {
  out.str(table.name);
  out.u16(static_cast<uint16_t>(table.columns.size()));
  for (const Column &c : table.columns) {
    out.str(c.name);
    out.str(c.type);
  }
  out.u16(table.version_column);
}

void put(ByteWriter &out, const BatchClient &client) {
  out.str(client.name);
  out.u8(client.as_home ? 1 : 0);
  out.u16(static_cast<uint16_t>(client.shipped_to.size()));
  for (const HolderRef &h : client.shipped_to) {
    out.i32(h.node);
    out.i64(h.generation);
  }
}

template <class U>
void append_integer(std::string &out, U v) {
  char bytes[sizeof v];
  for (size_t i = 0; i < sizeof v; i++) bytes[i] = static_cast<char>(v >> (8 * i));
  out.append(bytes, sizeof v);
}

bool get_tables(ByteReader &in, Batch &batch) {
  size_t n = in.u16();
  if (!fits(in, n, kMinTable)) return false;
  batch.tables.resize(n);
  for (Table &table : batch.tables) {
    table.name = in.str();
    size_t columns = in.u16();
    if (columns == 0 || !fits(in, columns, kMinColumn)) return false;
    table.columns.resize(columns);
    for (Column &c : table.columns) {
      c.name = in.str();
      c.type = in.str();
    }
    table.version_column = in.u16();
    if (!in.ok() || table.version_column >= columns) return false;
  }
  return in.ok();
}

bool get_clients(ByteReader &in, Batch &batch) {
  size_t n = in.u32();
  if (!fits(in, n, kMinClient)) return false;
  batch.clients.resize(n);
  for (BatchClient &client : batch.clients) {
    client.name = in.str();
    uint8_t as_home = in.u8();
    size_t holders = in.u16();
    if (as_home > 1 || !fits(in, holders, kHolderBytes)) return false;
    client.as_home = as_home == 1;
    client.shipped_to.resize(holders);
    for (HolderRef &h : client.shipped_to) {
      h.node = in.i32();
      h.generation = in.i64();
    }
  }
  return in.ok();
}

bool get_rows(ByteReader &in, Batch &batch) {
  size_t n = in.u32();
  if (!fits(in, n, kMinRow)) return false;
  batch.rows.resize(n);
  for (Row &row : batch.rows) {
    row.table = in.u16();
    row.client = in.u32();
    row.version = in.i64();
    if (!in.ok() || row.table >= batch.tables.size() || row.client >= batch.clients.size()) return false;
    size_t columns = batch.tables[row.table].columns.size();
    if (!fits(in, columns, 4)) return false;
    row.values.resize(columns);
    for (auto &value : row.values) {
      uint32_t length = in.u32();
      if (length != kNull) value = in.raw(length);
      if (!in.ok()) return false;
    }
  }
  return in.ok();
}

}  // namespace

void append_value(std::string &out, std::optional<std::string_view> value) {
  append_integer(out, value ? static_cast<uint32_t>(value->size()) : kNull);
  if (value) out.append(*value);
}

std::string encode_values(const std::vector<std::optional<std::string>> &values) {
  std::string out;
  for (const auto &v : values) append_value(out, v);
  return out;
}

void append_row(std::string &out, uint16_t table, uint32_t client, Version version, std::string_view values) {
  append_integer(out, table);
  append_integer(out, client);
  append_integer(out, static_cast<uint64_t>(version));
  out.append(values);
}

std::string encode(const Batch &batch) {
  std::string rows;
  for (const Row &r : batch.rows) append_row(rows, r.table, r.client, r.version, encode_values(r.values));
  return encode_with_rows(batch, static_cast<uint32_t>(batch.rows.size()), rows);
}

std::string encode_with_rows(const Batch &batch, uint32_t row_count, std::string_view rows) {
  ByteWriter out;
  out.raw(kBatchMagic);
  out.u8(static_cast<uint8_t>(batch.kind));
  out.i32(batch.from);
  out.i64(batch.from_incarnation);
  out.i64(batch.clock);
  out.i64(static_cast<int64_t>(batch.position));
  out.u16(static_cast<uint16_t>(batch.tables.size()));
  for (const Table &t : batch.tables) put(out, t);
  out.u32(static_cast<uint32_t>(batch.clients.size()));
  for (const BatchClient &c : batch.clients) put(out, c);
  out.u32(row_count);
  out.raw(rows);
  return std::move(out).take();
}

Result<Batch> decode_batch(std::string_view bytes) {
  if (is_envelope(bytes)) {
    auto inside = open_envelope(bytes);
    if (!inside.ok()) return inside.error();
    if (is_envelope(inside.value())) return corrupt("An envelope holds another.");
    return decode_batch(inside.value());
  }
  ByteReader in(bytes);
  if (in.raw(kBatchMagic.size()) != kBatchMagic)
    return Error{Errc::corrupt, "not a batch of this version", "The bytes do not begin with VSB1.",
                 "Run the same release of vectorshard on all nodes."};
  Batch batch;
  uint8_t kind = in.u8();
  if (kind > static_cast<uint8_t>(BatchKind::copy)) return corrupt("The kind of batch is unknown.");
  batch.kind = static_cast<BatchKind>(kind);
  batch.from = in.i32();
  batch.from_incarnation = in.i64();
  batch.clock = in.i64();
  batch.position = static_cast<uint64_t>(in.i64());
  if (!get_tables(in, batch)) return corrupt("The list of tables is damaged.");
  if (!get_clients(in, batch)) return corrupt("The list of clients is damaged.");
  if (!get_rows(in, batch)) return corrupt("The list of rows is damaged.");
  if (!in.at_end()) return corrupt("There are bytes after the end.");
  return batch;
}

std::string encode(const Reply &reply) {
  ByteWriter out;
  out.raw(kReplyMagic);
  out.i64(reply.clock);
  out.u32(reply.applied);
  out.u32(reply.stale);
  out.u32(reply.dead_letters);
  out.u32(static_cast<uint32_t>(reply.refusals.size()));
  for (const Refusal &r : reply.refusals) {
    out.str(r.client);
    out.str(r.table);
    out.u8(static_cast<uint8_t>(r.reason));
    out.i64(r.generation);
  }
  return std::move(out).take();
}

Result<Reply> decode_reply(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.raw(kReplyMagic.size()) != kReplyMagic)
    return Error{Errc::corrupt, "not a reply of this version", "The bytes do not begin with VSR1.",
                 "Run the same release of vectorshard on all nodes."};
  Reply reply;
  reply.clock = in.i64();
  reply.applied = in.u32();
  reply.stale = in.u32();
  reply.dead_letters = in.u32();
  size_t n = in.u32();
  if (!fits(in, n, kMinRefusal)) return corrupt("The list of refusals is damaged.");
  reply.refusals.resize(n);
  for (Refusal &r : reply.refusals) {
    r.client = in.str();
    r.table = in.str();
    uint8_t reason = in.u8();
    r.generation = in.i64();
    if (!in.ok() || reason > static_cast<uint8_t>(RefusalReason::no_table))
      return corrupt("The list of refusals is damaged.");
    r.reason = static_cast<RefusalReason>(reason);
  }
  if (!in.ok() || !in.at_end()) return corrupt("There are bytes too few or too many.");
  return reply;
}

}  // namespace vectorshard::ship
