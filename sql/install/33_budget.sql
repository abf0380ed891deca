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

CREATE FUNCTION vectorshard.set_price(tier text, copy_hour float8 DEFAULT NULL, mb_hour float8 DEFAULT NULL,
                                      mb_moved float8 DEFAULT NULL, miss_s float8 DEFAULT NULL, table_name regclass DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  PERFORM vectorshard.require_member();
  IF tier IS NULL OR tier NOT IN ('edge', 'home', 'cold') THEN
    RAISE invalid_parameter_value USING MESSAGE = format('%L is no tier', tier),
      HINT = 'Give edge (a copy on another node than the home), home, or cold (in a store).';
  END IF;
  IF least(copy_hour, mb_hour, mb_moved, miss_s) < 0 OR greatest(copy_hour, mb_hour, mb_moved, miss_s) >= 'Infinity' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'a price must be a number from 0 on',
      HINT = 'Leave a price out to have its default.';
  END IF;
  INSERT INTO vectorshard.price (table_name, tier, copy_hour, mb_hour, mb_moved, miss_s, _version)
  VALUES (coalesce(vectorshard.name_of(table_name), ''), tier, copy_hour, mb_hour, mb_moved, miss_s, 0)
  ON CONFLICT ON CONSTRAINT price_pkey DO UPDATE
    SET copy_hour = excluded.copy_hour, mb_hour = excluded.mb_hour, mb_moved = excluded.mb_moved, miss_s = excluded.miss_s;
END $$;
COMMENT ON FUNCTION vectorshard.set_price(text, float8, float8, float8, float8, regclass) IS
  'what placement reckons with on every node: seconds of waiting that an hour of a copy, an hour of a MB, a MB moved, and a miss cost; null: the default';
REVOKE ALL ON FUNCTION vectorshard.set_price(text, float8, float8, float8, float8, regclass) FROM PUBLIC;
