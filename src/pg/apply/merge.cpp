// Merging a batch (docs/architecture.md, "Apply"): fabric tables first, because they say whose rows are taken here, then
// the rows of clients and reference tables, then tombstones. Nothing is taken for a client that is not resident. Each
// decision is by version, so a batch may come twice, late, or in any order.
#include "core/base/version.hpp"
#include "pg/apply/merge.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/apply/clock.hpp"
#include "pg/apply/conflict.hpp"
#include "pg/apply/deadlock_scope.hpp"
#include "pg/apply/merge_clients.hpp"
#include "pg/apply/merge_rows.hpp"
#include "pg/apply/merge_tombstones.hpp"
#include "pg/apply/resident_known.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/apply/tombstone.hpp"
#include "pg/apply/transient.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/spi.hpp"

namespace vectorshard::apply {

namespace {

using ship::BatchKind;
using ship::RefusalReason;

/// Whether run_on_all_nodes() has given statements that this node has not tried yet.
bool statements_to_run() {
  return bridge::Spi()
      .query_kept("SELECT EXISTS (SELECT FROM vectorshard.ddl d WHERE NOT EXISTS "
                  "(SELECT FROM vectorshard.ddl_done t WHERE t.statement = d.statement))")
      .boolean(0, 0);
}

class Merge {
 public:
  Merge(const ship::Batch &batch, MergeMode mode, std::string *why) : batch_(batch), mode_(mode), why_(why) {}
  ship::Reply run();

 private:
  void make_groups(bool fabric);
  bool in_time(const ship::Row &row);
  void sort_rows_in(bool fabric);
  std::optional<RefusalReason> refusal(const ship::Row &row, const Group &group);
  void refuse(const ship::Row &row, RefusalReason reason);
  void merge_fabric(Group &group);
  void merge_group(Group &group);
  Outcome write(const Group &group, size_t begin, size_t end);
  void write_carefully(const Group &group);
  void account(const Group &group, const Outcome &outcome);
  void dead_letter(const Group *group, const ship::Row &row, const char *kind, const std::string &reason);
  void record_beaten(const Group &group, const Beaten &beaten);
  bool accepts_any_age(const Group &group);
  bool all_from_home();

  const ship::Batch &batch_;
  MergeMode mode_;
  std::string *why_;
  ship::Reply reply_;
  std::vector<Group> groups_;  // by index of the batch's table; without a name: not merged here
  std::vector<std::optional<RefusalReason>> table_refusal_;
  std::vector<size_t> order_;  // groups in the order of merging
  std::vector<std::optional<ship::Refusal>> clients_;  // by index; of those decided
  std::vector<bool> decided_;
  std::vector<uint32_t> taken_;
  Version future_limit_ = 0;
  Version newest_ = 0;  // of the rows seen so far
  std::vector<NewHolder> new_holders_;
  std::set<std::pair<uint32_t, int>> refused_;
};

/// The tables of the batch by name: the order of locking.
std::vector<size_t> in_locking_order(const std::vector<ship::Table> &tables) {
  std::vector<size_t> out;
  for (size_t i = 0; i < tables.size(); i++) out.push_back(i);
  std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return tables[a].name < tables[b].name; });
  return out;
}

/// Group of each table of the batch that is one of the fabric, or of the others, or why its rows are refused; and the order:
/// fabric tables, tables, tombstones. Users' tables are locked before their columns are looked at: with the columns from
/// before an ALTER that commits in between, rows would be written as if they had no value for what it adds.
void Merge::make_groups(bool fabric) {
  for (size_t i : in_locking_order(batch_.tables)) {
    const std::string &name = batch_.tables[i].name;
    const bridge::EnrolledTable *known = bridge::enrolled_table_by_name(name);
    if ((known && known->fabric) != fabric) continue;
    auto local = fabric ? std::optional(*known) : bridge::locked_table(name, RowExclusiveLock);
    bool unheard = fabric && name == "vectorshard.store" && !bridge::guc::accept_ddl_from_peers;  // its URL is a directory of this server
    if (!local || unheard)
      table_refusal_[i] = RefusalReason::no_table;
    else if (!same_columns(*local, batch_.tables[i]))
      table_refusal_[i] = RefusalReason::schema;
    else {
      groups_[i] = make_group(*local, batch_.tables[i]);
      order_.push_back(i);
    }
  }
  auto rank = [&](size_t i) { return groups_[i].tombstones() ? 2 : groups_[i].table.fabric ? 0 : 1; };
  std::sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return groups_[a].table.name < groups_[b].table.name;
  });
}

