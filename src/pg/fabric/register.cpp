// register_node: a new node asks any node, that node asks the registrar, the registrar gives the number. The decision
// itself (duplicates, the number) is vectorshard.register_here in 09_join.sql; here stand the way to it and the clocks.
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/clock_check.hpp"
#include "pg/fabric/copy_table.hpp"
extern "C" {
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
}

using namespace vectorshard;

namespace {

constexpr const char *kParameters[] = {"text", "text", "uuid", "text", "int", "text", "text", "text", "bigint"};
constexpr int kCount = 9;

/// The arguments in text form; the last but one (coverage) may be null.
std::vector<std::optional<std::string>> arguments(FunctionCallInfo fcinfo) {
  std::vector<std::optional<std::string>> out;
  for (int i = 0; i < kCount; i++) {
    if (PG_ARGISNULL(i)) {
      out.emplace_back();
      continue;
    }
    char *text = bridge::pg_call([&] {
      Oid output;
      bool varlena;
      getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, i), &output, &varlena);
      return OidOutputFunctionCall(output, PG_GETARG_DATUM(i));
    });
    out.emplace_back(text);
  }
  return out;
}

std::string call(const char *function) {
  std::string sql = std::string("SELECT ") + function + "(";
  for (int i = 0; i < kCount; i++)
    sql += (i ? ", $" : "$") + std::to_string(i + 1) + "::text::" + kParameters[i];
  return sql + ")";
}

std::string ask_registrar(NodeId registrar, const std::vector<std::optional<std::string>> &args) {
  auto link = bridge::value_or_raise(bridge::session_link(registrar));
  std::vector<bridge::LinkParam> params;
  for (auto &a : args) params.push_back({a, false});
  auto answer = link->query(call("vectorshard.register_node"), params);
  if (!answer.ok()) fabric::raise_remote(*link, answer.error());
  return PQgetvalue(answer.value().get(), 0, 0);
}

std::string register_here(bridge::Spi &spi, const std::vector<std::optional<std::string>> &args) {
  std::vector<bridge::Param> params;
  for (auto &a : args) params.push_back(a ? bridge::p_text(*a) : bridge::p_null(TEXTOID));
  return spi.query(call("vectorshard.register_here"), params).at(0, 0);
}

}  // namespace

VECTORSHARD_FUNCTION(vectorshard_register_node) {
  return bridge::entry([&]() -> Datum {
    auto args = arguments(fcinfo);
    bridge::Spi spi;
    spi.query("SELECT vectorshard.require_member()");
    auto registrar = spi.query("SELECT node FROM vectorshard.node WHERE registrar AND state = 'active'");
    if (registrar.empty())
      bridge::raise({Errc::not_found, "the fabric has no registrar", "No row of vectorshard.node is marked registrar.",
                     "Ask a node that knows the founding node."});
    NodeId node = static_cast<NodeId>(registrar.int8(0, 0));
    std::string row;
    if (node == bridge::self_node()) {
      fabric::check_clock(std::stoll(*args[8]), fabric::wall_clock_ms(), 0);
      row = register_here(spi, args);
    } else {
      // A node that asks for another takes us for the registrar, or this would go to and fro.
      if (std::string(application_name) == "vectorshard link")
        bridge::raise({Errc::conflict, "this node is not the registrar any more", "It is node " + std::to_string(node) + " now.",
                       "Try again: the row that says so is on its way."});
      row = ask_registrar(node, args);
    }
    const char *text = row.c_str();
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(text)); });
  });
}

VECTORSHARD_FUNCTION(vectorshard_wall_clock_ms) {
  return bridge::entry([&]() -> Datum { return Int64GetDatum(fabric::wall_clock_ms()); });
}
