// ANALYZE of foreign tables over Parquet files of others (api.hpp): rows by chance, out of a bounded part of files that are chosen all over the folder. Each
// row of a chosen file is as likely to be taken as any other one, whatever the files' sizes.
#include <algorithm>
#include <set>

#include "core/tier/sample.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/foreign_parquet.hpp"
#include "pg/tier/sample_rows.hpp"
extern "C" {
#include "access/htup_details.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

// Each costs some requests; so many are enough for the statistics of the rest.
constexpr size_t kMostFiles = 100, kFewFiles = 8;
constexpr double kRowsForWidth = 100;

/// Tables whose files could not be read while they were weighed: that was said.
std::set<Oid> unread;

double chance() { return pg_prng_double(&pg_global_prng_state); }

ForeignFiles ask_for_files(Oid relid) {
  ask_store_for_sample(foreign_store(relid));
  return list_foreign_files(relid, Patience::little);
}

/// A file that rows are taken from.
struct Chosen {
  store::ObjectInfo object;
  double rows = 0, bytes = 0;
};

/// At most so many of the files, with their rows, and about how many rows all have: by their footers, of those that were not chosen by their sizes.
std::vector<Chosen> choose_files(const ForeignFiles &files, size_t most, double *total) {
  std::vector<Chosen> out;
  double bytes = 0, all_bytes = 0;
  *total = 0;
  for (auto [at, end] : choose_row_groups(std::vector<int64_t>(files.objects.size(), 1), most, chance))
    for (; at < end; at++) {
      bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
      ForeignFile file(files.store, files.objects[static_cast<size_t>(at)], Patience::little);
      out.push_back({files.objects[static_cast<size_t>(at)], static_cast<double>(file.footer().rows), static_cast<double>(file.bytes())});
      *total += out.back().rows;
      bytes += out.back().bytes;
    }
  for (const store::ObjectInfo &o : files.objects) all_bytes += static_cast<double>(o.bytes);
  if (out.size() < files.objects.size() && bytes > 0) *total *= std::max(1.0, all_bytes / bytes);
  return out;
}

/// A sample of one file, of about so many rows and bytes.
void sample_file(Relation rel, const SegmentFacts &table, const std::string &store, const Chosen &chosen, const SegmentSample &sample, SampleRows *rows) {
  ForeignFile file(store, chosen.object, Patience::little);
  SegmentQuestion question = question_for_sample(rel);
  question.facts = std::make_shared<SegmentFacts>(facts_of_file(table, file));
  // Rows that have no numbers are all read.
  const bool numbered = file.footer().named_apart;
  if (numbered) question.sample = sample;
  const double share = numbered ? 1 : sample.rows / chosen.rows;
  TupleTableSlot *slot = bridge::pg_call([&] { return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual); });
  {
    auto scan = ask_segment(std::move(question));
    while (scan->next(slot))
      if (share >= 1 || chance() < share) rows->add(slot);
  }
  file.require_same();
  bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
}

/// `most` of them at most, by chance, as they come.
int give(const std::vector<HeapTuple> &rows, int most, HeapTuple *out) {
  int given = 0;
  for (size_t i = 0; i < rows.size(); i++)
    if (chance() * static_cast<double>(rows.size() - i) < most - given) out[given++] = rows[i];
  return given;
}

/// Bytes of a row in a heap; by some rows, where no statistics tell.
double row_bytes(Relation rel, const ForeignFiles &files, const std::vector<Chosen> &chosen) {
  auto with_rows = std::find_if(chosen.begin(), chosen.end(), [](const Chosen &c) { return c.rows > 0; });
  if (rel->rd_rel->reltuples >= 0 || with_rows == chosen.end()) {
    int32 width = bridge::pg_call([&] { return get_relation_data_width(RelationGetRelid(rel), nullptr); });
    return static_cast<double>(MAXALIGN(width) + MAXALIGN(SizeofHeapTupleHeader));
  }
  SampleRows rows(CurrentMemoryContext, maintenance_work_mem * 1024.0);
  sample_file(rel, foreign_facts(RelationGetRelid(rel)), files.store, *with_rows, {kRowsForWidth, 1}, &rows);
  double bytes = 0;
  for (HeapTuple row : rows.rows()) bytes += static_cast<double>(MAXALIGN(row->t_len));
  return bytes / std::max(1.0, static_cast<double>(rows.rows().size()));
}

}  // namespace

BlockNumber foreign_pages(Relation rel) {
  double pages = Max(rel->rd_rel->relpages, 1);
  unread.erase(RelationGetRelid(rel));
  bool whole = try_sample(rel, [&] {
    ForeignFiles files = ask_for_files(RelationGetRelid(rel));
    double rows = 0;
    std::vector<Chosen> chosen = choose_files(files, kFewFiles, &rows);
    pages = rows * (row_bytes(rel, files, chosen) + sizeof(ItemIdData)) / (BLCKSZ - SizeOfPageHeaderData);
  });
  if (!whole) unread.insert(RelationGetRelid(rel));
  return static_cast<BlockNumber>(std::clamp<double>(pages, 1, MaxBlockNumber - 1.0));
}

int sample_foreign_files(Relation rel, int level, HeapTuple *out, int most, double *total, double *dead) {
  const Oid relid = RelationGetRelid(rel);
  *total = Max(rel->rd_rel->reltuples, 0);
  *dead = 0;
  if (unread.erase(relid) > 0) return 0;
  // Of the sample of a parent this one has a part, and so of what may be read for it.
  const double share = std::min(1.0, most / std::max(1.0, bridge::pg_call([&] { return rows_wanted(rel, 1); })));
  const double most_bytes = share * bridge::guc::analyze_mb * 1024 * 1024;
  SampleRows rows(CurrentMemoryContext, share * maintenance_work_mem * 1024);
  double all = 0;
  size_t files_read = 0;
  bool whole = try_sample(rel, [&] {
    ForeignFiles files = ask_for_files(relid);
    const SegmentFacts table = foreign_facts(relid);
    std::vector<Chosen> chosen = choose_files(files, kMostFiles, &all);
    double there = 0, bytes = 0;
    for (const Chosen &c : chosen) there += c.rows, bytes += c.bytes;
    for (const Chosen &c : chosen)
      if (c.rows > 0)
        sample_file(rel, table, files.store, c, {most * c.rows / there, static_cast<int64_t>(std::max(1.0, std::min(1.0, most_bytes / bytes) * c.bytes))}, &rows);
    files_read = chosen.size();
  });
  if (!whole) return 0;
  *total = all;
  int given = give(rows.rows(), most, out);
  bridge::pg_call([&] {
    ereport(level, (errmsg("\"%s\": %d rows in sample out of %d files, %.0f estimated total rows", RelationGetRelationName(rel), given, static_cast<int>(files_read), all)));
  });
  return given;
}

}  // namespace vectorshard::tier
