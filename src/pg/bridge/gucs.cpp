// The settings of the extension, in alphabetical order (test/tidy.py checks the order and docs/reference.md).
#include "pg/bridge/gucs.hpp"

#include <climits>
#include <cmath>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "utils/guc.h"
}

namespace vectorshard::bridge::guc {

bool accept_ddl_from_peers = true;
int analyze_mb = 256;
int batch_compression = kCompressionOff;
bool birth_without_core = false;
int check_rate = 60;
double client_idle_s = 604800;
double compact_below = 0.5;
double copy_time_s = 1;
int decision_log_hours = 24;
int decision_log_rows = 1000000;
char *duckdb_library = nullptr;
int durability = kDurabilityLocal;
int durability_timeout_ms = 10000;
double horizon_margin_s = 20;
int insert_wait_ms = 5000;
double keep_s = 120;
int key_cache_mb = 32;
int link_timeout_ms = 5000;
int malformed_reports = kMalformedError;
int max_bytes_per_node = 0;
int max_candidates = 4;
int max_clients = 16384;
int max_clock_skew_ms = 5000;
int max_copies_per_node = 1000000;
int max_fabric_bytes = 0;
int max_fabric_copies = 0;
int max_fabric_transfers = 0;
double max_speed_mps = 500;
int max_transfers = 64;
int navigator_pass_ms = 10000;
int object_retention_s = 691200;
int on_unreachable = kUnreachableError;
int peer_connections = 0;
int peer_queue_mb = 64;
int placement_mode = kPlacementOn;
double plane_origin_lon = NAN;
double plane_origin_lat = NAN;
int predictor = kPredictorForecast;
char *predictor_function = nullptr;
int predictor_timeout_ms = 250;
int quorum_holders = 1;
int read_scope = kReadFabric;
double report_max_age_s = 300;
double report_max_ahead_s = 5;
int duckdb_memory_mb = 512;
int store_cache_mb = 4096;
char *store_key_file = nullptr;
int store_timeout_ms = 30000;
int tier_late_writes = kLateRefuse;
double tier_rate_mb_s = 0;
bool tiering = true;
int tiering_interval_ms = 60000;
double time_scale = 1;
int tombstone_retention_s = 604800;

namespace {

const config_enum_entry kCompression[] = {{"off", kCompressionOff, false}, {"lz4", kCompressionLz4, false},
                                          {"zstd", kCompressionZstd, false}, {nullptr, 0, false}};
const config_enum_entry kDurability[] = {{"local", kDurabilityLocal, false}, {"home", kDurabilityHome, false},
                                         {"quorum", kDurabilityQuorum, false}, {nullptr, 0, false}};
const config_enum_entry kLateWrites[] = {{"refuse", kLateRefuse, false}, {"abort", kLateAbort, false}, {nullptr, 0, false}};
const config_enum_entry kMalformed[] = {{"error", kMalformedError, false}, {"refuse", kMalformedRefuse, false}, {nullptr, 0, false}};
const config_enum_entry kOnUnreachable[] = {
    {"error", kUnreachableError, false}, {"warn", kUnreachableWarn, false}, {nullptr, 0, false}};
const config_enum_entry kPlacement[] = {
    {"off", kPlacementOff, false}, {"dry_run", kPlacementDryRun, false}, {"on", kPlacementOn, false},
    {nullptr, 0, false}};
const config_enum_entry kPredictors[] = {
    {"none", kPredictorNone, false}, {"reach_set", kPredictorReachSet, false}, {"forecast", kPredictorForecast, false},
    {"custom", kPredictorCustom, false}, {nullptr, 0, false}};
const config_enum_entry kScopes[] = {
    {"fabric", kReadFabric, false}, {"local", kReadLocal, false}, {"home", kReadHome, true}, {nullptr, 0, false}};

void real(const char *name, const char *what, double *v, double min, double max, GucContext context = PGC_SIGHUP) {
  DefineCustomRealVariable(name, what, nullptr, v, *v, min, max, context, 0, nullptr, nullptr, nullptr);
}
void integer(const char *name, const char *what, int *v, int min, int max, int flags, GucContext context) {
  DefineCustomIntVariable(name, what, nullptr, v, *v, min, max, context, flags, nullptr, nullptr, nullptr);
}
void choice(const char *name, const char *what, int *v, const config_enum_entry *options, GucContext context) {
  DefineCustomEnumVariable(name, what, nullptr, v, *v, options, context, 0, nullptr, nullptr, nullptr);
}

char *plane_origin = nullptr;

/// "none" or "longitude latitude"; the SQL function in_degrees() splits it at the one space.
bool read_origin(const char *text, double *lon, double *lat) {
  *lon = *lat = NAN;
  if (strcmp(text, "none") == 0) return true;
  char *end;
  *lon = strtod(text, &end);
  if (end == text || *end != ' ') return false;
  const char *second = end + 1;
  *lat = strtod(second, &end);
  return end != second && *end == 0 && *second != ' ' && std::fabs(*lon) <= 180 && std::fabs(*lat) <= 80;
}
bool check_origin(char **text, void **, GucSource) {
  double lon, lat;
  if (read_origin(*text, &lon, &lat)) return true;
  GUC_check_errdetail("Give none, or longitude and latitude in degrees with a space between them, the latitude between -80 and 80.");
  return false;
}
void assign_origin(const char *text, void *) { (void)read_origin(text, &plane_origin_lon, &plane_origin_lat); }

void define_a_to_l() {
  DefineCustomBoolVariable("vectorshard.accept_ddl_from_peers",
                           "Runs here what other nodes tell of tables, stores and statements for all nodes.", nullptr,
                           &accept_ddl_from_peers, accept_ddl_from_peers, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  integer("vectorshard.analyze_mb", "Most MB of segments that ANALYZE of a table reads.", &analyze_mb, 1, INT_MAX, GUC_UNIT_MB, PGC_USERSET);
  choice("vectorshard.batch_compression", "How batches to other nodes are compressed.", &batch_compression, kCompression,
         PGC_SIGHUP);
  DefineCustomBoolVariable("vectorshard.birth_without_core",
                           "Lets an unknown client be inserted while no core node answers.", nullptr,
                           &birth_without_core, birth_without_core, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  integer("vectorshard.check_rate", "Clients a minute that are compared with their holders in the background.", &check_rate,
          0, 1000000, 0, PGC_SIGHUP);
  real("vectorshard.client_idle_s", "Idle time after which a client may go to a store.", &client_idle_s, 1, 1e9);
  real("vectorshard.compact_below", "A segment of whose rows a smaller share counts is written anew.", &compact_below, 0, 1);
  real("vectorshard.copy_time_s", "Least time a copy is assumed to take.", &copy_time_s, 0, 1e6);
  integer("vectorshard.decision_log_hours", "How long decisions are kept for looking back; 0: they are not.", &decision_log_hours,
          0, 8784, 0, PGC_SIGHUP);
  integer("vectorshard.decision_log_rows", "How many decisions are kept at most.", &decision_log_rows, 0, INT_MAX, 0, PGC_SIGHUP);
  DefineCustomStringVariable("vectorshard.duckdb_library", "Path of libduckdb.so, which writes and reads segments.",
                             nullptr, &duckdb_library, "/usr/local/lib/vectorshard/libduckdb.so", PGC_SUSET, 0,
                             nullptr, nullptr, nullptr);
  integer("vectorshard.duckdb_memory_mb", "Memory that DuckDB may use in one process.", &duckdb_memory_mb, 64, INT_MAX, GUC_UNIT_MB,
          PGC_SIGHUP);
  choice("vectorshard.durability", "Which nodes have a transaction when its COMMIT returns.", &durability, kDurability,
         PGC_USERSET);
  integer("vectorshard.durability_timeout_ms", "How long a COMMIT waits for other nodes; 0 waits for ever.",
          &durability_timeout_ms, 0, INT_MAX, GUC_UNIT_MS, PGC_USERSET);
  real("vectorshard.horizon_margin_s", "How far beyond the lead time the predictor looks, at least.",
       &horizon_margin_s, 0, 86400);
  integer("vectorshard.insert_wait_ms", "How long an INSERT waits for the copy of its client.", &insert_wait_ms, 0,
          INT_MAX, GUC_UNIT_MS, PGC_USERSET);
  real("vectorshard.keep_s", "A copy lives at least this long after it was last wished.", &keep_s, 0, 1e9);
  integer("vectorshard.key_cache_mb", "Keys of moved partitions that one process keeps in memory for lookups; 0: none.", &key_cache_mb, 0, INT_MAX, GUC_UNIT_MB, PGC_USERSET);
  integer("vectorshard.link_timeout_ms", "Time-out of a link to a peer.", &link_timeout_ms, 10, 600000, GUC_UNIT_MS,
          PGC_SIGHUP);
}

void define_m_to_p() {
  // In a server that did not preload the library a setting for the start would end the session that loads it.
  GucContext at_start = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP;
  choice("vectorshard.malformed_reports", "What becomes of reports that no client can have sent.", &malformed_reports, kMalformed, PGC_USERSET);
  integer("vectorshard.max_bytes_per_node", "Most bytes of copies on this node; 0: no limit.", &max_bytes_per_node, 0, INT_MAX,
          GUC_UNIT_MB, PGC_SIGHUP);
  integer("vectorshard.max_candidates", "Most nodes besides the serving one that a client is wished onto.",
          &max_candidates, 0, 64, 0, PGC_SIGHUP);
  integer("vectorshard.max_clients", "Clients whose motion state fits in shared memory.", &max_clients, 64,
          100000000, 0, at_start);
  integer("vectorshard.max_clock_skew_ms", "How far ahead a peer's clock may be.", &max_clock_skew_ms, 1, INT_MAX,
          GUC_UNIT_MS, PGC_SIGHUP);
  integer("vectorshard.max_copies_per_node", "Most clients that may be resident on this node.", &max_copies_per_node,
          1, INT_MAX, 0, PGC_SIGHUP);
  integer("vectorshard.max_fabric_bytes", "Most bytes of copies in the fabric; 0: no limit.", &max_fabric_bytes, 0, INT_MAX,
          GUC_UNIT_MB, PGC_SIGHUP);
  integer("vectorshard.max_fabric_copies", "Most copies beyond the homes in the fabric; 0: no limit.", &max_fabric_copies, 0,
          INT_MAX, 0, PGC_SIGHUP);
  integer("vectorshard.max_fabric_transfers", "Most clients that are copied at once in the fabric; 0: no limit.",
          &max_fabric_transfers, 0, INT_MAX, 0, PGC_SIGHUP);
  real("vectorshard.max_speed_mps", "Reports of faster clients are refused.", &max_speed_mps, 1, 1e5);
  integer("vectorshard.max_transfers", "Most clients that are copied to this node at once.", &max_transfers, 1, 100000, 0,
          PGC_SIGHUP);
  integer("vectorshard.navigator_pass_ms", "How often all clients are looked through for those to plan though they do not report; 0: never.",
          &navigator_pass_ms, 0, INT_MAX, GUC_UNIT_MS, PGC_SIGHUP);
  integer("vectorshard.object_retention_s", "How long an object is kept that nothing needs any more.", &object_retention_s, 0, INT_MAX,
          GUC_UNIT_S, PGC_SIGHUP);
  choice("vectorshard.on_unreachable", "What a read does when a node does not answer.", &on_unreachable,
         kOnUnreachable, PGC_USERSET);
  integer("vectorshard.peer_connections", "Connections to each peer; 0: one, and two while much waits.", &peer_connections, 0, 8, 0, PGC_SIGHUP);
  integer("vectorshard.peer_queue_mb", "What a peer that is away may hold back before it becomes debt.",
          &peer_queue_mb, 1, 1048576, GUC_UNIT_MB, PGC_SIGHUP);
  choice("vectorshard.placement_mode", "Whether the navigator places clients.", &placement_mode, kPlacement,
         PGC_SIGHUP);
  DefineCustomStringVariable("vectorshard.plane_origin", "Longitude and latitude of the origin of positions without an SRID.", nullptr,
                             &plane_origin, "none", PGC_SUSET, 0, check_origin, assign_origin, nullptr);
  choice("vectorshard.predictor", "How the next nodes of a client are predicted.", &predictor, kPredictors,
         PGC_SIGHUP);
  DefineCustomStringVariable("vectorshard.predictor_function", "The function that predicts where vectorshard.predictor is custom.", nullptr,
                             &predictor_function, "none", PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  integer("vectorshard.predictor_timeout_ms", "How long vectorshard.predictor_function may take.", &predictor_timeout_ms, 1, 60000, GUC_UNIT_MS,
          PGC_SIGHUP);
}

void define_q_to_z() {
  integer("vectorshard.quorum_holders", "Other holders that make a quorum for vectorshard.durability.", &quorum_holders, 1,
          64, 0, PGC_USERSET);
  choice("vectorshard.read_scope", "Whether a query reads the fabric or this node alone.", &read_scope, kScopes,
         PGC_USERSET);
  real("vectorshard.report_max_age_s", "Older reports are refused.", &report_max_age_s, 0, 1e9);
  real("vectorshard.report_max_ahead_s", "Reports further in the future are refused.", &report_max_ahead_s, 0, 1e9);
  integer("vectorshard.store_cache_mb", "Copies of objects that are kept for reading.", &store_cache_mb, 1, INT_MAX, GUC_UNIT_MB,
          PGC_SIGHUP);
  DefineCustomStringVariable("vectorshard.store_key_file", "File with the keys of encrypted stores.", nullptr, &store_key_file, "none",
                             PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  integer("vectorshard.store_timeout_ms", "How long a store may be silent.", &store_timeout_ms, 100, 3600000, GUC_UNIT_MS,
          PGC_USERSET);
  choice("vectorshard.tier_late_writes", "What becomes of writes to a partition that is being moved to a store.", &tier_late_writes,
         kLateWrites, PGC_SIGHUP);
  real("vectorshard.tier_rate_mb_s", "Most MB a second that moves to and from stores read, write and transfer; 0: no limit.", &tier_rate_mb_s, 0, 1e6);
  DefineCustomBoolVariable("vectorshard.tiering", "Lets moves to and from stores go on; off: they are paused.", nullptr, &tiering, tiering,
                           PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  integer("vectorshard.tiering_interval_ms", "How often idle clients are looked for.", &tiering_interval_ms, 10,
          INT_MAX, GUC_UNIT_MS, PGC_SIGHUP);
  real("vectorshard.time_scale", "Seconds of the clients' clock per second of the wall clock (for replays).",
       &time_scale, 0.001, 1e6);
  integer("vectorshard.tombstone_retention_s", "How long a tombstone is kept.", &tombstone_retention_s, 60, INT_MAX,
          GUC_UNIT_S, PGC_SIGHUP);
}

}  // namespace

void define() {
  define_a_to_l();
  define_m_to_p();
  define_q_to_z();
  MarkGUCPrefixReserved("vectorshard");
}

}  // namespace vectorshard::bridge::guc
