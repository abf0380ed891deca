// Scans of rows that are elsewhere: see elsewhere.hpp.
#include "pg/read/elsewhere.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/place/api.hpp"
#include "pg/read/held.hpp"
#include "pg/read/home_marks.hpp"
#include "pg/read/home_moves.hpp"
#include "pg/read/home_tables.hpp"
#include "pg/read/look_ahead.hpp"
#include "pg/read/partition_scan.hpp"
#include "pg/read/plan.hpp"
#include "pg/read/remote_conditions.hpp"
#include "pg/read/whereabouts.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace vectorshard::read {

namespace {

// Residency of so many clients is kept while rows of all clients are read.
constexpr size_t kMaxCached = 100000;

ForeignScan *plan_of(ForeignScanState *node) { return castNode(ForeignScan, node->ss.ps.plan); }

[[noreturn]] void refuse_telemetry() {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "vectorshard.telemetry can only be written",
                         "Reports become the motion of their clients; they are not kept.",
                         "Use vectorshard.predict() for where a client is going.");
}

/// Has a value that only the execution gives: of an outer row, or of another part of the query.
bool depends_on_execution(Node *node, void *) {
  if (!node) return false;
  if (IsA(node, Param)) return castNode(Param, node)->paramkind == PARAM_EXEC;
  auto walker = reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(depends_on_execution));
  return expression_tree_walker(node, walker, nullptr);
}

/// Memory for one row after the other; back in that of before when it ends, after an error with the query's.
class RowMemory {
 public:
  RowMemory()
      : context_(bridge::pg_call([] { return AllocSetContextCreate(CurrentMemoryContext, "vectorshard row", ALLOCSET_DEFAULT_SIZES); })),
        before_(MemoryContextSwitchTo(context_)) {}
  ~RowMemory() {
    MemoryContextSwitchTo(before_);
    MemoryContextDelete(context_);
  }
  RowMemory(const RowMemory &) = delete;
  RowMemory &operator=(const RowMemory &) = delete;
  void reset() { MemoryContextReset(context_); }

 private:
  MemoryContext context_, before_;
};

}  // namespace

ElsewhereScan::ElsewhereScan(ForeignScanState *node)
    : node_(node),
      estate_(node->ss.ps.state),
      plan_(from_private(plan_of(node)->fdw_private)),
      table_(plan_.table),
      home_(plan_.role == Role::elsewhere && is_home_table(plan_.parent)) {}

ElsewhereScan::~ElsewhereScan() {
  cold_.reset();
  if (cold_context_) MemoryContextDelete(cold_context_);
}

/// Opens the cold rows. What the scan makes must outlive the rows, and must not go before the scan does: after an error in a function all contexts
/// of the transaction go, the youngest first, and the query's is one of them.
template <class Open>
void ElsewhereScan::open_cold(Open &&open) {
  if (!cold_context_)
    cold_context_ = bridge::pg_call([] {
      return AllocSetContextCreate(TopMemoryContext, "vectorshard rows elsewhere", ALLOCSET_SMALL_SIZES);
    });
  MemoryContext old = MemoryContextSwitchTo(cold_context_);
  cold_ = open();
  MemoryContextSwitchTo(old);
}

bool ElsewhereScan::resident(std::string_view client) const {
  if (!apply::resident_under(estate_->es_snapshot, client)) return false;
  return !home_ || at_home(estate_->es_snapshot, std::string(client));
}

bool ElsewhereScan::resident_cached(const std::string &client) {
  if (auto it = resident_.find(client); it != resident_.end()) return it->second;
  if (resident_.size() >= kMaxCached) resident_.clear();
  return resident_[client] = resident(client);
}

void ElsewhereScan::rewind() {
  end_cold();
  questions_.clear();
  served_ = nullptr;
  started_ = false;
}

bool ElsewhereScan::next(TupleTableSlot *slot) {
  if (!started_) start();
  if (served_) return next_served(slot);
  return (cold_ && next_cold(slot)) || (!questions_.empty() && next_remote(slot));
}

