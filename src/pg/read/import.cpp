// Importing Parquet files of a store as foreign tables: see import.hpp.
#include "pg/read/import.hpp"

#include <map>
#include <set>

#include "pg/bridge/guard.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
}

namespace vectorshard::read {

namespace {

using Columns = std::vector<tier::ForeignColumn>;

std::string quoted(const std::string &name) {
  const char *n = name.c_str();
  return bridge::pg_call([&] { return quote_identifier(n); });
}
std::string literal(const std::string &text) {
  const char *t = text.c_str();
  return bridge::pg_call([&] { return quote_literal_cstr(t); });
}

/// The last part of a key, without the suffix.
std::string base_name(const std::string &key) {
  std::string name = key.substr(key.rfind('/') + 1);
  if (name.ends_with(".parquet")) name.resize(name.size() - 8);
  return name;
}

/// `per file` or `per folder`; "" where nothing is said: a folder, if its files are alike.
std::string per_option(ImportForeignSchemaStmt *statement) {
  std::string per;
  ListCell *lc;
  foreach (lc, statement->options) {
    DefElem *def = static_cast<DefElem *>(lfirst(lc));
    const char *value = bridge::pg_call([&] { return defGetString(def); });
    if (strcmp(def->defname, "per") != 0)
      bridge::raise_sqlstate(ERRCODE_FDW_INVALID_OPTION_NAME, std::string("invalid option \"") + def->defname + "\"", "", "Valid options in this context are: per.");
    per = value;
    if (per != "file" && per != "folder")
      bridge::raise_sqlstate(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, "invalid value for option \"per\": \"" + per + "\"", "", "Give file or folder.");
  }
  return per;
}

void check_columns(const std::string &key, const Columns &columns) {
  std::set<std::string> names;
  for (const tier::ForeignColumn &c : columns)
    if (c.name.empty() || c.name.size() >= NAMEDATALEN || !names.insert(c.name).second)
      bridge::raise_sqlstate(ERRCODE_FDW_INVALID_COLUMN_NAME, "object \"" + key + "\" cannot be imported",
                             "Its column \"" + c.name + "\" has a name that PostgreSQL cannot have, or that is there twice.", "Leave it out with EXCEPT.");
}

void tell(const std::string &table, const tier::ForeignColumn &c) {
  if (c.remark.empty()) return;
  const char *name = table.c_str(), *column = c.name.c_str(), *type = c.type.c_str(), *remark = c.remark.c_str();
  bridge::pg_call([&] { ereport(NOTICE, (errmsg("column \"%s\" of foreign table \"%s\" is of type %s", column, name, type), errdetail("%s", remark))); });
}

std::string statement_of(const std::string &table, const Columns &columns, const char *server, const char *option, const std::string &value) {
  std::string list;
  for (const tier::ForeignColumn &c : columns) list += (list.empty() ? "" : ", ") + quoted(c.name) + " " + c.type;
  for (const tier::ForeignColumn &c : columns) tell(table, c);
  return "CREATE FOREIGN TABLE " + quoted(table) + " (" + list + ") SERVER " + quoted(server) + " OPTIONS (role 'parquet', " + option + " " + literal(value) + ")";
}

/// Whether a table of that name is wanted: LIMIT TO and EXCEPT spare reading a file.
bool wanted(const std::string &table, ImportForeignSchemaStmt *statement) {
  const char *name = table.c_str();
  return bridge::pg_call([&] { return IsImportableForeignTable(name, statement); });
}

}  // namespace

List *import_schema(ImportForeignSchemaStmt *statement, Oid server_oid) {
  ForeignServer *server = bridge::pg_call([&] { return GetForeignServer(server_oid); });
  if (!server->servertype || strcmp(server->servertype, "store") != 0)
    bridge::raise_sqlstate(ERRCODE_FDW_ERROR, std::string("server \"") + server->servername + "\" is none of a store",
                           "Its type is not 'store'.", "CREATE SERVER name-of-the-store TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw;");
  std::string per = per_option(statement), folder = statement->remote_schema;
  while (folder.ends_with('/')) folder.pop_back();
  std::vector<store::ObjectInfo> objects = tier::foreign_objects(server->servername, folder);
  if (objects.empty())
    bridge::raise_sqlstate(ERRCODE_FDW_SCHEMA_NOT_FOUND, "there are no Parquet files in \"" + folder + "\" of store \"" + server->servername + "\"",
                           "Files directly in the folder count, whose names end in .parquet.", "Name a folder of the store.");
  std::vector<std::string> out;
  std::map<std::string, Columns> files;
  bool as_folder = per != "file" && (per == "folder" || objects.size() > 1) && wanted(base_name(folder), statement);
  for (const store::ObjectInfo &o : objects)
    if (as_folder || wanted(base_name(o.key), statement)) check_columns(o.key, files[o.key] = tier::foreign_columns(server->servername, o));
  bool alike = true;
  Columns common = files.empty() ? Columns() : files.begin()->second;
  for (const auto &[key, columns] : files) alike = alike && tier::share_columns(&common, columns);
  if (as_folder && !alike && per == "folder")
    bridge::raise_sqlstate(ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION, "the files in \"" + folder + "\" have different columns", "",
                           "Import them one by one: OPTIONS (per 'file').");
  if (as_folder && alike)
    out.push_back(statement_of(base_name(folder), common, server->servername, "folder", folder));
  else
    for (const auto &[key, columns] : files)
      if (wanted(base_name(key), statement)) out.push_back(statement_of(base_name(key), columns, server->servername, "file", key));
  List *statements = NIL;
  for (const std::string &s : out) {
    const char *text = s.c_str();
    statements = bridge::pg_call([&] { return lappend(statements, pstrdup(text)); });
  }
  return statements;
}

}  // namespace vectorshard::read
