# Topology: core c1, edge e1; two directories as stores, one of them encrypted.
# Proves: segments of whose rows few count are written anew, small ones together, while readers with old snapshots go on; a client that is
# forgotten is in no heap, no object, no copy of one and no catalog but the registry, on every node, and all others are whole: also when
# the server is killed at any step, and when the store is away meanwhile, which the client's row in erasures then says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my ($store, $vault) = (PostgreSQL::Test::Utils::tempdir, PostgreSQL::Test::Utils::tempdir);
my $keys = PostgreSQL::Test::Utils::tempdir . '/keys';
open my $out, '>', $keys or die $!;
print $out 'k1 ', '5a' x 32, "\n";
close $out;
chmod 0600, $keys;
my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\n"
	. "vectorshard.compact_below = 0\nvectorshard.store_timeout_ms = 2000\nvectorshard.store_key_file = '$keys'\nlog_min_messages = error\n");
$f->sql('c1', qq{
	SELECT vectorshard.create_store('cold', 'file://$store');
	CREATE TABLE trip (client text COLLATE "C", id int, words text, spot geometry(Point, 4326), worth numeric(12,2), PRIMARY KEY (client, id));
	CREATE TABLE badge (car int, id int, words text, PRIMARY KEY (car, id));
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	SELECT vectorshard.create_vector_shard_table('badge', 'car');
	CREATE PROCEDURE fill(car text) LANGUAGE sql AS \$\$
		INSERT INTO trip SELECT car, i, 'secret of ' || car || ' ' || repeat(md5(car || '/' || i), 5), ST_SetSRID(ST_MakePoint(i, 1), 4326), i / 7.0 FROM generate_series(1, 100) i \$\$;
});
$f->sql('c1', "CALL fill('car$_')") for 1 .. 12;
$f->sql('c1', 'INSERT INTO badge SELECT 77, i, md5(i::text) FROM generate_series(1, 10) i');
$f->poll('e1', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'the edge has the table');

