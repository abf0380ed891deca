// "The rows of these clients" as SQL that the primary key's index can serve, whatever the type of the client column.
#pragma once
#include <string>
#include <vector>

#include "pg/bridge/tables.hpp"

namespace vectorshard::tier {

struct ClientCondition {
  std::string column;                // the client column, quoted
  std::string sql;                   // condition with $1, text[]
  std::vector<std::string> clients;  // value of $1: those that the column's type can hold at all
};

ClientCondition condition_on(const bridge::EnrolledTable &table, const std::vector<std::string> &clients);

}  // namespace vectorshard::tier
