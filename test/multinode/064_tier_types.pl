# Topology: core c1, a store in a directory.
# Proves: a column of every type that pg_type has goes to a store and comes back with its bytes, nulls and extreme values included; another
# implementation of Parquet (hyparquet, in Node.js) reads the same values of the same file. ROWS=n (make test-tier-types: a million).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use GeoParquet qw(geo_of parquet_modules);
use TypeValues qw(%values %big no_values);
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $ENV{ROWS} // 3000;
my $patience = 120 + $rows / 50;
my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nautovacuum = off\n");
my $store = PostgreSQL::Test::Utils::tempdir;
chmod 0755, $store;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->sql('c1', q{
	CREATE EXTENSION IF NOT EXISTS postgis;
	CREATE TYPE mood AS ENUM ('sad', 'größer', '');
	CREATE DOMAIN positive AS numeric(12, 3) CHECK (VALUE > 0);
	CREATE DOMAIN stop AS geometry(Point, 4326);
	CREATE TYPE duo AS (a int, b text, c numeric, m mood, p aclitem);
	CREATE TABLE source (a int DEFAULT 1 + length('x'), b int, c text);
	INSERT INTO source SELECT i % 10, i % 5, 'w' || i % 3 FROM generate_series(1, 1000) i;
	CREATE STATISTICS source_statistics ON a, b, c FROM source;
	ANALYZE source;
});

# What pg_type has. Row types of the catalogs and pseudo-types, and arrays of them, are no columns'.
my @columns;    # [name, type, function for the bytes or undef, values, one of how many rows has each value]
my $unknown = '';
my %none = map { $_ => 1 } no_values();
for my $line (split /\n/, $f->sql('c1', q{
	SELECT t.typname, CASE WHEN t.typcategory = 'A' AND t.typarray = 0 THEN e.typname ELSE '' END,
	  CASE WHEN t.typname = 'refcursor' OR t.typsend = 0 OR e.typsend = 0 AND t.typsend = 'array_send'::regproc THEN '' ELSE t.typsend::text END
	FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem
	WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND coalesce(e.typtype, 'b') NOT IN ('c', 'p') ORDER BY t.typname})) {
	my ($type, $of, $send) = split /\|/, $line, -1;
	my $known = $values{ $of || $type };
	if ($none{$type}) { push @columns, [ "c_$type", qq{pg_catalog."$type"}, undef, [] ]; next; }
	if (!$known) { $unknown .= " $type"; next; }
	push @columns, [ "c_$type", qq{pg_catalog."$type"}, $send || undef, $of ? arrays(qq{pg_catalog."$of"}, @$known) : $known, $of ? 40 : 0 ];
}
is($unknown, '', 'values of every type are known');

