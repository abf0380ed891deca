-- Who may use what. Functions that are not for applications are revoked from PUBLIC where they are made; tables are for
-- the owner alone. Anybody may look names up in the schema; pg_monitor may read every view.
GRANT USAGE ON SCHEMA vectorshard TO PUBLIC;
DO $$
DECLARE
  v regclass;
  f regprocedure;
BEGIN
  FOR v IN SELECT oid FROM pg_catalog.pg_class WHERE relnamespace = 'vectorshard'::regnamespace AND relkind = 'v' LOOP
    EXECUTE pg_catalog.format('GRANT SELECT ON %s TO pg_monitor', v);
  END LOOP;
  -- What calls itself internal is internal.
  FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
            WHERE p.pronamespace = 'vectorshard'::regnamespace AND pg_catalog.obj_description(p.oid, 'pg_proc') LIKE 'internal%' LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
  END LOOP;
END $$;
