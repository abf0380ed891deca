// The enrolled tables of this database, as the stages need them: cached per backend, refreshed when the catalog epoch
// moves or a relation changes. Looking one up needs an open transaction.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/attnum.h"
#include "storage/lockdefs.h"
}

namespace vectorshard::bridge {

struct EnrolledColumn {
  std::string name;
  AttrNumber attnum = 0;
  Oid type = InvalidOid;
  int32 typmod = -1;
  /// format_type() with modifiers, under the search path of bridge/spi. Looked up when it is first asked for: a type's own
  /// modifiers may load a library (PostGIS's is 10 ms of a new session), and most sessions need no text.
  const std::string &type_text() const;

 private:
  mutable std::string type_text_;
};

struct EnrolledTable {
  Oid relid = InvalidOid;
  Oid owner = InvalidOid;
  std::string name;                     // "schema.table", quoted where needed: its name in the fabric
  bool reference = false;               // reference table: no client, every node holds it
  bool home = false;                    // read and written at the clients' homes alone (consistency home)
  bool fabric = false;                  // one of the extension's own reference tables (node, client, wish, ...)
  std::string client_column;            // empty for reference tables
  AttrNumber client_attnum = 0;
  AttrNumber version_attnum = 0;
  std::vector<EnrolledColumn> columns;  // live, not generated, in attnum order; includes _version
  std::vector<AttrNumber> key;          // the primary key's columns, in key order
  Oid elsewhere = InvalidOid;           // the foreign child, if any
  bool only_child = false;              // and no table inherits beside it
};

/// The enrolled table, or null. Valid until the next call that may process invalidations (any catalog access):
/// copy what must outlive that.
const EnrolledTable *enrolled_table(Oid relid);
const EnrolledTable *enrolled_table_by_name(const std::string &name);
/// All enrolled tables, fabric tables first, sorted by name: the order in which batches apply and lock.
std::vector<const EnrolledTable *> enrolled_tables();

/// The table as it is under the lock, which keeps ALTER away until the transaction ends; nothing if it is not enrolled (any
/// more). Whoever takes the columns first and the lock then, may read or write the columns of yesterday.
std::optional<EnrolledTable> locked_table(const std::string &name, LOCKMODE mode);
/// Locks tables to be read, before the snapshot is taken: the one that is named, or all vector-shard tables.
void lock_to_read(const std::string &name);
/// The table, locked to be read under the active snapshot. Raises 40001 if it was altered after that was taken: a table that
/// was rewritten since looks empty under it.
std::optional<EnrolledTable> table_to_read(const std::string &name);

/// A key in stable text form: one element a key column, in key order, by type output under fixed settings
/// (ISO dates, full float digits). The same text on every node.
std::vector<std::string> key_text(const EnrolledTable &table, const Datum *values_by_attnum);

}  // namespace vectorshard::bridge
