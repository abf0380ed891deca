-- Types whose values merge (docs/formats/crdt.md): counter, text_set, max_register, min_register. The operators lie in
-- pg_catalog, so that `n + 1` works whatever the search_path; their functions are in schema vectorshard. None of them may
-- make an expression over other types ambiguous: hence no implicit cast from arrays, no ||, and `-` for any second type.

DO $types$
DECLARE
  t text;
  f text[];
  name text;
  number text;
BEGIN
  FOREACH t IN ARRAY ARRAY['counter', 'text_set', 'max_register', 'min_register'] LOOP
    EXECUTE format('CREATE TYPE vectorshard.%s', t);
    EXECUTE format('CREATE FUNCTION vectorshard.%s_in(cstring, oid, integer) RETURNS vectorshard.%1$s
                      LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS ''MODULE_PATHNAME'', ''vectorshard_crdt_in''', t);
    EXECUTE format('CREATE FUNCTION vectorshard.%s_out(vectorshard.%1$s) RETURNS cstring
                      LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS ''MODULE_PATHNAME'', ''vectorshard_crdt_out''', t);
    EXECUTE format('CREATE FUNCTION vectorshard.%s_recv(internal, oid, integer) RETURNS vectorshard.%1$s
                      LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS ''MODULE_PATHNAME'', ''vectorshard_crdt_recv''', t);
    EXECUTE format('CREATE FUNCTION vectorshard.%s_send(vectorshard.%1$s) RETURNS bytea
                      LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS ''MODULE_PATHNAME'', ''vectorshard_crdt_send''', t);
    EXECUTE format('COMMENT ON FUNCTION vectorshard.%s_in(cstring, oid, integer) IS ''text input: the value alone''', t);
    EXECUTE format('COMMENT ON FUNCTION vectorshard.%s_out(vectorshard.%1$s) IS ''text output: the value alone''', t);
    EXECUTE format('COMMENT ON FUNCTION vectorshard.%s_recv(internal, oid, integer) IS ''binary input: the full state''', t);
    EXECUTE format('COMMENT ON FUNCTION vectorshard.%s_send(vectorshard.%1$s) IS ''binary output: the full state''', t);
    EXECUTE format('CREATE TYPE vectorshard.%s (INPUT = vectorshard.%1$s_in, OUTPUT = vectorshard.%1$s_out,
                      RECEIVE = vectorshard.%1$s_recv, SEND = vectorshard.%1$s_send, STORAGE = extended, CATEGORY = %L)',
                   t, CASE t WHEN 'text_set' THEN 'U' ELSE 'N' END);

    -- What merging, comparing and writing need: name, further argument, result, C function, strict, comment.
    FOREACH f SLICE 1 IN ARRAY ARRAY[
      ['crdt_merge', '@', '@', 'merge', '', 'the join of two states; null gives way'],
      ['crdt_contains', '@', 'boolean', 'contains', '', 'whether merging the second state into the first would change nothing'],
      ['crdt_ended', 'bigint', '@', 'ended', 'STRICT', 'the state after a tombstone of this version is known'],
      ['crdt_born', 'bigint', '@', 'born', 'STRICT', 'the value, born at this version'],
      ['crdt_birth', '', 'bigint', 'birth', 'STRICT', 'the row version of the write that made the value; 0: not born yet'],
      ['crdt_state', '', 'text', 'state', 'STRICT', 'the full state as text, which the input of the type takes'],
      ['crdt_entries', '', 'integer', 'entries', 'STRICT', 'how many entries the state carries: one for each residency that changed it'],
      ['fresh', '', '@', 'fresh', 'STRICT', 'the value, to be written as a new birth even if it says what stands there already'],
      ['crdt_eq', '@', 'boolean', 'eq', 'STRICT', 'equal by value'],
      ['crdt_ne', '@', 'boolean', 'ne', 'STRICT', 'not equal by value'],
      ['crdt_lt', '@', 'boolean', 'lt', 'STRICT', 'less by value'],
      ['crdt_le', '@', 'boolean', 'le', 'STRICT', 'less or equal by value'],
      ['crdt_gt', '@', 'boolean', 'gt', 'STRICT', 'greater by value'],
      ['crdt_ge', '@', 'boolean', 'ge', 'STRICT', 'greater or equal by value'],
      ['crdt_cmp', '@', 'integer', 'cmp', 'STRICT', 'order by value'],
      ['crdt_larger', '@', '@', 'larger', 'STRICT', 'the larger value'],
      ['crdt_smaller', '@', '@', 'smaller', 'STRICT', 'the smaller value'],
      ['crdt_hash', '', 'integer', 'hash', 'STRICT', 'hash of the value'],
      ['crdt_hash', 'bigint', 'bigint', 'hash_extended', 'STRICT', 'hash of the value with a seed']] LOOP
      name := format('vectorshard.%s(value vectorshard.%s%s)', f[1], t,
                     CASE f[2] WHEN '' THEN '' WHEN '@' THEN ', other vectorshard.' || t ELSE ', number ' || f[2] END);
      EXECUTE format('CREATE FUNCTION %s RETURNS %s LANGUAGE c IMMUTABLE %s PARALLEL SAFE AS ''MODULE_PATHNAME'', %L', name,
                     CASE f[3] WHEN '@' THEN 'vectorshard.' || t ELSE f[3] END, f[5], 'vectorshard_crdt_' || f[4]);
      EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, f[6]);
    END LOOP;

    -- Order and equality by value, for ORDER BY, GROUP BY, DISTINCT, indexes, joins, hashing.
    FOREACH f SLICE 1 IN ARRAY ARRAY[
      ['=', 'eq', '=', '<>', 'eqsel', 'eqjoinsel', 'HASHES, MERGES,'],
      ['<>', 'ne', '<>', '=', 'neqsel', 'neqjoinsel', ''],
      ['<', 'lt', '>', '>=', 'scalarltsel', 'scalarltjoinsel', ''],
      ['<=', 'le', '>=', '>', 'scalarlesel', 'scalarlejoinsel', ''],
      ['>', 'gt', '<', '<=', 'scalargtsel', 'scalargtjoinsel', ''],
      ['>=', 'ge', '<=', '<', 'scalargesel', 'scalargejoinsel', '']] LOOP
      EXECUTE format('CREATE OPERATOR pg_catalog.%s (LEFTARG = vectorshard.%s, RIGHTARG = vectorshard.%2$s,
                        FUNCTION = vectorshard.crdt_%s, COMMUTATOR = OPERATOR(pg_catalog.%s), NEGATOR = OPERATOR(pg_catalog.%s),
                        %s RESTRICT = %s, JOIN = %s)', f[1], t, f[2], f[3], f[4], f[7], f[5], f[6]);
      EXECUTE format('COMMENT ON OPERATOR pg_catalog.%s (vectorshard.%s, vectorshard.%2$s) IS ''by value''', f[1], t);
    END LOOP;
    EXECUTE format('CREATE OPERATOR CLASS vectorshard.%s_ops DEFAULT FOR TYPE vectorshard.%1$s USING btree AS
                      OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=, OPERATOR 4 pg_catalog.>=,
                      OPERATOR 5 pg_catalog.>, FUNCTION 1 vectorshard.crdt_cmp(vectorshard.%1$s, vectorshard.%1$s)', t);
    EXECUTE format('COMMENT ON OPERATOR CLASS vectorshard.%s_ops USING btree IS ''order by value''', t);
    EXECUTE format('CREATE OPERATOR CLASS vectorshard.%s_ops DEFAULT FOR TYPE vectorshard.%1$s USING hash AS
                      OPERATOR 1 pg_catalog.=, FUNCTION 1 vectorshard.crdt_hash(vectorshard.%1$s),
                      FUNCTION 2 vectorshard.crdt_hash(vectorshard.%1$s, bigint)', t);
    EXECUTE format('COMMENT ON OPERATOR CLASS vectorshard.%s_ops USING hash IS ''equality by value''', t);

    IF t <> 'text_set' THEN
      EXECUTE format('CREATE AGGREGATE pg_catalog.max(vectorshard.%s) (SFUNC = vectorshard.crdt_larger, STYPE = vectorshard.%1$s,
                        COMBINEFUNC = vectorshard.crdt_larger, SORTOP = OPERATOR(pg_catalog.>), PARALLEL = safe)', t);
      EXECUTE format('COMMENT ON AGGREGATE pg_catalog.max(vectorshard.%s) IS ''largest value''', t);
      EXECUTE format('CREATE AGGREGATE pg_catalog.min(vectorshard.%s) (SFUNC = vectorshard.crdt_smaller, STYPE = vectorshard.%1$s,
                        COMBINEFUNC = vectorshard.crdt_smaller, SORTOP = OPERATOR(pg_catalog.<), PARALLEL = safe)', t);
      EXECUTE format('COMMENT ON AGGREGATE pg_catalog.min(vectorshard.%s) IS ''smallest value''', t);
    END IF;
    -- Numbers become registers by their text, which is exact.
    IF t LIKE '%\_register' THEN
      FOREACH number IN ARRAY ARRAY['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision'] LOOP
        EXECUTE format('CREATE CAST (%s AS vectorshard.%s) WITH INOUT AS IMPLICIT', number, t);
      END LOOP;
      EXECUTE format('CREATE FUNCTION vectorshard.to_numeric(vectorshard.%s) RETURNS numeric
                        LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS ''MODULE_PATHNAME'', ''vectorshard_crdt_to_numeric''', t);
      EXECUTE format('COMMENT ON FUNCTION vectorshard.to_numeric(vectorshard.%s) IS ''the number a register holds''', t);
      EXECUTE format('CREATE CAST (vectorshard.%s AS numeric) WITH FUNCTION vectorshard.to_numeric(vectorshard.%1$s) AS ASSIGNMENT', t);
      EXECUTE format('CREATE CAST (vectorshard.%s AS bigint) WITH INOUT AS ASSIGNMENT', t);
      EXECUTE format('CREATE CAST (vectorshard.%s AS double precision) WITH INOUT AS ASSIGNMENT', t);
    END IF;
  END LOOP;

  -- Counters: a bigint that can be added to from several nodes at once.
  FOREACH f SLICE 1 IN ARRAY ARRAY[
    ['counter_plus', 'vectorshard.counter, vectorshard.counter', 'vectorshard.counter', 'counter_plus', 'STRICT', 'a change that merges with those of other nodes'],
    ['counter_minus', 'vectorshard.counter, vectorshard.counter', 'vectorshard.counter', 'counter_minus', 'STRICT', 'a change that merges with those of other nodes'],
    ['to_counter', 'smallint', 'vectorshard.counter', 'counter_from_int2', 'STRICT', 'a counter that starts at this number'],
    ['to_counter', 'integer', 'vectorshard.counter', 'counter_from_int4', 'STRICT', 'a counter that starts at this number'],
    ['to_counter', 'bigint', 'vectorshard.counter', 'counter_from_int8', 'STRICT', 'a counter that starts at this number'],
    ['to_integer', 'vectorshard.counter', 'integer', 'counter_to_int4', 'STRICT', 'the value of a counter'],
    ['to_bigint', 'vectorshard.counter', 'bigint', 'counter_to_int8', 'STRICT', 'the value of a counter'],
    ['to_numeric', 'vectorshard.counter', 'numeric', 'counter_to_numeric', 'STRICT', 'the value of a counter'],
    ['counter_sum', 'numeric, vectorshard.counter', 'numeric', 'counter_sum', '', 'transition of sum(counter)'],
    ['text_set_add', 'vectorshard.text_set, text', 'vectorshard.text_set', 'text_set_add', 'STRICT', 'adds a text'],
    ['text_set_add', 'vectorshard.text_set, text[]', 'vectorshard.text_set', 'text_set_add_all', 'STRICT', 'adds texts'],
    ['text_set_remove', 'vectorshard.text_set, anycompatible', 'vectorshard.text_set', 'text_set_remove', 'STRICT', 'removes a text, or the texts of an array'],
    ['text_set_contains', 'vectorshard.text_set, vectorshard.text_set', 'boolean', 'text_set_contains', 'STRICT', 'whether the first has all texts of the second'],
    ['text_set_contained', 'vectorshard.text_set, vectorshard.text_set', 'boolean', 'text_set_contained', 'STRICT', 'whether the second has all texts of the first'],
    ['to_text_set', 'text[]', 'vectorshard.text_set', 'text_set_from_array', 'STRICT', 'a set of these texts'],
    ['to_array', 'vectorshard.text_set', 'text[]', 'text_set_to_array', 'STRICT', 'the texts of a set, sorted by bytes']] LOOP
    name := format('vectorshard.%s(%s)', f[1], f[2]);
    EXECUTE format('CREATE FUNCTION %s RETURNS %s LANGUAGE c IMMUTABLE %s PARALLEL SAFE AS ''MODULE_PATHNAME'', %L', name, f[3], f[5],
                   'vectorshard_' || f[4]);
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', name, f[6]);
  END LOOP;
  FOREACH f SLICE 1 IN ARRAY ARRAY[
    ['+', 'vectorshard.counter', 'vectorshard.counter', 'counter_plus', ', COMMUTATOR = OPERATOR(pg_catalog.+)'],
    ['-', 'vectorshard.counter', 'vectorshard.counter', 'counter_minus', ''],
    ['+', 'vectorshard.text_set', 'text', 'text_set_add', ''],
    ['+', 'vectorshard.text_set', 'text[]', 'text_set_add', ''],
    ['-', 'vectorshard.text_set', 'anycompatible', 'text_set_remove', ''],
    ['@>', 'vectorshard.text_set', 'vectorshard.text_set', 'text_set_contains',
     ', COMMUTATOR = OPERATOR(pg_catalog.<@), RESTRICT = contsel, JOIN = contjoinsel'],
    ['<@', 'vectorshard.text_set', 'vectorshard.text_set', 'text_set_contained',
     ', COMMUTATOR = OPERATOR(pg_catalog.@>), RESTRICT = contsel, JOIN = contjoinsel']] LOOP
    EXECUTE format('CREATE OPERATOR pg_catalog.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = vectorshard.%s%s)', f[1], f[2], f[3], f[4], f[5]);
    EXECUTE format('COMMENT ON OPERATOR pg_catalog.%s (%s, %s) IS ''of a value that merges''', f[1], f[2], f[3]);
  END LOOP;
END $types$;

COMMENT ON TYPE vectorshard.counter IS 'a bigint that several nodes add to at once: every addition counts once';
COMMENT ON TYPE vectorshard.text_set IS 'a set of texts that several nodes change at once: a removal takes what it saw, an addition made elsewhere stays';
COMMENT ON TYPE vectorshard.max_register IS 'a number: the largest written since its birth';
COMMENT ON TYPE vectorshard.min_register IS 'a number: the smallest written since its birth';

CREATE CAST (smallint AS vectorshard.counter) WITH FUNCTION vectorshard.to_counter(smallint) AS IMPLICIT;
CREATE CAST (integer AS vectorshard.counter) WITH FUNCTION vectorshard.to_counter(integer) AS IMPLICIT;
CREATE CAST (bigint AS vectorshard.counter) WITH FUNCTION vectorshard.to_counter(bigint) AS IMPLICIT;
CREATE CAST (vectorshard.counter AS integer) WITH FUNCTION vectorshard.to_integer(vectorshard.counter) AS ASSIGNMENT;
CREATE CAST (vectorshard.counter AS bigint) WITH FUNCTION vectorshard.to_bigint(vectorshard.counter) AS ASSIGNMENT;
CREATE CAST (vectorshard.counter AS numeric) WITH FUNCTION vectorshard.to_numeric(vectorshard.counter) AS ASSIGNMENT;
CREATE CAST (text[] AS vectorshard.text_set) WITH FUNCTION vectorshard.to_text_set(text[]) AS ASSIGNMENT;
CREATE CAST (vectorshard.text_set AS text[]) WITH FUNCTION vectorshard.to_array(vectorshard.text_set) AS ASSIGNMENT;

CREATE AGGREGATE pg_catalog.sum(vectorshard.counter) (SFUNC = vectorshard.counter_sum, STYPE = numeric, COMBINEFUNC = numeric_add,
  PARALLEL = safe);
COMMENT ON AGGREGATE pg_catalog.sum(vectorshard.counter) IS 'sum of the values';

CREATE FUNCTION pg_catalog.cardinality(vectorshard.text_set) RETURNS integer
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_text_set_cardinality';
COMMENT ON FUNCTION pg_catalog.cardinality(vectorshard.text_set) IS 'how many texts the set has';

CREATE FUNCTION vectorshard.crdt_merges(type oid) RETURNS boolean
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'vectorshard_crdt_merges';
COMMENT ON FUNCTION vectorshard.crdt_merges(oid) IS 'whether values of a type merge';

-- A value that merges must have been written: null is what never was, and would give way to anything.
CREATE FUNCTION vectorshard.check_merging_columns(p_table regclass) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  col record;
BEGIN
  FOR col IN SELECT a.attname, a.attnotnull, a.attidentity, a.attgenerated, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute a
              WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                AND vectorshard.crdt_merges(a.atttypid) ORDER BY a.attnum LOOP
    IF NOT col.attnotnull THEN
      PERFORM vectorshard.refuse(p_table, 'not_null_violation', format('Column %I of type %s may be null.', col.attname, col.type),
        format('ALTER TABLE … ALTER COLUMN %1$I SET DEFAULT %2$L, ALTER COLUMN %1$I SET NOT NULL.', col.attname,
               CASE WHEN col.type LIKE '%text_set' THEN '{}' WHEN col.type LIKE '%max_register' THEN '-Infinity'
                    WHEN col.type LIKE '%min_register' THEN 'Infinity' ELSE '0' END));
    END IF;
  END LOOP;
END $$;
COMMENT ON FUNCTION vectorshard.check_merging_columns(regclass) IS 'internal: refuses columns that merge and may be null';

-- Values that are there when a table is enrolled: each is born now, one version each, so that no two values share a birth.
CREATE FUNCTION vectorshard.give_births(p_table regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
  SET search_path = pg_catalog, vectorshard, pg_temp SET session_replication_role = replica AS $$
DECLARE
  sets text;
BEGIN
  SELECT string_agg(format('%1$I = vectorshard.crdt_born(%1$I, vectorshard.next_version())', a.attname), ', ' ORDER BY a.attnum) INTO sets
    FROM pg_attribute a WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
     AND vectorshard.crdt_merges(a.atttypid);
  IF sets IS NOT NULL THEN EXECUTE format('UPDATE ONLY %s SET %s', p_table, sets); END IF;
END $$;
COMMENT ON FUNCTION vectorshard.give_births(regclass) IS 'internal: births for values that a table had before it was enrolled';
