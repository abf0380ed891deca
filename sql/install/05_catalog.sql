-- The tables of the fabric itself (docs/architecture.md, "Tables of the fabric").
--
-- Shipped to every node by the same stream as user rows, each row with exactly one writer:
--   node, shard_table, client, wish, holder, policy, store, segment, erasure, node_state, price, quality
-- Local to a node, never shipped (tombstone: its inserts and updates are what ships):
--   resident, tombstone, peer_debt, peer_start, conflict, tier_move, cold_client, segment_client, made_object, rest, decision_log
-- No foreign keys and no unique constraint beyond the primary key: rows arrive in any order.

CREATE TABLE vectorshard.node (
  node        int PRIMARY KEY CHECK (node BETWEEN 1 AND 1023),
  name        text NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('core', 'edge')),
  uuid        uuid NOT NULL,
  incarnation bigint NOT NULL,
  state       text NOT NULL CHECK (state IN ('active', 'leaving', 'removed')),
  registrar   boolean NOT NULL DEFAULT false,
  host        text NOT NULL,
  port        int NOT NULL,
  dbname      text NOT NULL,
  location    geometry(Point, 4326) NOT NULL,
  coverage    geometry(Geometry, 4326),
  _version    bigint NOT NULL
);
COMMENT ON TABLE vectorshard.node IS 'nodes of the fabric; written by the registrar alone';

CREATE TABLE vectorshard.shard_table (
  table_name    text COLLATE "C" PRIMARY KEY,
  kind          text NOT NULL CHECK (kind IN ('vector_shard', 'reference')),
  client_column text,
  definition    text NOT NULL,
  state         text NOT NULL CHECK (state IN ('enrolled', 'undistributed')),
  weight        float8 NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000),
  in_size       boolean NOT NULL DEFAULT true,
  consistency   text NOT NULL DEFAULT 'eventual' CHECK (consistency IN ('eventual', 'home')),
  _version      bigint NOT NULL
);
COMMENT ON TABLE vectorshard.shard_table IS
  'enrolled tables, how to make them on a node that lacks them, where they are read and written, and what placement makes of them; written by the node that enrolled the table, or gave that last';

CREATE TABLE vectorshard.client (
  client   text COLLATE "C" PRIMARY KEY,
  home     int NOT NULL,
  epoch    bigint NOT NULL,
  _version bigint NOT NULL
);
COMMENT ON TABLE vectorshard.client IS 'clients and their homes; written by the home alone, the larger (epoch, _version) wins';

CREATE TABLE vectorshard.wish (
  client   text COLLATE "C" NOT NULL,
  node     int NOT NULL,
  planner  int NOT NULL,
  until    timestamptz NOT NULL,
  reason   text NOT NULL,
  _version bigint NOT NULL,
  value    float8 NOT NULL DEFAULT 'Infinity',
  eta      timestamptz,
  PRIMARY KEY (client, node, planner)
);
COMMENT ON TABLE vectorshard.wish IS 'onto which nodes a planner wishes a client, until when; written by the planner alone';

CREATE TABLE vectorshard.holder (
  client     text COLLATE "C" NOT NULL,
  node       int NOT NULL,
  generation bigint NOT NULL,
  state      text NOT NULL CHECK (state IN ('copying', 'live', 'cold', 'gone')),
  _version   bigint NOT NULL,
  bytes      bigint NOT NULL DEFAULT 0,
  store      text,                       -- cold: the store that its rows lie in
  PRIMARY KEY (client, node)
);
COMMENT ON TABLE vectorshard.holder IS 'what each node holds; written by that node alone, generations only grow';

CREATE TABLE vectorshard.policy (
  policy     text COLLATE "C" PRIMARY KEY,
  client     text COLLATE "C" NOT NULL,  -- empty: every client
  kind       text NOT NULL CHECK (kind IN ('hint', 'pin', 'never', 'region', 'inside', 'copies', 'tier')),
  node       int,
  place      geometry(Point, 4326),
  area       geometry(Geometry, 4326),   -- region: only nodes in there
  while_in   geometry(Geometry, 4326),   -- region: as long as the client is in there
  fence      text COLLATE "C",           -- inside: the region whose while_in the client is in
  copies     int,
  tier       text,
  valid_from timestamptz NOT NULL,
  valid_to   timestamptz NOT NULL,
  _version   bigint NOT NULL
);
COMMENT ON TABLE vectorshard.policy IS
  'what binds planners and holders; written by the node where it was given, rows "inside" by the node that serves the client';

