// Questions to a segment as statements of DuckDB: see segment_query.hpp.
#include "pg/bridge/guard.hpp"
#include "pg/tier/duckdb_types.hpp"
#include "pg/tier/segment_fields.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "access/table.h"
#include "common/pg_prng.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

SegmentFields::SegmentFields(const SegmentQuestion &question) : question_(question), facts_(question.facts ? *question.facts : facts_of(question.segment)) {
  Relation rel = bridge::pg_call([&] { return table_open(question.relid, AccessShareLock); });
  stored_ = stored_columns(facts_.segment.columns, RelationGetDescr(rel));
  bridge::pg_call([&] { table_close(rel, NoLock); });
  form_.text_as_blob = duck::text_as_blob();
  form_.field = [this](size_t column) { return name(static_cast<int>(column)); };
  for (const SegmentOutput &o : question.outputs) add_output(o);
}

std::string SegmentFields::name(int column) const { return sql_identifier(field_name(facts_.segment.columns, static_cast<size_t>(column))); }

int SegmentFields::add(std::string text) {
  list_.push_back(std::move(text));
  return static_cast<int>(list_.size()) - 1;
}

void SegmentFields::add_output(const SegmentOutput &o) {
  Field f;
  f.column = o.attribute > 0 ? stored_[static_cast<size_t>(o.attribute) - 1] : -1;
  std::string filter = o.filter ? " FILTER (WHERE " + condition_text(*o.filter, form_) + ")" : "", of = f.column >= 0 ? name(f.column) : "";
  auto aggregate = [&](const char *function) { return add(std::string(function) + "(" + of + ")" + filter); };
  switch (o.kind) {
    case SegmentOutput::Kind::attribute:
      if (f.column >= 0) f.first = add(of);
      break;
    case SegmentOutput::Kind::row:
      f.first = add("file_row_number");
      numbered_ = true;
      break;
    case SegmentOutput::Kind::count_rows: f.first = add("count(*)" + filter); break;
    case SegmentOutput::Kind::count: f.first = aggregate("count"); break;
    case SegmentOutput::Kind::sum: f.first = aggregate("sum"); break;
    case SegmentOutput::Kind::average:
    case SegmentOutput::Kind::wide_state:
    case SegmentOutput::Kind::decimal_state:
      f.first = aggregate("count");
      f.second = aggregate("sum");
      break;
    case SegmentOutput::Kind::least: f.first = aggregate("min"); break;
    case SegmentOutput::Kind::greatest: f.first = aggregate("max"); break;
    case SegmentOutput::Kind::all_true: f.first = aggregate("bool_and"); break;
    case SegmentOutput::Kind::any_true: f.first = aggregate("bool_or"); break;
    case SegmentOutput::Kind::truncated: f.first = add("date_trunc(" + sql_literal(o.unit) + ", " + of + ")::TIMESTAMP"); break;
    case SegmentOutput::Kind::day: f.first = add(of + "::DATE"); break;
  }
  fields_.push_back(f);
}

namespace {

void mark_read(const Condition &c, std::vector<bool> *read) {
  for (const Condition &p : c.parts) mark_read(p, read);
  bool none = c.kind == Condition::Kind::all || c.kind == Condition::Kind::any || c.kind == Condition::Kind::negated || c.kind == Condition::Kind::constant;
  if (!none) (*read)[c.column] = true;
  if (c.kind == Condition::Kind::columns) (*read)[c.other] = true;
}

}  // namespace

std::vector<bool> SegmentFields::read() const {
  std::vector<bool> out(facts_.segment.columns.size(), false);
  for (const Field &f : fields_)
    if (f.column >= 0) out[static_cast<size_t>(f.column)] = true;
  for (const Condition &c : question_.conditions) mark_read(c, &out);
  for (const SegmentOutput &o : question_.outputs)
    if (o.filter) mark_read(*o.filter, &out);
  for (const SegmentOrder &o : question_.order) out[static_cast<size_t>(stored_[static_cast<size_t>(o.attribute) - 1])] = true;
  return out;
}

namespace {

constexpr uint64_t kChances = 1 << 30;

/// Each row for itself, however they are ordered: every n-th one would meet what recurs in the data.
std::string chance_text(double share) {
  auto kept = std::max<uint64_t>(1, static_cast<uint64_t>(share * static_cast<double>(kChances)));
  auto seed = static_cast<int64_t>(pg_prng_uint32(&pg_global_prng_state));
  return " AND (hash(file_row_number + " + std::to_string(seed) + "::BIGINT) & " + std::to_string(kChances - 1) + "::UBIGINT) < " + std::to_string(kept) + "::UBIGINT";
}

}  // namespace

/// What rows are read from, with the columns of the manifest; `numbered`: and file_row_number.
std::string SegmentFields::source(const std::string &path, bool numbered) const {
  std::string file = "read_parquet(" + sql_literal(path) + (numbered ? ", file_row_number = true)" : ")");
  if (facts_.fields.empty()) return file;
  std::string list = numbered ? "file_row_number" : "";
  std::vector<bool> wanted = read();
  for (size_t c = 0; c < wanted.size(); c++)
    if (wanted[c]) list += (list.empty() ? "" : ", ") + facts_.fields[c].expression + " AS " + name(static_cast<int>(c));
  return "(SELECT " + (list.empty() ? "1" : list) + " FROM " + file + ")";
}

std::string SegmentFields::statement(const std::string &path, const std::optional<std::pair<int64_t, int64_t>> &part, double share) const {
  std::string list, groups, order, where;
  for (const std::string &l : list_) list += (list.empty() ? "" : ", ") + l;
  for (int g = 0; g < question_.groups; g++)
    if (int at = fields_[static_cast<size_t>(g)].first; at >= 0) groups += (groups.empty() ? " GROUP BY " : ", ") + std::to_string(at + 1);
  for (const Condition &c : question_.conditions) where += (where.empty() ? " WHERE " : " AND ") + condition_text(c, form_);
  if (part) {
    where += where.empty() ? " WHERE " : " AND ";
    where += "file_row_number >= " + std::to_string(part->first) + " AND file_row_number < " + std::to_string(part->second);
    if (share < 1) where += chance_text(share);
  }
  for (const SegmentOrder &o : question_.order) {
    int column = stored_[static_cast<size_t>(o.attribute) - 1];
    order += (order.empty() ? " ORDER BY " : ", ") + name(column) + (o.descending ? " DESC" : " ASC") + (o.nulls_first ? " NULLS FIRST" : " NULLS LAST");
  }
  std::string out = std::string("SELECT ") + (question_.distinct && !list.empty() ? "DISTINCT " : "") + (list.empty() ? "1" : list);
  out += " FROM " + source(path, part.has_value() || numbered_) + where + groups + order;
  if (question_.limit > 0) out += " LIMIT " + std::to_string(question_.limit);
  return out;
}

std::string question_text(const SegmentQuestion &question, const std::string &path) { return SegmentFields(question).statement(path, std::nullopt); }

}  // namespace vectorshard::tier
