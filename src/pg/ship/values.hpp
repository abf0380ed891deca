// Values between Datums and the bytes that travel: the type's binary send format, or its text output where a type has
// no binary form. Both ends choose by the same rule.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/ship/types.hpp"
#include "pg/bridge/tables.hpp"

namespace vectorshard::ship {

/// The bytes of a value that is not null.
std::string send_value(Oid type, Datum value);
/// The Datum of bytes made by send_value, in the current memory context.
Datum receive_value(Oid type, int32 typmod, std::string_view bytes);
/// The type output text of a value in send format: the name of a client.
std::string text_of_value(Oid type, std::string_view bytes);

/// The batch's description of an enrolled table: all its columns, in order.
Table describe(const bridge::EnrolledTable &table);

/// A row with more bytes than this does not travel: a batch must fit into one message of at most 1 GB, and every node on
/// its way holds it in memory several times.
constexpr size_t kRowBytesMax = size_t{400} << 20;
/// What a debt says of such a row.
std::string too_large_to_travel(const std::string &table, size_t bytes);

}  // namespace vectorshard::ship
