-- Place: budgets, prices and what nodes say of themselves.

CREATE VIEW vectorshard.node_load AS
  SELECT n.name AS node, s.residents, s.copies, s.bytes, s.max_copies, nullif(s.max_bytes, 0) AS max_bytes, s.max_transfers,
         s.queue, s.queue_s, nullif(s.least_value, 'Infinity') AS least_value, to_timestamp(((s._version >> 22) + 1577836800000) / 1000.0) AS told_at
    FROM vectorshard.node_state s JOIN vectorshard.node n ON n.node = s.node;
COMMENT ON VIEW vectorshard.node_load IS 'what each node holds, may hold, and has still to copy, as it told last';

CREATE VIEW vectorshard.node_paths AS
  SELECT n.name AS node, o.name AS source, nullif(p.rtt_s, 0) * 1000 AS rtt_ms, nullif(p.setup_s, 0) * 1000 AS setup_ms,
         nullif(p.bytes_per_s, 0) AS bytes_per_s
    FROM vectorshard.node_state s JOIN vectorshard.node n ON n.node = s.node
    CROSS JOIN LATERAL unnest(s.sources, s.rtt_s, s.setup_s, s.bytes_per_s) AS p(source, rtt_s, setup_s, bytes_per_s)
    LEFT JOIN vectorshard.node o ON o.node = p.source;
COMMENT ON VIEW vectorshard.node_paths IS 'what each node measured of copies from others: round trip, time of a small copy, bandwidth';

CREATE FUNCTION vectorshard.no_client_table(table_name regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RAISE object_not_in_prerequisite_state USING MESSAGE = format('%s is not a vector-shard table', table_name),
    DETAIL = 'Only rows of clients are placed.', HINT = 'Look at vectorshard.table_placement, or call vectorshard.create_vector_shard_table().';
END $$;
COMMENT ON FUNCTION vectorshard.no_client_table(regclass) IS 'internal: the error of a table that has no rows of clients';

CREATE FUNCTION vectorshard.set_price(tier text, copy_hour float8 DEFAULT NULL, mb_hour float8 DEFAULT NULL,
                                      mb_moved float8 DEFAULT NULL, miss_s float8 DEFAULT NULL, table_name regclass DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  of_table text := coalesce(vectorshard.name_of(table_name), '');
BEGIN
  PERFORM vectorshard.require_member();
  IF tier IS NULL OR tier NOT IN ('edge', 'home', 'cold') THEN
    RAISE invalid_parameter_value USING MESSAGE = format('"%s" is no tier', tier),
      HINT = 'Give edge (a copy on another node than the home), home, or cold (in a store).';
  END IF;
  IF least(copy_hour, mb_hour, mb_moved, miss_s) < 0 OR greatest(copy_hour, mb_hour, mb_moved, miss_s) >= 'Infinity' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a price must be a number from 0 on',
      DETAIL = format('Given: copy_hour %s, mb_hour %s, mb_moved %s, miss_s %s.', coalesce(copy_hour::text, 'null'), coalesce(mb_hour::text, 'null'),
                      coalesce(mb_moved::text, 'null'), coalesce(miss_s::text, 'null')),
      HINT = 'Leave a price out to have its default.';
  END IF;
  IF coalesce(copy_hour, mb_hour, mb_moved, miss_s) IS NULL THEN
    DELETE FROM vectorshard.price p WHERE p.table_name = of_table AND p.tier = tier;
    RETURN;
  END IF;
  IF of_table <> '' AND NOT EXISTS (SELECT FROM vectorshard.shard_table s
                                     WHERE s.table_name = of_table AND s.kind = 'vector_shard' AND s.state = 'enrolled') THEN
    PERFORM vectorshard.no_client_table(table_name);
  END IF;
  INSERT INTO vectorshard.price (table_name, tier, copy_hour, mb_hour, mb_moved, miss_s, _version)
  VALUES (of_table, tier, copy_hour, mb_hour, mb_moved, miss_s, 0)
  ON CONFLICT ON CONSTRAINT price_pkey DO UPDATE
    SET copy_hour = excluded.copy_hour, mb_hour = excluded.mb_hour, mb_moved = excluded.mb_moved, miss_s = excluded.miss_s;
END $$;
COMMENT ON FUNCTION vectorshard.set_price(text, float8, float8, float8, float8, regclass) IS
  'what placement reckons with on every node: seconds of waiting that an hour of a copy, an hour of a MB, a MB moved, and a miss cost; null: the default';
REVOKE ALL ON FUNCTION vectorshard.set_price(text, float8, float8, float8, float8, regclass) FROM PUBLIC;

CREATE VIEW vectorshard.prices AS
  SELECT nullif(p.table_name, '') AS table_name, p.tier, p.copy_hour, p.mb_hour, p.mb_moved, p.miss_s FROM vectorshard.price p;
COMMENT ON VIEW vectorshard.prices IS 'the prices that set_price() set; table null: all tables, price null: the default';

-- Of each table, for what placement makes of a client: clients move as a whole.
CREATE FUNCTION vectorshard.set_table_placement(table_name regclass, weight float8 DEFAULT 1, in_size boolean DEFAULT true)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  PERFORM vectorshard.require_member();
  IF table_name IS NULL OR in_size IS NULL OR weight IS NULL OR weight NOT BETWEEN 0 AND 1000 THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a weight is a number from 0 to 1000',
      DETAIL = format('Given: table %s, weight %s, in_size %s.', coalesce(table_name::text, 'null'), coalesce(weight::text, 'null'),
                      coalesce(in_size::text, 'null')),
      HINT = '1 is the default; 0: nobody waits for rows of this table.';
  END IF;
  UPDATE vectorshard.shard_table s SET weight = set_table_placement.weight, in_size = set_table_placement.in_size
   WHERE s.table_name = vectorshard.name_of(set_table_placement.table_name) AND s.kind = 'vector_shard' AND s.state = 'enrolled';
  IF NOT FOUND THEN
    PERFORM vectorshard.no_client_table(table_name);
  END IF;
END $$;
COMMENT ON FUNCTION vectorshard.set_table_placement(regclass, float8, boolean) IS
  'how much an access to this table counts when copies of clients are weighed (1: as any other), and whether its bytes do';
REVOKE ALL ON FUNCTION vectorshard.set_table_placement(regclass, float8, boolean) FROM PUBLIC;

CREATE VIEW vectorshard.table_placement AS
  SELECT s.table_name, s.weight, s.in_size FROM vectorshard.shard_table s WHERE s.kind = 'vector_shard' AND s.state = 'enrolled';
COMMENT ON VIEW vectorshard.table_placement IS 'what placement makes of each vector-shard table: set_table_placement()';
