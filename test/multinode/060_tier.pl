# Clients go to a store and come back: by wish, by a write, by hand; with a writer that never stops; with kill -9 in the
# middle of each step. After every path the rows are those that were written, byte for byte.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use GeoParquet qw(geo_of parquet_modules);
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'], config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\nvectorshard.object_retention_s = 86400\nlog_min_messages = log\n");
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', q{
	CREATE TABLE trip (client text COLLATE "C", id int, words text, spot geometry(Point, 4326), PRIMARY KEY (client, id));
	CREATE TABLE profile (client text COLLATE "C" PRIMARY KEY, words text);
	SELECT vectorshard.create_vector_shard_table('trip', 'client');
	SELECT vectorshard.create_vector_shard_table('profile', 'client');
	INSERT INTO trip SELECT 'car' || c, i, repeat(md5(c || '/' || i), 20), ST_SetSRID(ST_MakePoint(c, i), 4326)
	  FROM generate_series(1, 12) c, generate_series(1, 100) i;
	INSERT INTO profile SELECT 'car' || c, repeat(md5(c::text), 3000) FROM generate_series(1, 12) c;
	DELETE FROM trip WHERE client = 'car1' AND id = 7;
});
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->poll('e1', q{SELECT to_regclass('trip') IS NOT NULL}, 't', 'the edge has the table');

my %truth = map { my $c = "car$_"; ($c => hash_of('c1', $c)) } 1 .. 12;
sub hash_of { my ($node, $client) = @_; return $f->client_hash($node, 'trip', $client) . ' ' . $f->client_hash($node, 'profile', $client); }
sub cold { my ($client) = @_; return "SELECT state FROM vectorshard.holder WHERE client = '$client' AND node = 1"; }
sub pack_one {
	my ($client) = @_;
	$f->sql('c1', "SELECT vectorshard.move_to_cold('$client')");
	return $f->poll_until('c1', cold($client), 'cold');
}

# Idle clients are packed by the policy, many in one move.
$f->sql('c1', q{SELECT vectorshard.add_tier_policy(NULL, interval '1 s', 'cold')});
$f->poll('c1', q{SELECT count(DISTINCT client) FROM vectorshard.cold_client}, '12', 'all idle clients go to the store');
$f->sql('c1', q{SELECT vectorshard.remove_tier_policy(NULL)});
is($f->sql('c1', 'SELECT count(*) FROM ONLY trip') . $f->sql('c1', 'SELECT count(*) FROM vectorshard.resident'), '00', 'the heap is empty');
is($f->sql('c1', q{SELECT count(*) < 12 FROM vectorshard.tier_moves}), 't', 'in groups');
$f->poll('e1', cold('car1'), 'cold', 'the edge hears that the client is cold');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.tombstone WHERE client = 'car1'}), '1', 'tombstones stay');

SKIP: {
	skip('node is not installed, NOT TESTED: run scripts/bootstrap', 2) unless parquet_modules();
	my ($key, $rows) = split /\|/, $f->sql('c1', q{SELECT object_key, rows FROM vectorshard.segment WHERE table_name = 'public.trip' ORDER BY segment LIMIT 1});
	my $said = geo_of("$store/$key");
	is(join("\n", @{ $said->{faults} }), '', "another reader finds GeoParquet in a segment of clients");
	is("$said->{geo}{primary_column} @{$said->{geo}{columns}{spot}{geometry_types}}", 'spot Point', 'with the points of theirs');
}

# Plain SQL reads them there, on every node.
sub read_hash {
	my ($node, $client) = @_;
	return join ' ', map { $f->sql($node, "SELECT count(*) || ' ' || md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM $_ t WHERE client = '$client'") } 'trip', 'profile';
}
is(read_hash('c1', 'car9'), $truth{car9}, 'the home reads from the store');
is(read_hash('e1', 'car9'), $truth{car9}, 'the edge reads through the home');
is($f->sql($_, 'SELECT count(*) FROM trip'), '1199', "$_ reads all clients") for 'c1', 'e1';