void ElsewhereScan::start() {
  started_ = true;
  if (plan_.role == Role::telemetry) refuse_telemetry();
  if (plan_.role == Role::parquet) {
    tier::SegmentQuestion question = question_of(plan_, parameters_.values(plan_of(node_)->fdw_exprs, &node_->ss.ps), nullptr);
    if (!files_) files_ = tier::foreign_files_of(table_);
    open_cold([&] { return tier::scan_foreign_files(std::move(question), files_); });
    return;
  }
  if (plan_.role == Role::partition) {
    note_read(plan_, estate_->es_snapshot);
    tier::SegmentQuestion question = question_of(plan_, parameters_.values(plan_of(node_)->fdw_exprs, &node_->ss.ps), shared_);
    open_cold([&] { return tier::ask_segment(std::move(question)); });
    return;
  }
  if (bridge::guc::read_scope == bridge::guc::kReadLocal || bridge::self_node() == kNoNode) return;
  if (bridge::pg_call([&] { return made_by_this_transaction(table_); })) return;
  if (plan_.naming == Naming::none)
    start_all();
  else
    start_named();
}

void ElsewhereScan::start_named() {
  if (!naming_) {
    Expr *expression = static_cast<Expr *>(linitial(plan_of(node_)->fdw_exprs));
    bridge::pg_call([&] {
      MemoryContext old = MemoryContextSwitchTo(estate_->es_query_cxt);
      naming_ = ExecInitExpr(expression, &node_->ss.ps);
      naming_type_ = getBaseType(exprType(reinterpret_cast<Node *>(expression)));
      MemoryContextSwitchTo(old);
    });
  }
  bool null;
  Datum value = bridge::pg_call([&] { return ExecEvalExpr(naming_, node_->ss.ps.ps_ExprContext, &null); });
  if (null) return;
  std::vector<std::string> clients;
  if (plan_.naming == Naming::any) {
    for (auto &name : names_in(value, naming_type_))
      if (!resident(name)) clients.push_back(std::move(name));
  } else {
    std::string name = text_of(naming_type_, value);
    if (resident(name) || serve_ahead(name)) return;
    clients.push_back(std::move(name));
  }
  if (clients.empty()) return;
  // A peer names clients by constants. If the plan names them it asks for all of this home, and others are asked by the peer.
  if (bridge::guc::read_scope == bridge::guc::kReadHome && names_by_plan()) return start_own(clients);

  bool for_peer = bridge::guc::read_scope == bridge::guc::kReadHome;
  Whereabouts where = home_ ? find_at_homes(clients, estate_->es_snapshot, locks()) : find_clients(clients, estate_->es_snapshot, locks());
  if (!where.cold.empty()) {
    // UPDATE and DELETE bring back only the clients of rows that they hit (modify.cpp).
    if (plan_.lock_strength > 0 && !plan_.changes)
      for (const auto &c : where.cold) bring_back_here(c);
    open_cold([&] { return tier::scan_cold_clients(plan_.parent, &where.cold, estate_->es_snapshot); });
  }
  if (!where.homes.empty()) {
    sources_ = Sources(std::move(where.homes), all_wanted());
    ask_named(sources_.first());
  }
  if (!for_peer)
    for (const auto &c : clients) place::note_missed_access(c);
}

bool ElsewhereScan::names_by_plan() const {
  return bridge::pg_call([&] { return depends_on_execution(static_cast<Node *>(linitial(plan_of(node_)->fdw_exprs)), nullptr); });
}

/// As start_all() for a peer, of these clients.
void ElsewhereScan::start_own(const std::vector<std::string> &clients) {
  if (home_) require_settled_homes(estate_->es_snapshot);
  std::vector<std::string> cold;
  for (const auto &c : clients)
    if (tier::cold_under(estate_->es_snapshot, c)) cold.push_back(c);
  if (!cold.empty()) open_cold([&] { return tier::scan_cold_clients(plan_.parent, &cold, estate_->es_snapshot); });
}

