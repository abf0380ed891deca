// Statements of the workers and what their errors mean: see worker.hpp.
#include "worker.hpp"

#include <algorithm>
#include <thread>

#include "../../demo/pg.hpp"

namespace vectorshard::histories {
namespace {

using demo::Connection;
using demo::PgError;
using demo::Rows;

/// Errors after which a statement may have taken effect: connection lost, forwarded commits, cancelled at commit.
bool outcome_unknown(const PgError &e, bool autocommit) {
  if (e.sqlstate.starts_with("08")) return true;
  if (e.sqlstate.starts_with("57")) return autocommit;
  return false;
}

class Worker {
 public:
  Worker(const WorkerContext &context, int worker, const std::string &conninfo)
      : c_(context), node_(worker % kNodes), conninfo_(conninfo) {}

  void run(const Op &op);

 private:
  void connect();
  void note(const Transaction &t);
  void write(Transaction &t, const Touch &touch);
  void read(const Touch &touch);
  void remove(Transaction &t, const std::string &table, const std::string &client, int key);
  void rewrite(Transaction &t, const Touch &touch, const std::string &client);
  void rekey(Transaction &t, const Touch &touch, const std::string &client);
  void returned(Transaction &t, const Rows &rows, Write w);

  const WorkerContext &c_;
  int node_;
  std::string conninfo_;
  std::unique_ptr<Connection> conn_;
};

void Worker::connect() {
  while (!conn_ && !*c_.stop) {
    try {
      conn_ = std::make_unique<Connection>(conninfo_);
    } catch (const PgError &) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

void Worker::note(const Transaction &t) {
  const std::scoped_lock lock(c_.log->mutex);
  c_.log->operations++;
  c_.log->failed_operations += t.outcome != Outcome::acknowledged;
  if (!t.writes.empty() || t.outcome != Outcome::acknowledged) c_.log->transactions.push_back(t);
}

/// The rows that a statement with RETURNING _version, relation wrote. Rows of another node: their version is the other's to know.
void Worker::returned(Transaction &t, const Rows &rows, Write w) {
  for (int i = 0; i < rows.count(); i++) {
    const bool here = !rows.str(i, 1).ends_with("_elsewhere");
    w.version = here && !w.deletes ? rows.number(i, 0) : 0;
    t.writes.push_back(w);
  }
}

void Worker::remove(Transaction &t, const std::string &table, const std::string &client, int key) {
  const std::string id = std::to_string(key);
  const bool sharded = !client.empty();
  const Rows rows = sharded ? conn_->query("DELETE FROM " + table + " WHERE client = $1 AND id = $2::int RETURNING _version, tableoid::regclass", {client, id})
                            : conn_->query("DELETE FROM " + table + " WHERE id = $1::int RETURNING _version, tableoid::regclass", {id});
  const size_t before = t.writes.size();
  returned(t, rows, {table, client, key, true, 0, 0});
  if (t.writes.size() == before) return;
  const std::string array = sharded ? "ARRAY['" + client + "', '" + id + "']" : "ARRAY['" + id + "']";
  const Rows dead = conn_->run("SELECT _version FROM vectorshard.tombstone WHERE table_name = 'public." + table + "' AND key = " + array);
  if (dead.count() == 1 && !rows.str(0, 1).ends_with("_elsewhere")) t.writes.back().version = dead.number(0, 0);
}

/// Reads a row under lock, then writes it: the new version must be larger than the one read.
void Worker::rewrite(Transaction &t, const Touch &touch, const std::string &client) {
  const std::string id = std::to_string(touch.key), value = std::to_string(touch.value);
  const Rows old = conn_->query("SELECT _version, tableoid::regclass FROM item WHERE client = $1 AND id = $2::int FOR UPDATE", {client, id});
  if (old.count() == 0) return;
  t.writes.push_back({"item", client, touch.key, false, touch.value, 0});
  const Rows rows = conn_->query("UPDATE item SET val = $3::bigint WHERE client = $1 AND id = $2::int RETURNING _version, tableoid::regclass",
                                 {client, id, value});
  t.writes.pop_back();
  returned(t, rows, {"item", client, touch.key, false, touch.value, 0});
  if (rows.count() == 0 || old.str(0, 1).ends_with("_elsewhere") || rows.str(0, 1).ends_with("_elsewhere")) return;
  if (rows.number(0, 0) <= old.number(0, 0)) {
    const std::scoped_lock lock(c_.log->mutex);
    c_.log->oddities.push_back("node " + std::to_string(node_ + 1) + ": " + client + "/" + id + " went from version " + old.str(0, 0) + " to " +
                               rows.str(0, 0));
  }
}

void Worker::rekey(Transaction &t, const Touch &touch, const std::string &client) {
  const int to = static_cast<int>(1000 + touch.value % 1000000);
  const Rows rows = conn_->query("UPDATE item SET id = $3::int, val = $4::bigint WHERE client = $1 AND id = $2::int RETURNING _version, tableoid::regclass",
                                 {client, std::to_string(touch.key), std::to_string(to), std::to_string(touch.value)});
  returned(t, rows, {"item", client, touch.key, true, 0, 0});
  returned(t, rows, {"item", client, to, false, touch.value, 0});
}

void Worker::write(Transaction &t, const Touch &touch) {
  const std::string client = c_.plan->client(touch.client), id = std::to_string(touch.key), value = std::to_string(touch.value);
  const Write w{"item", client, touch.key, false, touch.value, 0};
  const size_t before = t.writes.size();
  // Until it is answered it may have happened: an error whose outcome is unknown leaves it in the log.
  if (touch.kind != OpKind::remove && touch.kind != OpKind::rekey && touch.kind != OpKind::rewrite) t.writes.push_back(w);
  Rows rows(nullptr);
  switch (touch.kind) {
    case OpKind::insert:
      rows = conn_->query("INSERT INTO item (client, id, val, note, big) VALUES ($1, $2::int, $3::bigint, 'by ' || $4, "
                          "CASE WHEN $3::bigint % 4 = 0 THEN repeat(md5($3::text), 200) END) RETURNING _version, tableoid::regclass",
                          {client, id, value, std::to_string(node_ + 1)});
      break;
    case OpKind::upsert:
      rows = conn_->query("INSERT INTO item (client, id, val, note, big) VALUES ($1, $2::int, $3::bigint, 'by ' || $4, repeat(md5($3::text), 100)) "
                          "ON CONFLICT (client, id) DO UPDATE SET val = excluded.val, note = excluded.note "
                          "RETURNING _version, tableoid::regclass",
                          {client, id, value, std::to_string(node_ + 1)});
      break;
    case OpKind::update:
      rows = conn_->query("UPDATE item SET val = $3::bigint WHERE client = $1 AND id = $2::int RETURNING _version, tableoid::regclass",
                          {client, id, value});
      break;
    case OpKind::reference:
      t.writes.back() = {"ref", "", touch.key, false, touch.value, 0};
      rows = conn_->query("INSERT INTO ref (id, val) VALUES ($1::int, $2::bigint) ON CONFLICT (id) DO UPDATE SET val = excluded.val "
                          "RETURNING _version, tableoid::regclass",
                          {id, value});
      break;
    case OpKind::remove_reference: t.writes.pop_back(); return remove(t, "ref", "", touch.key);
    case OpKind::remove: return remove(t, "item", client, touch.key);
    case OpKind::rewrite: return rewrite(t, touch, client);
    case OpKind::rekey: return rekey(t, touch, client);
    case OpKind::add:
      t.writes.pop_back();
      if (!c_.counters) return;
      t.writes.push_back({"tally", client, touch.key, false, touch.value % 7 - 2, 0});
      rows = conn_->query("UPDATE tally SET n = n + $3::bigint WHERE client = $1 AND id = $2::int RETURNING _version, tableoid::regclass",
                          {client, id, std::to_string(touch.value % 7 - 2)});
      break;
    default: t.writes.pop_back(); return;
  }
  const Write done = t.writes[before];
  t.writes.resize(before);
  returned(t, rows, done);
}

void Worker::read(const Touch &touch) {
  const std::string client = c_.plan->client(touch.client);
  const Rows rows = conn_->query("SELECT id, val, _version FROM item WHERE client = $1", {client});
  const std::scoped_lock lock(c_.log->mutex);
  for (int i = 0; i < rows.count(); i++)
    c_.log->reads.push_back({node_, client, static_cast<int>(rows.number(i, 0)), rows.number(i, 1), rows.number(i, 2)});
}

void Worker::run(const Op &op) {
  std::this_thread::sleep_until(c_.start + std::chrono::milliseconds(op.at_ms));
  connect();
  if (!conn_) return;
  Transaction t;
  t.node = node_;
  const bool block = op.kind == OpKind::several || op.kind == OpKind::remove || op.kind == OpKind::remove_reference || op.kind == OpKind::rewrite ||
                     op.kind == OpKind::rekey;
  bool committing = !block;
  try {
    int client = op.touches[0].client;
    // A home neither fetches nor lets go its own: 4..6 are at home on the first node, 7 and 8 on the second.
    if (op.kind == OpKind::place || op.kind == OpKind::evict) client = node_ == 0 ? 7 + client % 2 : node_ == 1 ? 4 + client % 3 : client;
    const std::string name = c_.plan->client(client), here = "n" + std::to_string(node_ + 1);
    if (op.kind == OpKind::read) {
      read(op.touches[0]);
    } else if (op.kind == OpKind::place) {
      conn_->query("SELECT vectorshard.place($1, $2)", {name, here});
    } else if (op.kind == OpKind::evict) {
      conn_->query("SELECT vectorshard.place($1, $2, now())", {name, here});
      conn_->query("SELECT vectorshard.evict($1)", {name});
    } else {
      if (block) conn_->run("BEGIN");
      for (const Touch &touch : op.touches) write(t, touch);
      committing = true;
      // COMMIT of a failed transaction says ROLLBACK; ours would have thrown before.
      if (block) conn_->run("COMMIT");
    }
    t.outcome = Outcome::acknowledged;
  } catch (const PgError &e) {
    t.error = e.sqlstate + " " + e.what();
    t.outcome = outcome_unknown(e, committing) && (committing || e.sqlstate == "08007") ? Outcome::unknown : Outcome::failed;
    if (block && !e.connection_lost()) {
      try {
        conn_->run("ROLLBACK");
      } catch (const PgError &) {
        conn_.reset();
      }
    } else if (e.connection_lost()) {
      conn_.reset();
    }
  }
  note(t);
}

}  // namespace

void run_worker(const WorkerContext &context, int worker, const std::string &conninfo) {
  Worker w(context, worker, conninfo);
  for (const Op &op : context.plan->workers[static_cast<size_t>(worker)]) {
    if (*context.stop) return;
    w.run(op);
  }
}

}  // namespace vectorshard::histories
