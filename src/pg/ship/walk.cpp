// Reading a client or a reference table in portions: see walk.hpp. Reads only.
#include "pg/ship/walk.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/client_column.hpp"
#include "pg/bridge/scan.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/ship/values.hpp"
extern "C" {
#include "access/detoast.h"
#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kTombstones = "vectorshard.tombstone";

bridge::EnrolledTable table_named(const std::string &name) {
  auto t = bridge::table_to_read(name);
  if (!t)
    bridge::raise({Errc::not_found, "table " + name + " is not enrolled", "", "Look at vectorshard.shard_table."});
  return *t;
}

std::string column_list(const bridge::EnrolledTable &table) {
  std::string out;
  for (const bridge::EnrolledColumn &c : table.columns)
    out += (out.empty() ? "" : ", ") + std::string(bridge::pg_call([&] { return quote_identifier(c.name.c_str()); }));
  return out;
}

/// The key's text from values in the order of the table's columns.
std::vector<std::string> key_of(const bridge::EnrolledTable &table, const Datum *values) {
  AttrNumber last = 0;
  for (const bridge::EnrolledColumn &c : table.columns) last = std::max(last, c.attnum);
  std::vector<Datum> by_attnum(static_cast<size_t>(last), 0);
  for (size_t i = 0; i < table.columns.size(); i++) by_attnum[static_cast<size_t>(table.columns[i].attnum) - 1] = values[i];
  return bridge::key_text(table, by_attnum.data());
}

size_t bytes_of(const Row &row) {
  size_t out = 0;
  for (const auto &v : row.values) out += v ? v->size() : 0;
  return out;
}

/// Bytes of the values that are stored out of line, without fetching them.
size_t large_bytes(const bridge::EnrolledTable &table, const Datum *values, const bool *nulls) {
  size_t out = 0;
  for (size_t c = 0; c < table.columns.size(); c++) {
    if (nulls[c]) continue;
    out += bridge::pg_call([&]() -> size_t {
      if (get_typlen(table.columns[c].type) != -1) return 0;
      return VARATT_IS_EXTERNAL(DatumGetPointer(values[c])) ? toast_raw_datum_size(values[c]) : 0;
    });
  }
  return out;
}

/// The index of a table in the batch, which gets it if it is not there.
uint16_t table_index(Batch &batch, const bridge::EnrolledTable &table) {
  if (batch.tables.empty() || batch.tables.back().name != table.name) batch.tables.push_back(describe(table));
  return static_cast<uint16_t>(batch.tables.size() - 1);
}

}  // namespace

Batch start_batch(BatchKind kind, std::string_view client) {
  Batch b;
  b.kind = kind;
  b.from = bridge::self_node();
  b.from_incarnation = static_cast<int64_t>(pg_atomic_read_u64(&bridge::shared()->incarnation));
  b.clock = apply::clock_now();  // by the wall clock too: the receiver judges by it how old the state is
  b.position = GetFlushRecPtr(nullptr);
  b.clients.push_back({std::string(client), false, {}});
  return b;
}

Walk::Walk(std::string client, std::string table) : client_(std::move(client)), only_(std::move(table)) {
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (t->name != kTombstones && (only_.empty() ? !t->reference : t->name == only_)) tables_.push_back(t->name);
  tables_.push_back(kTombstones);
}

bool Walk::at_tombstones() const { return !finished() && table() == kTombstones; }

void Walk::next_table() {
  at_++;
  after_.clear();
}

/// Which rows are meant; $1 is the client, $4 the table. Empty: none can be.
std::string Walk::condition(const bridge::EnrolledTable &table) const {
  if (table.name == kTombstones)
    return only_.empty() || only_ == kTombstones ? "client = $1" : "client = $1 AND table_name = $4";
  return client_.empty() ? "TRUE" : bridge::client_condition(table, client_);
}

bool Walk::read(Batch &batch, const std::vector<std::string> &upto, const PortionMax &max) {
  bridge::AsSuperuser rights;
  bridge::EnrolledTable t = table_named(table());
  std::string which = condition(t);
  if (which.empty()) return true;
  bridge::KeyRange range{after_, upto};
  size_t bytes = 0;
  bool exhausted = true;
  for (const Row &r : batch.rows) bytes += bytes_of(r);
  bridge::scan("SELECT " + column_list(t) + " FROM ONLY " + t.name + " WHERE " + which + " AND " +
                   bridge::key_within(t, range, 2) + " ORDER BY " + bridge::key_columns(t),
               {bridge::p_text(client_), bridge::p_text_array(range.after), bridge::p_text_array(range.upto),
                bridge::p_text(only_)},
               [&](const Datum *values, const bool *nulls) {
                 if (batch.rows.size() >= max.rows || bytes >= max.bytes) return exhausted = false;
                 if (size_t large = large_bytes(t, values, nulls); large > kRowBytesMax) {
                   left_out_ = too_large_to_travel(t.name, large);
                   return true;
                 }
                 Row row;
                 row.table = table_index(batch, t);
                 for (size_t c = 0; c < t.columns.size(); c++) {
                   if (t.columns[c].attnum == t.version_attnum) row.version = DatumGetInt64(values[c]);
                   row.values.push_back(nulls[c] ? std::nullopt : std::optional(send_value(t.columns[c].type, values[c])));
                 }
                 bytes += bytes_of(row);
                 batch.rows.push_back(std::move(row));
                 if (batch.rows.size() >= max.rows || bytes >= max.bytes) after_ = key_of(t, values);
                 return true;
               });
  return exhausted;
}

void Walk::fill(Batch &batch, const PortionMax &max) {
  while (!finished()) {
    if (!read(batch, {}, max)) return;
    next_table();
  }
}

std::vector<bridge::KeyRange> Walk::next_ranges(size_t count, size_t rows) const {
  bridge::AsSuperuser rights;
  bridge::EnrolledTable t = table_named(table());
  std::string which = condition(t);
  std::vector<bridge::KeyRange> out;
  if (which.empty()) return out;
  size_t seen = 0;
  out.push_back({after_, {}});
  bridge::scan("SELECT " + column_list(t) + " FROM ONLY " + t.name + " WHERE " + which + " AND " +
                   bridge::key_within(t, out[0], 2) + " ORDER BY " + bridge::key_columns(t) + " LIMIT " +
                   std::to_string(count * rows),
               {bridge::p_text(client_), bridge::p_text_array(after_), bridge::p_text_array({}), bridge::p_text(only_)},
               [&](const Datum *values, const bool *) {
                 if (++seen % rows != 0) return true;
                 out.back().upto = key_of(t, values);
                 out.push_back({out.back().upto, {}});
                 return true;
               });
  if (seen == count * rows) out.pop_back();
  return out;
}

}  // namespace vectorshard::ship
