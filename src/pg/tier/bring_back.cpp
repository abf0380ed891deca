// Bringing a cold client back into the heap: its rows are read from their segments, checked against the digest of the
// manifest, and merged as a copy from ourselves (versions kept, not decoded), in the caller's transaction. It raises
// rather than bring back less than was packed.
#include "pg/apply/api.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/api.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

/// The bytes of a value as a batch carries it: binary send format, text output for types without one.
struct Sender {
  explicit Sender(const bridge::EnrolledColumn &column) : index(static_cast<size_t>(column.attnum - 1)) {
    text = column.type == TEXTOID || column.type == VARCHAROID || column.type == BPCHAROID;
    if (text) return;
    bridge::pg_call([&] {
      HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(getBaseType(column.type)));
      if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", column.type);
      auto form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
      binary = OidIsValid(form->typsend);
      fmgr_info(binary ? form->typsend : form->typoutput, &function);
      ReleaseSysCache(tuple);
    });
  }
  std::string bytes(Datum value) {
    if (text) {
      struct varlena *v = bridge::pg_call([&] { return PG_DETOAST_DATUM_PACKED(value); });
      return std::string(VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
    }
    if (!binary) return bridge::pg_call([&] { return OutputFunctionCall(&function, value); });
    bytea *b = bridge::pg_call([&] { return SendFunctionCall(&function, value); });
    return std::string(VARDATA(b), VARSIZE(b) - VARHDRSZ);
  }

  size_t index;
  bool text = false, binary = false;
  FmgrInfo function{};
};

[[noreturn]] void damaged(const Segment &segment, const std::string &client, const std::string &detail) {
  bridge::raise({Errc::corrupt, "the rows of client \"" + client + "\" in segment \"" + segment.name + "\" are damaged",
                 detail, "Restore object \"" + segment.key + "\" of store \"" + segment.store + "\" from its backup."});
}

/// Reads the client's rows of one segment into the batch; the digest of what was read must be that of the manifest.
class Loader {
 public:
  Loader(const bridge::EnrolledTable &table, const ColdSegment &cold, ship::Batch &batch)
      : table_(table), cold_(cold), batch_(batch) {
    for (const bridge::EnrolledColumn &c : table_.columns) senders_.emplace_back(c);
  }
  void load();

 private:
  void read();
  void describe();
  void add(const Datum *values, const bool *nulls);

  const bridge::EnrolledTable &table_;
  const ColdSegment &cold_;
  ship::Batch &batch_;
  std::vector<Sender> senders_;
};

void Loader::describe() {
  ship::Table t;
  t.name = table_.name;
  for (const bridge::EnrolledColumn &c : table_.columns) {
    if (c.attnum == table_.version_attnum) t.version_column = static_cast<uint16_t>(t.columns.size());
    t.columns.push_back({c.name, c.type_text()});
  }
  batch_.tables.push_back(std::move(t));
}

void Loader::add(const Datum *values, const bool *nulls) {
  ship::Row row;
  row.table = static_cast<uint16_t>(batch_.tables.size() - 1);
  row.version = DatumGetInt64(values[table_.version_attnum - 1]);
  for (Sender &s : senders_) {
    if (nulls[s.index])
      row.values.emplace_back(std::nullopt);
    else
      row.values.emplace_back(s.bytes(values[s.index]));
  }
  batch_.rows.push_back(std::move(row));
}

/// Bytes that changed may be no Parquet any more: then DuckDB fails, which knows neither segment nor store.
void Loader::load() {
  try {
    read();
  } catch (const bridge::PgError &e) {
    if (e.sqlstate != ERRCODE_EXTERNAL_ROUTINE_EXCEPTION) throw;
    damaged(cold_.segment, cold_.clients.front().client, e.message);
  }
}

void Loader::read() {
  describe();
  const Segment &segment = cold_.segment;
  const ColdShare &share = cold_.clients.front();
  std::unique_ptr<store::Store> store = open_store(segment.store);
  std::string path = readable_path(*store, segment.key, segment.sha256, segment.bytes, OnArchived::thaw);
  Oid relid = table_.relid;
  MemoryContext context = bridge::pg_call([] {
    return AllocSetContextCreate(CurrentMemoryContext, "vectorshard bring back", ALLOCSET_DEFAULT_SIZES);
  });
  TupleDesc desc = bridge::pg_call([&] {
    Relation rel = table_open(relid, AccessShareLock);
    TupleDesc copy = CreateTupleDescCopyConstr(RelationGetDescr(rel));
    table_close(rel, NoLock);
    return copy;
  });
  RowMapper mapper(segment.columns, desc);
  SegmentReader reader(path, segment.columns, {table_.client_column, {share.client}, {}});
  const size_t natts = static_cast<size_t>(desc->natts), width = segment.columns.size();
  std::vector<Datum> values(natts * SegmentReader::kBlockRows);
  std::unique_ptr<bool[]> nulls(new bool[natts * SegmentReader::kBlockRows]);
  RowDigest digest;
  RowHasher hasher;
  MemoryContext before = CurrentMemoryContext;
  while (size_t n = reader.next()) {
    MemoryContextReset(context);
    MemoryContextSwitchTo(context);
    mapper.fill(reader.cells(), n, values.data(), nulls.get());
    for (size_t r = 0; r < n; r++) {
      hasher.begin();
      for (size_t c = 0; c < width; c++) hasher.cell(segment.columns[c].kind, reader.cells()[r * width + c]);
      digest.add(hasher.end());
      add(values.data() + r * natts, nulls.get() + r * natts);
    }
    MemoryContextSwitchTo(before);
  }
  MemoryContextDelete(context);
  if (digest.rows != share.rows || digest.hex() != share.digest)
    damaged(segment, share.client,
            "Read " + std::to_string(digest.rows) + " rows with digest " + digest.hex() + ", the manifest says " +
                std::to_string(share.rows) + " rows, " + share.digest + ".");
}