# Back by hand, by a write at home, by a wish, by a write elsewhere.
is($f->sql('c1', q{SELECT vectorshard.move_to_hot('car1')}), 't', 'move_to_hot');
is(hash_of('c1', 'car1'), $truth{car1}, 'the rows are the same, versions included');
$f->sql('c1', q{INSERT INTO trip VALUES ('car2', 101, 'new')});
is($f->sql('c1', q{SELECT count(*) FROM ONLY trip WHERE client = 'car2'}), '101', 'a write at home brings back');
$f->sql('c1', q{DELETE FROM trip WHERE client = 'car2' AND id = 101});
is(hash_of('c1', 'car2'), $truth{car2}, 'row for row');
$f->sql('c1', q{INSERT INTO vectorshard.wish VALUES ('car3', 2, 1, now() + interval '1 hour', 'test', 0)});
$f->poll('e1', q{SELECT count(*) FROM ONLY trip WHERE client = 'car3'}, '100', 'a wish brings back and copies');
is(hash_of('e1', 'car3'), $truth{car3}, 'the copy is the same');
is(hash_of('c1', 'car3'), $truth{car3}, 'and so is the home');
like($f->error_of('c1', q{SELECT vectorshard.move_to_cold('car3')}), qr/55006: .*(in use|wished).*HINT/s, 'a client in use stays hot');
$f->sql('e1', q{INSERT INTO trip VALUES ('car4', 101, 'new')});
is($f->sql('e1', q{SELECT count(*) FROM ONLY trip WHERE client = 'car4'}), '101', 'a write at the edge brings back and copies');
$f->poll('c1', q{SELECT count(*) FROM ONLY trip WHERE client = 'car4'}, '101', 'and reaches the home');
$f->poll('c1', q{SELECT back_by_prediction FROM vectorshard.tier_usage WHERE store = 'cold' AND table_name IS NULL}, '1', 'one return by prediction');
$f->poll('c1', q{SELECT back_by_access FROM vectorshard.tier_usage WHERE store = 'cold' AND table_name IS NULL}, '3', 'three by access');
like($f->error_of('e1', q{SELECT vectorshard.move_to_hot('car5')}), qr/55000: this node is not the home.*DETAIL.*c1.*HINT/s, 'only the home moves a client');

# What was asked for is done when what is in the way has passed, or ends with the reason.
my $open = $f->node('c1')->background_psql('postgres');
$open->query_safe(q{BEGIN; UPDATE trip SET words = words WHERE client = 'car2' AND id = 1});
my $asked = $f->sql('c1', q{SELECT vectorshard.move_to_cold('car1')});
$f->poll('c1', "SELECT state, errors > 0, error FROM vectorshard.tier_moves WHERE move = $asked", 'planned|t|transactions that may write client "car1" are still open', 'a move waits for open writers, and says so');
$open->query_safe('COMMIT');
$f->poll('c1', "SELECT state, error FROM vectorshard.tier_moves WHERE move = $asked", 'done|', 'and is made when they end');
is(read_hash('c1', 'car1'), $truth{car1}, 'all of it');
$f->sql('c1', q{SELECT vectorshard.move_to_hot('car1')});
eval { $open->quit };
$f->sql('c1', q{SELECT vectorshard.bring_back('car8'); INSERT INTO vectorshard.peer_debt (peer, client, table_name) VALUES (99, 'car8', '')});
$asked = $f->sql('c1', q{SELECT vectorshard.move_to_cold('car8')});
$f->poll('c1', "SELECT state, error FROM vectorshard.tier_moves WHERE move = $asked", 'planned|client "car8" stays: node 99 is owed changes of it', 'a move waits for debts to be paid');
$f->sql('c1', q{DELETE FROM vectorshard.peer_debt WHERE peer = 99});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $asked", 'done', 'and is made then');
for my $case (['car3', qr/^failed\|client "car3" stays: node "e1" holds it \(live\)$/], ['nobody', qr/^failed\|client "nobody" stays: it is not resident here$/]) {
	$asked = $f->sql('c1', qq{INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail)
		VALUES ('client', 'cold', '$case->[0]', 'cold', 'planned', '{"clients": ["$case->[0]"]}') RETURNING move});
	$f->poll('c1', "SELECT state FROM vectorshard.tier_move WHERE move = $asked", 'failed', "$case->[0]: a move that cannot be made ends");
	like($f->sql('c1', "SELECT state, error FROM vectorshard.tier_moves WHERE move = $asked"), $case->[1], 'and says why');
}

