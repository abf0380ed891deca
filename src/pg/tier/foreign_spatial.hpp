// Columns of Parquet files of others that hold geometries: finding them, and what they are to PostGIS.
#pragma once
#include <string>
#include <vector>

#include "pg/tier/api.hpp"

namespace vectorshard::tier {

/// True if DuckDB has a type of its own for the column.
bool is_native_geometry(const ForeignColumn &column);

/// Marks those of the columns that the metadata of a file at `path` says to be geometries whose bytes are well-known binary.
void mark_geometries(const std::string &path, std::vector<ForeignColumn> *columns);

/// Gives marked columns types of PostGIS, where it has one, and says what is not as it might be expected. Raises.
void give_spatial_types(std::vector<ForeignColumn> *columns);

/// Puts into a column of PostGIS's type (kind send, with the SRID of its modifier) the SRID that values in the file have. Raises if they differ.
void take_srid(const ForeignColumn &in_file, const std::string &key, ManifestColumn *column);

}  // namespace vectorshard::tier