sub arrays {
	my ($type, @of) = @_;
	return [ "'{}'", 'ARRAY[' . join(', ', map { "($_)::$type" } @of) . ", NULL]::$type\[]", "array_fill(($of[-1])::$type, ARRAY[2, 1, 2], ARRAY[-1, 0, 2147483640])", "array_fill(NULL::$type, ARRAY[3])" ];
}
my $point = sub { "ST_AsText(ST_SetSRID(ST_MakePoint(i % 180, i % 90), 4326))::$_[0]" };
my @spatial = ("'POINT EMPTY'", "'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1),POLYGON((0 0,1 0,1 1,0 0),(0.1 0.1,0.2 0.1,0.2 0.2,0.1 0.1)))'", "'POINT ZM (1 2 3 4)'");
my @typed = (
	[ 'dec18', 'numeric(18,4)', 'numeric_send', [ 'i / 7.0', "'99999999999999.9999'", "'-99999999999999.9999'", "'0'" ] ],
	[ 'dec9', 'numeric(9,2)', 'numeric_send', [ 'i / 7.0', "'-9999999.99'" ] ],
	[ 'dec4', 'numeric(4,4)', 'numeric_send', [ "'0.0001'", "'-0.9999'" ] ],
	[ 'decnan', 'numeric(18,4)', 'numeric_send', [ "'NaN'", 'i / 7.0' ] ],
	[ 'rounded', 'numeric(8,-2)', 'numeric_send', [ 'i * 100', "'-99999999'" ] ],
	[ 'dec38', 'numeric(38,9)', 'numeric_send', [ 'i / 7.0', "'-99999999999999999999999999999.999999999'" ] ],
	[ 'char5', 'char(5)', 'bpcharsend', [ "'ab'", "''" ] ], [ 'varchar5', 'varchar(5)', 'varcharsend', [ "'ab'", "'größe'" ] ],
	[ 'bit5', 'bit(5)', 'bit_send', ["B'10101'"] ], [ 'tzone', 'timestamptz', 'timestamptz_send', [ "'2020-02-29 01:02:03.000001+02'", "'-infinity'", "'0044-03-15 BC'" ] ], [ 'ts0', 'timestamp(0)', 'timestamp_send', [ "'2020-02-29 01:02:03'", "'infinity'" ] ],
	[ 'days', 'interval day to second(2)', 'interval_send', ["'-3 days 01:02:03.45'"] ],
	[ 'mood', 'mood', 'enum_send', [ "'sad'", "'größer'", "''" ] ], [ 'moods', 'mood[]', 'array_send', arrays('mood', "'sad'", "'größer'") ],
	[ 'positive', 'positive', 'numeric_send', ['1 + i / 7.0'] ], [ 'positives', 'positive[]', 'array_send', arrays('positive', "'1.5'") ],
	[ 'pair', 'duo', undef, [ "ROW(i, 'x', 1.50, 'sad', NULL)::duo", "ROW(NULL, '', 'NaN', NULL, '=r/pg_signal_backend')::duo", "'(,,,,)'" ] ],
	[ 'pairs', 'duo[]', undef, arrays('duo', "ROW(1, '\",(', -0.0, 'größer', '=r/pg_signal_backend')::duo") ],
	[ 'geometry', 'geometry', 'geometry_send', [ $point->('geometry'), @spatial, "'SRID=3857;MULTIPOINT(1 2,3 4)'", "'CIRCULARSTRING(0 0,1 1,2 0)'" ] ],
	[ 'geography', 'geography', 'geography_send', [ $point->('geography'), @spatial ] ],
	[ 'geopoint', 'geometry(Point,4326)', 'geometry_send', [ $point->('geometry') ] ], [ 'geometries', 'geometry[]', 'array_send', arrays('geometry', $point->('geometry')) ],
	# Of GeoParquet; then what it does not know: M, curves, surfaces, more than one SRID.
	[ 'stop', 'stop', 'geometry_send', [ $point->('geometry') ] ],
	[ 'area', 'geometry(Polygon,3857)', 'geometry_send', [ "ST_MakeEnvelope(i, -i, i + 1, 1 - i, 3857)", "'SRID=3857;POLYGON((0 0,9 0,9 9,0 0),(2 1,3 1,3 2,2 1))'" ] ],
	[ 'shape', 'geometry', 'geometry_send', [ map { "'SRID=25832;$_'" } 'POINT(1 2)', 'LINESTRING(0 0,0.1 -5)', 'LINESTRING Z (1 2 3,4 5 6)', 'MULTIPOINT(1 2,3 4)', 'MULTILINESTRING((0 0,1 1),(2 2,3 3))',
		'MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))', 'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))', 'LINESTRING EMPTY', 'POLYGON EMPTY', 'GEOMETRYCOLLECTION EMPTY', 'MULTIPOLYGON EMPTY' ] ],
	[ 'edge', 'geometry', 'geometry_send', [ "'POINT EMPTY'", "'POINT Z EMPTY'", "'MULTIPOINT(EMPTY,1 2)'", "ST_MakePoint(-0.0, 5e-324)", "ST_MakePoint('Infinity', '-Infinity')", "ST_MakePoint('NaN', 1)", "'LINESTRING EMPTY'", "'GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(LINESTRING(0 0,1 1)),POINT EMPTY)'",
		"ST_MakePoint(1.7976931348623157e308, 'NaN', -1)" ] ],
	[ 'nowhere', 'geometry', 'geometry_send', [ "ST_MakePoint(i, 1)" ] ], [ 'invented', 'geometry', 'geometry_send', [ "'SRID=990123;POINT(1 2)'" ] ],
	[ 'around', 'geography', 'geography_send', [ $point->('geography'), "'LINESTRING(179 1,-179 2)'", "'POLYGON Z ((0 0 1,9 0 1,9 9 1,0 0 1))'" ] ],
	[ 'odd', 'geography(Point,4269)', 'geography_send', [ "ST_SetSRID(ST_MakePoint(i % 180, 1), 4269)::geography" ] ],
	[ 'measured', 'geometry', 'geometry_send', [ "'POINT M (1 2 3)'", "'POINT(1 2)'" ] ], [ 'measures', 'geometry(LineStringZM,4326)', 'geometry_send', ["'SRID=4326;LINESTRING ZM (1 2 3 4,5 6 7 8)'"] ],
	[ 'mixed', 'geometry', 'geometry_send', [ "'SRID=4326;POINT(1 2)'", "'SRID=3857;POINT(1 2)'", "'POINT(1 2)'" ] ],
	[ 'curves', 'geometry', 'geometry_send', [ "'POINT(1 2)'", "'COMPOUNDCURVE((0 0,1 1),CIRCULARSTRING(1 1,2 0,3 1))'", "'CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))'", "'MULTICURVE((0 0,5 5),CIRCULARSTRING(4 0,4 4,8 4))'" ] ],
	[ 'surfaces', 'geometry', 'geometry_send', [ "'TIN(((0 0 0,0 0 1,0 1 0,0 0 0)))'", "'POLYHEDRALSURFACE(((0 0 0,0 0 1,0 1 1,0 0 0)))'", "'TRIANGLE((0 0,0 9,9 0,0 0))'", "'MULTISURFACE(CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0)))'" ] ],
	[ 'box2d', 'box2d', undef, ["'BOX(1 2,3 4)'"] ], [ 'box3d', 'box3d', undef, ["'BOX3D(1 2 3,4 5 6)'"] ],
);
push @columns, @typed;

