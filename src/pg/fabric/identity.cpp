// SQL functions about who this node is: create_fabric and join_fabric (06_fabric.sql, join.cpp) are built on them.
// They change identity only at commit, through the boot record.
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/boot.hpp"
extern "C" {
#include "access/xlog.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/uuid.h"
}

using namespace vectorshard;

namespace {

Oid extension_oid() {
  return bridge::pg_call([] { return get_extension_oid("vectorshard", false); });
}

/// The boot record of this database if there is one; raises if another living database of this server has it.
std::optional<fabric::BootRecord> own_record() {
  auto record = bridge::value_or_raise(fabric::read_boot_record());
  if (!record) return std::nullopt;
  if (record->database == MyDatabaseId) {
    if (record->extension == extension_oid()) return record;
    return std::nullopt;
  }
  bridge::Spi spi;
  auto other = spi.query("SELECT datname FROM pg_database WHERE oid = $1", {bridge::p_oid(record->database)});
  if (other.empty()) return std::nullopt;
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this server is already a member of a fabric",
                         "Database \"" + other.at(0, 0) + "\" is node " + std::to_string(record->node) + ".",
                         "A server holds one member of a fabric; use another server, or drop that database.");
}

/// The uuid of this database's node: that of the boot record, else a new one, on disk before anybody hears of it.
std::string durable_uuid() {
  if (auto record = own_record()) return record->uuid;
  bridge::Spi spi;
  fabric::BootRecord fresh;
  fresh.database = MyDatabaseId;
  fresh.extension = extension_oid();
  fresh.uuid = spi.query("SELECT gen_random_uuid()").at(0, 0);
  bridge::value_or_raise(fabric::write_boot_record(fresh));
  return fresh.uuid;
}

}  // namespace

VECTORSHARD_FUNCTION(vectorshard_self_node) {
  return bridge::entry([&]() -> Datum { return Int32GetDatum(bridge::self_node()); });
}

VECTORSHARD_FUNCTION(vectorshard_boot_uuid) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    std::string uuid = durable_uuid();
    const char *text = uuid.c_str();
    return bridge::pg_call([&] { return DirectFunctionCall1(uuid_in, CStringGetDatum(text)); });
  });
}

VECTORSHARD_FUNCTION(vectorshard_adopt_identity) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    fabric::BootRecord record;
    record.database = MyDatabaseId;
    record.extension = extension_oid();
    record.node = PG_GETARG_INT32(0);
    record.incarnation = PG_GETARG_INT64(1);
    record.uuid = durable_uuid();
    bridge::value_or_raise(fabric::take_facts(record));
    record.starts = {fabric::new_start(GetFlushRecPtr(nullptr))};
    fabric::adopt_at_commit(record);
    return 0;
  });
}

VECTORSHARD_FUNCTION(vectorshard_bump_catalog_epoch) {
  return bridge::entry([&]() -> Datum {
    if (bridge::shared()) fabric::bump_epoch_at_commit();
    return 0;
  });
}
