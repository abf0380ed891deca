// One scan of a foreign child: from the clients that the query names, or all of them, to rows. Nothing is opened, and no
// other node is asked, before the first row is wanted; a named client that is resident costs one look-up by index.
//
// Correct because residency, the local heap and the manifest of cold clients are read under the query's own snapshot: a
// client is either resident under it, and its rows come from the heap beside this scan, or it is not, and they come from
// here alone.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/read/settled_homes.hpp"
#include "core/read/statements.hpp"
#include "pg/read/ahead_rows.hpp"
#include "pg/read/cursor.hpp"
#include "pg/read/here.hpp"
#include "pg/read/partition_scan.hpp"
#include "pg/read/private.hpp"
#include "pg/read/row_text.hpp"
#include "pg/read/sources.hpp"
#include "pg/read/whereabouts.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "nodes/execnodes.h"
}

namespace vectorshard::read {

struct SharedParts;

class ElsewhereScan {
 public:
  explicit ElsewhereScan(ForeignScanState *node);
  ~ElsewhereScan();

  /// Stores the next row; false at the end. Values live in the current memory context.
  bool next(TupleTableSlot *slot);
  /// Starts anew with the present values of parameters.
  void rewind();
  /// Of a partition: this process takes part in a parallel scan.
  void share(SharedParts *shared) { shared_ = shared; }

  /// What one node did for the scan.
  struct Tally {
    int64_t rows = 0;
    int64_t waited_us = 0;  // for its answers, beyond what came while others were read
  };
  // For EXPLAIN ANALYZE, over all rounds of the scan.
  std::map<std::string, Tally> nodes_asked() const;
  int64_t bytes_fetched() const { return bytes_fetched_ + (cold_ ? cold_->bytes_fetched() : 0); }
  /// The end of a parallel scan: what all processes fetched.
  void end_sharing();
  int segments_read() const { return segments_read_ + (cold_ ? cold_->segments_read() : 0); }
  int remembered() const { return remembered_ + (cold_ && cold_->remembered() ? 1 : 0); }

 private:
  void start();
  void start_named();
  void start_all();
  void ask_all(const std::vector<HomeNode> &homes);
  void ask_until_settled();
  Homes judge() const;
  void ask_exactly(const std::vector<HomeNode> &homes);
  bool names_by_plan() const;
  void start_own(const std::vector<std::string> &clients);
  bool varies() const;
  bool serve_ahead(const std::string &client);
  bool fetch_ahead(const std::string &client);
  bool next_served(TupleTableSlot *slot);
  bool resident(std::string_view client) const;
  bool resident_cached(const std::string &client);
  bool all_wanted() const { return locks() || home_; }  // a node that is away is an error, whatever on_unreachable says
  bool locks() const { return plan_.changes || plan_.lock_strength > 0; }
  void ask(const Ask &to, const SelectSpec &spec);
  void asked(const Ask &to, Result<std::unique_ptr<Cursor>> cursor, Tally *tally);
  bool may_ask_once() const;
  bool ask_once(const Ask &to, const std::optional<Form> &values);
  std::optional<Form> values_of_conditions();
  void ask_named(const std::vector<Ask> &asks);
  void ask_others(const Ask &failed, const std::optional<Error> &error);
  void end_question();
  template <class Open>
  void open_cold(Open &&open);
  bool next_cold(TupleTableSlot *slot);
  bool next_remote(TupleTableSlot *slot);
  void end_cold();
  void prepare_remote();
  SelectSpec select_spec();
  SelectSpec named_spec(const std::vector<std::string> &clients);
  const std::string &form_for(bool many);
  List *conditions_values() const;

  ForeignScanState *node_;
  EState *estate_;
  ScanPlan plan_;
  Oid table_;
  bool home_;                            // of a table of consistency home
  bool started_ = false;
  SharedParts *shared_ = nullptr;
  Parameters parameters_{};              // of a partition in a store
  ExprState *naming_ = nullptr;
  Oid naming_type_ = InvalidOid;
  std::shared_ptr<const tier::ForeignFiles> files_;  // of others, as they were when the scan first began
  std::unique_ptr<tier::ColdScan> cold_;
  MemoryContext cold_context_ = nullptr;  // of what the cold scan makes
  /// What one node was asked.
  struct Question {
    Ask ask;
    std::unique_ptr<Cursor> cursor;
    Tally *tally;
  };
  bool take_row(const Question &q, TupleTableSlot *slot);
  std::deque<Question> questions_;  // read batch by batch in turn, so that all nodes work
  AheadRows ahead_;
  const AheadRows::Rows *served_ = nullptr;  // of ahead_: what is given out now
  size_t served_at_ = 0;
  Sources sources_;                 // for clients that are named
  std::optional<std::pair<NodeId, Error>> lost_;  // the first node that did not answer
  std::string forms_[2];            // for one client, and for many: as other nodes are asked at once
  std::optional<RowInput> input_;
  std::vector<AttrNumber> columns_;
  int client_at_ = 0;                    // position of the client among columns_
  std::unordered_map<std::string, bool> resident_;
  std::map<std::string, Tally> nodes_asked_;
  std::optional<ClientsHere> here_;      // kept from round to round
  std::optional<int64_t> marks_since_;   // of the present attempt to ask all homes, where they tell of moves (home_marks.hpp)
  int segments_read_ = 0, remembered_ = 0;
  int64_t bytes_fetched_ = 0;
};

}  // namespace vectorshard::read
