// Budgets of the holder worker: what fits, and what goes for something better. It never takes more than the limits of this node
// say, whatever is wished at once: what is under way counts as if it were here, with the bytes that are expected of it, and a
// client that turns out larger is not taken.
#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/place/economy.hpp"
#include "pg/place/holder.hpp"
extern "C" {
#include "utils/guc.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text;

constexpr double kCountEveryS = 1, kLeastEveryS = 1;
constexpr double kCountShare = 100;  // counting takes at most 1 % of the time
constexpr int kReplacedARound = 4;
constexpr double kRoomForWriterS = 10;
constexpr double kRefusedRetryS = 2, kRefusedLogS = 60;

constexpr char kCountQuery[] = R"(
  SELECT count(*), count(*) FILTER (WHERE c.home <> $1), coalesce(sum(h.bytes) FILTER (WHERE c.home <> $1), 0)::bigint
    FROM vectorshard.resident r LEFT JOIN vectorshard.client c ON c.client = r.client
    LEFT JOIN vectorshard.holder h ON h.client = r.client AND h.node = $1)";
// Of copies whose home has confirmed them; 'Infinity' is never given up, and sorts last.
constexpr char kLeastQuery[] = R"(
  SELECT r.client, c.home, c.epoch, r.generation, coalesce(h.bytes, 0), coalesce(w.value, 0)
    FROM vectorshard.resident r JOIN vectorshard.client c ON c.client = r.client
    LEFT JOIN vectorshard.holder h ON h.client = r.client AND h.node = $1
    LEFT JOIN LATERAL (SELECT max(value) AS value FROM vectorshard.wish
                        WHERE client = r.client AND node = $1 AND until > now()) w ON true
   WHERE c.home <> $1 AND NOT r.leaving AND r.confirmed AND coalesce(w.value, 0) < 'Infinity'
   ORDER BY 6, r.since LIMIT 64)";
constexpr char kValueNowQuery[] = R"(
  SELECT coalesce(max(w.value), 0) FROM vectorshard.resident r
    LEFT JOIN vectorshard.wish w ON w.client = r.client AND w.node = $1 AND w.until > now()
   WHERE r.client = $2 AND NOT r.leaving AND r.confirmed GROUP BY r.client)";

int64_t most_bytes() { return int64_t{bridge::guc::max_bytes_per_node} << 20; }

Error full_error(const std::string &client, const char *limit) {
  std::string value = bridge::pg_call([&] { return GetConfigOptionByName(limit, nullptr, false); });
  bool fabric = std::string_view(limit).starts_with("vectorshard.max_fabric_");
  return Error{Errc::no_space, std::string(fabric ? "the fabric" : "node") + " is full: client \"" + client + "\" is not copied here",
               std::string(limit) + " is " + value + (fabric ? ", and this node's share of what is left of it is used up." : ", and nothing here may go for it."),
               std::string("Raise ") + limit + (fabric ? " on every node" : "") + ", or let clients go with vectorshard.evict()."};
}

}  // namespace

void Holder::recount() {
  double start = now_s();
  if (start < next_count_s_) return;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kCountQuery, {p_int4(bridge::self_node())});
    residents_ = rows.int8(0, 0);
    copies_ = rows.int8(0, 1);
    bytes_ = rows.int8(0, 2);
  }
  tx.commit();
  next_count_s_ = start + std::max(kCountEveryS, kCountShare * (now_s() - start));
}

void Holder::came(const CopyItem &item) {
  sizes_.erase(item.client);
  if (item.resident) return;
  residents_++;
  copies_++;
  bytes_ += static_cast<int64_t>(item.bytes);
}

void Holder::went(int64_t bytes) {
  residents_ = std::max<int64_t>(0, residents_ - 1);
  copies_ = std::max<int64_t>(0, copies_ - 1);
  bytes_ = std::max<int64_t>(0, bytes_ - bytes);
}

size_t Holder::room() {
  recount();
  return copies_admitted(SIZE_MAX, static_cast<size_t>(residents_), in_flight_.size(),
                         static_cast<size_t>(bridge::guc::max_copies_per_node));
}

/// The bytes that are kept for a client. Of one that is not known, twice the usual; once it proved larger, what it had.
size_t Holder::reserve_for(const Missing &m) const {
  auto size = sizes_.find(m.client);
  int64_t known = std::max(m.bytes, size == sizes_.end() ? 0 : size->second);
  int64_t usual = copies_ > 0 ? bytes_ / copies_ : 0;
  return static_cast<size_t>(known > 0 ? reserve_of(known) : reserve_of(0) + 2 * usual);
}

bool Holder::fits(size_t bytes) const {
  if (most_bytes() == 0) return true;
  auto sum = bytes_ + static_cast<int64_t>(bytes);
  for (auto &[client, reserved] : reserved_) sum += static_cast<int64_t>(reserved);
  return sum <= most_bytes();
}

const std::vector<Held> &Holder::least_valuable() {
  double start = now_s();
  if (start < next_least_s_) return least_;
  least_.clear();
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kLeastQuery, {p_int4(bridge::self_node())});
    for (size_t i = 0; i < rows.size(); i++) {
      auto failed = evict_retries_.find(rows.at(i, 0));
      if (in_flight_.contains(rows.at(i, 0)) || (failed != evict_retries_.end() && failed->second.not_before_s > start)) continue;
      least_.push_back({{rows.at(i, 0), static_cast<NodeId>(rows.int8(i, 1)), rows.int8(i, 2), rows.int8(i, 3), rows.int8(i, 4)},
                        rows.float8(i, 5)});
    }
  }
  tx.commit();
  next_least_s_ = start + std::max(kLeastEveryS, kCountShare * (now_s() - start));
  return least_;
}