/// Some condition that is sent depends on the outer row, and not by the client alone.
bool ElsewhereScan::varies() const {
  return bridge::pg_call([&] {
    ListCell *lc;
    for_each_from(lc, plan_of(node_)->fdw_exprs, 1)
      if (depends_on_execution(static_cast<Node *>(lfirst(lc)), nullptr)) return true;
    return false;
  });
}

/// True if the client's rows were fetched with those of others, or are now.
bool ElsewhereScan::serve_ahead(const std::string &client) {
  if (plan_.ahead == 0 || locks() || bridge::guc::read_scope != bridge::guc::kReadFabric) return false;
  if (!ahead_.rows_of(client) && !fetch_ahead(client)) return false;
  served_ = ahead_.rows_of(client);
  served_at_ = 0;
  return true;
}

bool ElsewhereScan::fetch_ahead(const std::string &client) {
  if (varies()) return false;
  std::set<std::string> names{client};
  for (auto &name : clients_ahead(estate_, plan_.ahead))
    if (!resident_cached(name)) names.insert(std::move(name));
  if (names.size() < 2) return false;
  std::vector<std::string> all(names.begin(), names.end());
  Whereabouts where = home_ ? find_at_homes(all, estate_->es_snapshot, false) : find_clients(all, estate_->es_snapshot, false);
  for (const auto &cold : where.cold) names.erase(cold);  // their segments are read one by one
  if (!names.contains(client)) return false;
  ahead_.begin({names.begin(), names.end()}, estate_->es_query_cxt);
  sources_ = Sources(std::move(where.homes), all_wanted());
  ask_named(sources_.first());
  TupleTableSlot *slot = node_->ss.ss_ScanTupleSlot;
  RowMemory memory;
  while (next_remote(slot)) {
    ahead_.add(*text_of(slot, plan_.client_attnum), slot);
    memory.reset();
  }
  for (const auto &c : names) place::note_missed_access(c);
  return true;
}

bool ElsewhereScan::next_served(TupleTableSlot *slot) {
  if (served_at_ == served_->size()) return false;
  MinimalTuple row = (*served_)[served_at_++];
  bridge::pg_call([&] { ExecForceStoreMinimalTuple(row, slot, false); });
  return true;
}

void ElsewhereScan::start_all() {
  if (home_) require_settled_homes(estate_->es_snapshot);
  if (plan_.part != Part::homes)
    open_cold([&] { return tier::scan_cold_clients(plan_.parent, nullptr, estate_->es_snapshot); });
  if (plan_.part == Part::cold || bridge::guc::read_scope == bridge::guc::kReadHome) return;
  if (!home_) return ask_until_settled();
  auto homes = other_homes();
  if (homes.empty()) return;
  HomeMoves moves(homes, estate_->es_snapshot);
  if (plan_.exact)
    ask_exactly(homes);
  else
    ask_all(homes);
  for (auto &question : questions_) question.cursor->wait();  // every home has taken its snapshot when its first rows are here
  moves.require_none();
}

/// Nothing was given out before the first rows of all are here, so that all can be asked again.
void ElsewhereScan::ask_until_settled() {
  int64_t began_us = bridge::steady_us();
  for (int attempt = 0;; attempt++) {
    auto homes = other_homes();
    if (homes.empty()) return;
    marks_since_ = marks_since();
    if (plan_.exact)
      ask_exactly(homes);
    else
      ask_all(homes);
    for (auto &question : questions_) question.cursor->wait();
    Homes verdict = judge();
    if (verdict == Homes::settled) return;
    questions_.clear();
    here_.reset();
    await_settled(began_us, attempt, verdict);
  }
}

Homes ElsewhereScan::judge() const {
  std::vector<const Cursor *> cursors;
  for (const Question &q : questions_) cursors.push_back(q.cursor.get());
  auto answers = marks_of(cursors);
  auto reads_here = [&](const std::string &client) { return resident(client) || tier::cold_under(estate_->es_snapshot, client); };
  auto home_now = [](const std::string &client) {
    auto homes = known_homes({client});
    return homes.empty() ? kNoNode : homes.begin()->second;
  };
  return judge_homes(answers, bridge::self_node(), reads_here, home_now);
}

