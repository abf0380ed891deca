// Reading segments: see segment_read.hpp.
#include "pg/tier/segment_read.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/segment_facts.hpp"
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

}  // namespace

SegmentReader::SegmentReader(const std::string &path, const std::vector<ManifestColumn> &columns, ReadFilter filter)
    : columns_(columns), filter_(std::move(filter)), clients_(filter_.clients.begin(), filter_.clients.end()), cells_(columns.size() * kBlockRows) {
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
  // Not where names are blobs (a server that is not UTF-8): DuckDB 1.5.6 drops row groups in which a blob is.
  if (!clients_.empty() && filter_.clients.size() <= kPushedClientsMax && !duck::text_as_blob()) {
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
    vectors_.push_back(field_of_[i] >= 0 ? duck::column_of(chunk, static_cast<idx_t>(field_of_[i])) : duck::Column{});
  return true;
}

/// Moves the rows of wanted clients together; how many they are.
size_t SegmentReader::keep_clients(size_t rows) {
  if (client_at_ < 0) return rows;
  const size_t width = columns_.size(), at = static_cast<size_t>(client_at_);
  size_t kept = 0;
  for (size_t r = 0; r < rows; r++) {
    Cell *row = cells_.data() + r * width;
    if (!clients_.contains(client_name(columns_[at].kind, row[at]))) continue;
    if (kept != r) std::copy(row, row + width, cells_.data() + kept * width);
    kept++;
  }
  return kept;
}

size_t SegmentReader::next() {
  size_t kept = 0;
  while (kept == 0) {
    if (row_ >= rows_ && !next_chunk()) return 0;
    size_t n = std::min<size_t>(kBlockRows, rows_ - row_);
    for (size_t c = 0; c < columns_.size(); c++)
      if (field_of_[c] >= 0) duck::get_cells(vectors_[c], row_, columns_[c], cells_.data() + c, columns_.size(), n);
    row_ += n;
    kept = keep_clients(n);
  }
  return kept;
}

RowMapper::RowMapper(const std::vector<ManifestColumn> &columns, TupleDesc target, bool foreign)
    : target_(target), width_(columns.size()) {
  std::vector<int> from = stored_columns(columns, target);
  for (int i = 0; i < target->natts; i++) {
    mapped_.push_back(map_column(columns, from[static_cast<size_t>(i)], TupleDescAttr(target, i), foreign));
    needs_settings_ |= mapped_.back().convert || mapped_.back().codec.needs_settings();
  }
}

namespace {

/// Whether the stored kind is one of the type's.
bool kinds_agree(const ManifestColumn &column, const StoredAs &now) {
  // A column has its text, or PostGIS's own bytes, where a value fits into no column of its own kind.
  auto may_be_text = [](CellKind k) { return k == CellKind::decimal || k == CellKind::timestamp || k == CellKind::timestamptz; };
  auto is_geometry = [](CellKind a, CellKind b) { return a == CellKind::wkb && b == CellKind::send; };
  return column.kind == now.kind || is_geometry(column.kind, now.kind) || is_geometry(now.kind, column.kind) ||
         (column.kind == CellKind::output && may_be_text(now.kind)) || (now.kind == CellKind::output && may_be_text(column.kind));
}

}  // namespace

RowMapper::Mapped RowMapper::map_column(const std::vector<ManifestColumn> &columns, int from,
                                        Form_pg_attribute attribute, bool foreign) {
  Mapped m;
  m.from = from;
  if (from < 0) return m;
  m.typmod = attribute->atttypmod;
  const ManifestColumn &column = columns[static_cast<size_t>(from)];
  Oid stored = stored_type(column);
  MemoryContext context = CurrentMemoryContext;
  if (!OidIsValid(stored)) stored = attribute->atttypid;
  StoredAs now = bridge::pg_call([&] { return stored_as(stored, -1); });
  if (!foreign && !kinds_agree(column, now))
    bridge::raise({Errc::unavailable, "column \"" + column.name + "\" of a segment cannot be read",
                   std::string("It is stored as ") + cell_kind_name(column.kind) + ", its type is now stored as " + cell_kind_name(now.kind) + ".",
                   "Change the column's type back, bring the rows back, then change it again."});
  StoredAs as = stored_as(column);
  bridge::pg_call([&] {
    m.codec = ColumnCodec::make(stored, as, context);
    m.convert = getBaseType(stored) != getBaseType(attribute->atttypid);
    m.rescaled = as.kind == CellKind::decimal && m.typmod >= 0 && stored_as(attribute->atttypid, m.typmod).scale != as.scale;
    if (!m.convert) return;
    Oid function;
    bool varlena;
    getTypeOutputInfo(stored, &function, &varlena);
    fmgr_info_cxt(function, &m.output, context);
    getTypeInputInfo(attribute->atttypid, &function, &m.io_param);
    fmgr_info_cxt(function, &m.input, context);
  });
  return m;
}

std::vector<bool> RowMapper::used() const {
  std::vector<bool> used(width_, false);
  for (const Mapped &m : mapped_)
    if (m.from >= 0) used[m.from] = true;
  return used;
}

Datum RowMapper::value_of(Mapped &m, const Cell &cell) const {
  Datum value = m.codec.from_cell(cell, m.convert ? -1 : m.typmod);
  return m.convert ? InputFunctionCall(&m.input, OutputFunctionCall(&m.output, value), m.io_param, m.typmod) : value;
}

void RowMapper::fill(const Cell *cells, size_t n, Datum *values, bool *isnull) {
  StableConversion stable(needs_settings_);
  const size_t width = width_, natts = mapped_.size();
  Mapped *mapped = mapped_.data();
  bridge::pg_call([&] {
    for (size_t i = 0; i < natts; i++) {
      Mapped &m = mapped[i];
      Datum *value = values + i;
      bool *null = isnull + i;
      for (size_t r = 0; r < n; r++, value += natts, null += natts) {
        if (m.from < 0) {
          *value = getmissingattr(target_, static_cast<int>(i) + 1, null);
          continue;
        }
        const Cell &cell = cells[r * width + static_cast<size_t>(m.from)];
        *null = cell.null;
        *value = cell.null ? static_cast<Datum>(0) : value_of(m, cell);
      }
    }
  });
}

void RowMapper::fill_attribute(int attribute, const Cell *cells, size_t n, Datum *values, bool *isnull, size_t stride) {
  Mapped &m = mapped_[static_cast<size_t>(attribute) - 1];
  StableConversion stable(m.convert || m.codec.needs_settings());
  bridge::pg_call([&] {
    for (size_t r = 0; r < n; r++) {
      isnull[r * stride] = cells[r].null;
      values[r * stride] = cells[r].null ? static_cast<Datum>(0) : value_of(m, cells[r]);
    }
  });
}

bool RowMapper::is_plain(int attribute) const {
  const Mapped &m = mapped_[static_cast<size_t>(attribute) - 1];
  return m.from >= 0 && !m.convert && !m.rescaled;
}

namespace {

/// Converts tuples back to cells, as a query result would be if it were written again.
class Rewriter {
 public:
  /// The table may have other columns by now than were stored: new ones are of no interest; that one is gone is an error.
  Rewriter(TupleDesc desc, const std::vector<ManifestColumn> &columns) : desc_(desc), cells_(columns.size() * SegmentReader::kBlockRows) {
    MemoryContext context = CurrentMemoryContext;
    std::vector<int> stored = stored_columns(columns, desc);
    for (size_t c = 0; c < columns.size(); c++) {
      auto at = std::find(stored.begin(), stored.end(), static_cast<int>(c));
      if (at == stored.end())
        bridge::raise_sqlstate(ERRCODE_WRONG_OBJECT_TYPE, "the table changed while it was moved", "Its column \"" + columns[c].name + "\" is gone.");
      int attribute = static_cast<int>(at - stored.begin());
      StoredAs as = stored_as(columns[c]);
      attributes_.push_back(attribute);
      codecs_.push_back(bridge::pg_call([&] { return ColumnCodec::make(TupleDescAttr(desc, attribute)->atttypid, as, context); }));
      needs_settings_ |= codecs_.back().needs_settings();
    }
  }
  const Cell *cells(const Datum *values, const bool *nulls, size_t rows) {
    StableConversion stable(needs_settings_);
    Cell *out = cells_.data();
    ColumnCodec *codecs = codecs_.data();
    const int *attributes = attributes_.data();
    const size_t width = codecs_.size(), natts = static_cast<size_t>(desc_->natts);
    bridge::pg_call([&] {
      for (size_t c = 0; c < width; c++)
        for (size_t r = 0; r < rows; r++) {
          size_t from = r * natts + static_cast<size_t>(attributes[c]);
          out[r * width + c] = codecs[c].to_cell(values[from], nulls[from]);
        }
    });
    return out;
  }

 private:
  TupleDesc desc_;
  std::vector<int> attributes_;
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
  Rewriter rewriter(desc, columns);
  const size_t block = static_cast<size_t>(desc->natts) * SegmentReader::kBlockRows, width = columns.size();
  auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * (block + 1)));
  auto *nulls = static_cast<bool *>(palloc(block + 1));
  MemoryContext outer = CurrentMemoryContext;
  MemoryContext rows_context = bridge::pg_call(
      [&] { return AllocSetContextCreate(outer, "vectorshard verify rows", ALLOCSET_DEFAULT_SIZES); });
  RowDigest total;
  RowHasher hasher;
  while (size_t n = reader.next()) {
    MemoryContextReset(rows_context);
    MemoryContextSwitchTo(rows_context);
    mapper.fill(reader.cells(), n, values, nulls);
    const Cell *cells = rewriter.cells(values, nulls, n);
    MemoryContextSwitchTo(outer);
    for (size_t r = 0; r < n; r++) {
      hasher.begin();
      for (size_t c = 0; c < width; c++) hasher.cell(columns[c].kind, cells[r * width + c]);
      total.add(hasher.end());
    }
    count_verified(n);
  }
  return total;
}

}  // namespace vectorshard::tier