CREATE TABLE vectorshard.store (
  store    text COLLATE "C" PRIMARY KEY,
  url      text NOT NULL,
  _version bigint NOT NULL,
  thaw_s   float8 NOT NULL DEFAULT 0 CHECK (thaw_s >= 0),
  encrypted boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE vectorshard.store IS 'object stores by name; no secrets here';

CREATE TABLE vectorshard.segment (
  segment    text COLLATE "C" PRIMARY KEY,
  store      text NOT NULL,
  object_key text NOT NULL,
  table_name text NOT NULL,
  kind       text NOT NULL CHECK (kind IN ('client', 'partition')),
  home       int NOT NULL,
  rows       bigint NOT NULL,
  bytes      bigint NOT NULL,
  sha256     text NOT NULL,
  content    text NOT NULL,
  columns    jsonb NOT NULL,
  zones      jsonb NOT NULL,
  blocks     text NOT NULL DEFAULT '',
  state      text NOT NULL CHECK (state IN ('live', 'dead')),
  _version   bigint NOT NULL
);
COMMENT ON TABLE vectorshard.segment IS 'manifest: immutable objects in stores; written by the node that made them';

CREATE TABLE vectorshard.erasure (
  client   text COLLATE "C" NOT NULL,
  node     int NOT NULL,
  asked_at timestamptz NOT NULL,
  done_at  timestamptz,
  rows     bigint NOT NULL DEFAULT 0,
  objects  bigint NOT NULL DEFAULT 0,
  problem  text,
  _version bigint NOT NULL,
  PRIMARY KEY (client, node)
);
COMMENT ON TABLE vectorshard.erasure IS 'clients that are to be forgotten: asked by their home, done by each node, which writes its own row';

CREATE TABLE vectorshard.node_state (
  node          int PRIMARY KEY,
  residents     bigint NOT NULL,
  copies        bigint NOT NULL,
  bytes         bigint NOT NULL,
  max_copies    bigint NOT NULL,
  max_bytes     bigint NOT NULL,
  max_transfers int NOT NULL,
  queue         bigint NOT NULL,
  queue_s       float8 NOT NULL,
  least_value   float8 NOT NULL,
  sources       int[] NOT NULL,
  rtt_s         float8[] NOT NULL,
  setup_s       float8[] NOT NULL,
  bytes_per_s   float8[] NOT NULL,
  _version      bigint NOT NULL
);
COMMENT ON TABLE vectorshard.node_state IS 'what each node holds, may hold and waits for, and what it measured of copies; written by that node alone, seldom';

CREATE TABLE vectorshard.price (
  table_name text COLLATE "C" NOT NULL,
  tier       text NOT NULL CHECK (tier IN ('edge', 'home', 'cold')),
  copy_hour  float8 CHECK (copy_hour >= 0),
  mb_hour    float8 CHECK (mb_hour >= 0),
  mb_moved   float8 CHECK (mb_moved >= 0),
  miss_s     float8 CHECK (miss_s >= 0),
  _version   bigint NOT NULL,
  PRIMARY KEY (table_name, tier)
);
COMMENT ON TABLE vectorshard.price IS 'what placement reckons with, by table (empty: all) and tier; the last that was set, on any node, counts';

CREATE TABLE vectorshard.resident (
  client     text COLLATE "C" PRIMARY KEY,
  generation bigint NOT NULL,
  since      timestamptz NOT NULL DEFAULT now(),
  leaving    boolean NOT NULL DEFAULT false,
  confirmed  boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE vectorshard.resident IS 'clients whose rows this node''s heap holds: true under the same snapshot as the rows';

CREATE TABLE vectorshard.tombstone (
  table_name text COLLATE "C" NOT NULL,
  key        text[] COLLATE "C" NOT NULL,
  client     text COLLATE "C" NOT NULL,
  _version   bigint NOT NULL,
  deleted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (table_name, key)
);
CREATE INDEX tombstone_client ON vectorshard.tombstone (client);
CREATE INDEX tombstone_deleted_at ON vectorshard.tombstone (deleted_at);
COMMENT ON TABLE vectorshard.tombstone IS 'deleted rows: a row is merged only if it is newer than its tombstone';

CREATE TABLE vectorshard.peer_debt (
  peer       int NOT NULL,
  client     text COLLATE "C" NOT NULL,
  table_name text COLLATE "C" NOT NULL,
  since      timestamptz NOT NULL DEFAULT now(),
  tries      int NOT NULL DEFAULT 0,
  last_error text,
  PRIMARY KEY (peer, client, table_name)
);
COMMENT ON TABLE vectorshard.peer_debt IS 'clients (or reference tables) whose changes a peer lacks and will be given by sync';

CREATE TABLE vectorshard.peer_start (
  node        int PRIMARY KEY,
  incarnation bigint NOT NULL,
  token       bigint NOT NULL,
  position    bigint NOT NULL
);
COMMENT ON TABLE vectorshard.peer_start IS 'the last start of each peer that was heard, and where its WAL ended then';

CREATE TABLE vectorshard.conflict (
  conflict   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL DEFAULT now(),
  kind       text NOT NULL,
  table_name text NOT NULL,
  client     text NOT NULL,
  key        text NOT NULL,
  winner     bigint,
  loser      bigint,
  reason     text NOT NULL,
  payload    bytea,
  resolved   timestamptz
);
COMMENT ON TABLE vectorshard.conflict IS 'beaten writes and dead letters of this node';

CREATE TABLE vectorshard.tier_move (
  move       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('client', 'partition')),
  direction  text NOT NULL CHECK (direction IN ('cold', 'hot')),
  subject    text NOT NULL,
  store      text,
  state      text NOT NULL,
  segment    text,
  rows       bigint,
  bytes      bigint,
  detail     jsonb NOT NULL DEFAULT '{}',
  started_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  error      text
);
COMMENT ON TABLE vectorshard.tier_move IS 'moves between tiers and how far they are; each state change is its own transaction';

CREATE TABLE vectorshard.cold_client (
  client   text COLLATE "C" NOT NULL,
  segment  text COLLATE "C" NOT NULL,
  since    timestamptz NOT NULL DEFAULT now(),
  rows     bigint NOT NULL,
  digest   text NOT NULL,
  PRIMARY KEY (client, segment)
);
CREATE INDEX cold_client_segment ON vectorshard.cold_client (segment);
COMMENT ON TABLE vectorshard.cold_client IS 'clients of this home whose rows lie in segments: how many rows, and their digest';

CREATE TABLE vectorshard.made_object (
  store      text NOT NULL,
  object_key text COLLATE "C" NOT NULL,
  made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (store, object_key)
);
COMMENT ON TABLE vectorshard.made_object IS 'objects that this node has put into stores, or was about to, until they are removed: no other is ever removed by it';

CREATE TABLE vectorshard.segment_client (
  client  text COLLATE "C" NOT NULL,
  segment text COLLATE "C" NOT NULL,
  PRIMARY KEY (client, segment)
);
CREATE INDEX segment_client_segment ON vectorshard.segment_client (segment);
COMMENT ON TABLE vectorshard.segment_client IS 'whose rows lie in the objects that this node made, whether they count there or not: until the object is gone';

CREATE TABLE vectorshard.rest (
  client   text COLLATE "C" PRIMARY KEY,
  state    bytea NOT NULL,
  ended_at timestamptz,
  look_at  timestamptz
);
CREATE INDEX rest_look_at ON vectorshard.rest (look_at) WHERE look_at IS NOT NULL;
COMMENT ON TABLE vectorshard.rest IS
  'clients whose sessions ended on this node: since when they are silent, and at what hours and after what pauses they come back here';

CREATE TABLE vectorshard.motion (
  client      text COLLATE "C" PRIMARY KEY,
  state       bytea NOT NULL,
  observed_at timestamptz NOT NULL,
  _version    bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE vectorshard.motion IS 'motion state of each client: a vector-shard table, so it follows the client';

CREATE TABLE vectorshard.decision_log (
  decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT now(),
  client      text COLLATE "C" NOT NULL,
  node        int NOT NULL,
  decision    text NOT NULL CHECK (decision IN ('wish', 'end', 'refused')),
  until       timestamptz,
  dry_run     boolean NOT NULL,
  reason      text NOT NULL
);
COMMENT ON TABLE vectorshard.decision_log IS 'what this node''s navigator decided anew, for decision_log_hours';

CREATE TABLE vectorshard.quality (
  node         int NOT NULL,
  hour         timestamptz NOT NULL,
  arrivals     bigint NOT NULL,
  hits         bigint NOT NULL,
  copies       bigint NOT NULL,
  wasted       bigint NOT NULL,
  wishes       bigint NOT NULL,
  dry_arrivals bigint NOT NULL,
  dry_hits     bigint NOT NULL,
  leads        bigint[] NOT NULL,
  held_s       float8 NOT NULL,
  surplus_s    float8 NOT NULL,
  tables       text[] NOT NULL DEFAULT '{}',    -- of what copies brought,
  table_rows   bigint[] NOT NULL DEFAULT '{}',  -- how many rows of each,
  table_bytes  bigint[] NOT NULL DEFAULT '{}',  -- and bytes
  _version     bigint NOT NULL,
  PRIMARY KEY (node, hour)
);
COMMENT ON TABLE vectorshard.quality IS 'how placement fared on each node, by the hour, for two days; added up by that node alone, once a minute';

-- What of this must survive dump and restore.
SELECT pg_catalog.pg_extension_config_dump('vectorshard.node', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.shard_table', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.client', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.holder', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.policy', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.store', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.segment', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.price', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.resident', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.tombstone', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.peer_debt', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.conflict', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.tier_move', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.cold_client', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.segment_client', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.made_object', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.erasure', '');
SELECT pg_catalog.pg_extension_config_dump('vectorshard.motion', '');
