// Decisions kept for looking back: see decision_log.hpp.
#include "pg/place/decision_log.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/place/navigator_plan.hpp"

namespace vectorshard::place {

namespace {

using bridge::p_bool;
using bridge::p_int4;
using bridge::p_text_array;

constexpr size_t kRefusalsMost = 200000, kWouldBeMost = 100000;
constexpr int kRemovedAtOnce = 10000;

constexpr char kLogStatement[] = R"(
  INSERT INTO vectorshard.decision_log (client, node, decision, until, dry_run, reason)
  SELECT u.client, u.node::int, u.decision, to_timestamp(nullif(u.until, '')::float8), $6, u.reason
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS u (client, node, decision, until, reason))";

/// The reason without its numbers.
std::string kind_of(const std::string &reason) { return reason.substr(0, reason.find_first_of(":(")); }

bool in_force(const Plan &plan, NodeId node) {
  return std::any_of(plan.wishes.begin(), plan.wishes.end(), [&](const Wish &w) { return w.node == node; });
}

}  // namespace

std::vector<Wish> WouldBe::of(const std::string &client, double now_s) const {
  std::vector<Wish> out;
  auto it = wishes_.find(client);
  if (it != wishes_.end())
    for (const Wished &w : it->second)
      if (w.until_s > now_s) out.push_back({w.node, w.until_s});
  return out;
}

void WouldBe::take(const Plan &plan, double now_s) {
  if (wishes_.size() > kWouldBeMost) wishes_.clear();
  for (const Decision &d : plan.decisions) {
    if (d.verdict != Verdict::wish && d.verdict != Verdict::end) continue;
    auto &mine = wishes_[plan.subject.known.client];
    auto same = std::find_if(mine.begin(), mine.end(), [&](const Wished &w) { return w.node == d.node; });
    if (same == mine.end()) same = mine.insert(mine.end(), Wished{d.node, now_s + d.lead_s, 0});
    if (same->until_s <= now_s) same->ready_s = now_s + d.lead_s;  // the one before had ended
    same->until_s = d.until_s;
  }
}

bool WouldBe::there(const std::string &client, NodeId node, double at_s, double keep_s) const {
  auto it = wishes_.find(client);
  return it != wishes_.end() && std::any_of(it->second.begin(), it->second.end(), [&](const Wished &w) {
           return w.node == node && w.ready_s <= at_s && at_s <= w.until_s + keep_s;
         });
}

/// Of refusals the first of its kind; what is merely not due yet is no refusal.
bool DecisionLog::is_new(const std::string &client, const Decision &d) {
  std::string kind = kind_of(d.reason);
  if (kind == "not yet") return false;
  if (refusals_ > kRefusalsMost) {
    refused_.clear();
    refusals_ = 0;
  }
  auto [at, first] = refused_[client].try_emplace(d.node, kind);
  refusals_ += first;
  return first || std::exchange(at->second, kind) != kind;
}

void DecisionLog::write(bridge::Spi &spi, const std::vector<Plan> &plans, bool dry_run) {
  if (bridge::guc::decision_log_hours == 0) return;
  std::vector<std::string> clients, nodes, decisions, untils, reasons;
  for (const Plan &p : plans) {
    const std::string &client = p.subject.known.client;
    for (const Decision &d : p.decisions) {
      const char *what = nullptr;
      if (d.verdict == Verdict::end) what = "end";
      if (d.verdict == Verdict::wish && (!in_force(p, d.node) || (p.arrived && d.reason == kServesReason))) what = "wish";
      if (d.verdict == Verdict::refused && is_new(client, d)) what = "refused";
      if (d.verdict != Verdict::refused)
        if (auto refused = refused_.find(client); refused != refused_.end()) refusals_ -= refused->second.erase(d.node);
      if (!what) continue;
      clients.push_back(client);
      nodes.push_back(std::to_string(d.node));
      decisions.push_back(what);
      untils.push_back(d.verdict == Verdict::wish ? std::to_string(d.until_s / bridge::guc::time_scale) : "");
      reasons.push_back(d.reason);
    }
    if (!p.serving && p.served_by != kNoNode)
      if (auto refused = refused_.find(client); refused != refused_.end()) {
        refusals_ -= refused->second.size();
        refused_.erase(refused);
      }
  }
  if (clients.empty()) return;
  spi.execute(kLogStatement, {p_text_array(clients), p_text_array(nodes), p_text_array(decisions), p_text_array(untils),
                              p_text_array(reasons), p_bool(dry_run)});
}

bool DecisionLog::tidy() {
  bridge::WorkerTransaction tx;
  int64_t removed = 0;
  {
    bridge::Spi spi;
    removed = spi.query_kept("SELECT vectorshard.tidy_decisions($1, $2, $3)",
                             {p_int4(bridge::guc::decision_log_hours), p_int4(bridge::guc::decision_log_rows), p_int4(kRemovedAtOnce)})
                  .int8(0, 0);
  }
  tx.commit();
  return removed == kRemovedAtOnce;
}

}  // namespace vectorshard::place
