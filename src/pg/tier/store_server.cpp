// Credentials of stores: see store_server.hpp.
#include "pg/tier/store_server.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/reloptions.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

void add_options(std::map<std::string, std::string> &out, List *options) {
  ListCell *lc;
  foreach (lc, options) {
    DefElem *def = static_cast<DefElem *>(lfirst(lc));
    const char *value = bridge::pg_call([&] { return defGetString(def); });
    out[def->defname] = value;
  }
}

std::string found_in(const std::map<std::string, std::string> &options, const std::string &name) {
  auto at = options.find(name);
  return at == options.end() ? "" : at->second;
}

}  // namespace

bool StoreServer::allow_http() const {
  bool on = false;
  return parse_bool(option("allow_http").c_str(), &on) && on;
}

std::string StoreServer::secret(const std::string &name) const { return found_in(mapping, name); }
std::string StoreServer::option(const std::string &name) const { return found_in(options, name); }

StoreServer store_server(const std::string &name) {
  StoreServer out;
  const char *n = name.c_str();
  ForeignServer *server = bridge::pg_call([&] { return GetForeignServerByName(n, true); });
  if (!server) return out;
  out.there = true;
  add_options(out.options, server->options);
  List *options = nullptr;
  out.mapped = bridge::pg_call([&] {
    HeapTuple tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(server->owner), ObjectIdGetDatum(server->serverid));
    if (!HeapTupleIsValid(tuple)) return false;
    bool null;
    Datum d = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &null);
    options = null ? NIL : untransformRelOptions(d);
    ReleaseSysCache(tuple);
    return true;
  });
  add_options(out.mapping, options);
  return out;
}

Error no_credentials(const std::string &name, const StoreServer &server, bool azure) {
  std::string quoted = bridge::pg_call([&] { return quote_identifier(name.c_str()); });
  std::string keys = azure ? "(account_key '…')" : "(access_key_id '…', secret_access_key '…')";
  std::string hint = "CREATE USER MAPPING FOR CURRENT_USER SERVER " + quoted + " OPTIONS " + keys + ";";
  if (!server.there) hint = "CREATE SERVER " + quoted + " TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw; " + hint;
  if (server.mapped) hint = "ALTER USER MAPPING FOR CURRENT_USER SERVER " + quoted + " OPTIONS (ADD …);";
  std::string detail = !server.there ? "There is no foreign server of its name here."
                       : !server.mapped
                           ? "The owner of its foreign server has no user mapping."
                           : azure ? "The user mapping has neither account_key nor sas_token."
                                   : "The user mapping needs access_key_id and secret_access_key.";
  return {Errc::denied, "store \"" + name + "\" has no credentials on this node", detail, hint};
}

}  // namespace vectorshard::tier
