// Digests of segment files: see segment_digest.hpp.
#include "pg/tier/segment_digest.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/tier/segment_read.hpp"

namespace vectorshard::tier {

RowDigest stored_digest(const std::string &path, const std::vector<ManifestColumn> &columns) {
  SegmentReader reader(path, columns, {});
  const size_t width = columns.size();
  RowDigest total;
  RowHasher hasher;
  while (size_t n = reader.next()) {
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    for (size_t r = 0; r < n; r++) {
      hasher.begin();
      for (size_t c = 0; c < width; c++) hasher.cell(columns[c].kind, reader.cells()[r * width + c]);
      total.add(hasher.end());
    }
  }
  return total;
}

}  // namespace vectorshard::tier