/// False for a row from the future; it waits as a dead letter.
bool Merge::in_time(const ship::Row &row) {
  if (row.version <= future_limit_) {
    newest_ = std::max(newest_, row.version);
    return true;
  }
  dead_letter(nullptr, row, "future", "its version is more than max_clock_skew_ms ahead");
  return false;
}

void Merge::refuse(const ship::Row &row, RefusalReason reason) {
  bool by_table = reason == RefusalReason::schema || reason == RefusalReason::no_table;
  if (!refused_.insert({row.client, by_table ? row.table : -1}).second) return;
  ship::Refusal r;
  if (!by_table) r = *clients_[row.client];
  r.client = batch_.clients[row.client].name;
  r.reason = reason;
  if (by_table) r.table = batch_.tables[row.table].name;
  reply_.refusals.push_back(std::move(r));
}

std::optional<RefusalReason> Merge::refusal(const ship::Row &row, const Group &group) {
  const ClientName &client = batch_.clients[row.client].name;
  if (client.empty() || !(group.sharded() || group.tombstones())) return {};
  if (!decided_[row.client]) {
    decided_[row.client] = true;
    if (!known_resident(client)) clients_[row.client] = decide_client(client);
    if (!clients_[row.client]) taken_.push_back(row.client);
  }
  if (clients_[row.client]) return clients_[row.client]->reason;
  return {};
}

/// Puts the rows of the fabric's tables, or of all others, into their groups, unless they are refused.
void Merge::sort_rows_in(bool fabric) {
  for (const ship::Row &row : batch_.rows) {
    if (table_refusal_[row.table]) {
      refuse(row, *table_refusal_[row.table]);  // once a client and table, however often
      continue;
    }
    Group &group = groups_[row.table];
    bool early = group.table.fabric && !group.tombstones();
    if (early != fabric || !in_time(row)) continue;
    if (auto reason = refusal(row, group))
      refuse(row, *reason);
    else
      add_row(group, row);
  }
  observe(newest_);  // before any of them is written
}

/// Whether rows older than the tombstones kept here are inserted all the same. A reference table that is empty here is as
/// good as an empty residency, and fabric rows have one writer each.
bool Merge::accepts_any_age(const Group &group) {
  bool copy = batch_.kind == BatchKind::copy, full_state = batch_.kind == BatchKind::sync;
  if (copy || group.table.fabric) return true;
  if (!full_state) return false;
  if (group.sharded()) return takes_any_age(copy, full_state, all_from_home(), batch_.clock, tombstone_horizon());
  return !bridge::Spi().query("SELECT EXISTS (SELECT FROM ONLY " + group.table.name + ")").boolean(0, 0);
}

/// The sender is the home of every client of the batch.
bool Merge::all_from_home() {
  std::vector<std::string> names;
  for (const ship::BatchClient &c : batch_.clients) names.push_back(c.name);
  bridge::Rows homes = bridge::Spi().query_kept(
      "SELECT count(*) FILTER (WHERE home = $2) FROM vectorshard.client WHERE client = ANY ($1)",
      {bridge::p_text_array(names), bridge::p_int4(batch_.from)});
  return homes.int8(0, 0) == static_cast<int64_t>(names.size());
}

Outcome Merge::write(const Group &group, size_t begin, size_t end) {
  if (group.tombstones()) return write_tombstones(group, begin, end, batch_.kind != BatchKind::copy);
  WriteOptions options;
  options.find_beaten = batch_.kind == BatchKind::stream && !group.table.fabric && mode_ != MergeMode::retry;
  options.insert_together = mode_ == MergeMode::plain;
  options.refuse_too_old = !accepts_any_age(group);
  return write_rows(group, begin, end, options);
}

void Merge::write_carefully(const Group &group) {
  std::string reason;
  std::vector<size_t> failed = bisect(group.items.size(), [&](size_t begin, size_t end) {
    try {
      bridge::Subtransaction sub;
      Outcome outcome = write(group, begin, end);
      sub.release();
      account(group, outcome);
      return true;
    } catch (const bridge::PgError &e) {
      if (transient(e)) throw_again(e);
      reason = e.message + (e.detail.empty() ? "" : " (" + e.detail + ")");
      if (end - begin > 1) return false;
      const ship::Row &row = *group.items[begin].row;
      if (!group.table.fabric && statements_to_run())
        refuse(row, RefusalReason::schema);  // it may be of the kind that one of them lets in
      else
        dead_letter(&group, row, "dead_letter", reason);
      return false;
    }
  });
}