/// An attempt that failed before is not left standing while there is no room: its home would go on sending what changes.
void Holder::end_attempt(const Missing &m) {
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.holder SET state = 'gone' WHERE client = $1 AND node = $2 AND state = 'copying' AND generation = $3",
                {p_text(m.client), p_int4(bridge::self_node()), bridge::p_int8(m.generation)});
  }
  tx.commit();
}

/// Not a failure of the client: it waits for room, or for a wish that is worth more.
void Holder::refuse(const Missing &m, const char *limit) {
  if (m.state == "copying" && !m.resident) end_attempt(m);
  Error why = full_error(m.client, limit);
  if (m.requested) return fail(m, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, why);
  try_later(m.client, kRefusedRetryS);
  refused_++;
  if (now_s() < next_refused_log_s_) return;
  ereport(LOG, (errmsg("vectorshard holder: %s", why.message.c_str()), errdetail("%s", why.detail.c_str()),
                errhint("%s", why.hint.c_str())));
  next_refused_log_s_ = now_s() + kRefusedLogS;
  refused_ = 0;
}

/// Lets copies go that are worth less, for a client that does not fit beside `planned` others; `bytes` are all theirs. True: now
/// it fits.
bool Holder::make_room(const Missing &m, size_t planned, size_t bytes) {
  bool by_count = room() <= planned;
  int64_t copies = by_count ? static_cast<int64_t>(planned + 1 - room()) : 0, over = 0;
  if (!fits(bytes)) {
    over = bytes_ + static_cast<int64_t>(bytes) - most_bytes();
    for (auto &[client, reserved] : reserved_) over += static_cast<int64_t>(reserved);
  }
  std::vector<HeldValue> held;
  const std::vector<Held> &least = least_valuable();
  for (size_t i = 0; i < least.size(); i++) held.push_back({i, least[i].value, least[i].leaver.bytes, true});
  std::vector<Held> go;
  for (size_t i : replaced_for(m.value, std::move(held), copies, over)) go.push_back(least[i]);
  if (go.empty()) {
    refuse(m, by_count ? "vectorshard.max_copies_per_node" : "vectorshard.max_bytes_per_node");
    return false;
  }
  if (m.requested) {
    // The writer's own transaction would hold up the eviction: it is told to come again, and its client is brought meanwhile.
    room_for_[m.client] = now_s() + kRoomForWriterS;
    requested_.erase(m.client);
    finish_failed(RequestKind::copy, m.client, ERRCODE_LOCK_NOT_AVAILABLE,
                  {Errc::no_space, "client \"" + m.client + "\" is not resident yet", "The node is full; another client goes for it.", "Retry the transaction."});
    more_missing_ = true;
    return false;
  }
  if (replaced_ > 0 && replaced_ + static_cast<int>(go.size()) > kReplacedARound) {
    more_missing_ = true;  // writers are looked after first
    return false;
  }
  for (const Held &h : go)
    if (!replace(h, m.value)) {
      try_later(m.client, kRefusedRetryS);
      return false;
    }
  return room() > planned && fits(bytes);
}

/// One copy goes for one worth `value`: unless it was wished for more meanwhile, and by the handshake with its home.
bool Holder::replace(const Held &h, double value) {
  const Leaver l = h.leaver;
  std::erase_if(least_, [&](const Held &x) { return x.leaver.client == l.client; });
  replaced_++;
  bool worse = false;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto rows = spi.query_kept(kValueNowQuery, {p_int4(bridge::self_node()), p_text(l.client)});
      worse = !rows.empty() && worth_replacing(value, rows.float8(0, 0));
    }
    tx.commit();
  }
  Error why;
  bridge::Link *home = worse && !in_flight_.contains(l.client) ? link(l.home, why) : nullptr;
  if (!home) return false;
  EvictEnd end = evict(l, *home);
  if (end.evicted) {
    evict_retries_.erase(l.client);
    try_later(l.client, kRefusedRetryS);  // its own wish may still be in force
    went(l.bytes);
    return true;
  }
  Retry &retry = evict_retries_[l.client];
  retry.not_before_s = now_s() + std::min(30.0, 1.0 * (1 << std::min(retry.failures++, 5)));
  ereport(DEBUG1, (errmsg("vectorshard holder: %s", end.why.message.c_str())));
  return false;
}

/// What is here beyond the limits, because a client was born here or a limit was lowered: the least valuable copies go.
void Holder::shed() {
  recount();
  int64_t copies = residents_ - bridge::guc::max_copies_per_node, bytes = most_bytes() > 0 ? bytes_ - most_bytes() : 0;
  if (copies <= 0 && bytes <= 0) return;
  std::vector<Held> least = least_valuable();
  for (size_t i = 0; i < least.size() && i < kReplacedARound && (copies > 0 || bytes > 0) && !copies_wanted(); i++) {
    if (!replace(least[i], kPriceless)) continue;
    copies--;
    bytes -= least[i].leaver.bytes;
  }
}

}  // namespace vectorshard::place
