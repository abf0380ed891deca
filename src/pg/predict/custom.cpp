// A predictor that an operator wrote: vectorshard.predictor_function. It runs as its owner, may only read, and has
// predictor_timeout_ms; whatever it does wrong ends here, is logged, and leaves the client to the built-in predictor.
#include <algorithm>
#include <cmath>

#include "core/predict/reach_set.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/predict/api.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "postmaster/bgworker.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
}

namespace vectorshard::predict {

namespace {

constexpr int64_t kLogEveryUs = 60 * USECS_PER_SEC;
constexpr int64_t kRestUs = USECS_PER_SEC;  // after a failure the navigator does not call it, or a slow one would hold up all clients
constexpr char kSignature[] = "(client text, \"position\" geometry, speed_mps float8, heading_deg float8, horizon_s float8)";

struct Function {
  Oid owner = InvalidOid;
  Oid geometry = InvalidOid;
  char name[2 * NAMEDATALEN + 8] = "";  // quoted
};

/// Raises if there is no such function.
Function look_up() {
  return bridge::pg_call([] {
    Function f;
    if (strcmp(bridge::guc::predictor_function, "none") == 0)
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("vectorshard.predictor_function is not set")));
    List *names = stringToQualifiedNameList(bridge::guc::predictor_function);
    if (list_length(names) != 2)
      ereport(ERROR, (errcode(ERRCODE_INVALID_NAME), errmsg("name of the predictor function has no schema"),
                      errhint("Set vectorshard.predictor_function to schema.function.")));
    Oid node = get_relname_relid("node", get_namespace_oid("vectorshard", false));
    f.geometry = get_atttype(node, get_attnum(node, "location"));
    Oid arguments[] = {TEXTOID, f.geometry, FLOAT8OID, FLOAT8OID, FLOAT8OID};
    Oid function = LookupFuncName(names, 5, arguments, true);
    if (!OidIsValid(function))
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %s%s does not exist", bridge::guc::predictor_function, kSignature),
                      errhint("Create it, or set vectorshard.predictor_function to another.")));
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "function %u does not exist", function);
    auto *proc = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
    f.owner = proc->proowner;
    strlcpy(f.name, quote_qualified_identifier(get_namespace_name(proc->pronamespace), NameStr(proc->proname)), sizeof f.name);
    ReleaseSysCache(tuple);
    return f;
  });
}

/// Null if the position is not known.
bridge::Param position(const telemetry::Motion &m, Oid geometry) {
  bridge::Param p = bridge::p_null(geometry);
  if (m.reports == 0) return p;
  double lon = m.lon, lat = m.lat;
  p.value = bridge::pg_call([&] {
    Oid arguments[] = {FLOAT8OID, FLOAT8OID};
    Oid maker = LookupFuncName(list_make2(makeString(pstrdup("vectorshard")), makeString(pstrdup("lon_lat"))), 2, arguments, false);
    return OidFunctionCall2(maker, Float8GetDatum(lon), Float8GetDatum(lat));
  });
  p.null = false;
  return p;
}

/// Cancels what runs after predictor_timeout_ms. That it did so itself, and nobody else, is known afterwards.
class TimeLimit {
 public:
  TimeLimit() {
    if (!registered_) id_ = RegisterTimeout(USER_TIMEOUT, [] {
      fired_ = true;
      QueryCancelPending = true;
      InterruptPending = true;
      SetLatch(MyLatch);
    });
    registered_ = true;
    fired_ = false;
    enable_timeout_after(id_, bridge::guc::predictor_timeout_ms);
  }
  ~TimeLimit() {
    disable_timeout(id_, false);
    if (fired_) QueryCancelPending = false;  // came too late to cancel anything
  }
  TimeLimit(const TimeLimit &) = delete;
  TimeLimit &operator=(const TimeLimit &) = delete;
  static bool fired() { return fired_; }

 private:
  static inline TimeoutId id_;
  static inline bool registered_ = false;
  static inline volatile sig_atomic_t fired_ = false;
};

/// The rights of the function's owner, and no more than reading. The subtransaction's end takes back both, too.
class AsOwner {
 public:
  explicit AsOwner(Oid owner) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    XactReadOnly = true;
  }
  ~AsOwner() { SetUserIdAndSecContext(user_, context_); }
  AsOwner(const AsOwner &) = delete;
  AsOwner &operator=(const AsOwner &) = delete;

 private:
  Oid user_;
  int context_;
};

