# A partition with keys goes to a store and comes back again and again, under kill -9 in every state, with readers of every kind that never stop, a writer of other partitions,
# and changes of the table in between. Partitions with and without keys: generated and identity columns, columns that come and go.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\n");
my $c1 = $f->node('c1');
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->sql('c1', q{
	CREATE TABLE event (id int, at date NOT NULL, words text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY RANGE (id);
	CREATE TABLE event_1a PARTITION OF event_1 FOR VALUES FROM (0) TO (1000000);
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
	CREATE TABLE event_rest PARTITION OF event DEFAULT;
	INSERT INTO event SELECT i, date '2020-01-01' + i % 700, md5(i::text) FROM generate_series(1, 4000) i;
	CREATE TABLE note (id int, at date, FOREIGN KEY (id, at) REFERENCES event);
	INSERT INTO note SELECT id, at FROM event WHERE id % 100 = 0;
});
my $old_rows = q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event e WHERE at < '2022-01-01'};
my $truth = $f->sql('c1', $old_rows);
sub state_of { my ($move) = @_; return "SELECT state FROM vectorshard.tier_moves WHERE move = $move"; }
sub cold { my ($part, $grace) = @_; $grace //= '0 s'; return $f->sql('c1', "SELECT vectorshard.move_to_cold('$part'::regclass, grace => '$grace')"); }
sub hot { my ($part) = @_; return $f->sql('c1', "SELECT vectorshard.move_to_hot('$part'::regclass, grace => '0 s')"); }
sub method { my ($part) = @_; return $f->sql('c1', "SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = '$part'::regclass"); }

# Readers that never stop.
my @readers;
for my $level ('READ COMMITTED', 'REPEATABLE READ') {
	my $reader = $c1->background_psql('postgres', on_error_stop => 0);
	my $name = lc($level =~ s/ /_/r);
	$reader->{stdin} .= qq{CREATE PROCEDURE read_$name() LANGUAGE plpgsql AS \$\$ DECLARE truth text; now text; BEGIN
		FOR i IN 1 .. 100000 LOOP
			$old_rows INTO truth;
			PERFORM pg_sleep(0.05);
			$old_rows INTO now;
			IF now <> '$truth' OR truth <> '$truth' THEN INSERT INTO seen VALUES ('$name', truth, now); END IF;
			COMMIT;
			EXIT WHEN to_regclass('enough') IS NOT NULL;
		END LOOP; INSERT INTO seen VALUES ('$name', 'done', ''); END \$\$;
	};
	push @readers, [ $reader, "SET default_transaction_isolation = '$level';\nCALL read_$name();\n" ];
}
$f->sql('c1', 'CREATE TABLE seen (who text, truth text, now text)');
for my $r (@readers) { $r->[0]->{stdin} .= $r->[1]; $r->[0]->{run}->pump_nb; }
# And a writer of rows beside, which refers to rows in the store.
my $writer = $c1->background_psql('postgres', on_error_stop => 0);
$writer->{stdin} .= q{DO $$ BEGIN FOR i IN 1 .. 100000 LOOP
	INSERT INTO event VALUES (10000 + i, '2030-01-01', 'new'); INSERT INTO note SELECT id, at FROM event WHERE id = 1 + i % 300 AND at < '2021-01-01';
	COMMIT; EXIT WHEN to_regclass('enough') IS NOT NULL; END LOOP; INSERT INTO seen VALUES ('writer', 'done', ''); END $$;} . "\n";
$writer->{run}->pump_nb;
for my $round (1 .. 3) {
	for my $part ('event_1a', 'event_2') {
		my $move = cold($part);
		$f->poll('c1', state_of($move), 'done', "round $round: $part goes under readers and a writer");
		is(method($part), 'vectorshard_cold', 'and is a stub');
	}
	for my $part ('event_1a', 'event_2') {
		my $move = hot($part);
		$f->poll('c1', state_of($move), 'done', "round $round: $part comes back");
		is(method($part), 'heap', 'and is a heap');
	}
}
$f->sql('c1', 'CREATE TABLE enough ()');
$f->poll('c1', q{SELECT count(*) FROM seen WHERE truth = 'done'}, 3, 'readers and writer went on to the end');
is($f->sql('c1', q{SELECT count(*) FROM seen WHERE truth <> 'done'}), '0', 'and saw the same rows all the time');
eval { $_->quit } for $writer, map { $_->[0] } @readers;
is($f->sql('c1', q{SELECT count(*) FROM note n WHERE NOT EXISTS (SELECT FROM event e WHERE e.id = n.id AND e.at = n.at)}), '0', 'no reference hangs');
$f->sql('c1', 'DELETE FROM note WHERE id % 100 > 0');

# kill -9 while the swap waits for its lock, in both directions.
my $reader = $c1->background_psql('postgres');
$reader->query_safe(q{BEGIN; LOCK TABLE event_2 IN ACCESS SHARE MODE});
my $move = cold('event_2');
$f->poll('c1', state_of($move), 'registered', 'registered, waiting for the lock');
$f->kill9_and_restart('c1');
eval { $reader->quit };
is($f->sql('c1', $old_rows), $truth, 'kill -9 before the swap: the same rows');
$f->poll('c1', state_of($move), 'done', 'and the move goes on');
$reader = $c1->background_psql('postgres');
$reader->query_safe(q{BEGIN; LOCK TABLE event_2 IN ACCESS SHARE MODE});
$move = hot('event_2');
$f->poll('c1', state_of($move), 'loaded', 'loaded, waiting for the lock');
$f->kill9_and_restart('c1');
eval { $reader->quit };
is($f->sql('c1', $old_rows), $truth, 'kill -9 before the swap back: the same rows');
$f->poll('c1', state_of($move), 'done', 'and the move goes on');

# kill -9 of the worker, which takes the server along, at moments that differ.
for my $delay (0.05, 0.1, 0.2, 0.3, 0.4) {
	for my $way ('cold', 'hot') {
		$move = $way eq 'cold' ? cold('event_1a', '1 s') : hot('event_1a');
		select(undef, undef, undef, $delay);
		my $pid = $f->sql('c1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'});
		kill 'KILL', $pid if $pid;
		$c1->kill9;
		$f->start_again('c1');
		is($f->sql('c1', $old_rows), $truth, "to $way: kill -9 after $delay s: the same rows");
		$f->poll('c1', state_of($move), 'done', 'and the move goes on');
	}
}
is($f->sql('c1', $old_rows), $truth, 'the same rows at the end');
is($f->sql('c1', q{SELECT count(*) FROM pg_class WHERE relname ~ '_(moved|hot)_' OR relname ~ '^pg_temp_'}), '0', 'no table is left over');
is($f->sql('c1', q{SELECT count(*) FROM pg_class t LEFT JOIN pg_class c ON c.reltoastrelid = t.oid WHERE t.relkind = 't' AND c.oid IS NULL}), '0', 'nor a table of large values');