# kill -9 while a move is held up at a certain point by a lock, and once nothing holds it.
for my $case (
	['vectorshard.resident', 'before the client leaves'],
	['vectorshard.store', 'objects on record, none stored'],
	['vectorshard.cold_client', 'objects stored and verified']) {
	my ($lock, $what) = @$case;
	my $holder = $f->node('c1')->background_psql('postgres');
	$holder->query_safe("BEGIN; LOCK TABLE $lock IN ACCESS EXCLUSIVE MODE");
	# By the row that move_to_cold() makes: the function itself would wait for the lock.
	$f->sql('c1', q{INSERT INTO vectorshard.tier_move (kind, direction, subject, store, state, detail)
		VALUES ('client', 'cold', 'car1', 'cold', 'planned', '{"clients": ["car1"]}')});
	ok($f->poll_until('c1', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering' AND wait_event_type = 'Lock'}, 't'), "$what: held up");
	$f->kill9_and_restart('c1');
	eval { $holder->quit };
	$f->poll('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0', "$what: the move ends after the crash");
	$f->sql('c1', q{SELECT vectorshard.move_to_hot('car1')});
	is(hash_of('c1', 'car1'), $truth{car1}, "$what: nothing lost");
	is($f->sql('c1', q{SELECT leaving FROM vectorshard.resident WHERE client = 'car1'}), 'f', "$what: writable");
}

# kill -9 somewhere in a series of moves: after so many of them.
for my $round (0 .. 4) {
	my @clients = map { "car$_" } 6 .. 12;
	my $before = $f->sql('c1', q{SELECT coalesce(max(move), 0) FROM vectorshard.tier_move});
	$f->node('c1')->psql('postgres', "SELECT vectorshard.move_to_cold('$_')") for @clients;
	$f->poll_until('c1', "SELECT count(*) >= $round FROM vectorshard.tier_move WHERE move > $before AND state = 'done'", 't');
	$f->kill9_and_restart('c1');
	$f->poll_until('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0');
	$f->node('c1')->psql('postgres', "SELECT vectorshard.move_to_hot('$_')") for @clients;
	is(join(' ', grep { hash_of('c1', $_) ne $truth{$_} } @clients), '', "round $round: every client is whole");
}
is($f->sql('c1', q{SELECT string_agg(DISTINCT client, ' ') FROM vectorshard.cold_client}), 'car5', 'only car5 is in the store');

# A reader that never stops sees each row once, wherever it is.
my $reader = $f->node('c1')->background_psql('postgres', on_error_stop => 0);
$reader->{stdin} .= q{DO $$ DECLARE n int; BEGIN FOR i IN 1 .. 200 LOOP
	SELECT count(*) INTO n FROM trip WHERE client = 'car6'; IF n <> 100 THEN RAISE EXCEPTION 'saw % rows', n; END IF;
	SELECT count(*) INTO n FROM trip WHERE id = 5; IF n <> 12 THEN RAISE EXCEPTION 'saw % clients', n; END IF;
	END LOOP; CREATE TABLE reader_done (); END $$;} . "\n";
$reader->{run}->pump_nb;
for (1 .. 200) {
	last if $f->sql('c1', q{SELECT to_regclass('reader_done') IS NOT NULL OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO $$ DECLARE n%' AND state = 'active')}) eq 't' && $_ > 1;
	pack_one('car6');
	$f->node('c1')->psql('postgres', q{SELECT vectorshard.move_to_hot('car6')});
}
$f->poll('c1', q{SELECT to_regclass('reader_done') IS NOT NULL}, 't', 'a reader saw each row once while its client went and came');
eval { $reader->quit };

# A writer that never stops, while its client goes to the store and comes back.
$f->sql('c1', q{CREATE PROCEDURE write_on(n int) LANGUAGE plpgsql AS $$
	DECLARE done boolean;
	BEGIN
		FOR i IN 1 .. n LOOP
			done := false;
			WHILE NOT done LOOP
				BEGIN
					INSERT INTO trip VALUES ('busy', i, 'word ' || i);
					UPDATE trip SET words = words || '!' WHERE client = 'busy' AND id = i;
					done := FOUND;
					IF NOT done THEN RAISE serialization_failure; END IF;
				EXCEPTION WHEN serialization_failure OR lock_not_available OR object_not_in_prerequisite_state THEN
					done := false;
				END;
				COMMIT;
			END LOOP;
		END LOOP;
	END $$});
$f->sql('c1', q{INSERT INTO trip VALUES ('busy', 0, 'word 0!')});
my $writer = $f->node('c1')->background_psql('postgres', on_error_stop => 0);
$writer->{stdin} .= "CALL write_on(500);\n\\echo finished\n";
$writer->{run}->pump_nb;
my $went = q{SELECT count(*) FROM vectorshard.tier_moves WHERE subject = 'busy' AND direction = 'cold' AND state = 'done'};
for (1 .. 400) {
	$f->node('c1')->psql('postgres', q{SELECT vectorshard.move_to_cold('busy')});
	last if $f->sql('c1', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL write_on%' AND state = 'active'}) eq '0' && $f->sql('c1', $went) > 0;
	$f->poll_until('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0');
}
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL write_on%' AND state = 'active'}, '0', 'the writer ends');
eval { $writer->quit };
$f->poll_until('c1', q{SELECT count(*) FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')}, '0');
cmp_ok($f->sql('c1', $went), '>', 0, 'it was in the store meanwhile');
$f->sql('c1', q{SELECT vectorshard.move_to_hot('busy')});
is($f->sql('c1', q{SELECT count(*) || ' ' || count(*) FILTER (WHERE words = 'word ' || id || '!') FROM ONLY trip WHERE client = 'busy'}), '501 501', 'no row is lost, none is old');

# A store that takes nothing: the client stays, and says why.
chmod 0500, "$store/node1";
SKIP: {
	skip 'the superuser of the system writes everywhere', 2 if $> == 0;
	$f->sql('c1', q{SELECT vectorshard.move_to_cold('car1')});
	$f->poll('c1', q{SELECT state FROM vectorshard.tier_moves WHERE subject = 'car1' ORDER BY move DESC LIMIT 1}, 'failed', 'a move to a store that cannot be written fails');
	is(hash_of('c1', 'car1'), $truth{car1}, 'and nothing is lost');
}
chmod 0700, "$store/node1";

# Objects of segments that nothing refers to are removed, but only a day later.
$f->sql('c1', q{SELECT vectorshard.move_to_hot('car5')});
$f->sql('c1', q{SELECT vectorshard.retire_segments()});
my $objects = () = glob "$store/node1/*.parquet";
cmp_ok($objects, '>', 0, 'objects of dead segments are kept');
$f->sql('c1', q{SET session_replication_role = replica;
	UPDATE vectorshard.segment SET _version = _version - (2::bigint * 86400000 << 22) WHERE state = 'dead'});
utime time - 2 * 86400, time - 2 * 86400, glob "$store/node1/*.parquet";
$f->node('c1')->restart;
$f->poll('c1', q{SELECT count(*) FROM vectorshard.segment}, '0', 'after a day their manifest rows go');
ok(!(grep { -e } glob "$store/node1/*.parquet"), 'and the objects');

done_testing();
