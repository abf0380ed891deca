// Row groups: see row_groups.hpp.
#include "pg/tier/row_groups.hpp"

#include <map>

#include "pg/bridge/guard.hpp"
#include "pg/tier/duckdb_run.hpp"
#include "pg/tier/spool.hpp"

namespace vectorshard::tier {

namespace {

constexpr size_t kMostKnown = 64;
constexpr const char *kPathSeparator = ", ";
constexpr int64_t kTail = 8;  // length of the footer, and the magic bytes

enum Field : idx_t { kGroup, kRows, kName, kNulls, kMinNumber, kMaxNumber, kMinText, kMaxText, kDictionary, kData, kSize, kBloom, kBloomSize };

/// Numbers in the units of Cell, from the text of the statistics; null where they say nothing.
std::string number_of(const ManifestColumn &c, const std::string &value) {
  switch (c.kind) {
    case CellKind::int2:
    case CellKind::int4:
    case CellKind::int8: return "TRY_CAST(" + value + " AS BIGINT)";
    case CellKind::decimal: return "(TRY_CAST(" + value + " AS DECIMAL(18," + std::to_string(c.scale) + ")) * 1" + std::string(static_cast<size_t>(c.scale), '0') + ")::BIGINT";
    case CellKind::date: return "date_diff('day', DATE '2000-01-01', TRY_CAST(" + value + " AS DATE))";
    case CellKind::timestamp: return "epoch_us(TRY_CAST(" + value + " AS TIMESTAMP)) - 946684800000000";
    case CellKind::timestamptz: return "epoch_us(TRY_CAST(" + value + " AS TIMESTAMPTZ)) - 946684800000000";
    default: return "NULL::BIGINT";
  }
}

/// What the file calls a column.
std::string name_of(const SegmentFacts &facts, size_t column) {
  return facts.fields.empty() ? field_name(facts.segment.columns, column) : facts.fields[column].name;
}

std::string by_column(const SegmentFacts &facts, const std::string &value) {
  std::string out = "CASE path_in_schema";
  for (size_t i = 0; i < facts.segment.columns.size(); i++) {
    std::string number = number_of(facts.segment.columns[i], value);
    bool as_is = facts.fields.empty() || facts.fields[i].as_is;
    if (as_is && number != "NULL::BIGINT") out += " WHEN " + sql_literal(name_of(facts, i)) + " THEN " + number;
  }
  return out == "CASE path_in_schema" ? "NULL::BIGINT" : out + " END";
}

std::string statement(const SegmentFacts &facts, const std::string &path) {
  return "SELECT row_group_id::BIGINT, row_group_num_rows::BIGINT, path_in_schema, stats_null_count::BIGINT, " + by_column(facts, "stats_min_value") + ", " +
         by_column(facts, "stats_max_value") + ", stats_min_value, stats_max_value, coalesce(dictionary_page_offset, 0)::BIGINT, data_page_offset::BIGINT, "
         "total_compressed_size::BIGINT, coalesce(bloom_filter_offset, 0)::BIGINT, coalesce(bloom_filter_length, 0)::BIGINT FROM parquet_metadata(" +
         sql_literal(path) + ") ORDER BY row_group_id, column_id";
}

bool is_some(const ByteRange &r) { return r.second > r.first; }

struct Line {
  std::vector<duck::Column> columns;
  idx_t row;
  bool has(Field f) const { return columns[f].valid(row); }
  int64_t number(Field f) const { return has(f) ? static_cast<const int64_t *>(columns[f].data)[row] : 0; }
  std::string_view text(Field f) const { return has(f) ? duck::string_at(columns[f], row) : std::string_view(); }
};

/// Where the values are; of a nested column all its parts, with what is between them.
void take_place(const Line &line, ByteRange *values, ByteRange *bloom) {
  const int64_t data = line.number(kData), dictionary = line.number(kDictionary), begin = dictionary > 0 ? std::min(dictionary, data) : data;
  const ByteRange here{begin, begin + line.number(kSize)};
  const bool more = is_some(*values);
  *values = more ? ByteRange{std::min(values->first, here.first), std::max(values->second, here.second)} : here;
  *bloom = {line.number(kBloom), line.number(kBloom) + line.number(kBloomSize)};
  if (bloom->first > 0 && !is_some(*bloom)) *values = {};  // of others: nobody knows how long
}

void take(const Line &line, const SegmentFacts &facts, const std::map<std::string, size_t, std::less<>> &by_name, std::vector<RowGroup> *groups) {
  auto group = static_cast<size_t>(line.number(kGroup));
  const size_t width = facts.segment.columns.size();
  while (groups->size() <= group) {
    RowGroup g;
    if (!groups->empty()) g.first = groups->back().first + groups->back().rows;
    g.rows = line.number(kRows);
    g.zones.resize(width);
    for (Zone &z : g.zones) z.nulls = -1;
    g.data.resize(width);
    g.bloom.resize(width);
    groups->push_back(std::move(g));
  }
  // Parts of a nested column of others have its name in front.
  auto it = by_name.find(line.text(kName));
  const bool part = it == by_name.end() && facts.foreign;
  if (part) it = by_name.find(line.text(kName).substr(0, line.text(kName).find(kPathSeparator)));
  if (it == by_name.end()) return;
  RowGroup &g = groups->back();
  Zone &z = g.zones[it->second];
  if (line.has(kNulls) && !part) z.nulls = line.number(kNulls);
  // Of others the ends of text may be cut off, and are told in another form then.
  bool text = !facts.foreign && facts.segment.columns[it->second].kind == CellKind::text && line.has(kMinText) && line.has(kMaxText);
  z.has_range = text || (line.has(kMinNumber) && line.has(kMaxNumber));
  z.min_number = line.number(kMinNumber);
  z.max_number = line.number(kMaxNumber);
  if (text) z.min_text = line.text(kMinText), z.max_text = line.text(kMaxText);
  take_place(line, &g.data[it->second], &g.bloom[it->second]);
}

}  // namespace

/// The footer's length stands before the last four bytes.
void need_footer(SparseCopy &copy) {
  copy.need({{copy.bytes() - kTail, copy.bytes()}});
  unsigned char tail[kTail];
  FILE *file = fopen(copy.path().c_str(), "rb");
  bool read = file && fseek(file, static_cast<long>(copy.bytes() - kTail), SEEK_SET) == 0 && fread(tail, 1, kTail, file) == kTail;
  if (file) fclose(file);
  if (!read) bridge::raise({Errc::io, "could not read file \"" + copy.path() + "\"", "", ""});
  int64_t length = tail[0] | tail[1] << 8 | tail[2] << 16 | static_cast<int64_t>(tail[3]) << 24;
  copy.need({{0, 4}, {copy.bytes() - kTail - length, copy.bytes()}});
}

namespace {

std::vector<RowGroup> read_groups(const std::string &path, const SegmentFacts &facts) {
  std::map<std::string, size_t, std::less<>> by_name;
  for (size_t i = 0; i < facts.segment.columns.size(); i++) by_name[name_of(facts, i)] = i;
  std::vector<RowGroup> out;
  duck::Stream stream(statement(facts, path), {}, false);
  while (duckdb_data_chunk chunk = stream.next()) {
    Line line;
    for (idx_t f = 0; f <= kBloomSize; f++) line.columns.push_back(duck::column_of(chunk, f));
    for (line.row = 0; line.row < duck::api().data_chunk_get_size(chunk); line.row++) take(line, facts, by_name, &out);
  }
  return out;
}

}  // namespace

const std::vector<RowGroup> &row_groups_of(const std::string &path, const SegmentFacts &facts) {
  static std::map<std::string, std::vector<RowGroup>> known;
  const std::string key = facts.segment.sha256 + facts.segment.name;  // a file of others may be that of tables with other columns
  auto it = known.find(key);
  if (it != known.end()) return it->second;
  if (known.size() >= kMostKnown) known.clear();
  return known[key] = read_groups(path, facts);
}

const std::vector<RowGroup> &row_groups_of(SparseCopy &copy, const SegmentFacts &facts) {
  need_footer(copy);  // of known ones, too: it may have been purged since
  return row_groups_of(copy.path(), facts);
}

bool all_lie_somewhere(const std::vector<RowGroup> &groups, const std::vector<bool> &wanted) {
  for (const RowGroup &g : groups)
    for (size_t c = 0; c < wanted.size(); c++)
      if (wanted[c] && g.rows > 0 && !is_some(g.data[c])) return false;
  return true;
}

std::optional<std::pair<int64_t, int64_t>> rows_needed(const std::vector<RowGroup> &groups, const std::vector<Condition> &conditions) {
  std::optional<std::pair<int64_t, int64_t>> out;
  for (const RowGroup &g : groups) {
    bool may = true;
    for (const Condition &c : conditions) may = may && may_hold(c, g.zones, g.rows);
    if (!may) continue;
    if (!out) out.emplace(g.first, 0);
    out->second = g.first + g.rows;
  }
  return out;
}

std::vector<ByteRange> bytes_needed(const std::vector<RowGroup> &groups, const std::vector<bool> &wanted, std::pair<int64_t, int64_t> rows) {
  std::vector<ByteRange> out;
  for (const RowGroup &g : groups) {
    if (g.first + g.rows <= rows.first || g.first >= rows.second) continue;
    for (size_t c = 0; c < wanted.size(); c++) {
      if (wanted[c] && is_some(g.data[c])) out.push_back(g.data[c]);
      if (wanted[c] && is_some(g.bloom[c])) out.push_back(g.bloom[c]);
    }
  }
  return out;
}

}  // namespace vectorshard::tier
