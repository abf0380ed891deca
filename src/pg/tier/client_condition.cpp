// Conditions on the client column: see client_condition.hpp.
#include "pg/tier/client_condition.hpp"

#include "pg/bridge/guard.hpp"

#include <charconv>
extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace vectorshard::tier {

namespace {

/// True if the text is what the type gives for some value: a table whose clients are numbers holds none named "car".
bool can_be(Oid type, const std::string &client) {
  auto within = [&](int64_t most) {
    int64_t value = 0;
    auto end = client.data() + client.size();
    auto [stop, error] = std::from_chars(client.data(), end, value);
    return error == std::errc() && stop == end && std::to_string(value) == client && value <= most && value >= -most - 1;
  };
  switch (type) {
    case INT2OID: return within(INT16_MAX);
    case INT4OID: return within(INT32_MAX);
    case INT8OID: return within(INT64_MAX);
    case UUIDOID: return client.size() == 36 && client.find_first_not_of("-0123456789abcdef") == std::string::npos;
    default: return true;
  }
}

}  // namespace

ClientCondition condition_on(const bridge::EnrolledTable &table, const std::vector<std::string> &clients) {
  ClientCondition out;
  for (const bridge::EnrolledColumn &c : table.columns) {
    if (c.attnum != table.client_attnum) continue;
    out.column = bridge::pg_call([&] { return quote_identifier(c.name.c_str()); });
    bool text = c.type == TEXTOID || c.type == VARCHAROID;
    out.sql = out.column + " = ANY ($1" + (text ? "" : "::" + c.type_text() + "[]") + ")";
    for (const std::string &client : clients)
      if (can_be(c.type, client)) out.clients.push_back(client);
  }
  return out;
}

}  // namespace vectorshard::tier
