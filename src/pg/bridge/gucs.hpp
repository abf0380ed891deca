// The settings of the extension (vectorshard.*), as PostgreSQL holds them. Defined in gucs.cpp, one row each in
// docs/reference.md with unit, range and reason. Durations named *_s are seconds of the clients' clock
// (time_scale), those named *_ms are milliseconds of the wall clock.
#pragma once

namespace vectorshard::bridge::guc {

enum MalformedReports { kMalformedError, kMalformedRefuse };
enum BatchCompression { kCompressionOff, kCompressionLz4, kCompressionZstd };  // as core's ship::Compression
enum Durability { kDurabilityLocal, kDurabilityHome, kDurabilityQuorum };  // as core's ship::DurabilityLevel
enum PlacementMode { kPlacementOff, kPlacementDryRun, kPlacementOn };
enum Predictor { kPredictorNone, kPredictorReachSet, kPredictorForecast, kPredictorCustom };
enum ReadScope { kReadFabric, kReadLocal, kReadHome };  // home: internal, what a home answers to a peer
enum LateWrites { kLateRefuse, kLateAbort };
enum OnUnreachable { kUnreachableError, kUnreachableWarn };

extern bool accept_ddl_from_peers;      // definitions of other nodes are run here; off: by accept_ddl()
extern int analyze_mb;                 // of segments that ANALYZE of a table reads, at most
extern int batch_compression;          // BatchCompression
extern bool birth_without_core;        // a client may be born while no core node answers
extern int check_rate;                 // clients a minute that are compared with their holders; 0: none
extern double client_idle_s;           // idle this long: a client may go to the store
extern double compact_below;           // share of rows that still count below which a segment is written anew; 0: never
extern double copy_time_s;             // floor for the time a copy takes, before it is measured
extern int decision_log_hours;         // how long decisions are kept; 0: not at all
extern int decision_log_rows;          // and how many
extern char *duckdb_library;           // path of libduckdb.so; empty: segments cannot be written or read
extern int durability;                 // Durability: what a commit waits for
extern int durability_timeout_ms;      // how long it waits; 0: for ever
extern double horizon_margin_s;        // how far beyond the lead time the predictor looks, at least
extern int insert_wait_ms;             // how long an INSERT waits for its client's copy
extern double keep_s;                  // a copy lives at least this long after it was last wished
extern int key_cache_mb;               // keys of moved partitions that a session remembers; 0: none
extern int link_timeout_ms;            // connect and answer time-out of a link to a peer
extern int malformed_reports;          // MalformedReports: what becomes of a report that no client can have sent
extern int max_bytes_per_node;         // most MB of copies on this node; 0: no limit
extern int max_candidates;             // most nodes besides the serving one that a client is wished onto
extern int max_clients;                // clients whose motion state fits in shared memory
extern int max_clock_skew_ms;          // a peer's or row's clock may be this far ahead
extern int max_copies_per_node;        // most clients that may be resident on this node
extern int max_fabric_bytes;           // most MB of copies in the fabric; 0: no limit
extern int max_fabric_copies;          // most copies beyond the homes in the fabric; 0: no limit
extern int max_fabric_transfers;       // most copies under way at once in the fabric; 0: no limit
extern double max_speed_mps;           // faster reports are refused as impossible
extern int max_transfers;              // most clients that are copied to this node at once
extern int navigator_pass_ms;          // how often the navigator looks through all clients; 0: never
extern int on_unreachable;             // OnUnreachable
extern int peer_connections;           // connections to each peer
extern int peer_queue_mb;              // WAL and memory a peer that is away may hold before it becomes debt
extern int placement_mode;             // PlacementMode
extern double plane_origin_lon;        // of positions without an SRID; NaN: they are refused
extern double plane_origin_lat;
extern int predictor;                  // Predictor
extern char *predictor_function;       // schema.function, for kPredictorCustom
extern int predictor_timeout_ms;       // how long it may take
extern int quorum_holders;             // other holders that make a quorum
extern int read_scope;                 // ReadScope
extern double report_max_age_s;        // older reports are refused as late
extern double report_max_ahead_s;      // reports further in the future are refused
extern int duckdb_memory_mb;           // of DuckDB, in one process
extern int store_cache_mb;             // copies of objects of stores that are no directory of this machine
extern char *store_key_file;           // file with the keys of encrypted stores; "none": there is none
extern int object_retention_s;         // how long an object outlives what needed it
extern int store_timeout_ms;           // how long a store may be silent, and how long its failures are tried anew
extern int tier_late_writes;              // LateWrites: what becomes of writes to a partition that is moved
extern double tier_rate_mb_s;           // most MB a second that moves read, write and transfer; 0: no limit
extern bool tiering;                   // moves to and from stores go on; off: they are paused
extern int tiering_interval_ms;        // how often the tiering worker looks for idle clients
extern double time_scale;              // clients' seconds per second of the wall clock
extern int tombstone_retention_s;      // wall-clock seconds a tombstone is kept

/// Defines all settings and reserves the prefix. Called once, from _PG_init.
void define();

}  // namespace vectorshard::bridge::guc
