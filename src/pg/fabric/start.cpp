// Starts and doubt: see start.hpp and api.hpp. What can be seen on this machine alone is seen here, at once: a directory
// that was copied has other files (inode and time of birth), a promoted standby or a recovered backup has another
// timeline. What only peers can tell comes through enter_doubt(). Doubt stands in the boot record until the fabric has
// given a new incarnation (new_life.cpp); it must never end by itself.
#include "pg/fabric/start.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/link.hpp"
#include "pg/fabric/boot.hpp"
#include "pg/fabric/new_life.hpp"
extern "C" {
#include "access/xlog.h"
#include "utils/fmgrprotos.h"
}

namespace vectorshard::fabric {

namespace {

// Both are made once, by initdb or by whatever copies the directory, and written in place ever after.
constexpr const char *kFiles[] = {"PG_VERSION", "global/pg_control"};
constexpr int kExaminedWaitMs = 5000, kPollMs = 5;
constexpr int kTokenMs = 1500;

const char *reason(Doubt doubt) {
  switch (doubt) {
    case Doubt::none: break;
    case Doubt::unexamined: return "Its launcher has not looked at this start yet.";
    case Doubt::copied: return "Its data directory is a copy: restored from a backup, moved, or cloned.";
    case Doubt::timeline: return "It is on another timeline than before: a promoted standby, or a recovered backup.";
    case Doubt::past: return "A peer has heard more of this node than this server knows: it comes from the past.";
    case Doubt::clone: return "Another server answers under the address of this node: this one is a clone.";
    case Doubt::removed: return "A member says that this node was removed from the fabric by force: other nodes have its homes.";
  }
  return "";
}

/// Inode and birth of a file, where the file system tells.
Result<std::string> identity_of(const char *path) {
  struct statx s {};
  if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &s) != 0)
    return Error{Errc::io, std::string("could not stat file \"") + path + "\": " + strerror(errno), "", ""};
  int64_t born = s.stx_mask & STATX_BTIME ? s.stx_btime.tv_sec * INT64CONST(1000000000) + s.stx_btime.tv_nsec : 0;
  return std::to_string(s.stx_ino) + "." + std::to_string(born);
}

void log_doubt(Doubt doubt) {
  ereport(LOG, (errmsg("vectorshard: it is not certain that this server is node %u; nothing is stamped or shipped",
                       pg_atomic_read_u32(&bridge::shared()->node)),
                errdetail("%s", reason(doubt)), errhint("A new incarnation is asked for.")));
}

}  // namespace

Result<void> take_facts(BootRecord &record) {
  record.files.clear();
  for (const char *path : kFiles) {
    auto file = identity_of(path);
    if (!file.ok()) return file.error();
    record.files += (record.files.empty() ? "" : ",") + file.value();
  }
  record.timeline = GetWALInsertionTimeLine();
  return {};
}

ship::Start new_start(ship::Lsn position) {
  ship::Start start;
  start.position = position;
  bridge::pg_call([&] {
    // Positive, so that SQL can hold it as bigint; 0 stands for none.
    do {
      if (!pg_strong_random(&start.token, sizeof start.token)) elog(ERROR, "could not draw a random number");
      start.token &= PG_INT64_MAX;
    } while (start.token == 0);
  });
  return start;
}

void examine_start() {
  if (pg_atomic_read_u32(&bridge::shared()->node) == kNoNode) return;
  auto read = bridge::value_or_raise(read_boot_record());
  if (!read) return;
  BootRecord record = std::move(*read);
  BootRecord now;
  bridge::value_or_raise(take_facts(now));
  if (record.doubt == Doubt::none && now.files != record.files) record.doubt = Doubt::copied;
  if (record.doubt == Doubt::none && now.timeline != record.timeline) record.doubt = Doubt::timeline;
  // Where recovery ended is where the WAL of the start before ended, or later.
  ship::Start start = new_start(GetRedoRecPtr());
  if (record.doubt == Doubt::none) ship::add_start(record.starts, start);
  bridge::value_or_raise(write_boot_record(record));
  if (record.doubt != Doubt::none) record.starts = {start};  // not a start of the node, only of this server
  adopt(record);
  if (record.doubt != Doubt::none) log_doubt(record.doubt);
}

void enter_doubt(Doubt why) {
  if (!certain()) return;
  auto record = bridge::value_or_raise(read_boot_record());
  // Right after a new incarnation was given, the fabric has just looked who answers under the address.
  if (!record || (why == Doubt::clone && record->starts.size() == 1)) return;
  record->doubt = why;
  bridge::value_or_raise(write_boot_record(*record));
  // Two servers from one snapshot of a running one have the same token.
  record->starts = {new_start(0)};
  adopt(*record);
  log_doubt(why);
}

void require_certain() {
  for (int waited = 0; doubt() == Doubt::unexamined && waited < kExaminedWaitMs; waited += kPollMs)
    bridge::pg_call([] {
      CHECK_FOR_INTERRUPTS();
      pg_usleep(kPollMs * 1000L);
    });
  if (certain() || begins_new_life()) return;
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "it is not certain that this server is node " + std::to_string(bridge::self_node()), reason(doubt()),
                         "It asks the fabric for a new incarnation by itself: the registrar must answer, and must reach it under "
                         "the address in vectorshard.nodes. To use a clone, DROP EXTENSION vectorshard CASCADE and join anew.");
}

ship::StartChain own_starts() {
  auto record = bridge::value_or_raise(read_boot_record());
  return record ? record->starts : ship::StartChain{};
}

Result<uint64_t> token_at(NodeId node) {
  if (node == bridge::self_node()) return pg_atomic_read_u64(&bridge::shared()->start_token);
  auto link = bridge::Link::connect(node, "vectorshard link", kTokenMs);
  if (!link.ok()) return link.error();
  auto answer = link.value()->query("SELECT vectorshard.start_token()", {}, false, kTokenMs);
  if (!answer.ok()) return answer.error();
  return static_cast<uint64_t>(std::stoll(PQgetvalue(answer.value().get(), 0, 0)));
}

}  // namespace vectorshard::fabric

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_start_token) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    return Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(&bridge::shared()->start_token)));
  });
}

VECTORSHARD_FUNCTION(vectorshard_require_certain) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    if (bridge::self_node() != kNoNode) fabric::require_certain();
    PG_RETURN_VOID();
  });
}

/// True if the server that answers under the address of a node is the one with this token. Raises if none answers.
VECTORSHARD_FUNCTION(vectorshard_answers_as) {
  return bridge::entry([&]() -> Datum {
    auto token = bridge::value_or_raise(fabric::token_at(PG_GETARG_INT32(0)));
    return BoolGetDatum(static_cast<int64>(token) == PG_GETARG_INT64(1));
  });
}
