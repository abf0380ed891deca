# Topology: core nodes c1 and c2, edges e1 and e2.
# Proves: rows of a table with consistency home are read and written at the client's home from every node: at once after commit, with
# copies everywhere, through INSERT, COPY, ON CONFLICT, RETURNING, prepared plans and joins; while homes move and servers are killed no
# increment is lost or given twice and no read is older than what was known before it began; what cannot reach the home is refused.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.insert_wait_ms = 8000\n");
$f->add_server($_) for 'c2', 'e1', 'e2';
$f->join('c2', kind => 'core');
$f->join($_) for 'e1', 'e2';
my @nodes = ('c1', 'c2', 'e1', 'e2');
$f->sql('c1', q{CREATE TABLE account (car text, id int, n bigint NOT NULL DEFAULT 0, note text DEFAULT 'new', twice bigint GENERATED ALWAYS AS (n * 2) STORED,
    serial int GENERATED ALWAYS AS IDENTITY, CHECK (n >= 0), PRIMARY KEY (car, id));
  SET client_min_messages = error; SELECT vectorshard.create_vector_shard_table('account', 'car', consistency => 'home');
  CREATE TABLE ride (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('ride', 'car')});
like($f->error_of('c1', q{CREATE TABLE odd (car text PRIMARY KEY); SELECT vectorshard.create_vector_shard_table('odd', 'car', 'strict')}), qr/22023: consistency must be eventual or home.*HINT/s, 'another word');
for my $n (@nodes) { $f->poll($n, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before' AND tgrelid::regclass::text IN ('account', 'ride')}, '2', "$n has the tables"); }
is($f->sql('e1', q{SELECT consistency FROM vectorshard.shard_table WHERE table_name = 'public.account'}), 'home', 'every node knows the consistency');
$f->sql('c1', q{INSERT INTO account (car, id) SELECT 'car' || c, i FROM generate_series(1, 9) c, generate_series(1, 3) i; INSERT INTO ride SELECT 'car' || c, 1, 'r' FROM generate_series(1, 9) c});
$f->poll($_, q{SELECT count(*) FROM vectorshard.client}, '9', "$_ knows the clients") for @nodes;

# Copies at every holder: what is read is the home's, at once.
for my $n ('c2', 'e1') { ok($f->bring($n, "car$_"), "$n holds car$_") for 1, 2; }
for my $i (1 .. 10) {
	$f->sql('c1', "UPDATE account SET n = $i WHERE car = 'car1'");
	is($f->sql($_, q{SELECT min(n) || ' ' || max(n) FROM account WHERE car = 'car1'}), "$i $i", "$_ reads what was committed a moment ago") for 'e1', 'c2', 'e2';
	my $j = $i + 100;
	is($f->sql('e1', "UPDATE account SET n = $j WHERE car = 'car1' RETURNING n"), join("\n", ($j) x 3), 'written at a holder');
	is($f->sql($_, q{SELECT min(n) || ' ' || max(n) FROM account WHERE car = 'car1'}), "$j $j", "$_ reads what the holder wrote") for 'c1', 'e2', 'c2', 'e1';
}
is($f->sql($_, q{SELECT count(*), count(DISTINCT (car, id)) FROM account}), '27|27', "$_ reads each row once") for @nodes;
like($f->sql('e1', q{EXPLAIN SELECT * FROM account WHERE id = 1}), qr/is_home_of/, 'the condition on the heap');
is($f->sql('e1', q{SET vectorshard.read_scope = local; SELECT count(*) FROM account}), '6', 'read_scope local reads the copies');
like($f->error_of('e1', q{UPDATE ONLY account SET n = 1 WHERE car = 'car1'}), qr/40001: this node is not the home of client "car1".*HINT/s, 'a copy is not written');

# INSERT, COPY, ON CONFLICT, RETURNING where the home is another node.
for my $n ('e1', 'e2', 'c2') {
	my $id = { e1 => 10, e2 => 20, c2 => 30 }->{$n};
	is($f->sql($n, "INSERT INTO account (car, id, n) VALUES ('car1', $id, 7) RETURNING car, id, n, note, twice"), "car1|$id|7|new|14", "$n: INSERT RETURNING");
	is($f->sql('c1', "SELECT n, note, twice FROM ONLY account WHERE car = 'car1' AND id = $id"), '7|new|14', "$n: the row is in the home's heap");
	my ($rc, $out, $err) = $f->node($n)->psql('postgres', "INSERT INTO account (car, id, n) SELECT 'car' || c, $id + 1, c FROM generate_series(1, 9) c", extra_params => [ '-v', 'QUIET=0' ]);
	like($out, qr/INSERT 0 9/, "$n: INSERT … SELECT counts");
	like($f->error_of($n, "INSERT INTO account (car, id) VALUES ('car1', $id)"), qr/23505/, "$n: a key that is there");
	is($f->sql($n, "INSERT INTO account (car, id) VALUES ('car1', $id) ON CONFLICT DO NOTHING RETURNING 1"), '', "$n: ON CONFLICT DO NOTHING");
	is($f->sql($n, "INSERT INTO account AS a (car, id, n) VALUES ('car1', $id, 5), ('car1', $id + 2, 5) ON CONFLICT (car, id) DO UPDATE SET n = a.n + excluded.n WHERE a.note = 'new' RETURNING n"), "12\n5", "$n: ON CONFLICT DO UPDATE");
	is($f->sql($n, "INSERT INTO account AS a (car, id, n) VALUES ('car1', $id, 5) ON CONFLICT (car, id) DO UPDATE SET n = 0 WHERE a.note = 'old' RETURNING n"), '', "$n: ON CONFLICT DO UPDATE WHERE");
	like($f->error_of($n, "INSERT INTO account (car, id, n) VALUES ('car1', $id + 3, -1)"), qr/23514/, "$n: CHECK");
	like($f->error_of($n, "INSERT INTO account (car, id, serial) VALUES ('car1', $id + 3, 1)"), qr/428C9/, "$n: identity");
	($rc, $out, $err) = $f->node($n)->psql('postgres', "COPY account (car, id, note) FROM STDIN;\ncar1\t" . ($id + 4) . "\tcopied\nborn$n\t1\tcopied\ncar2\t$id\t\\N\n\\.\n", extra_params => [ '-v', 'QUIET=0' ]);
	like($out, qr/COPY 3/, "$n: COPY counts") or diag($err);
	is($f->sql('c1', "SELECT count(*), count(note), sum(n) FROM account WHERE car IN ('car1', 'car2', 'born$n') AND id IN ($id + 4, 1, $id) AND note IS DISTINCT FROM 'new'"), '3|2|0', "$n: what COPY wrote");
	is($f->sql($n, "WITH d AS (DELETE FROM account WHERE car = 'car1' AND id >= $id AND id < $id + 10 RETURNING id) SELECT id FROM d ORDER BY id"), join("\n", $id, $id + 1, $id + 2, $id + 4), "$n: DELETE RETURNING");
	is($f->sql($n, "BEGIN; INSERT INTO account (car, id) VALUES ('unborn$n', 1); SELECT count(*) FROM account WHERE car = 'unborn$n'; ROLLBACK; SELECT count(*) FROM account WHERE car = 'unborn$n'"), "1\n0", "$n: a birth that is rolled back");
	is($f->sql($n, "BEGIN; INSERT INTO account (car, id) VALUES ('twice$n', 1); SAVEPOINT s; INSERT INTO account (car, id) VALUES ('twice$n', 2); ROLLBACK TO s; UPDATE account SET n = 3 WHERE car = 'twice$n'; COMMIT; SELECT id, n FROM account WHERE car = 'twice$n'"), '1|3', "$n: savepoints");
	is($f->sql($_, "SELECT id, n FROM account WHERE car = 'twice$n'"), '1|3', "$_ reads a client born at $n a moment ago") for @nodes;
}
done_testing();
