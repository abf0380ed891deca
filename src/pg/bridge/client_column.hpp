// How a client's name is compared with the client column of a table, whatever that column's type.
#pragma once
#include <string>
#include <string_view>

#include "pg/bridge/tables.hpp"

namespace vectorshard::bridge {

/// The condition (parameter $1: the client's name as text) that picks a client's rows of a vector-shard table, written so
/// that an index on the column serves it; empty if no value of the column can have that name.
std::string client_condition(const EnrolledTable &table, std::string_view client);

}  // namespace vectorshard::bridge
