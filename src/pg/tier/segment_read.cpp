// Reading segments: see segment_read.hpp.
#include "pg/tier/segment_read.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

constexpr size_t kPushedClientsMax = 100;

/// The type a manifest names, or InvalidOid if it is no more.
Oid type_of(const std::string &name) {
  const char *text = name.c_str();
  return bridge::pg_call([&] {
    Oid type = InvalidOid;
    int32 typmod = -1;
    parseTypeString(text, &type, &typmod, true);
    return type;
  });
}

}  // namespace

SegmentReader::SegmentReader(const std::string &path, const std::vector<ManifestColumn> &columns, ReadFilter filter)
    : columns_(columns),
      filter_(std::move(filter)),
      clients_(filter_.clients.begin(), filter_.clients.end()),
      cells_(columns.size()) {
  std::string list;
  int fields = 0;
  for (size_t i = 0; i < columns_.size(); i++) {
    bool is_client = !clients_.empty() && columns_[i].name == filter_.client_column;
    if (is_client) client_at_ = static_cast<int>(i);
    bool wanted = filter_.wanted.empty() || filter_.wanted[i] || is_client;
    field_of_.push_back(wanted ? fields++ : -1);
    if (wanted) list += (list.empty() ? "" : ", ") + sql_identifier(field_name(columns_, i));
  }
  if (!clients_.empty() && client_at_ < 0)
    bridge::raise({Errc::corrupt, "a segment lacks its client column \"" + filter_.client_column + "\"", "", ""});
  std::string sql = "SELECT " + (list.empty() ? "1" : list) + " FROM read_parquet(" + sql_literal(path) + ")";
  std::vector<std::string> parameters;
  if (!clients_.empty() && filter_.clients.size() <= kPushedClientsMax) {
    for (const std::string &c : filter_.clients) {
      sql += (parameters.empty() ? " WHERE " + sql_identifier(field_name(columns_, client_at_)) + " IN (?" : ", ?");
      parameters.push_back(c);
    }
    sql += ")";
  }
  stream_ = std::make_unique<duck::Stream>(sql, parameters, duck::text_as_blob());
}

bool SegmentReader::next_chunk() {
  duckdb_data_chunk chunk = stream_->next();
  if (!chunk) return false;
  rows_ = duck::api().data_chunk_get_size(chunk);
  row_ = 0;
  vectors_.clear();
  for (size_t i = 0; i < columns_.size(); i++)
    vectors_.push_back(field_of_[i] >= 0 ? duck::column_of(chunk, field_of_[i]) : duck::Column{});
  return true;
}

const std::vector<Cell> *SegmentReader::next() {
  while (true) {
    if (row_ >= rows_ && !next_chunk()) return nullptr;
    idx_t row = row_++;
    for (size_t i = 0; i < columns_.size(); i++)
      cells_[i] = field_of_[i] >= 0 ? duck::get_cell(vectors_[i], row, columns_[i].kind) : Cell{};
    if (client_at_ < 0 || clients_.contains(client_name(columns_[client_at_].kind, cells_[client_at_]))) return &cells_;
  }
}

RowMapper::RowMapper(const std::vector<ManifestColumn> &columns, TupleDesc target)
    : target_(target), width_(columns.size()) {
  for (int i = 0; i < target->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(target, i);
    int by_name = -1, by_number = -1;
    for (size_t c = 0; c < columns.size() && !a->attisdropped; c++) {
      if (columns[c].name == NameStr(a->attname)) by_name = static_cast<int>(c);
      // The number alone counts only for a name that is no column of the table any more, with the same type.
      if (columns[c].attnum == a->attnum && type_of(columns[c].type) == a->atttypid) {
        bool name_in_use = false;
        for (int j = 0; j < target->natts; j++)
          name_in_use |= !TupleDescAttr(target, j)->attisdropped &&
                         columns[c].name == NameStr(TupleDescAttr(target, j)->attname);
        if (!name_in_use) by_number = static_cast<int>(c);
      }
    }
    mapped_.push_back(map_column(columns, by_name >= 0 ? by_name : by_number, a));
    needs_settings_ |= mapped_.back().convert || mapped_.back().codec.needs_settings();
  }
}