void ElsewhereScan::ask_all(const std::vector<HomeNode> &homes) {
  std::map<NodeId, std::vector<std::string>> here;  // copies of a home table are not looked at
  if (!home_) here = residents_by_home(estate_->es_snapshot);
  SelectSpec spec = select_spec();
  for (const HomeNode &home : homes) {
    spec.home = home.node;
    spec.leave_out = std::move(here[home.node]);
    ask({home.node, true, {}}, spec);
  }
}

SelectSpec ElsewhereScan::select_spec() {
  prepare_remote();
  return spec_of(plan_, table_, conditions_values(), node_);
}

/// What gives the values of the conditions' parameters.
List *ElsewhereScan::conditions_values() const {
  List *expressions = plan_of(node_)->fdw_exprs;
  return plan_.naming == Naming::none ? expressions : bridge::pg_call([&] { return list_copy_tail(expressions, 1); });
}

SelectSpec ElsewhereScan::named_spec(const std::vector<std::string> &clients) {
  SelectSpec spec = select_spec();
  spec.clients = clients;
  return spec;
}

void ElsewhereScan::prepare_remote() {
  if (input_) return;
  ListCell *lc;
  foreach (lc, plan_.outputs) columns_.push_back(static_cast<AttrNumber>(columns_.size() + 1));
  foreach (lc, plan_.columns) {
    if (lfirst_int(lc) == plan_.client_attnum) client_at_ = static_cast<int>(columns_.size());
    columns_.push_back(static_cast<AttrNumber>(lfirst_int(lc)));
  }
  MemoryContext old = MemoryContextSwitchTo(estate_->es_query_cxt);
  input_.emplace(node_->ss.ss_ScanTupleSlot->tts_tupleDescriptor, columns_);
  MemoryContextSwitchTo(old);
}

void ElsewhereScan::ask(const Ask &to, const SelectSpec &spec) {
  Session &session = session_at(to.node);
  Tally &tally = nodes_asked_[session.name()];
  asked(to, Cursor::open(session, to.is_home ? select_statement(spec) : holder_statement(spec), !locks(), marks_since_), &tally);
}

void ElsewhereScan::asked(const Ask &to, Result<std::unique_ptr<Cursor>> cursor, Tally *tally) {
  if (cursor.ok())
    questions_.push_back({to, std::move(cursor).value(), tally});
  else
    ask_others(to, cursor.error());
}

/// Nothing has to be held there beyond the answer.
bool ElsewhereScan::may_ask_once() const {
  return !locks() && bridge::guc::read_scope == bridge::guc::kReadFabric && !IsolationUsesXactSnapshot() && LockTimeout == 0;
}

const std::string &ElsewhereScan::form_for(bool many) {
  std::string &form = forms_[many];
  if (!form.empty()) return form;
  SelectSpec spec = spec_of(plan_, table_, conditions_values(), nullptr);
  spec.clients.emplace(many ? 2 : 1);
  spec.parameter = "$1";
  if (spec.limit == 0 || spec.limit > Cursor::kBatchRows) spec.limit = Cursor::kBatchRows + 1;
  return form = select_statement(spec);
}

std::optional<Form> ElsewhereScan::values_of_conditions() {
  Form form{{}, {InvalidOid}, {std::nullopt}};
  if (!may_ask_once() || !add_values(conditions_values(), node_, &form)) return std::nullopt;
  return form;
}

bool ElsewhereScan::ask_once(const Ask &to, const std::optional<Form> &values) {
  if (!values || !to.is_home) return false;
  Session &session = session_at(to.node);
  bool many = to.clients.size() > 1;
  if (!session.may_ask_once(form_for(many))) return false;
  Form form = *values;
  form.text = form_for(many);
  form.values[0] = many ? array_text(to.clients) : to.clients.front();
  auto literally = [this, clients = to.clients] { return select_statement(named_spec(clients)); };
  Tally &tally = nodes_asked_[session.name()];
  asked(to, Cursor::open_once(session, std::move(form), literally), &tally);
  return true;
}

