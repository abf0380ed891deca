// The boot record on disk, in shared memory, and the transaction callback that ties both to a commit.
// File access is plain POSIX: this runs in the launcher and in commit callbacks, where ereport has no place.
#include "pg/fabric/boot.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/fabric/launcher.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::fabric {

namespace {

constexpr const char *kDirectory = "vectorshard";  // relative to the data directory, where every server process runs
constexpr const char *kFile = "vectorshard/boot";
constexpr const char *kTemporary = "vectorshard/boot.new";
constexpr const char *kMagic = "vectorshard-boot-2";

Error io_error(const char *what, const char *path) {
  return {Errc::io, std::string("could not ") + what + " file \"" + path + "\": " + strerror(errno), "",
          "Check the disk and the rights of the data directory."};
}

/// Closes a file descriptor at the end of its scope.
struct File {
  int fd;
  explicit File(int f) : fd(f) {}
  ~File() {
    if (fd >= 0) close(fd);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;
};

Result<void> sync_path(const char *path) {
  File f(open(path, O_RDONLY));
  if (f.fd < 0 || fsync(f.fd) != 0) return io_error("fsync", path);
  return {};
}

// What this transaction will do when it commits. Static: they outlive the longjmp of an abort.
std::optional<BootRecord> pending;
std::optional<BootRecord> before;  // what to restore if the commit fails after the file was written
SubTransactionId pending_since = InvalidSubTransactionId;
bool written = false;
bool bump = false;
bool registered = false;

void pre_commit() {
  if (!pending) return;
  auto old = read_boot_record();
  before = old.ok() ? old.value() : std::nullopt;
  bridge::value_or_raise(write_boot_record(*pending));
  written = true;
}

void committed() noexcept {
  if (pending) {
    adopt(*pending);
    wake_launcher();
  }
  if (pending || bump) {
    pg_atomic_fetch_add_u64(&bridge::shared()->catalog_epoch, 1);
    for (int w = 0; w < bridge::kWorkerCount; w++) bridge::wake(static_cast<bridge::Worker>(w));
  }
}

void aborted() noexcept {
  if (!written) return;
  if (before)
    (void)write_boot_record(*before).ok();
  else
    (void)unlink(kFile);
}

void on_transaction_end(XactEvent event, void *) {
  if (!pending && !bump) return;
  if (event == XACT_EVENT_PRE_COMMIT) {
    bridge::entry([] { pre_commit(); });
    return;
  }
  if (event == XACT_EVENT_PREPARE) return;
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) return;
  if (event == XACT_EVENT_COMMIT)
    committed();
  else
    aborted();
  pending.reset();
  before.reset();
  written = bump = false;
}

/// A subtransaction that aborts takes back what was decided in it, or in one that it contains: those have higher numbers.
void on_subtransaction_end(SubXactEvent event, SubTransactionId ended, SubTransactionId, void *) {
  if (event == SUBXACT_EVENT_ABORT_SUB && pending && ended <= pending_since) pending.reset();
}

void watch_transaction() {
  if (registered) return;
  bridge::pg_call([] {
    RegisterXactCallback(on_transaction_end, nullptr);
    RegisterSubXactCallback(on_subtransaction_end, nullptr);
  });
  registered = true;
}

}  // namespace

Result<std::optional<BootRecord>> read_boot_record() {
  File f(open(kFile, O_RDONLY));
  if (f.fd < 0) {
    if (errno == ENOENT) return std::optional<BootRecord>();
    return io_error("open", kFile);
  }
  char buffer[8192];  // twice what kChainMax starts take
  ssize_t n = read(f.fd, buffer, sizeof buffer);
  if (n < 0) return io_error("read", kFile);
  std::istringstream in(std::string(buffer, static_cast<size_t>(n)));
  std::string magic, word, starts;
  uint32_t doubt = 0;
  BootRecord r;
  in >> magic >> r.database >> r.extension >> r.node >> r.uuid >> r.incarnation >> doubt >> r.files >> r.timeline;
  while (in >> word && word != "end") starts += (starts.empty() ? "" : " ") + word;
  auto chain = ship::parse_chain(starts);
  r.doubt = static_cast<Doubt>(doubt);
  if (chain.ok()) r.starts = std::move(chain).value();
  if (!in || magic != kMagic || word != "end" || r.node < 0 || r.node > kNodeMax || !chain.ok()) {
    return Error{Errc::corrupt, "file \"vectorshard/boot\" is not a boot record", "",
                 "Restore it from a backup of this data directory, or remove it and join the fabric anew."};
  }
  return std::optional<BootRecord>(std::move(r));
}

Result<void> write_boot_record(const BootRecord &r) {
  if (mkdir(kDirectory, S_IRWXU) != 0 && errno != EEXIST) return io_error("create", kDirectory);
  std::ostringstream out;
  out << kMagic << '\n' << r.database << '\n' << r.extension << '\n' << r.node << '\n' << r.uuid << '\n'
      << r.incarnation << '\n' << static_cast<uint32_t>(r.doubt) << '\n' << (r.files.empty() ? "-" : r.files) << '\n'
      << r.timeline << '\n' << ship::to_text(r.starts) << "\nend\n";
  std::string text = out.str();
  {
    File f(open(kTemporary, O_WRONLY | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR));
    if (f.fd < 0) return io_error("create", kTemporary);
    if (write(f.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return io_error("write", kTemporary);
    if (fsync(f.fd) != 0) return io_error("fsync", kTemporary);
  }
  if (rename(kTemporary, kFile) != 0) return io_error("rename", kTemporary);
  if (auto synced = sync_path(kDirectory); !synced.ok()) return synced;
  return sync_path(".");
}

void adopt(const BootRecord &r, bool examined) noexcept {
  bridge::Shared *s = bridge::shared();
  Doubt doubt = r.node == kNoNode ? Doubt::none : examined ? r.doubt : Doubt::unexamined;
  pg_atomic_write_u64(&s->start_token, !examined || r.starts.empty() ? 0 : r.starts.back().token);
  pg_atomic_write_u32(&s->doubt, static_cast<uint32_t>(doubt));
  pg_atomic_write_u64(&s->incarnation, static_cast<uint64_t>(r.incarnation));
  pg_atomic_write_u32(&s->database, r.database);
  pg_write_barrier();
  pg_atomic_write_u32(&s->node, static_cast<uint32_t>(r.node));
}

void adopt_at_commit(const BootRecord &record) {
  watch_transaction();
  pending = record;
  pending_since = GetCurrentSubTransactionId();
}

void forget_at_commit(uint32_t extension) {
  if (bridge::self_node() == kNoNode) return;
  auto record = bridge::value_or_raise(read_boot_record());
  if (!record || record->extension != extension) return;
  record->node = kNoNode;
  adopt_at_commit(*record);
}

void resign_at_commit() {
  auto record = bridge::value_or_raise(read_boot_record());
  if (record) forget_at_commit(record->extension);
}

void bump_epoch_at_commit() {
  watch_transaction();
  bump = true;
}

}  // namespace vectorshard::fabric
