// SPI from C++: see spi.hpp. Plans that repeat are kept by SQL text for the backend's life.
#include "pg/bridge/spi.hpp"

#include <exception>
#include <unordered_map>
extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::bridge {

namespace {

Param plain(Oid type, Datum value) {
  Param p;
  p.type = type;
  p.value = value;
  p.null = false;
  return p;
}

Param varlena(Oid type, std::string_view s) {
  Param p;
  p.type = type;
  p.null = false;
  p.varlena = true;
  p.owned = s;
  return p;
}

/// Arguments in the form SPI takes. Lives in the current memory context.
struct Args {
  Oid *types;
  Datum *values;
  char *nulls;
};

Args make_args(const std::vector<Param> &params) {
  Args a{};
  size_t n = params.size();
  pg_call([&] {
    a.types = static_cast<Oid *>(palloc(sizeof(Oid) * (n + 1)));
    a.values = static_cast<Datum *>(palloc(sizeof(Datum) * (n + 1)));
    a.nulls = static_cast<char *>(palloc(n + 1));
    for (size_t i = 0; i < n; i++) {
      const Param &p = params[i];
      a.types[i] = p.type;
      a.nulls[i] = p.null ? 'n' : ' ';
      a.values[i] = p.value;
      if (p.varlena && !p.null)
        a.values[i] = PointerGetDatum(cstring_to_text_with_len(p.owned.data(), static_cast<int>(p.owned.size())));
    }
  });
  return a;
}

Rows copy_result() {
  Rows out;
  if (!SPI_tuptable) return out;
  TupleDesc desc = SPI_tuptable->tupdesc;
  for (uint64 r = 0; r < SPI_processed; r++) {
    auto &row = out.rows.emplace_back();
    for (int c = 1; c <= desc->natts; c++) {
      char *s = pg_call([&] { return SPI_getvalue(SPI_tuptable->vals[r], desc, c); });
      if (s)
        row.emplace_back(s);
      else
        row.emplace_back(std::nullopt);
      if (s) pfree(s);
    }
  }
  return out;
}

[[noreturn]] void bad_spi(int code, const std::string &sql) {
  raise_sqlstate(ERRCODE_INTERNAL_ERROR, std::string("SPI failed: ") + SPI_result_code_string(code), sql);
}

SPIPlanPtr kept_plan(const std::string &sql, const Args &a, size_t n) {
  static std::unordered_map<std::string, SPIPlanPtr> plans;
  auto it = plans.find(sql);
  if (it != plans.end()) return it->second;
  const char *text = sql.c_str();
  SPIPlanPtr plan = pg_call([&] {
    SPIPlanPtr p = SPI_prepare(text, static_cast<int>(n), a.types);
    if (p) SPI_keepplan(p);
    return p;
  });
  if (!plan) bad_spi(SPI_result, sql);
  plans.emplace(sql, plan);
  return plan;
}

int run_kept(const std::string &sql, const std::vector<Param> &params, bool read_only) {
  Args a = make_args(params);
  SPIPlanPtr plan = kept_plan(sql, a, params.size());
  int rc = pg_call([&] { return SPI_execute_plan(plan, a.values, a.nulls, read_only, 0); });
  if (rc < 0) bad_spi(rc, sql);
  return rc;
}

}  // namespace

Param p_text(std::string_view s) { return varlena(TEXTOID, s); }
Param p_bytea(std::string_view s) { return varlena(BYTEAOID, s); }
Param p_int4(int32_t v) { return plain(INT4OID, Int32GetDatum(v)); }
Param p_int8(int64_t v) { return plain(INT8OID, Int64GetDatum(v)); }
Param p_float8(double v) { return plain(FLOAT8OID, Float8GetDatum(v)); }
Param p_bool(bool v) { return plain(BOOLOID, BoolGetDatum(v)); }
Param p_oid(Oid v) { return plain(OIDOID, ObjectIdGetDatum(v)); }
Param p_timestamptz(int64_t us) { return plain(TIMESTAMPTZOID, Int64GetDatum(us)); }
Param p_null(Oid type) {
  Param p;
  p.type = type;
  return p;
}

Param p_text_array(const std::vector<std::string> &v) {
  Datum d = pg_call([&] {
    Datum *e = static_cast<Datum *>(palloc(sizeof(Datum) * (v.size() + 1)));
    for (size_t i = 0; i < v.size(); i++)
      e[i] = PointerGetDatum(cstring_to_text_with_len(v[i].data(), static_cast<int>(v[i].size())));
    return PointerGetDatum(construct_array(e, static_cast<int>(v.size()), TEXTOID, -1, false, TYPALIGN_INT));
  });
  return plain(TEXTARRAYOID, d);
}

const std::string &Rows::at(size_t row, size_t column) const {
  static const std::string none;
  const auto &v = rows.at(row).at(column);
  return v ? *v : none;
}
int64_t Rows::int8(size_t row, size_t column) const {
  const std::string &s = at(row, column);
  return s.empty() ? 0 : std::stoll(s);
}
double Rows::float8(size_t row, size_t column) const {
  const std::string &s = at(row, column);
  return s.empty() ? 0 : std::stod(s);
}
bool Rows::boolean(size_t row, size_t column) const { return at(row, column) == "t"; }

Spi::Spi() : exceptions_(std::uncaught_exceptions()) {
  guc_level_ = pg_call([] {
    SPI_connect();
    int level = NewGUCNestLevel();
    (void)set_config_option("search_path", "pg_catalog, vectorshard, pg_temp", PGC_USERSET, PGC_S_SESSION,
                            GUC_ACTION_SAVE, true, 0, false);
    // Our statements touch few rows. Estimates of functions that return sets would have them compiled, 60 ms at a time.
    (void)set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    return level;
  });
}

Spi::~Spi() {
  if (std::uncaught_exceptions() > exceptions_) return;  // (sub)transaction end cleans up
  AtEOXact_GUC(true, guc_level_);
  SPI_finish();
}

Rows Spi::query(const std::string &sql, const std::vector<Param> &params, bool read_only) {
  Args a = make_args(params);
  const char *text = sql.c_str();
  int n = static_cast<int>(params.size());
  int rc = pg_call([&] { return SPI_execute_with_args(text, n, a.types, a.values, a.nulls, read_only, 0); });
  if (rc < 0) bad_spi(rc, sql);
  return copy_result();
}

uint64_t Spi::execute(const std::string &sql, const std::vector<Param> &params) {
  run_kept(sql, params, false);
  return SPI_processed;
}

Rows Spi::query_kept(const std::string &sql, const std::vector<Param> &params, bool read_only) {
  run_kept(sql, params, read_only);
  return copy_result();
}

Subtransaction::Subtransaction() : context_(CurrentMemoryContext), owner_(CurrentResourceOwner) {
  pg_call([&] {
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context_);
  });
}

void Subtransaction::release() {
  open_ = false;
  pg_call([&] {
    ReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(context_);
    CurrentResourceOwner = owner_;
  });
}

Subtransaction::~Subtransaction() {
  if (!open_) return;
  RollbackAndReleaseCurrentSubTransaction();
  MemoryContextSwitchTo(context_);
  CurrentResourceOwner = owner_;
}

WorkerTransaction::WorkerTransaction() {
  pg_call([] {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
  });
}

void WorkerTransaction::commit() {
  open_ = false;
  pg_call([] {
    if (ActiveSnapshotSet()) PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, nullptr);
  });
}

WorkerTransaction::~WorkerTransaction() {
  if (open_) AbortCurrentTransaction();
}

}  // namespace vectorshard::bridge
