-- Telemetry: reports as text: GeoJSON, Moving Features JSON, EWKT. They have names of their own, because an untyped literal would
-- fit geometry as well.

CREATE FUNCTION vectorshard.refuse_malformed() RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'vectorshard_refuse_malformed';
COMMENT ON FUNCTION vectorshard.refuse_malformed() IS 'internal: counts a malformed report, and true, if malformed_reports = refuse';

CREATE FUNCTION vectorshard.bad_document(detail text) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'document is not a report' USING ERRCODE = 'invalid_parameter_value', DETAIL = detail,
    HINT = 'Give a GeoJSON Point, Feature or FeatureCollection of points, or a MovingPoint with as many datetimes as coordinates.';
END $$;
COMMENT ON FUNCTION vectorshard.bad_document(text) IS 'internal: the error of a document that is no report';

-- Milliseconds since 1970, or text; in UTC if it has no zone.
CREATE FUNCTION vectorshard.json_time(value jsonb) RETURNS timestamptz
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp SET timezone = 'UTC' AS $$
BEGIN
  CASE coalesce(jsonb_typeof(value), 'null')
    WHEN 'null' THEN RETURN NULL;
    WHEN 'number' THEN RETURN to_timestamp(value::float8 / 1000);
    WHEN 'string' THEN RETURN (value #>> '{}')::timestamptz;
    ELSE PERFORM vectorshard.bad_document(format('Its time is %s.', value));
  END CASE;
END $$;
COMMENT ON FUNCTION vectorshard.json_time(jsonb) IS 'internal: a time in a document; null: none';

CREATE FUNCTION vectorshard.json_name(value jsonb) RETURNS text
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF jsonb_typeof(value) NOT IN ('string', 'number', 'null') THEN PERFORM vectorshard.bad_document(format('Its client is %s.', value)); END IF;
  RETURN value #>> '{}';
END $$;
COMMENT ON FUNCTION vectorshard.json_name(jsonb) IS 'internal: the client that a document names; null: none';

CREATE FUNCTION vectorshard.json_number(value jsonb, what text) RETURNS float8
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
BEGIN
  IF value IS NULL OR jsonb_typeof(value) = 'null' THEN RETURN NULL; END IF;
  IF jsonb_typeof(value) <> 'number' THEN PERFORM vectorshard.bad_document(format('Its %s is %s.', what, value)); END IF;
  RETURN value::float8;
END $$;
COMMENT ON FUNCTION vectorshard.json_number(jsonb, text) IS 'internal: a number in a document; null: none';

-- WGS84 is what GeoJSON is in; MF-JSON may say so.
CREATE FUNCTION vectorshard.check_crs(doc jsonb) RETURNS void
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  crs text := coalesce(doc #>> '{crs,properties,name}', doc #>> '{crs,properties,href}', doc ->> 'crs');
BEGIN
  IF crs !~ '(4326|CRS84)$' THEN PERFORM vectorshard.bad_document(format('Its crs is %s; positions are longitude and latitude.', crs)); END IF;
END $$;
COMMENT ON FUNCTION vectorshard.check_crs(jsonb) IS 'internal: refuses documents in other coordinates';

CREATE FUNCTION vectorshard.moving_points(doc jsonb)
  RETURNS TABLE (lon float8, lat float8, at timestamptz)
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  points jsonb := doc -> 'coordinates';
  times jsonb := doc -> 'datetimes';
BEGIN
  IF jsonb_typeof(doc -> 'sequences') = 'array' THEN
    RETURN QUERY SELECT m.* FROM jsonb_array_elements(doc -> 'sequences') AS s, vectorshard.moving_points(s) AS m;
    RETURN;
  END IF;
  -- One instant may stand without the outer brackets.
  IF jsonb_typeof(points -> 0) = 'number' THEN points := jsonb_build_array(points); END IF;
  IF jsonb_typeof(times) IN ('string', 'number') THEN times := jsonb_build_array(times); END IF;
  IF points IS NULL OR times IS NULL OR jsonb_typeof(points) <> 'array' OR jsonb_typeof(times) <> 'array' OR jsonb_array_length(points) <> jsonb_array_length(times) THEN
    PERFORM vectorshard.bad_document('Its coordinates and datetimes are not arrays of one length.');
  ELSIF times @> '[null]' THEN
    PERFORM vectorshard.bad_document('One of its datetimes is null.');
  END IF;
  RETURN QUERY
    SELECT vectorshard.json_number(points -> i -> 0, 'longitude'), vectorshard.json_number(points -> i -> 1, 'latitude'), vectorshard.json_time(times -> i)
      FROM generate_series(0, jsonb_array_length(points) - 1) AS i;
END $$;
COMMENT ON FUNCTION vectorshard.moving_points(jsonb) IS 'internal: positions and times of a MovingPoint';

CREATE FUNCTION vectorshard.document_reports(doc jsonb, client text)
  RETURNS TABLE (of_client text, lon float8, lat float8, speed_mps float8, heading_deg float8, at timestamptz)
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  place jsonb := CASE WHEN doc ->> 'type' = 'Feature' THEN coalesce(doc -> 'temporalGeometry', doc -> 'geometry') ELSE doc END;
  more jsonb := coalesce(nullif(doc -> 'properties', 'null'), '{}');
  who text;
BEGIN
  IF doc ->> 'type' = 'FeatureCollection' AND jsonb_typeof(doc -> 'features') = 'array' THEN
    RETURN QUERY SELECT r.* FROM jsonb_array_elements(doc -> 'features') AS f, vectorshard.document_reports(f, document_reports.client) AS r;
    RETURN;
  END IF;
  IF jsonb_typeof(more) <> 'object' THEN PERFORM vectorshard.bad_document('Its properties are no object.'); END IF;
  who := coalesce(client, vectorshard.json_name(doc -> 'id'), vectorshard.json_name(more -> 'client'));
  IF who IS NULL THEN PERFORM vectorshard.bad_document('It names no client, as an argument, id or property client.'); END IF;
  PERFORM vectorshard.check_crs(doc), vectorshard.check_crs(place);
  CASE place ->> 'type'
    WHEN 'Point' THEN
      RETURN QUERY SELECT who, vectorshard.json_number(place #> '{coordinates,0}', 'longitude'), vectorshard.json_number(place #> '{coordinates,1}', 'latitude'),
                          vectorshard.json_number(more -> 'speed', 'speed'), vectorshard.json_number(more -> 'heading', 'heading'), vectorshard.json_time(more -> 'time');
    WHEN 'MovingPoint', 'MovingGeomPoint' THEN
      RETURN QUERY SELECT who, m.lon, m.lat, NULL::float8, NULL::float8, m.at FROM vectorshard.moving_points(place) AS m;
    ELSE
      PERFORM vectorshard.bad_document(format('Its type is %s.', coalesce(place ->> 'type', 'not told')));
  END CASE;
END $$;
COMMENT ON FUNCTION vectorshard.document_reports(jsonb, text) IS 'internal: the reports in a document';

CREATE FUNCTION vectorshard.good_features(features jsonb, client text) RETURNS jsonb
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  feature jsonb;
  good jsonb[] := '{}';
BEGIN
  FOR feature IN SELECT f FROM jsonb_array_elements(features) AS f LOOP
    BEGIN
      PERFORM vectorshard.document_reports(feature, client);
      good := array_append(good, feature);
    EXCEPTION WHEN data_exception THEN
      PERFORM vectorshard.refuse_malformed();
    END;
  END LOOP;
  RETURN to_jsonb(good);
END $$;
COMMENT ON FUNCTION vectorshard.good_features(jsonb, text) IS 'internal: the features that are reports; the others are counted as malformed';

CREATE FUNCTION vectorshard.report_json(doc jsonb, client text DEFAULT NULL) RETURNS bigint
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  clients text[]; lons float8[]; lats float8[]; speeds float8[]; headings float8[]; times timestamptz[];
BEGIN
  IF doc IS NULL THEN
    IF vectorshard.refuse_malformed() THEN RETURN 0; END IF;
    PERFORM vectorshard.bad_document('It is null.');
  END IF;
  BEGIN
    SELECT array_agg(r.of_client), array_agg(r.lon), array_agg(r.lat), array_agg(r.speed_mps), array_agg(r.heading_deg), array_agg(r.at)
      INTO clients, lons, lats, speeds, headings, times
      FROM vectorshard.document_reports(doc, report_json.client) AS r;
  EXCEPTION WHEN data_exception THEN
    IF jsonb_typeof(doc -> 'features') = 'array' AND current_setting('vectorshard.malformed_reports') = 'refuse' THEN
      RETURN vectorshard.report_json(jsonb_build_object('type', 'FeatureCollection', 'features', vectorshard.good_features(doc -> 'features', client)),
                                     client);
    END IF;
    IF vectorshard.refuse_malformed() THEN RETURN 0; END IF;
    IF SQLSTATE = '22023' THEN RAISE; END IF;  -- says what is wrong already
    PERFORM vectorshard.bad_document(SQLERRM || '.');
  END;
  RETURN vectorshard.report(coalesce(clients, '{}'), coalesce(lons, '{}'), coalesce(lats, '{}'), speeds, headings, times);
END $$;
COMMENT ON FUNCTION vectorshard.report_json(jsonb, text) IS
  'reports in GeoJSON or Moving Features JSON; the number of those accepted';

CREATE FUNCTION vectorshard.from_ewkt(ewkt text) RETURNS geometry
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  BEGIN ATOMIC SELECT ST_GeomFromEWKT(from_ewkt.ewkt); END;
COMMENT ON FUNCTION vectorshard.from_ewkt(text) IS 'internal: the geometry of a text';

CREATE FUNCTION vectorshard.report_ewkt(client text, ewkt text, speed_mps float8 DEFAULT NULL, heading_deg float8 DEFAULT NULL,
                                        observed_at timestamptz DEFAULT now()) RETURNS boolean
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, vectorshard, pg_temp AS $$
DECLARE
  message text;
BEGIN
  BEGIN
    PERFORM vectorshard.from_ewkt(ewkt);
  EXCEPTION WHEN internal_error OR data_exception THEN  -- PostGIS's parser raises XX000
    IF vectorshard.refuse_malformed() THEN RETURN false; END IF;
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RAISE EXCEPTION 'position of the report is not EWKT' USING ERRCODE = 'invalid_parameter_value', DETAIL = message || '.',
      HINT = 'Give a text like SRID=4326;POINT(longitude latitude).';
  END;
  RETURN vectorshard.report(client, vectorshard.from_ewkt(ewkt), speed_mps, heading_deg, observed_at);
END $$;
COMMENT ON FUNCTION vectorshard.report_ewkt(text, text, float8, float8, timestamptz) IS
  'as report(), with the position as EWKT';
