// Pieces of the encoding of a batch, for who builds one row by row and sends the same row to several peers. Whole batches
// and replies: types.hpp. docs/formats/wire.md describes the bytes.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ship/types.hpp"

namespace vectorshard::ship {

/// Appends one value of a row; nothing: NULL.
void append_value(std::string &out, std::optional<std::string_view> value);
/// All values of a row.
std::string encode_values(const std::vector<std::optional<std::string>> &values);
/// Appends a row: `values` as encode_values() gives them.
void append_row(std::string &out, uint16_t table, uint32_t client, Version version, std::string_view values);
/// The batch whose `row_count` rows were appended to `rows`; batch.rows is not looked at.
std::string encode_with_rows(const Batch &batch, uint32_t row_count, std::string_view rows);

}  // namespace vectorshard::ship
