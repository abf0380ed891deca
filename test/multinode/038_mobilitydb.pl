# Topology: one server, from a copy of the installation to which an extension mobilitydb is added: types and functions with the
# names and arguments of MobilityDB's, as far as vectorshard_mobilitydb uses them.
# Proves: without MobilityDB vectorshard_mobilitydb is refused and leaves nothing; with it paths are reported and predicted, and
# report() with a point is called as before.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $bin = `pg_config --bindir`;
chomp $bin;
my $share = `pg_config --sharedir`;
chomp $share;
my $lib = `pg_config --pkglibdir`;
chomp $lib;
# Servers find their files relative to their program.
my ($root, $prefix) = (PostgreSQL::Test::Utils::tempdir(), $bin);
chop $prefix while length $prefix && index("$share/", "$prefix/") != 0;
sub in_root { return $root . substr($_[0], length $prefix); }
for my $dir ($bin, $lib, $share) { system('mkdir', '-p', in_root($dir) =~ s{/[^/]*$}{}r) == 0 or die; }
system('cp', '-a', $bin, in_root($bin)) == 0 or die 'cp';
system('cp', '-a', $lib, in_root($lib)) == 0 or die 'cp' if $lib ne $bin && !-e in_root($lib);
system('cp', '-as', $share, in_root($share)) == 0 or die 'cp';

my $n = PostgreSQL::Test::Cluster->new('moving', install_path => in_root($bin) =~ s{/bin$}{}r);
$n->init;
$n->append_conf('postgresql.conf', "shared_preload_libraries = 'vectorshard'\nwal_level = logical\nmax_worker_processes = 32\n");
$n->start;
sub sql { return $n->safe_psql('postgres', $_[0]); }
sub error { my ($rc, $out, $err) = $n->psql('postgres', $_[0]); return $err; }
sql('CREATE EXTENSION vectorshard CASCADE');
sql(q{SELECT vectorshard.create_fabric('alone', ST_SetSRID(ST_MakePoint(2683000, 1248000), 2056), 'host=127.0.0.1 port=1')});
is(sql(q{SELECT ST_AsText(location, 2) FROM vectorshard.nodes}), 'POINT(8.54 47.38)', 'a node whose place is told in the Swiss grid');

my $functions = q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'vectorshard'::regnamespace};
my $before = sql($functions);
like(error('CREATE EXTENSION vectorshard_mobilitydb'), qr/required extension "mobilitydb" is not installed/, 'refused without MobilityDB');
like(error('CREATE EXTENSION vectorshard_mobilitydb CASCADE'), qr/extension "mobilitydb" is not available/, 'and with CASCADE');
is(sql($functions), $before, 'nothing is left');

my $to = in_root($share) . '/extension/mobilitydb';
append_to_file("$to.control", "default_version = '1.1'\nrequires = 'postgis'\n");
append_to_file("$to--1.1.sql", join "\n", map {
	my ($type, $of) = @$_;
	qq{CREATE TYPE $type AS (points $of\[], times timestamptz[]);
	CREATE FUNCTION instants($type) RETURNS $type\[] LANGUAGE sql IMMUTABLE AS 'SELECT array_agg((ARRAY[p], ARRAY[t])::\@extschema\@.$type ORDER BY t) FROM unnest((\$1).points, (\$1).times) AS u (p, t)';
	CREATE FUNCTION getValue($type) RETURNS $of LANGUAGE sql IMMUTABLE AS 'SELECT (\$1).points[1]';
	CREATE FUNCTION getTimestamp($type) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS 'SELECT (\$1).times[1]';
	CREATE FUNCTION $type($of, timestamptz) RETURNS $type LANGUAGE sql IMMUTABLE AS 'SELECT (ARRAY[\$1], ARRAY[\$2])::\@extschema\@.$type';
	CREATE FUNCTION ${type}Seq($type\[], text DEFAULT 'linear', lower_inc boolean DEFAULT true, upper_inc boolean DEFAULT true) RETURNS $type LANGUAGE sql IMMUTABLE
		AS 'SELECT (array_agg((i).points[1]), array_agg((i).times[1]))::\@extschema\@.$type FROM (SELECT unnest(\$1) AS i) AS u';}
} [ 'tgeompoint', 'geometry' ], [ 'tgeogpoint', 'geography' ]);
sql('CREATE SCHEMA apart; CREATE EXTENSION mobilitydb SCHEMA apart');
sql('CREATE EXTENSION vectorshard_mobilitydb');
pass('loaded where MobilityDB is');

my $at = 'ST_SetSRID(ST_MakePoint(8.5 + i * 0.001, 47.4), 4326)';
my $times = q{array_agg(now() - (40 - i) * interval '1 s' ORDER BY i)};
is(sql("SELECT vectorshard.report('a', (array_agg($at ORDER BY i), $times)::apart.tgeompoint) FROM generate_series(1, 30, 10) i"), '3', 'a path is reported');
is(sql("SELECT vectorshard.report('b', (array_agg($at\::geography ORDER BY i DESC), array_agg(now() - (40 - i) * interval '1 s' ORDER BY i DESC))::apart.tgeogpoint) FROM generate_series(1, 30, 10) i"),
	'3', 'and one of geographies');
is(sql(q{SELECT vectorshard.report('b', ST_SetSRID(ST_MakePoint(8.53, 47.4), 4326))}), 't', 'and a point as before');
is(sql(q{SELECT vectorshard.report('b', ST_SetSRID(ST_MakePoint(8.5301, 47.4), 4326)::geography, observed_at => now() + interval '1 s')}), 't', 'of both types');
is(sql(q{SELECT array_length((p).points, 1) || ' ' || round(ST_X((p).points[4])::numeric, 3) || ' ' || ((p).times[4] - (p).times[1]) FROM vectorshard.predicted_tgeompoint('a', 30, 3) AS p}),
	'4 8.551 00:00:30', 'its prediction is a path');
sql('SELECT vectorshard.report_handover(' . "'c')");
is(sql(q{SELECT vectorshard.predicted_tgeompoint('c') IS NULL}), 't', 'none without a position');
like(error(q{SET ROLE pg_read_all_data; SELECT vectorshard.predicted_tgeompoint('a')}), qr/permission denied/, 'not for everybody');
like(error('DROP EXTENSION mobilitydb'), qr/extension vectorshard_mobilitydb depends on/, 'MobilityDB is needed');
sql('DROP EXTENSION vectorshard_mobilitydb');
is(sql($functions), $before, 'it goes and leaves the rest');
$n->stop('immediate');
done_testing();
