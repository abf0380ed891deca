// Samples of stubs for ANALYZE, of the stub itself and of its parent: rows of the segment by chance, out of a bounded part of it. Never an answer that
// looks like statistics of a part of the rows: what cannot be read is said, and statistics of the stub stay.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "executor/tuptable.h"
#include "storage/block.h"
#include "utils/relcache.h"
}

namespace vectorshard::tier {

struct StubSample;

/// The blocks that a stub has, for which PostgreSQL asks to choose some of them for a sample: `heap` pages, but a few while the sample is taken.
BlockNumber shown_blocks(Relation rel, BlockNumber heap);

/// Takes the sample at the first block. Blocks rise, and only tell how far through the table the sample is to be given.
void sample_block(StubSample **sample, Relation rel, BlockNumber block);
/// The next row that is due; false if there is none before the next block. Adds to `live` the rows of the table that the block stands for.
bool sample_row(StubSample *sample, double *live, TupleTableSlot *slot);
void end_sample(StubSample *sample);

/// A row of a stub as a tuple that knows its place, as ANALYZE's correlations need it.
HeapTuple tuple_with_place(TupleTableSlot *slot);

}  // namespace vectorshard::tier