# A change of the table while it is loaded takes the move back; the stub stays.
$move = cold('event_2');
$f->poll('c1', state_of($move), 'done', 'in the store');
$reader = $c1->background_psql('postgres');
$reader->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1});
$move = hot('event_2');
$f->poll('c1', state_of($move), 'loaded', 'loaded, waiting for old snapshots');
$f->sql('c1', 'ALTER TABLE event ADD COLUMN late int DEFAULT 3; CREATE INDEX ON event (late)');
$reader->query_safe('COMMIT');
$f->poll('c1', state_of($move), 'failed', 'a column that came meanwhile takes the move back');
like($f->sql('c1', "SELECT error FROM vectorshard.tier_moves WHERE move = $move"), qr/changed while the partition was moved/, 'and the reason is told');
is($f->sql('c1', 'SELECT count(*) FROM event_2 WHERE late = 3'), $f->sql('c1', 'SELECT count(*) FROM event_2'), 'the stub has the column');
# Detached, it is a stub still.
$f->sql('c1', 'DELETE FROM note WHERE at >= \'2021-01-01\'; ALTER TABLE event DETACH PARTITION event_2');
$truth = $f->sql('c1', q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event_2 e});
$move = hot('event_2');
$f->poll('c1', state_of($move), 'done', 'a detached stub comes back');
is($f->sql('c1', q{SELECT count(*) || md5(string_agg(e::text, '|' ORDER BY id)) FROM event_2 e}), $truth, 'with its rows');
like($f->error_of('c1', q{INSERT INTO event_2 SELECT * FROM event_2 LIMIT 1}), qr/23505/, 'and its key');
# Dropped, it leaves nothing.
$f->sql('c1', q{ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')});
$move = cold('event_2');
$f->poll('c1', state_of($move), 'done', 'in the store again');
$f->sql('c1', 'DROP TABLE note; DROP TABLE event_2; SELECT vectorshard.retire_segments()');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.segment WHERE table_name = 'public.event_2' AND state = 'live'}), '0', 'no segment lives without its partition');
is($f->sql('c1', 'SELECT count(*) FROM vectorshard.cold_partition'), '0', 'nor its name');