sub rows { my ($node, $client) = @_; return $f->sql($node, "SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = '$client'"); }
my %truth = map { ("car$_" => rows('c1', "car$_")) } 1 .. 12;
sub wait_moves { return $f->poll_until('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0'); }
# One move of many clients: one object a table.
sub to_store {
	my ($in, @clients) = @_;
	my $list = join ',', map { "\"$_\"" } sort @clients;
	my $move = $f->sql('c1', qq{INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail) VALUES ('client', 'cold', 'many', '$in', 'planned', '{"clients": [$list]}') RETURNING move});
	$f->poll_until('c1', "SELECT state IN ('done', 'failed') FROM vectorshard.tier_move WHERE move = $move", 't');
	return $f->sql('c1', "SELECT state || coalesce(error, '') FROM vectorshard.tier_move WHERE move = $move");
}
sub whole { my (@c) = @_; return join ' ', grep { rows('c1', $_) ne $truth{$_} } @c; }
sub objects { my ($dir) = @_; my @o = sort(grep { -f } glob(($dir // $store) . '/node1/*')); return @o; }
sub spool { return grep { -f } glob $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/*/*.parquet'; }
sub done { my ($client) = @_; return $f->poll('c1', "SELECT count(*) = 2 AND bool_and(done_at IS NOT NULL) FROM vectorshard.erasures WHERE client = '$client'", 't', "$client is forgotten on both nodes"); }
sub bytes { my ($name) = @_; open my $in, '<:raw', $name or return ''; local $/ = undef; return scalar <$in>; }

# What a store holds of a client, as DuckDB reads it: every object there, whether the manifest knows it or not.
sub in_objects {
	my ($client) = @_;
	my @found;
	for my $object (objects()) {
		my ($key) = $object =~ m{(node1/.*)};
		my $segment = $f->sql('c1', "SELECT segment FROM vectorshard.segment WHERE object_key = '$key' AND table_name = 'public.trip'");
		next if $segment eq '' && $f->sql('c1', "SELECT count(*) FROM vectorshard.segment WHERE object_key = '$key'") eq '1';
		if ($segment eq '') { push @found, "$key (unknown)"; next; }
		push @found, $key if $f->sql('c1', "SELECT count(*) FROM vectorshard.segment_rows('$segment', 'trip'::regclass) AS r(client text, id int, words text, spot geometry, worth numeric, _version bigint) WHERE client = '$client'") ne '0';
	}
	return join ' ', @found;
}

# Compaction: a segment of whose rows few count is written anew.
is(to_store('cold', map { "car$_" } 1 .. 6), 'done', 'six clients in one segment');
is(scalar(objects()), 1, 'one object');
my ($first) = objects();
my $reader = $f->node('c1')->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$f->sql('c1', "SELECT vectorshard.move_to_hot('car$_')") for 1 .. 4;
is(scalar(objects()), 1, 'nothing is written anew while the setting says so');
$f->sql('c1', q{ALTER SYSTEM SET vectorshard.compact_below = 0.5; SELECT pg_reload_conf()});
$f->sql('c1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = \'vectorshard tiering\'');    # looks at once when it starts
$f->poll('c1', q{SELECT count(*) FILTER (WHERE state = 'live') || ' ' || count(*) FILTER (WHERE state = 'dead') || ' ' || sum(rows) FILTER (WHERE state = 'live') FROM vectorshard.segment}, '1 1 200', 'the segment is written anew with what counts');
is(scalar(objects()), 2, 'the old object stays');
ok((grep { $_ eq $first } objects()), 'where it was');
unlink spool();
is(whole(map { "car$_" } 1 .. 12), '', 'every client is whole');
is($reader->query_safe(q{SELECT count(*) FROM trip}), '1200', 'a reader with an old snapshot reads on');
is($reader->query_safe(q{SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM trip t WHERE client = 'car5'}), $truth{car5}, 'the old object');
eval { $reader->quit };
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.tier_moves WHERE state = 'done' AND subject LIKE 'segment %'}), '1', 'tier_moves shows it');

# Many small segments become one; what an ALTER TABLE added is read as before.
for my $c (1 .. 4, 7 .. 12) { is(to_store('cold', "car$c"), 'done', "car$c for itself"); }
$f->sql('c1', q{SELECT vectorshard.run_on_all_nodes('ALTER TABLE trip ADD COLUMN later text DEFAULT ''d''')});
%truth = map { ("car$_" => rows('c1', "car$_")) } 1 .. 12;
$f->sql('c1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = \'vectorshard tiering\'');
$f->poll('c1', q{SELECT count(*) || ' ' || sum(rows) FROM vectorshard.segment WHERE state = 'live'}, '1 1200', 'eleven small segments became one');
unlink spool();
is(whole(map { "car$_" } 1 .. 12), '', 'every client is whole');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.verify_store(deep => true) WHERE NOT ok}), '0', 'and so is the store');

# A cold client is forgotten: the segment is written anew without it, and all objects that ever held it are gone at once; also what a
# move that was cut off has left, though it is young.
my $orphan = "$store/node1/1-9999-1-0123456789abcdef.parquet";
open $out, '>:raw', $orphan or die $!;
print $out bytes($first);
close $out;
my $strange = "$store/node1/1-9998-1-0123456789abcdef.parquet";
link $orphan, $strange or die $!;    # of another server, perhaps
$f->sql('c1', q{INSERT INTO vectorshard.made_object VALUES ('cold', 'node1/1-9999-1-0123456789abcdef.parquet')});
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.verify_store('cold') WHERE NOT ok AND segment IS NULL AND object_key = 'node1/1-9999-1-0123456789abcdef.parquet' AND problem ~ 'no segment names it'}), '1', 'verify_store() tells an object that nothing names');
is($f->sql('c1', q{SELECT rows || ' ' || (objects > 2) FROM vectorshard.forget_client('car5')}), '100 true', 'what was removed is told');
done('car5');
is(in_objects('car5') =~ s{node1/1-9998-\S+ \(unknown\)}{}r, '', 'no object holds it');
ok(!-e $orphan, 'nor does one that nothing named');
ok(-e $strange, 'what this node has not made is not touched');
is(join(' ', grep { bytes($_) =~ /secret of car5 / } spool()), '', 'nor does a copy');
is($f->sql($_, q{SELECT count(*) FROM trip WHERE client = 'car5'}), '0', "$_: no rows") for 'c1', 'e1';
is(whole(map { "car$_" } grep { $_ != 5 } 1 .. 12), '', 'all others are whole');
is($f->sql('c1', q{SELECT object_key FROM vectorshard.verify_store('cold') WHERE NOT ok}), 'node1/1-9998-1-0123456789abcdef.parquet', 'verify_store() goes on telling of it');
unlink $strange;
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.verify_store(deep => true) WHERE NOT ok}), '0', 'the store is whole');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment_client WHERE client = 'car5'}) . $f->sql('c1', q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 'car5'}), '00', 'nothing counts it');
like($f->error_of('e1', q{SELECT vectorshard.forget_client('car6')}), qr/55000: this node is not the home.*HINT/s, 'the home forgets');
like($f->error_of('c1', q{SELECT vectorshard.forget_client('nobody')}), qr/42704: client "nobody" is not known/, 'whom it knows');

# A hot client that another node holds, and that was in the store before.
$f->sql('c1', q{SELECT vectorshard.move_to_hot('car6')});
$f->sql('c1', q{INSERT INTO vectorshard.wish VALUES ('car6', 2, 1, now() + interval '1 hour', 'test', 0)});
$f->poll('e1', q{SELECT count(*) FROM ONLY trip WHERE client = 'car6'}, '100', 'the edge has a copy');
$f->sql('e1', q{SELECT vectorshard.report('car6', ST_SetSRID(ST_MakePoint(1, 1), 4326), speed_mps => 3)});
is($f->sql('c1', q{SELECT rows FROM vectorshard.forget_client('car6')}), '100', 'a client that is copied');
done('car6');
is($f->sql($_, q{SELECT count(*) FROM ONLY trip WHERE client = 'car6'}), '0', "$_: its rows are gone") for 'c1', 'e1';
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.motion WHERE client = 'car6'}), '0', 'e1: nobody knows where it was');
is(in_objects('car6'), '', 'no object holds it');
$f->sql('c1', "CALL fill('car6')");
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE client = 'car6'}), '100', 'a client of that name may come anew');
$f->sql('c1', q{UPDATE vectorshard.wish SET until = now() - interval '1 s' WHERE client = 'car6'});
$f->sql('e1', q{SELECT vectorshard.evict('car6')}) if $f->sql('e1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'car6'}) ne '0';
$f->poll('c1', q{SELECT count(*) FROM vectorshard.holder WHERE client = 'car6' AND state <> 'gone'}, '1', 'the edge lets go');
is(to_store('cold', 'car6'), 'done', 'and go to the store');

# The store is away: what lies in it alone is refused, what is asked for is done when it is back.
is($f->sql('c1', q{SELECT vectorshard.move_to_hot('car7')}), 't', 'car7 is back, its object is there');
rename $store, "$store.away" or die $!;
like($f->error_of('c1', q{SELECT vectorshard.forget_client('car8')}), qr/cannot be read/, 'a client that is in a store which is away');
is($f->sql('c1', q{SELECT rows FROM vectorshard.forget_client('car7')}), '100', 'a client whose rows were there');
$f->poll('c1', q{SELECT problem ~ 'node1/.*cannot be read|No such file' AND done_at IS NULL FROM vectorshard.erasures WHERE client = 'car7' AND node = 'c1'}, 't', 'erasures says why it is not over');
rename "$store.away", $store or die $!;
done('car7');
is(in_objects('car7'), '', 'the store is back: no object holds it');
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE client = 'car6'}), '100', 'who came anew is not forgotten again');
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE client = 'car8'}), '100', 'who was refused is there');

# kill -9 while an erasure is held up at a certain point by a lock.
my @left = map { "car$_" } 1 .. 4, 8 .. 12;
%truth = map { ($_ => rows('c1', $_)) } @left;
for my $case (['vectorshard.cold_client', 'before anything was done', 'car8'], ['vectorshard.store', 'the new object not stored', 'car9'], ['vectorshard.segment_client', 'the new object not published', 'car10'],
	['vectorshard.rest', 'objects gone, traces not', 'car11']) {
	my ($lock, $what, $client) = @$case;
	# The worker sleeps until the request is there and the lock is held.
	my $worker = $f->sql('c1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'});
	$f->sql('c1', "SELECT vectorshard.move_to_hot('$client')");
	kill 'STOP', $worker;
	$f->sql('c1', "SELECT vectorshard.forget_client('$client')");
	my $holder = $f->node('c1')->background_psql('postgres');
	$holder->query_safe("BEGIN; LOCK TABLE $lock IN ACCESS EXCLUSIVE MODE");
	kill 'CONT', $worker;
	ok($f->poll_until('c1', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering' AND wait_event_type = 'Lock'}, 't'), "$what: held up");
	$f->kill9_and_restart('c1');
	eval { $holder->quit };
	done($client);
	is(in_objects($client), '', "$what: no object holds it");
	is(whole(grep { $_ ne $client } @left), '', "$what: all others are whole");
	@left = grep { $_ ne $client } @left;
}
is($f->sql('c1', q{SELECT string_agg(problem, ' ') FROM vectorshard.verify_store(deep => true) WHERE NOT ok}), '', 'the store has what it should, and nothing else');

# Traces.
for my $n ('c1', 'e1') {
	is($f->sql($n, qq{SELECT count(*) FROM (SELECT client FROM vectorshard.$_ WHERE client IN ('car5', 'car7', 'car8', 'car9')) x}), '0', "$n: nothing in $_") for qw(rest decision_log conflict wish motion);
}
# An encrypted store, and a table whose clients are numbers.
$f->sql('c1', "SELECT vectorshard.create_store('vault', 'file://$vault', encrypted => true)");
$f->sql('c1', q{SELECT vectorshard.move_to_hot('car12')});
is(to_store('vault', '77', 'car12'), 'done', 'clients in two tables');
is($f->sql('c1', q{SELECT rows FROM vectorshard.forget_client('77')}), '10', 'a client that is a number');
done('77');
is(rows('c1', 'car12'), $truth{car12}, 'the other one is there');
is(scalar(objects($vault)), 1, 'one object is left');

done_testing();