void Merge::merge_group(Group &group) {
  if (group.items.empty()) return;
  size_t given = group.items.size();
  keep_newest(group);
  reply_.stale += static_cast<uint32_t>(given - group.items.size());
  if (mode_ == MergeMode::plain)
    account(group, write(group, 0, group.items.size()));
  else
    write_carefully(group);
}

/// A wish or a holder row of another node is nothing for this node's holder to do.
bool names_this_node(const Group &group) {
  NodeId self = bridge::self_node();
  return std::any_of(group.items.begin(), group.items.end(),
                     [&](const Item &item) { return integer_value(group, *item.row, "node") == self; });
}

void Merge::merge_fabric(Group &group) {
  if (group.items.empty()) return;
  const std::string &name = group.table.name;
  if (name == "vectorshard.holder") new_holders_ = new_holders(group);
  std::vector<ClientName> moved;
  if (name == "vectorshard.client") moved = moved_homes(group);
  uint32_t before = reply_.applied;
  merge_group(group);
  if (reply_.applied == before) return;
  owe_after_moves(moved);
  bool catalog = name == "vectorshard.node" || name == "vectorshard.shard_table" || name == "vectorshard.ddl";
  if (catalog) bridge::catalog_changed();
  bool for_all = catalog || name == "vectorshard.client";
  bool for_one = name == "vectorshard.wish" || name == "vectorshard.holder";
  if (for_all || (for_one && names_this_node(group))) bridge::wake_at_commit(bridge::kHolder);
}

void Merge::account(const Group &group, const Outcome &outcome) {
  reply_.applied += outcome.applied;
  reply_.stale += outcome.stale;
  for (const SetAside &s : outcome.set_aside) dead_letter(&group, *group.items[s.item].row, s.kind, s.reason);
  for (const Beaten &b : outcome.beaten) record_beaten(group, b);
}

void Merge::dead_letter(const Group *group, const ship::Row &row, const char *kind, const std::string &reason) {
  reply_.dead_letters++;
  if (why_) *why_ = reason;
  if (mode_ == MergeMode::retry) return;
  std::string key = "version " + std::to_string(row.version);
  if (group) {
    try {
      bridge::Subtransaction sub;
      key = key_label(item_key(*group, Item{&row, {}, {}}));
      sub.release();
    } catch (const bridge::PgError &) {
      // Its key cannot be read: it goes by its version.
    }
  }
  record_dead_letter(batch_, row, key, kind, reason);
}

/// A row that another node wrote beat this one. Where the winner's writer had seen the loser this is no conflict, but
/// that cannot be known from two versions; the same node's later write is none for certain.
void Merge::record_beaten(const Group &group, const Beaten &beaten) {
  const ship::Row &row = *group.items[beaten.item].row;
  if (version_node(row.version) == version_node(beaten.winner)) return;
  record_conflict("beaten", group.table.name, batch_.clients[row.client].name, key_label(item_key(group, group.items[beaten.item])),
                  beaten.winner, row.version, "a newer row of another node was here", {});
}

ship::Reply Merge::run() {
  UserScope owner(extension_owner(), false);
  DeadlockScope victim;
  future_limit_ = future_limit();
  observe_peer(batch_.clock);
  clients_.resize(batch_.clients.size());
  decided_.resize(batch_.clients.size());
  groups_.resize(batch_.tables.size());
  table_refusal_.resize(batch_.tables.size());
  make_groups(true);
  sort_rows_in(true);
  for (size_t i : order_)
    if (groups_[i].table.fabric && !groups_[i].tombstones()) merge_fabric(groups_[i]);
  // Its locks before the look at residency: whoever evicts waits for us, or we see that the client leaves.
  make_groups(false);
  sort_rows_in(false);
  uint32_t before = reply_.applied;
  for (size_t i : order_)
    if (!groups_[i].table.fabric || groups_[i].tombstones()) merge_group(groups_[i]);
  owe_as_home(batch_, taken_, reply_.applied > before, new_holders_);
  reply_.clock = clock_now();
  return std::move(reply_);
}

}  // namespace

ship::Reply merge_batch(const ship::Batch &batch, MergeMode mode, std::string *why) {
  return Merge(batch, mode, why).run();
}

ship::Reply merge(const ship::Batch &batch) {
  try {
    bridge::Subtransaction sub;
    ship::Reply reply = merge_batch(batch, MergeMode::plain, nullptr);
    sub.release();
    return reply;
  } catch (const bridge::PgError &e) {
    if (transient(e)) throw_again(e);
  }
  return merge_batch(batch, MergeMode::careful, nullptr);
}

}  // namespace vectorshard::apply