void ElsewhereScan::ask_named(const std::vector<Ask> &asks) {
  if (asks.empty()) return;
  prepare_remote();
  auto values = values_of_conditions();
  for (const Ask &to : asks) {
    if (locks() && !home_)
      for (const auto &c : to.clients) hold_elsewhere(c);
    if (!ask_once(to, values)) ask(to, named_spec(to.clients));
  }
}

/// Asks others for what `failed` asked in vain: with `error` because the node does not answer, without because it does
/// not hold the clients any more.
void ElsewhereScan::ask_others(const Ask &failed, const std::optional<Error> &error) {
  if (error && !lost_) lost_.emplace(failed.node, *error);
  if (plan_.naming == Naming::none) return report_unreachable(failed.node, *error, all_wanted(), std::nullopt);
  std::vector<std::string> left;
  std::vector<Ask> others = sources_.next(failed, &left);
  if (!left.empty()) report_unreachable(lost_->first, lost_->second, all_wanted(), left.size());
  ask_named(others);
}

/// The row under the cursor, if it is one of the answer.
bool ElsewhereScan::take_row(const Question &q, TupleTableSlot *slot) {
  const Cursor &cursor = *q.cursor;
  int first = q.ask.is_home ? 0 : 1;  // a holder tells in front whether it has the clients; its only row may tell just that
  const char *client = plan_.outputs == NIL ? cursor.value(first + client_at_) : "";
  if (!client) return false;
  if (plan_.naming == Naming::none && !plan_.exact) {
    if (resident_cached(client)) return false;
    if (locks() && !home_) hold_elsewhere(client);
  }
  q.tally->rows++;
  input_->store(slot, [&](int i) { return cursor.value(first + i); });
  return true;
}

void ElsewhereScan::end_question() {
  questions_.front().tally->waited_us += questions_.front().cursor->waited_us();
  questions_.pop_front();
}

bool ElsewhereScan::next_remote(TupleTableSlot *slot) {
  while (!questions_.empty()) {
    if (questions_.size() > 1 && questions_.front().cursor->batch_is_read()) {
      questions_.push_back(std::move(questions_.front()));
      questions_.pop_front();
    }
    Question &q = questions_.front();
    auto row = q.cursor->next();
    if (!row.ok()) {
      // Half an answer is never given out as a whole one.
      if (q.cursor->any_row()) raise_unreachable(q.cursor->session(), row.error());
      Ask failed = std::move(q.ask);
      end_question();
      ask_others(failed, row.error());
    } else if (!row.value()) {
      end_question();
    } else if (!q.ask.is_home && *q.cursor->value(0) == 'f') {
      Ask failed = std::move(q.ask);
      end_question();
      ask_others(failed, std::nullopt);
    } else if (take_row(q, slot)) {
      return true;
    }
  }
  return false;
}

std::map<std::string, ElsewhereScan::Tally> ElsewhereScan::nodes_asked() const {
  auto out = nodes_asked_;
  for (const Question &q : questions_) out[q.cursor->session().name()].waited_us += q.cursor->waited_us();
  return out;
}

bool ElsewhereScan::next_cold(TupleTableSlot *slot) {
  if (!cold_->next(slot)) {
    end_cold();
    return false;
  }
  if (plan_.role == Role::elsewhere && plan_.naming == Naming::none && plan_.lock_strength > 0 && !plan_.changes)
    if (auto client = text_of(slot, plan_.client_attnum)) bring_back_here(*client);
  return true;
}

void ElsewhereScan::end_sharing() {
  if (!shared_) return;
  end_cold();
  bytes_fetched_ = static_cast<int64_t>(pg_atomic_read_u64(&shared_->fetched));
  shared_ = nullptr;
}

void ElsewhereScan::end_cold() {
  if (!cold_) return;
  segments_read_ += cold_->segments_read();
  remembered_ += cold_->remembered();
  bytes_fetched_ += cold_->bytes_fetched();
  if (shared_) pg_atomic_fetch_add_u64(&shared_->fetched, static_cast<uint64>(cold_->bytes_fetched()));
  cold_.reset();
  MemoryContextReset(cold_context_);
}

}  // namespace vectorshard::read