bridge::Rows call(std::string_view client, const telemetry::Motion &m, double horizon_s) {
  Function f;
  std::vector<bridge::Param> arguments;
  {
    bridge::AsSuperuser rights;
    f = look_up();
    arguments = {bridge::p_text(client), position(m, f.geometry), m.reports > 0 ? bridge::p_float8(m.speed_mps) : bridge::p_null(FLOAT8OID),
                 m.heading_deg >= 0 ? bridge::p_float8(m.heading_deg) : bridge::p_null(FLOAT8OID), bridge::p_float8(horizon_s)};
  }
  TimeLimit limit;
  AsOwner rights(f.owner);
  bridge::Spi spi;
  return spi.query_kept(std::string("SELECT p.node::text, p.eta_s::float8, p.confidence::float8 FROM ") + f.name + "($1, $2, $3, $4, $5) AS p LIMIT 64", arguments);
}

[[noreturn]] void raise_value(const char *column, const std::string &value) {
  bridge::raise_sqlstate(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, std::string("predictor function returned ") + column + " out of range", "It is " + value + ".",
                         "Return seconds from now on, zero or more, and a confidence between 0 and 1.");
}

/// Its times are from now on, those of candidates from the last report, `age_s` ago.
std::vector<Candidate> candidates_of(const bridge::Rows &rows, NodeId serving, const place::NodeMap &map, double horizon_s, double age_s) {
  std::vector<Candidate> out;
  for (size_t i = 0; i < rows.size(); i++) {
    const place::NodeSite *site = map.site_named(rows.at(i, 0));
    if (!site)
      bridge::raise_sqlstate(ERRCODE_UNDEFINED_OBJECT, "predictor function named a node that is not active", "It is \"" + rows.at(i, 0) + "\".",
                             "Return names from the view vectorshard.nodes.");
    double eta_s = rows.float8(i, 1), confidence = rows.float8(i, 2);
    if (!(eta_s >= 0 && std::isfinite(eta_s)) || rows.null(i, 1)) raise_value("an eta_s", rows.null(i, 1) ? "null" : rows.at(i, 1));
    if (!(confidence >= 0 && confidence <= 1) || rows.null(i, 2)) raise_value("a confidence", rows.null(i, 2) ? "null" : rows.at(i, 2));
    if (site->node == serving || confidence == 0 || eta_s > horizon_s) continue;
    out.push_back({site->node, age_s + eta_s, age_s + eta_s, confidence, confidence / horizon_s});
  }
  std::sort(out.begin(), out.end(), [](const Candidate &a, const Candidate &b) {
    return a.confidence != b.confidence ? a.confidence > b.confidence : a.node < b.node;
  });
  return out;
}

void complain(const std::string &message, const std::string &detail) {
  static int64_t next_us = 0;
  bool worker = MyBgworkerEntry != nullptr;
  if (worker && bridge::steady_us() < next_us) return;
  next_us = bridge::steady_us() + kLogEveryUs;
  ereport(worker ? LOG : WARNING, (errmsg("vectorshard: the predictor function failed, the built-in predictor is used: %s", message.c_str()),
                                   detail.empty() ? 0 : errdetail("%s", detail.c_str()),
                                   errhint("Set vectorshard.predictor_function to a function that works, or vectorshard.predictor to another.")));
}

}  // namespace

std::optional<std::vector<Candidate>> custom(std::string_view client, const telemetry::Motion &motion, NodeId serving, const place::NodeMap &map,
                                             double horizon_s) {
  static int64_t rests_until_us = 0;
  if (MyBgworkerEntry && bridge::steady_us() < rests_until_us) return std::nullopt;
  std::string message, detail;
  try {
    bridge::Subtransaction tx;
    double age_s = std::max(0.0, telemetry::clients_now() - motion.at_s);
    auto out = candidates_of(call(client, motion, horizon_s), serving, map, horizon_s, age_s);
    tx.release();
    return out;
  } catch (const bridge::PgError &e) {
    bool late = e.sqlstate == ERRCODE_QUERY_CANCELED && TimeLimit::fired();
    if (e.sqlstate == ERRCODE_QUERY_CANCELED && !late) throw;  // somebody else cancelled us
    message = late ? "it took longer than vectorshard.predictor_timeout_ms" : e.message;
    detail = late ? "The limit is " + std::to_string(bridge::guc::predictor_timeout_ms) + " ms." : e.detail;
  }
  rests_until_us = bridge::steady_us() + kRestUs;
  complain(message, detail);
  return std::nullopt;
}

std::vector<Candidate> candidates(std::string_view client, const telemetry::Motion &motion, NodeId serving, const place::NodeMap &map, double lead_s,
                                  double silent_s) {
  if (bridge::guc::predictor == bridge::guc::kPredictorCustom)
    if (auto said = custom(client, motion, serving, map, horizon_s(motion, lead_s + silent_s))) return *said;
  if (bridge::guc::predictor == bridge::guc::kPredictorForecast || bridge::guc::predictor == bridge::guc::kPredictorCustom)
    return forecast(motion, serving, map, std::max(0.0, lead_s), silent_s);
  if (telemetry::parked(motion)) return {};
  return reach_set(motion, serving, map, horizon_s(motion, lead_s + silent_s));
}

}  // namespace vectorshard::predict