my $list = join ', ', map { "$_->[0] $_->[1]" } @columns;
$f->sql('c1', "CREATE TABLE everything (id int NOT NULL, $list) PARTITION BY RANGE (id);
	CREATE TABLE everything_1 PARTITION OF everything FOR VALUES FROM (0) TO (" . ($rows + 1) . ')');
my $at = 0;
my @value = map {
	my ($name, $type, $send, $of, $sparse) = @$_;
	my ($n, $case) = (0, '');
	my $modulus = $sparse || @$of + 1;
	$case .= " WHEN i % 100000 = 17 THEN $big{substr $name, 2}" if $name =~ /^c_/ && $big{ substr $name, 2 };
	my $when = join '', map { ' WHEN (i + ' . $at . ") % $modulus = " . $n++ . " THEN ($_)::$type" } @$of;
	$at++;
	$case || $when ? "CASE$case$when END" : 'NULL'
} @columns;
$f->sql('c1', 'INSERT INTO everything SELECT i, ' . join(', ', @value) . " FROM generate_series(1, $rows) i");
is($f->sql('c1', 'SELECT count(*) FROM everything'), $rows, "$rows rows of " . @columns . ' columns');

# A digest for each column, that does not depend on the order of rows.
sub digest {
	my ($settings) = @_;
	my @sums = map {
		my ($name, $type, $send) = @$_;
		my $bytes = $send ? "$send($name)" : "convert_to($name\::text, 'UTF8')";
		qq{'$name ' || count($name) || ' ' || coalesce(sum(('x' || left(md5(int4send(id) || $bytes), 15))::bit(60)::int8), 0)}
	} @columns;
	my @answer = map { split /\n/, $f->sql('c1', ($settings // '') . 'SELECT concat_ws(chr(10), ' . join(', ', @$_) . ') FROM everything') } [ @sums[ 0 .. 49 ] ], [ @sums[ 50 .. 99 ] ], [ @sums[ 100 .. $#sums ] ];
	return { map { /^(\S+) (.*)$/ ? ($1 => $2) : () } @answer };
}
sub different {
	my ($a, $b) = @_;
	return join ' ', grep { ($a->{$_} // 'none') ne ($b->{$_} // 'none') } map { $_->[0] } @columns;
}
my $before = digest();
is(scalar(keys %$before), scalar @columns, 'a digest of every column');
my %may_be_null = map { ("c_$_" => 1) } no_values();
is(join(' ', grep { $before->{$_} =~ /^0 / && !$may_be_null{$_} } map { $_->[0] } @columns), '', 'with values in all of them');
my $native = native_columns();
my $truth = PostgreSQL::Test::Utils::tempdir . '/truth';
copy_out($truth);

my $move = $f->sql('c1', q{SELECT vectorshard.move_to_cold('everything_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', 'to the store', $patience)
  or BAIL_OUT($f->sql('c1', 'SELECT * FROM vectorshard.tier_moves'));
is($f->sql('c1', q{SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = 'everything_1'}), 'vectorshard_cold', 'the partition is a stub');
is(different($before, digest()), '', 'each column has its bytes in the store');
is(different($before, digest(q{SET xmloption = document; SET DateStyle = 'German'; SET IntervalStyle = iso_8601; SET TimeZone = 'Asia/Kathmandu'; SET extra_float_digits = 0; SET bytea_output = escape; RESET client_encoding; })), '', 'whatever the session has set')
  if $rows <= 10000;
other_reader($truth);
geoparquet();

my $back = $f->sql('c1', q{SELECT vectorshard.move_to_hot('everything_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $back", 'done', 'back in the heap', $patience);
is($f->sql('c1', q{SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = 'everything_1'}), 'heap', 'the partition is a heap');
is(different($before, digest()), '', 'each column has its bytes');

# Columns that Parquet has a type for, as test/parquet/read.mjs prints them: [name, kind, expression].
sub native_columns {
	my $text = sub { "md5(convert_to($_[0]::text, 'UTF8'))" };
	my $since = sub { my ($c, $number) = @_; "CASE WHEN isfinite($c) THEN ($number)::text ELSE $c\::text END" };
	return [
		[ 'id', 'integer', 'id' ], [ 'c_bool', 'boolean', 'c_bool' ], (map { [ "c_$_", 'integer', "c_$_" ] } 'int2', 'int4', 'int8'),
		(map { [ "c_$_", $_, "encode($_" . "send(c_$_), 'hex')" ] } 'float4', 'float8'),
		[ 'c_bytea', 'bytes', 'md5(c_bytea)' ],
		(map { [ $_, 'bytes', $text->($_) ] } qw(c_text c_varchar c_uuid c_json c_jsonb c_numeric mood dec38 decnan varchar5)),
		(map { [ $_, 'bytes', "md5(bpcharsend($_))" ] } 'c_bpchar', 'char5'),
		(map { [ $_, 'decimal', "$_\::text" ] } 'dec18', 'dec9', 'dec4', 'positive'),
		[ 'c_date', 'date', $since->('c_date', "c_date - date '1970-01-01'") ],
		(map { [ $_, 'geojson', "ST_AsGeoJSON($_, 15, 0)" ] } qw(geopoint stop area shape nowhere invented around odd)),
		(map { [ $_, 'timestamp', $since->($_, "extract(epoch FROM $_) * 1000000") =~ s{extract(.*?) \* 1000000}{trunc(extract$1 * 1000000)}r ] } 'tzone', 'ts0'),    # c_timestamp and c_timestamptz have values after the last that Parquet can have: text
	];
}

sub copy_out {
	my ($file) = @_;
	my $query = 'SELECT ' . join(', ', map { $_->[2] } @$native) . ' FROM everything ORDER BY id';
	$f->node('c1')->command_ok([ 'psql', '-XAtq', '-o', $file, '-d', $f->node('c1')->connstr('postgres'), '-c', "COPY ($query) TO STDOUT" ], 'what PostgreSQL says of them');
}

sub objects { return map { "$store/$_" } split /\n/, $f->sql('c1', q{SELECT object_key FROM vectorshard.segment WHERE table_name = 'public.everything_1' AND state = 'live' ORDER BY (zones->'id'->>'min')::int8}); }

# Which columns are geometries for everybody, in which coordinates, and where.
sub geoparquet {
	is($f->sql('c1', q{SELECT string_agg(c->>'name' || ' ' || (c->>'srid'), ', ' ORDER BY c->>'name') FROM vectorshard.segment, jsonb_array_elements(columns) c WHERE table_name = 'public.everything_1' AND c->>'kind' = 'wkb'}),
		'area 3857, around 4326, edge 0, geopoint 4326, invented 990123, nowhere 0, odd 4269, shape 25832, stop 4326', 'columns of one SRID, without M, curves and surfaces, are ISO WKB');
	is($f->sql('c1', q{SELECT string_agg(DISTINCT c->>'kind', ' ') FROM vectorshard.segment, jsonb_array_elements(columns) c WHERE table_name = 'public.everything_1' AND c->>'name' IN ('geometry', 'geography', 'measured', 'measures', 'mixed', 'curves', 'surfaces', 'geometries')}),
		'send', 'the others are as PostGIS sends them');
  SKIP: {
		skip('node is not installed, NOT TESTED: run scripts/bootstrap', 8) unless parquet_modules();
		my ($object) = objects();
		my $said = geo_of($object);
		my $columns = $said->{geo}{columns};
		is(join("\n", @{ $said->{faults} }), '', 'the file keeps the rules of GeoParquet 1.1');
		is(join(' ', sort keys %$columns), 'area around edge geopoint invented nowhere odd shape stop', 'which tells of the same columns');
		is($said->{geo}{primary_column}, 'geopoint', 'the first one is the primary one');
		is(join(' ', map { "$_:" . (!exists $columns->{$_}{crs} ? 'lonlat' : !$columns->{$_}{crs} ? 'unknown' : "$columns->{$_}{crs}{type}-$columns->{$_}{crs}{id}{code}") } sort keys %$columns),
			'area:ProjectedCRS-3857 around:lonlat edge:unknown geopoint:lonlat invented:unknown nowhere:unknown odd:GeographicCRS-4269 shape:ProjectedCRS-25832 stop:lonlat', 'in their coordinate systems');
		is(join(' ', grep { ($columns->{$_}{edges} // '') eq 'spherical' } sort keys %$columns), 'around odd', 'edges of geography are geodesics');
		is(join(', ', sort @{ $columns->{shape}{geometry_types} }), 'GeometryCollection, LineString, LineString Z, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon', 'the types that are there');
		is(join(' ', map { join ',', @$_ } $columns->{shape}{bbox}, $columns->{geopoint}{geometry_types}), '0,-5,3,6,6,6 Point', 'and their box');
		is(exists $columns->{edge}{bbox} || exists $columns->{around}{bbox} ? 'a box' : 'none', 'none', 'that cannot be told of infinite ones, and of geodesics');
	}
}

sub other_reader {
	my ($file) = @_;
	my $modules = parquet_modules();
  SKIP: {
		skip('node is not installed, NOT TESTED: run scripts/bootstrap', 2) unless $modules;
		my @objects = objects();
		# The file has the rows as they lie in the heap; the first column is id.
		open my $node, '-|', 'sh', '-c', q{node "$@" | LC_ALL=C sort -n}, 'sh', 'test/parquet/read.mjs', $modules, @objects, '--', map { "$_->[0]:$_->[1]" } @$native or die "node: $!";
		open my $ours, '<', $file or die "open: $!";
		my ($count, %wrong) = (0);
		while (my $theirs = <$node>) {
			my $mine = <$ours> // '';
			$count++;
			next if $mine eq $theirs;
			chomp($mine, $theirs);
			my ($m, $t) = ([ split /\t/, $mine, -1 ], [ split /\t/, $theirs, -1 ]);
			$wrong{ $native->[$_][0] } //= "row $count: " . ($m->[$_] // 'none') . ' is read as ' . ($t->[$_] // 'none') for grep { ($m->[$_] // '') ne ($t->[$_] // '') } 0 .. $#$native;
		}
		close $node;
		is($count, $rows, 'another implementation of Parquet reads every row');
		is(join("\n", map { "$_, $wrong{$_}" } sort keys %wrong), '', 'with the same values, in ' . @$native . ' columns');
	}
}
done_testing();