# Generated and identity columns, columns that come, are renamed and go, without and with a key.
for my $kind ('plain', 'keyed', 'numbered') {
	my $drop = "ALTER TABLE $kind DROP COLUMN gone;";    # numbered: after the partition was made, whose columns then have other numbers than new ones get
	my $key = $kind eq 'keyed' ? ', PRIMARY KEY (id, at)' : '';
	$f->sql('c1', qq{CREATE TABLE $kind (gone int, id int GENERATED ALWAYS AS IDENTITY, at date NOT NULL, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, words text$key) PARTITION BY RANGE (at);
		${\($kind eq 'numbered' ? '' : $drop)}
		CREATE TABLE ${kind}_1 PARTITION OF $kind FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
		${\($kind eq 'numbered' ? $drop : '')}
		INSERT INTO $kind (at, n, words) SELECT date '2020-01-01' + i % 300, i, 'word ' || i FROM generate_series(1, 500) i});
	my $rows = "SELECT count(*) || md5(string_agg(format('%s %s %s %s', id, n, twice, words), '|' ORDER BY id)) FROM $kind";
	my $before = $f->sql('c1', $rows);
	$move = cold("${kind}_1");
	$f->poll('c1', state_of($move), 'done', "$kind: in the store");
	is(method("${kind}_1"), 'vectorshard_cold', 'as a stub');
	is($f->sql('c1', $rows), $before, 'generated and identity columns have their values');
	$f->sql('c1', "ALTER TABLE $kind ADD COLUMN more text DEFAULT 'more'; ALTER TABLE $kind RENAME COLUMN words TO text; ALTER TABLE $kind RENAME COLUMN text TO words;
		ALTER TABLE $kind RENAME COLUMN n TO number; ALTER TABLE $kind ADD COLUMN other int; ALTER TABLE $kind DROP COLUMN other");
	is($f->sql('c1', $rows =~ s/ n,/ number,/r), $before, 'also when the table has changed');
	like($f->error_of('c1', "ALTER TABLE $kind ALTER COLUMN number TYPE bigint"), qr/55000: .*type of column "number".*HINT:.*move_to_hot/s, 'types stay');
	like($f->error_of('c1', "ALTER TABLE $kind ADD COLUMN n int"), qr/42701/, 'names are not used again');
	like($f->error_of('c1', "ALTER TABLE $kind RENAME COLUMN more TO n"), qr/42701/, 'nor by renaming');
	$move = hot("${kind}_1");
	$f->poll('c1', state_of($move), 'done', 'back');
	is($f->sql('c1', $rows =~ s/ n,/ number,/r), $before, 'with its values');
	is($f->sql('c1', "INSERT INTO $kind (at, number) VALUES ('2020-05-05', 7) RETURNING id || ' ' || twice || ' ' || more"), '501 14 more', 'it is writable, identity and generated columns go on');
	$f->sql('c1', "ALTER TABLE $kind DROP COLUMN twice; ALTER TABLE $kind ALTER COLUMN number TYPE bigint");
}

done_testing();