ship::Batch load_client(const std::string &client, const std::vector<ColdSegment> &segments) {
  ship::Batch batch;
  batch.kind = ship::BatchKind::copy;
  batch.from = bridge::self_node();
  batch.clients.push_back({client, false, {}});
  for (const ColdSegment &s : segments) {
    const bridge::EnrolledTable *found = bridge::enrolled_table_by_name(s.segment.table);
    if (!found)
      bridge::raise({Errc::unavailable, "client \"" + client + "\" cannot be brought back",
                     "Table " + s.segment.table + " is not enrolled any more, but rows of it are in segment \"" +
                         s.segment.name + "\".",
                     "Make the table anew and enrol it."});
    bridge::EnrolledTable table = *found;  // reading the segment may refresh the cache
    Loader(table, s, batch).load();
  }
  return batch;
}

void check_reply(const std::string &client, const ship::Batch &batch, const ship::Reply &reply) {
  // Rows may be beaten by tombstones that came while the client was cold; nothing else may be missing.
  if (reply.refusals.empty() && reply.dead_letters == 0 && reply.applied + reply.stale == batch.rows.size()) return;
  bridge::raise({Errc::conflict, "the rows of client \"" + client + "\" could not all be brought back",
                 "In segments: " + std::to_string(batch.rows.size()) + ", merged: " + std::to_string(reply.applied) +
                     ", dead letters: " + std::to_string(reply.dead_letters) + ", refusals: " +
                     std::to_string(reply.refusals.size()) + ".",
                 "Retry; if it lasts, look at vectorshard.conflicts and compare the tables with their segments."});
}

/// Why it comes back: wished by a planner, or needed. A copy asked for by another node may be either: the worker tells
/// later, because the wish travels by another way than the request and may come after it.
const char *reason_now(bridge::Spi &spi, const std::string &client) {
  if (spi.query_kept("SELECT EXISTS (SELECT FROM vectorshard.wish WHERE client = $1 AND until > now())",
                     {p_text(client)})
          .boolean(0, 0))
    return "prediction";
  return MyBackendType == B_BACKEND ? "access" : "copy";
}

void publish(const std::string &client, const std::vector<ColdSegment> &segments, int64_t rows) {
  bridge::Spi spi;
  std::string by = reason_now(spi, client);
  spi.execute("DELETE FROM vectorshard.cold_client WHERE client = $1", {p_text(client)});
  spi.execute("INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, rows, detail) "
              "VALUES ('client', 'hot', $1, $2, 'done', $3, jsonb_build_object('by', $4::text))",
              {p_text(client), p_text(segments.front().segment.store), p_int8(rows), p_text(by)});
}

/// A generation of its own: whoever knew the client as cold learns that it is live again.
void become_resident(const std::string &client) {
  Generation generation = apply::stamp();
  bridge::Spi spi;
  spi.execute("INSERT INTO vectorshard.resident (client, generation) VALUES ($1, $2)",
              {p_text(client), p_int8(generation)});
  spi.execute("INSERT INTO vectorshard.holder (client, node, generation, state, _version) VALUES ($1, $2, $3, 'live', 0) "
              "ON CONFLICT (client, node) DO UPDATE SET generation = excluded.generation, state = excluded.state, store = NULL",
              {p_text(client), p_int4(bridge::self_node()), p_int8(generation)});
}

/// The home may have gone elsewhere while the client was cold here: it was born on two nodes at once. What comes back, the
/// home lacks.
void owe_home(const std::string &client) {
  NodeId self = bridge::self_node();
  bridge::Rows rows = bridge::Spi().query_kept("SELECT home FROM vectorshard.client WHERE client = $1 AND home <> $2",
                                               {p_text(client), p_int4(self)});
  if (rows.empty()) return;
  ship::add_debt(static_cast<NodeId>(rows.int8(0, 0)), client);
  bridge::wake_at_commit(bridge::kShipper);
}

}  // namespace

bool bring_back(std::string_view name) {
  bridge::require_preloaded();
  std::string client(name);
  AsOwner owner;
  bridge::lock_client(client);
  std::vector<std::string> names{client};
  std::vector<ColdSegment> segments;
  {
    ActiveSnapshotScope fresh(nullptr);
    segments = cold_segments("", &names);
  }
  if (segments.empty()) return false;
  ship::Batch batch = load_client(client, segments);
  become_resident(client);
  bridge::pg_call([] { CommandCounterIncrement(); });
  check_reply(client, batch, apply::merge(batch));
  publish(client, segments, static_cast<int64_t>(batch.rows.size()));
  owe_home(client);
  bridge::pg_call([] { CommandCounterIncrement(); });
  return true;
}

}  // namespace vectorshard::tier