RowMapper::Mapped RowMapper::map_column(const std::vector<ManifestColumn> &columns, int from,
                                        Form_pg_attribute attribute) {
  Mapped m;
  m.from = from;
  if (from < 0) return m;
  m.typmod = attribute->atttypmod;
  Oid stored = type_of(columns[from].type);
  MemoryContext context = CurrentMemoryContext;
  if (!OidIsValid(stored)) stored = attribute->atttypid;
  bridge::pg_call([&] {
    m.codec = ColumnCodec::make(stored, context);
    m.convert = getBaseType(stored) != getBaseType(attribute->atttypid);
    if (!m.convert) return;
    Oid function;
    bool varlena;
    getTypeOutputInfo(stored, &function, &varlena);
    fmgr_info_cxt(function, &m.output, context);
    getTypeInputInfo(attribute->atttypid, &function, &m.io_param);
    fmgr_info_cxt(function, &m.input, context);
  });
  if (m.codec.kind() != columns[from].kind)
    bridge::raise({Errc::unavailable, "column \"" + columns[from].name + "\" of a segment cannot be read",
                   std::string("It is stored as ") + cell_kind_name(columns[from].kind) + ", its type is now stored as " +
                       cell_kind_name(m.codec.kind()) + ".",
                   "Change the column's type back, bring the rows back, then change it again."});
  return m;
}

std::vector<bool> RowMapper::used() const {
  std::vector<bool> used(width_, false);
  for (const Mapped &m : mapped_)
    if (m.from >= 0) used[m.from] = true;
  return used;
}

void RowMapper::fill(const std::vector<Cell> &cells, Datum *values, bool *isnull) {
  StableConversion stable(needs_settings_);
  const Cell *in = cells.data();
  Mapped *mapped = mapped_.data();
  bridge::pg_call([&] {
    for (int i = 0; i < target_->natts; i++) {
      Mapped &m = mapped[i];
      if (m.from < 0) {
        values[i] = getmissingattr(target_, i + 1, &isnull[i]);
        continue;
      }
      isnull[i] = in[m.from].null;
      values[i] = isnull[i] ? static_cast<Datum>(0) : m.codec.from_cell(in[m.from], m.convert ? -1 : m.typmod);
      if (!isnull[i] && m.convert)
        values[i] = InputFunctionCall(&m.input, OutputFunctionCall(&m.output, values[i]), m.io_param, m.typmod);
    }
  });
}

namespace {

/// Converts tuples back to cells, as a query result would be if it were written again.
class Rewriter {
 public:
  Rewriter(TupleDesc desc, size_t width) : desc_(desc), cells_(width) {
    MemoryContext context = CurrentMemoryContext;
    for (int i = 0; i < desc->natts; i++) {
      Form_pg_attribute a = TupleDescAttr(desc, i);
      codecs_.push_back(a->attisdropped ? ColumnCodec{}
                                        : bridge::pg_call([&] { return ColumnCodec::make(a->atttypid, context); }));
      needs_settings_ |= codecs_.back().needs_settings();
    }
  }
  const std::vector<Cell> &cells(const Datum *values, const bool *nulls) {
    StableConversion stable(needs_settings_);
    Cell *out = cells_.data();
    ColumnCodec *codecs = codecs_.data();
    bridge::pg_call([&] {
      for (int i = 0, at = 0; i < desc_->natts; i++)
        if (!TupleDescAttr(desc_, i)->attisdropped) out[at++] = codecs[i].to_cell(values[i], nulls[i]);
    });
    return cells_;
  }

 private:
  TupleDesc desc_;
  std::vector<ColumnCodec> codecs_;
  std::vector<Cell> cells_;
  bool needs_settings_ = false;
};

TupleDesc descriptor_of(Oid relid) {
  return bridge::pg_call([&] {
    Relation rel = table_open(relid, AccessShareLock);
    TupleDesc desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
    table_close(rel, NoLock);
    return desc;
  });
}

}  // namespace

RowDigest digest_file(const std::string &path, const std::vector<ManifestColumn> &columns, Oid relid) {
  TupleDesc desc = descriptor_of(relid);
  SegmentReader reader(path, columns, {});
  RowMapper mapper(columns, desc);
  Rewriter rewriter(desc, columns.size());
  auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * (desc->natts + 1)));
  auto *nulls = static_cast<bool *>(palloc(desc->natts + 1));
  MemoryContext outer = CurrentMemoryContext;
  MemoryContext row_context = bridge::pg_call(
      [&] { return AllocSetContextCreate(outer, "vectorshard verify row", ALLOCSET_DEFAULT_SIZES); });
  RowDigest total;
  RowHasher hasher;
  while (const std::vector<Cell> *stored = reader.next()) {
    MemoryContextReset(row_context);
    MemoryContextSwitchTo(row_context);
    mapper.fill(*stored, values, nulls);
    const std::vector<Cell> &cells = rewriter.cells(values, nulls);
    MemoryContextSwitchTo(outer);
    hasher.begin();
    for (size_t i = 0; i < columns.size(); i++) hasher.cell(columns[i].kind, cells[i]);
    total.add(hasher.end());
  }
  return total;
}

}  // namespace vectorshard::tier
