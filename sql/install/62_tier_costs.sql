-- Tier: what storage costs, as the operator has said, and what a move would come to: how large its object, what a month costs before and
-- after. A price that nobody gave is null, and so is every cost that needs it.

CREATE TABLE vectorshard.store_price (
  store         text COLLATE "C" PRIMARY KEY,  -- empty: the heap
  gb_month      float8 CHECK (gb_month >= 0),
  requests_1000 float8 CHECK (requests_1000 >= 0),
  retrieval_gb  float8 CHECK (retrieval_gb >= 0)
);
COMMENT ON TABLE vectorshard.store_price IS
  'what stores and the heap (store empty) cost, in a currency of the operator: a GiB for a month, a thousand requests, a GiB read back; null: not known';
SELECT pg_catalog.pg_extension_config_dump('vectorshard.store_price', '');

CREATE FUNCTION vectorshard.set_store_price(store text, gb_month float8 DEFAULT NULL, requests_1000 float8 DEFAULT NULL, retrieval_gb float8 DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  PERFORM vectorshard.require_member();
  IF store IS NOT NULL THEN PERFORM vectorshard.require_store(store); END IF;
  IF EXISTS (SELECT FROM unnest(ARRAY[gb_month, requests_1000, retrieval_gb]) AS v(price) WHERE price < 0 OR price >= 'Infinity') THEN
    RAISE invalid_parameter_value USING MESSAGE = 'prices must be numbers from 0 on',
      DETAIL = format('Given: gb_month %s, requests_1000 %s, retrieval_gb %s.', coalesce(gb_month::text, 'null'), coalesce(requests_1000::text, 'null'), coalesce(retrieval_gb::text, 'null')),
      HINT = 'Leave out what is not known.';
  END IF;
  INSERT INTO vectorshard.store_price (store, gb_month, requests_1000, retrieval_gb) VALUES (coalesce(store, ''), gb_month, requests_1000, retrieval_gb)
  ON CONFLICT ON CONSTRAINT store_price_pkey DO UPDATE
    SET gb_month = excluded.gb_month, requests_1000 = excluded.requests_1000, retrieval_gb = excluded.retrieval_gb;
END $$;
COMMENT ON FUNCTION vectorshard.set_store_price(text, float8, float8, float8) IS
  'says what a store costs (null: the heap of this node): a GiB for a month, a thousand requests, a GiB read back; what is left out is not known';
REVOKE ALL ON FUNCTION vectorshard.set_store_price(text, float8, float8, float8) FROM PUBLIC;

CREATE FUNCTION vectorshard.month_cost(store text, bytes float8) RETURNS float8
  LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT (SELECT p.gb_month FROM vectorshard.store_price p WHERE p.store = $1) * bytes / 1073741824
$$;
COMMENT ON FUNCTION vectorshard.month_cost(text, float8) IS 'internal: what so many bytes cost a month in a store (empty: in the heap); null: not known';
GRANT EXECUTE ON FUNCTION vectorshard.month_cost(text, float8) TO pg_monitor;

-- Bytes of a row in the segments of a table so far: of all its partitions, if it is one.
CREATE FUNCTION vectorshard.segment_row_bytes(relation regclass, OUT row_bytes float8, OUT measured bigint)
  LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT sum(s.bytes)::float8 / nullif(sum(s.rows), 0), nullif(sum(s.rows), 0)::bigint FROM vectorshard.segment s
   WHERE CASE s.kind
           WHEN 'client' THEN s.table_name = vectorshard.name_of($1)
           ELSE (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = to_regclass(s.table_name))
                = (SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = $1) END
$$;
COMMENT ON FUNCTION vectorshard.segment_row_bytes(regclass) IS 'internal: bytes a row in earlier segments of a table, and on how many rows that was measured; null: there are none';

-- Until a table has a segment: five million rows of numbers, times and short texts took 505 MB of heap and 72 MB of Parquet.
CREATE FUNCTION vectorshard.expected_segment_bytes(relation regclass, rows bigint, bytes bigint) RETURNS bigint
  LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT ceil(coalesce($2 * s.row_bytes, $3 / 7.0))::bigint FROM vectorshard.segment_row_bytes($1) s
$$;
COMMENT ON FUNCTION vectorshard.expected_segment_bytes(regclass, bigint, bigint) IS 'internal: bytes of the segment that so many rows and bytes of heap would make';

-- As the planner estimates them, which scales what ANALYZE found by the size of now, but takes a small table for a larger one.
CREATE FUNCTION vectorshard.expected_rows(relation regclass) RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  plan json;
  few bigint;
BEGIN
  IF pg_relation_size(relation) < 1048576 THEN
    EXECUTE format('SELECT count(*) FROM ONLY %s', relation) INTO few;
    RETURN few;
  END IF;
  EXECUTE format('EXPLAIN (FORMAT json) SELECT FROM ONLY %s', relation) INTO plan;
  RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END $$;
COMMENT ON FUNCTION vectorshard.expected_rows(regclass) IS 'internal: about how many rows a table has';

-- Requests of S3 and Azure: parts of 8 MiB, beginning and completing them, and reading the object back.
CREATE FUNCTION vectorshard.expected_costs(store text, heap_bytes bigint, segment_bytes bigint, OUT month_before float8, OUT month_after float8,
                                           OUT move_cost float8, OUT back_cost float8)
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
  SELECT vectorshard.month_cost('', heap_bytes), vectorshard.month_cost($1, segment_bytes),
         (SELECT p.requests_1000 / 1000 * CASE WHEN segment_bytes > 8388608 THEN 3 + ceil(segment_bytes / 8388608.0) ELSE 2 END
                 + p.retrieval_gb * segment_bytes / 1073741824 FROM vectorshard.store_price p WHERE p.store = $1),
         (SELECT p.requests_1000 / 1000 + p.retrieval_gb * segment_bytes / 1073741824 FROM vectorshard.store_price p WHERE p.store = $1)
$$;
COMMENT ON FUNCTION vectorshard.expected_costs(text, bigint, bigint) IS
  'internal: what a month costs before and after a move, what the move itself costs, and bringing back';

CREATE FUNCTION vectorshard.expected_move(partition regclass, store text DEFAULT NULL, OUT rows bigint, OUT heap_bytes bigint, OUT segment_bytes bigint,
  OUT measured_rows bigint, OUT month_before float8, OUT month_after float8, OUT move_cost float8, OUT back_cost float8)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  PERFORM vectorshard.check_movable(partition);
  rows := vectorshard.expected_rows(partition);
  heap_bytes := pg_total_relation_size(partition);
  segment_bytes := vectorshard.expected_segment_bytes(partition, rows, pg_table_size(partition));
  SELECT s.measured INTO measured_rows FROM vectorshard.segment_row_bytes(partition) s;
  SELECT c.* INTO month_before, month_after, move_cost, back_cost
    FROM vectorshard.expected_costs(vectorshard.require_store(store), heap_bytes, segment_bytes) c;
END $$;
COMMENT ON FUNCTION vectorshard.expected_move(regclass, text) IS
  'what move_to_cold() of a partition would come to: rows, bytes of heap with indexes, bytes of its object, costs; moves nothing';
REVOKE ALL ON FUNCTION vectorshard.expected_move(regclass, text) FROM PUBLIC;

CREATE FUNCTION vectorshard.expected_move(client text, store text DEFAULT NULL, OUT rows bigint, OUT heap_bytes bigint, OUT segment_bytes bigint,
  OUT measured_rows bigint, OUT month_before float8, OUT month_after float8, OUT move_cost float8, OUT back_cost float8)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  target text := vectorshard.require_store(coalesce(store, (SELECT p.store FROM vectorshard.tier_policy p WHERE p.table_name = '')));
BEGIN
  PERFORM vectorshard.require_own_client(client);
  SELECT coalesce(sum(c.rows), 0), coalesce(sum(c.bytes * (pg_total_relation_size(c.table_name) / nullif(pg_table_size(c.table_name), 0)::float8)), 0)::bigint,
         coalesce(sum(vectorshard.expected_segment_bytes(c.table_name, c.rows, c.bytes)), 0), sum(m.measured)
    INTO rows, heap_bytes, segment_bytes, measured_rows
    FROM (SELECT s.rows, s.bytes, s.table_name::regclass AS table_name FROM vectorshard.client_sizes(ARRAY[client]) s) c,
         vectorshard.segment_row_bytes(c.table_name) m;
  SELECT c.month_before, c.month_after INTO month_before, month_after FROM vectorshard.expected_costs(target, heap_bytes, segment_bytes) c;
END $$;
COMMENT ON FUNCTION vectorshard.expected_move(text, text) IS
  'what move_to_cold() of a client would come to; requests are shared by the clients of an object, so their costs are null';
REVOKE ALL ON FUNCTION vectorshard.expected_move(text, text) FROM PUBLIC;
