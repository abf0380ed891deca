# Topology: one node; Parquet files of others in a directory.
# Proves: columns that a file says to be geometries become PostGIS's, with the SRID of their coordinate system, and each value is the one that the file has,
# whatever form of well-known binary it is in; what is no geometry, or of another system, is an error that names it; other encodings stay as they are.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use ParquetFiles;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.placement_mode = off\nvectorshard.tiering_interval_ms = 200\n");
my $store = PostgreSQL::Test::Utils::tempdir;
chmod 0755, $store;
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sub said { my ($sql) = @_; my ($rc, $text, $err) = $f->node('c1')->psql('postgres', $sql); return join "\n", grep { $_ ne '' } $err, $text; }
sub parquet { return write_parquet($store, @_); }
# Well-known binary as somebody else writes it, with what the key "geo" says of it.
sub said_geo { my ($json) = @_; return qq{, KV_METADATA {geo: '{"version": "1.1.0", "primary_column": "g", "columns": $json}'}}; }
sub import_of { my ($folder, $options) = @_; return said(qq{IMPORT FOREIGN SCHEMA "$folder" FROM SERVER lake INTO ext} . ($options // '')); }
sub types_of { my ($table) = @_; return sql(qq{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0}); }
sql("SELECT vectorshard.create_store('lake', 'file://$store'); CREATE SERVER lake TYPE 'store' FOREIGN DATA WRAPPER vectorshard_fdw; CREATE SCHEMA ext");

# As DuckDB writes geometries, in GeoParquet 1, and in Parquet's own type, with and without that key.
my @wkt = ('POINT(1 2)', 'POINT EMPTY', 'LINESTRING(0 0,1 1,2 0)', 'POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))', 'MULTIPOINT(1 1,2 2)', 'MULTILINESTRING((0 0,1 1),(2 2,3 3))', 'MULTIPOLYGON(((0 0,1 0,1 1,0 0)))',
	'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))');
sub rows_of { my (@of) = @_; return join ' UNION ALL ', map { "SELECT $_ AS id, '$of[$_]'::GEOMETRY AS g" } 0 .. $#of; }
sub expected { my ($srid, @of) = @_; return join "\n", map { sql("SELECT encode(ST_AsEWKB(ST_GeomFromEWKT('SRID=$srid;$of[$_]')), 'hex')") } 0 .. $#of; }
for my $as ([ 'v1', 'V1', 'geometry(Geometry,4326)' ], [ 'v2', 'V2', 'geometry(Geometry,4326)' ], [ 'own', 'NONE', 'geometry' ]) {
	my ($name, $version, $type) = @$as;
	parquet("$name/$name", rows_of(@wkt) . ' UNION ALL SELECT 99, NULL', ", GEOPARQUET_VERSION '$version'");
	is(import_of($name), '', "$name: nothing to be said");
	is(types_of("ext.$name"), "id integer, g $type", 'of PostGIS');
	is(sql("SELECT encode(ST_AsEWKB(g), 'hex') FROM ext.$name WHERE g IS NOT NULL ORDER BY id"), expected(4326, @wkt), 'each as it is');
	is(sql("SELECT count(*), count(g) FROM ext.$name"), (@wkt + 1) . '|' . @wkt, 'and nothing where nothing is');
}
is(sql('SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM ext.v1 WHERE ST_Intersects(g, ST_MakeEnvelope(0, 0, 3, 3, 4326))'), '0 2 3 4 5 6 7', 'for functions of PostGIS');
is(sql(q{SELECT srid, type, coord_dimension FROM geometry_columns WHERE f_table_name = 'v1'}), '4326|GEOMETRY|2', 'and for who asks which columns there are');
parquet('height/height', rows_of('POINT Z(1 2 3)', 'LINESTRING Z(0 0 1,1 1 2)'));
is(import_of('height') . types_of('ext.height'), 'id integer, g geometry(GeometryZ,4326)', 'with heights');
is(sql("SELECT encode(ST_AsEWKB(g), 'hex') FROM ext.height ORDER BY id"), expected(4326, 'POINT(1 2 3)', 'LINESTRING(0 0 1,1 1 2)'), 'which are there');
parquet('some/a', rows_of('POINT(1 2)'));
parquet('some/b', rows_of('POINT Z(1 2 3)'));
is(import_of('some') . types_of('ext.some'), 'id integer, g geometry', 'files with and without are one table');
is(sql('SELECT string_agg(ST_AsEWKT(g), $$ $$ ORDER BY ST_AsEWKT(g)) FROM ext.some'), 'SRID=4326;POINT(1 2 3) SRID=4326;POINT(1 2)', 'of one SRID');

# Coordinate systems.
my %crs = (utm => '{"type": "ProjectedCRS", "name": "ETRS89 / UTM zone 32N", "id": {"authority": "EPSG", "code": 25832}}', text => '{"id": {"authority": "EPSG", "code": "3857"}}', lonlat => '{"id": {"authority": "OGC", "code": "CRS84"}}',
	none => 'null', esri => '{"id": {"authority": "ESRI", "code": 102100}}', unnamed => '{"type": "ProjectedCRS", "name": "Halle 7"}');
my $point = "from_hex('0101000000000000000000F03F0000000000000040')";
my $is_unknown = qr/^psql:[^\n]*NOTICE:  column "g" of foreign table "(esri|unnamed)" is of type public\.geometry\nDETAIL:  Its geometries come with SRID 0: their coordinate system has no EPSG code in the file\.$/;
for (sort { $a->[0] cmp $b->[0] } [ 'utm', 'geometry(Geometry,25832)', 25832 ], [ 'text', 'geometry(Geometry,3857)', 3857 ], [ 'lonlat', 'geometry(Geometry,4326)', 4326 ], [ 'none', 'geometry', 0 ], [ 'esri', 'geometry', 0, $is_unknown ], [ 'unnamed', 'geometry', 0, $is_unknown ]) {
	my ($name, $type, $srid, $notice) = @$_;
	parquet("$name/$name", "SELECT $point AS g", said_geo(qq{{"g": {"encoding": "WKB", "geometry_types": ["Point"], "crs": $crs{$name}}}}));
	like(import_of($name), $notice // qr/^$/, "$name: what has to be said");
	is(types_of("ext.$name"), "g $type", 'its type');
	is(sql("SELECT ST_AsEWKT(g) FROM ext.$name"), ($srid ? "SRID=$srid;" : '') . 'POINT(1 2)', 'its SRID');
}
parquet("differ/$_", "SELECT $point AS g", said_geo(qq{{"g": {"encoding": "WKB", "geometry_types": ["Point"], "crs": $crs{$_}}}})) for 'utm', 'text';
like($f->error_of('c1', q{IMPORT FOREIGN SCHEMA differ FROM SERVER lake INTO ext OPTIONS (per 'folder')}), qr/different columns/, 'systems that differ are no one table');
sql(q{CREATE FOREIGN TABLE ext.wrong (g geometry(Geometry, 3857)) SERVER lake OPTIONS (role 'parquet', file 'differ/utm.parquet')});
like($f->error_of('c1', 'SELECT g FROM ext.wrong'), qr/column "g" of object "differ\/utm\.parquet" cannot be read.*SRID 25832 there, and SRID 3857 in the table/s, 'nor is a file taken for another');
parquet('sphere/sphere', "SELECT $point AS g", said_geo('{"g": {"encoding": "WKB", "geometry_types": ["Point"], "edges": "spherical"}}'));
is(import_of('sphere') . types_of('ext.sphere') . sql('SELECT ST_AsEWKT(g) FROM ext.sphere'), 'g geography(Geometry,4326)SRID=4326;POINT(1 2)', 'geodesic edges are those of geography');
parquet('odd/odd', "SELECT $point AS g", said_geo(qq{{"g": {"encoding": "WKB", "geometry_types": ["Point"], "edges": "spherical", "crs": $crs{utm}}}}));
like(import_of('odd') . types_of('ext.odd'), qr/NOTICE.*edges are geodesics.*g bytea$/s, 'elsewhere they have no type');

# Every form of well-known binary: the other byte order, the extended form, with M, curves. Not said to be geometries, if the table says so by hand.
my @forms = (map({ "ST_AsBinary($_, 'XDR')" } "ST_GeomFromText('POLYGON((0 0,4 0,4 4,0 0))')", "ST_GeomFromText('POINT Z(1 2 3)')"), map({ "ST_AsEWKB(ST_GeomFromEWKT('$_'))" } 'SRID=4326;POINT(1 2)', 'POINT(1 2 3 4)', 'POINT M(1 2 3)'),
	map { "ST_AsBinary(ST_GeomFromEWKT('$_'))" } 'POINT ZM(1 2 3 4)', 'CIRCULARSTRING(0 0,1 1,2 0)', 'CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))', 'COMPOUNDCURVE(CIRCULARSTRING(0 0,1 1,2 0),(2 0,3 0))', 'TIN(((0 0 0,0 0 1,0 1 0,0 0 0)))', 'POLYHEDRALSURFACE Z(((0 0 0,0 0 1,0 1 1,0 0 0)))', 'TRIANGLE((0 0,0 9,9 0,0 0))');
my @hex = map { sql("SELECT encode($_, 'hex')") } @forms;
parquet('forms/forms', join(' UNION ALL ', map { "SELECT $_ AS id, from_hex('$hex[$_]') AS g" } 0 .. $#hex), said_geo('{"g": {"encoding": "WKB", "geometry_types": []}}'));
is(import_of('forms') . types_of('ext.forms'), 'id integer, g geometry', 'types that nobody tells');
is(sql("SELECT encode(ST_AsEWKB(g), 'hex') FROM ext.forms ORDER BY id"), join("\n", map { sql("SELECT encode(ST_AsEWKB(ST_SetSRID(ST_GeomFromEWKB('\\x$_'), 4326)), 'hex')") } @hex), 'forms of well-known binary');
sql(q{CREATE FOREIGN TABLE ext.byhand (id int, g geometry(Geometry, 25832)) SERVER lake OPTIONS (role 'parquet', file 'plain/plain.parquet'); CREATE FOREIGN TABLE ext.bytes (id int, g bytea) SERVER lake OPTIONS (role 'parquet', file 'v1/v1.parquet')});
parquet('plain/plain', "SELECT 1 AS id, $point AS g");
is(sql('SELECT ST_AsEWKT(g) FROM ext.byhand'), 'SRID=25832;POINT(1 2)', 'a file that says nothing, by the table');
sql('ALTER FOREIGN TABLE ext.byhand ALTER COLUMN g TYPE geometry(LineString, 25832)');
like($f->error_of('c1', 'SELECT g FROM ext.byhand'), qr/Geometry type \(Point\) does not match column type \(LineString\).*CONTEXT:  column "g" of object "plain\/plain\.parquet"/s, 'what PostGIS refuses is told where it is');
sql('ALTER FOREIGN TABLE ext.byhand ALTER COLUMN g TYPE geometry');
parquet('plain/plain', "SELECT 1 AS id, 'POINT(1 2)' AS g");
is(sql('SELECT ST_AsText(g) FROM ext.byhand'), 'POINT(1 2)', 'text is read as such');
is(sql('SELECT ST_AsText(ST_GeomFromWKB(g)) FROM ext.bytes WHERE id = 0'), 'POINT(1 2)', 'and who wants the bytes has them');

# What is none.
my ($n, $wrong) = (0, '');
for my $bad ('', '01', '0101000000', '0101000000000000000000F03F00000000000000', '0101000000000000000000F03F000000000000004000', '0263000000', '0102000000FFFFFFFF', '0103000000FFFFFFFFFFFFFFFF', '0107000000FFFFFFFF', '0107000000010000000101', '01FFFFFFFF000000000000F03F0000000000000040',
	'504F494E542831203229', '0107000000' . '010000000107000000' x 5000, '0101000020E86400000000000000000000F03F0000000000000040') {
	parquet('bad/bad', "SELECT 1 AS id, from_hex('$bad') AS g", said_geo('{"g": {"encoding": "WKB", "geometry_types": ["Point"]}}'));
	import_of('bad') if $n++ == 0;
	my $error = $f->error_of('c1', 'SELECT g FROM ext.bad');
	$wrong .= "$bad: $error\n" if $error !~ /XX001.*column "g" of object "bad\/bad\.parquet" cannot be read.*DETAIL:  A value of \d+ bytes is no well-known binary of SRID 4326/s;
}
is($wrong, '', "$n damaged values are errors");
is(sql('SELECT id FROM ext.bad'), '1', 'of who reads them');
parquet('bad/bad', "SELECT 1 AS id, from_hex('0102000000010000000000000000000000000000000000F03F') AS g", said_geo('{"g": {"encoding": "WKB", "geometry_types": ["Point"]}}'));
like($f->error_of('c1', 'SELECT g FROM ext.bad'), qr/at least two points.*CONTEXT:  column "g" of object "bad\/bad\.parquet"/s, 'a line of one point');

# Other encodings, and metadata that says nothing.
parquet('native/native', q{SELECT {'x': 1.5, 'y': 2.5} AS g}, said_geo('{"g": {"encoding": "point", "geometry_types": ["Point"]}}'));
is(import_of('native') . types_of('ext.native') . sql('SELECT g FROM ext.native'), 'g jsonb{"x": 1.5, "y": 2.5}', 'another encoding stays as it is');
for my $json ('{', '[]', '3', '{"columns": 3}', '{"columns": {"g": 3, "h": {"encoding": "WKB"}}}', '{"columns": {"g": {"encoding": 7, "crs": []}}}') {
	parquet('nothing/nothing', "SELECT $point AS g", ", KV_METADATA {geo: '$json'}");
	is(import_of('nothing') . types_of('ext.nothing'), 'g bytea', "$json says nothing");
	sql('DROP FOREIGN TABLE ext.nothing');
}

# What this server writes itself, geographies among it.
sql(q{CREATE TABLE trip (id int, day date, g geometry(Point, 25832), any_shape geometry, h geography) PARTITION BY RANGE (day); CREATE TABLE trip_1 PARTITION OF trip FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	INSERT INTO trip SELECT i, '2020-05-05', ST_SetSRID(ST_MakePoint(i, 2), 25832), CASE WHEN i % 2 = 0 THEN ST_Buffer(ST_MakePoint(i, 1), 1) END, ST_MakePoint(i, 3)::geography FROM generate_series(1, 100) i;
	CREATE TABLE as_it_was AS SELECT * FROM trip});
my $move = sql(q{SELECT vectorshard.move_to_cold('trip_1'::regclass, 'lake', grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', 'a partition goes to the store');
is(said('IMPORT FOREIGN SCHEMA node1 FROM SERVER lake INTO ext'), '', 'and is imported');
my $table = sql(q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'ext'::regnamespace AND relname LIKE 'trip%' OR relname ~ '^[0-9a-f-]{20,}' ORDER BY oid DESC LIMIT 1});
is(types_of($table), 'id integer, day date, g geometry(Geometry,25832), any_shape geometry, h geography(Geometry,4326)', 'its types');
is(sql("SELECT count(*) FROM $table t JOIN as_it_was w USING (id) WHERE (ST_AsEWKB(t.g), ST_AsEWKB(t.any_shape), ST_AsEWKB(t.h::geometry)) IS NOT DISTINCT FROM (ST_AsEWKB(w.g), ST_AsEWKB(w.any_shape), ST_AsEWKB(w.h::geometry))"), '100', 'its values');
done_testing();
