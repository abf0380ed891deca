// Copying clients in: one port for each node that we copy from, with a job of several clients under way. Nothing here
// waits: pump() moves each job as far as its socket allows, so a source that hangs holds up nobody else.
//
// A job: copy_announce for all its clients (committed at the source), then copy_export; each client that arrives is
// merged in a transaction of its own with its `resident` row and its holder row `live`. If a session of this node has changed the client at its
// home since the export was asked for, the copy is made again, and this time such sessions wait for it (40001 then, as the client is here).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "datatype/timestamp.h"
}

namespace vectorshard::place {

/// A client to be copied to this node. Its holder row stands committed.
struct CopyItem {
  std::string client;
  NodeId home = kNoNode;
  NodeId source = kNoNode;     // whom to copy from: the home, else another live holder
  std::string state;           // of our holder row: "copying", or "live" when an unconfirmed copy is made again
  Generation generation = 0;
  Version version = 0;         // of our holder row
  bool requested = false;      // a writer waits for it
  bool resident = false;       // it is here already, not confirmed by its home
  size_t bytes = 0;            // that are expected, and in the end those that came
  size_t most_bytes = SIZE_MAX;  // room that is kept for it: more is not taken
  // The copy lacks what sessions of this node have changed at the home since, on the steady clock: from when the home was asked for its rows, or
  // another source was chosen.
  int64 unchanged_since_us = 0;
};

/// written: a session here has changed the client at its home meanwhile, or is just about it, so the copy may lack that.
enum class CopyEnd { live, again_soon, written, failed, source_failed };

/// How a copy ended. `sqlstate` and `why` unless live.
struct CopyEnded {
  CopyItem item;
  CopyEnd end = CopyEnd::live;
  int sqlstate = 0;
  Error why{};
};

class CopyPort {
 public:
  explicit CopyPort(NodeId source) : source_(source) {}
  NodeId source() const { return source_; }
  bool busy() const { return stage_ != Stage::idle; }
  /// Starts a job on an idle port. Connects if need be (outside a transaction; at most kConnectMs).
  void start(std::vector<CopyItem> items, std::vector<CopyEnded> &ended);
  /// Moves the job on without waiting for the source.
  void pump(std::vector<CopyEnded> &ended);
  /// For waiting: socket and events of a busy port, and when the job is given up.
  int socket() const { return PQsocket(link_->conn()); }
  bool unsent() const { return unsent_; }
  TimestampTz deadline() const { return deadline_; }
  /// Of the last job: how long it took, for how many clients.
  double job_s() const { return job_s_; }
  size_t job_clients() const { return job_clients_; }

 private:
  enum class Stage { idle, announcing, exporting };
  bool connect(std::vector<CopyEnded> &ended);
  bool send(const char *sql, const std::vector<std::string> &params, bool binary, std::vector<CopyEnded> &ended);
  void take_result(PGresult *r, std::vector<CopyEnded> &ended);
  void take_announced(PGresult *r, std::vector<CopyEnded> &ended);
  void take_exported(PGresult *r, std::vector<CopyEnded> &ended);
  std::vector<std::string> digests() const;
  void statement_done(std::vector<CopyEnded> &ended);
  void source_failed(const Error &why, std::vector<CopyEnded> &ended);
  void end_item(const std::string &client, CopyEnd end, int sqlstate, const Error &why, std::vector<CopyEnded> &ended);

  NodeId source_;
  std::unique_ptr<bridge::Link> link_;
  Stage stage_ = Stage::idle;
  std::vector<CopyItem> items_;       // under way
  std::vector<std::string> announced_;  // in state to be exported
  TimestampTz started_ = 0;
  double job_s_ = 0;
  size_t job_clients_ = 0;
  size_t job_bytes_ = 0;              // received
  TimestampTz deadline_ = 0;
  bool unsent_ = false;
  bool statement_failed_ = false;
};

/// Time to connect to a source: short, because the worker waits for it.
constexpr int kConnectMs = 1000;

/// A text array literal, for a parameter of a remote statement.
std::string array_literal(const std::vector<std::string> &values);

}  // namespace vectorshard::place
