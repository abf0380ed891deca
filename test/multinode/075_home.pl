# Topology: core nodes c1, c2 and c3, edge e1.
# Proves: rows of a table with consistency home are read and written at the client's home from every node: at once after commit, with
# copies everywhere, through INSERT, COPY, ON CONFLICT, RETURNING, prepared plans and joins; while homes move and servers are killed no
# increment is lost or given twice and no read is older than what was known before it began; what cannot reach the home is refused.
use strict;
use warnings;
use Fabric;
use Registers;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.insert_wait_ms = 8000\n");
$f->add_server($_) for 'c2', 'c3', 'e1';
$f->join($_, kind => 'core') for 'c2', 'c3';
$f->join('e1');
my @nodes = ('c1', 'c2', 'c3', 'e1');
my %nodes = map { $nodes[$_] => $_ } 0 .. 3;
$f->sql('c1', q{CREATE TABLE account (car text, id int, n bigint NOT NULL DEFAULT 0, note text DEFAULT 'new', twice bigint GENERATED ALWAYS AS (n * 2) STORED,
    serial int GENERATED ALWAYS AS IDENTITY, CHECK (n >= 0), PRIMARY KEY (car, id));
  SET client_min_messages = error; SELECT vectorshard.create_vector_shard_table('account', 'car', consistency => 'home');
  CREATE TABLE ride (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('ride', 'car')});
like($f->error_of('c1', q{CREATE TABLE odd (car text PRIMARY KEY); SELECT vectorshard.create_vector_shard_table('odd', 'car', 'strict')}), qr/22023: consistency must be eventual or home.*HINT/s, 'another word');
for my $n (@nodes) { $f->poll($n, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before' AND tgrelid::regclass::text IN ('account', 'ride')}, '2', "$n has the tables"); }
is($f->sql('e1', q{SELECT consistency FROM vectorshard.shard_table WHERE table_name = 'public.account'}), 'home', 'every node knows the consistency');
$f->sql('c1', q{INSERT INTO account (car, id) SELECT 'car' || c, i FROM generate_series(1, 9) c, generate_series(1, 3) i; INSERT INTO ride SELECT 'car' || c, 1, 'r' FROM generate_series(1, 9) c});
$f->poll($_, q{SELECT count(*) FROM vectorshard.client}, '9', "$_ knows the clients") for @nodes;

ok($f->bring('e1', 'car9') && $f->bring('c2', 'car9'), 'copies of car9');
like($f->error_of('c2', q{CREATE TABLE late (car text PRIMARY KEY); INSERT INTO late VALUES ('car9'); SELECT vectorshard.create_vector_shard_table('late', 'car', 'home')}),
	qr/55000: table public.late cannot be enrolled.*whose home is another node.*HINT/s, 'rows that would be hidden');
$f->send_away($_, 'car9') for 'e1', 'c2';

# Copies at every holder: what is read is the home's, at once.
for my $n ('c2', 'e1') { ok($f->bring($n, "car$_"), "$n holds car$_") for 1, 2; }
for my $i (1 .. 10) {
	$f->sql('c1', "UPDATE account SET n = $i WHERE car = 'car1'");
	is($f->sql($_, q{SELECT min(n) || ' ' || max(n) FROM account WHERE car = 'car1'}), "$i $i", "$_ reads what was committed a moment ago") for 'e1', 'c2', 'c3';
	my $j = $i + 100;
	is($f->sql('e1', "UPDATE account SET n = $j WHERE car = 'car1' RETURNING n"), join("\n", ($j) x 3), 'written at a holder');
	is($f->sql($_, q{SELECT min(n) || ' ' || max(n) FROM account WHERE car = 'car1'}), "$j $j", "$_ reads what the holder wrote") for 'c1', 'c3', 'c2', 'e1';
}
is($f->sql($_, q{SELECT count(*), count(DISTINCT (car, id)) FROM account}), '27|27', "$_ reads each row once") for @nodes;
like($f->sql('e1', q{EXPLAIN SELECT * FROM account WHERE id = 1}), qr/is_home_of/, 'the condition on the heap');
is($f->sql('e1', q{SET vectorshard.read_scope = local; SELECT count(*) FROM account}), '6', 'read_scope local reads the copies');
like($f->error_of('e1', q{UPDATE ONLY account SET n = 1 WHERE car = 'car1'}), qr/40001: this node is not the home of client "car1".*HINT/s, 'a copy is not written');

# INSERT, COPY, ON CONFLICT, RETURNING where the home is another node.
for my $n ('e1', 'c3', 'c2') {
	my $id = { e1 => 10, c3 => 20, c2 => 30 }->{$n};
	is($f->sql($n, "INSERT INTO account (car, id, n) VALUES ('car1', $id, 7) RETURNING car, id, n, note, twice"), "car1|$id|7|new|14", "$n: INSERT RETURNING");
	is($f->sql('c1', "SELECT n, note, twice FROM ONLY account WHERE car = 'car1' AND id = $id"), '7|new|14', "$n: the row is in the home's heap");
	my ($rc, $out, $err) = $f->node($n)->psql('postgres', "INSERT INTO account (car, id, n) SELECT 'car' || c, $id + 1, c FROM generate_series(1, 9) c", extra_params => [ '-v', 'QUIET=0' ]);
	like($out, qr/INSERT 0 9/, "$n: INSERT … SELECT counts");
	like($f->error_of($n, "INSERT INTO account (car, id) VALUES ('car1', $id)"), qr/23505/, "$n: a key that is there");
	is($f->sql($n, "INSERT INTO account (car, id) VALUES ('car1', $id) ON CONFLICT DO NOTHING RETURNING 1"), '', "$n: ON CONFLICT DO NOTHING");
	is($f->sql($n, "INSERT INTO account AS a (car, id, n) VALUES ('car1', $id, 5), ('car1', $id + 2, 5) ON CONFLICT (car, id) DO UPDATE SET n = a.n + excluded.n WHERE a.note = 'new' RETURNING n"), "12\n5", "$n: ON CONFLICT DO UPDATE");
	is($f->sql($n, "INSERT INTO account AS a (car, id, n) VALUES ('car1', $id, 5) ON CONFLICT (car, id) DO UPDATE SET n = 0 WHERE a.note = 'old' RETURNING n"), '', "$n: ON CONFLICT DO UPDATE WHERE");
	for my $twice ($id, $id + 3) {    # a row that is there, and one that is not
		like($f->error_of($n, "INSERT INTO account AS a (car, id, n) VALUES ('car1', $twice, 5), ('car1', $twice, 6) ON CONFLICT (car, id) DO UPDATE SET n = a.n + excluded.n"),
			qr/21000: ON CONFLICT DO UPDATE command cannot affect row a second time.*HINT/s, "$n: ON CONFLICT DO UPDATE of one row twice");
		is($f->sql('c1', "SELECT count(*), sum(n) FROM account WHERE car = 'car1' AND id = $twice"), $twice == $id ? '1|12' : '0|', "$n: and nothing of it stays");
	}
	is($f->sql($n, "INSERT INTO account AS a (car, id, n) VALUES ('car1', $id, 5), ('car1', $id, 6), ('car1', $id + 1, 9) ON CONFLICT (car, id) DO UPDATE SET n = 12 WHERE excluded.n = 6 RETURNING n"), "12", "$n: twice met, once changed");
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

# Homes that move in turn while sessions on all nodes add and read.
my @registers = map { "reg$_" } 1 .. 4;
$f->sql('c1', "INSERT INTO account (car, id) VALUES " . join(', ', map { "('$_', 1)" } @registers));
$f->poll($_, q{SELECT count(*) FROM vectorshard.client WHERE client LIKE 'reg%'}, '4', "$_ knows the registers") for @nodes;
ok($f->bring($_, 'reg1'), "$_ holds reg1") for 'e1', 'c2';
sub home { my ($car, $at) = @_; return $f->sql($at // 'e1', "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'"); }
sub finals { my ($at) = @_; return { map { split /=/ } split /\n/, $f->sql($at, "SELECT car || '=' || n FROM account WHERE car LIKE 'reg%' AND id = 1") }; }
sub check_registers {
	my ($r, $what, $least) = @_;
	$r->stop;
	my $final = finals('e1');
	for my $n (@nodes) { my $there = finals($n); is_deeply($there, $final, "$what: $n reads the same"); }
	my @wrong = $r->wrong($final);
	is(scalar @wrong, 0, "$what: each took effect at one moment") or diag(join "\n", grep { defined } @wrong[ 0 .. 9 ]);
	my ($history, $errors, $count) = $r->history;
	my $refused = 0;
	$refused += $_ for values %$errors;
	note "$what: $count questions, $refused refused";
	note "$what: $errors->{$_} x $_" for sort keys %$errors;
	cmp_ok($count - $refused, '>', $least, "$what: there were enough answers");
	return;
}
my $seconds = $ENV{HOME_SECONDS} // 15;
{
	my $r = Registers->new($f, 'account', finals('e1'));
	my $seed = $ENV{SEED} // int(rand 1_000_000);
	note "SEED=$seed";
	$r->start($nodes[ $_ % 4 ], $seed + $_) for 0 .. 5;
	my ($moves, $until) = (0, time + $seconds);
	while (time < $until || ($moves <= 5 && time < $until + 100)) {
		for my $car (@registers) {
			my $to = (grep { $_ ne home($car) } 'c1', 'c2', 'c3')[ $moves % 2 ];
			my ($rc) = $f->node('e1')->psql('postgres', "SELECT vectorshard.move_home('$car', '$to')");
			$moves++ if !$rc && $f->poll_until('e1', "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'", $to, 20);
		}
	}
	cmp_ok($moves, '>', 5, 'homes moved') and note "$moves moves";
	check_registers($r, 'homes that move', 200);
}

# What asks in other ways.
my $home = home('car2');
my ($away) = grep { $_ ne $home } 'c2', 'c1';
$f->sql($home, q{UPDATE account SET n = 5 WHERE car = 'car2' AND id = 1});
is($f->sql($_, q{SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS SELECT a.n, r.note FROM account a JOIN ride r USING (car) WHERE a.car = $1 AND a.id = 1; EXECUTE p ('car2'); EXECUTE p ('car2')}),
	"5|r\n5|r", "$_: a generic plan that joins a table of copies") for @nodes;
is($f->sql($_, q{SELECT r.note, (SELECT sum(n) FROM account a WHERE a.car = r.car AND a.id = 1) FROM ride r WHERE r.car IN ('car1', 'car2') AND EXISTS (SELECT FROM account a WHERE a.car = r.car AND n > 4) ORDER BY r.car}),
	"r|110\nr|5", "$_: subqueries") for @nodes;
is($f->sql($_, q{WITH up AS (UPDATE account a SET n = n + 1 FROM ride r WHERE r.car = a.car AND a.car = 'car2' AND a.id = 1 RETURNING a.n) SELECT n FROM up}), 6 + $nodes{$_}, "$_: UPDATE … FROM in WITH") for @nodes;
like($f->error_of($away, q{MERGE INTO account a USING ride r ON r.car = a.car WHEN MATCHED THEN DELETE}), qr/0A000: cannot merge/, 'MERGE is refused');
is($f->sql($away, q{SET enable_seqscan = off; EXPLAIN (COSTS off) SELECT n FROM account WHERE car = 'car2' AND id = 1}) =~ /Index Cond/ ? 1 : 0, 1, 'the key is used');
$f->sql($_, q{CREATE FUNCTION upper_note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := NEW.note || '!'; RETURN NEW; END$$; CREATE TRIGGER t BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION upper_note()}) for @nodes;
$f->sql($away, q{CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN NEW.id <> 60 THEN NEW END; END$$; CREATE TRIGGER zzz BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION skip()});
$f->sql('e1', "SELECT vectorshard.move_home('car3', '$away')");
$f->poll($away, q{SELECT is_home FROM vectorshard.placements WHERE client = 'car3' AND node = '} . $away . q{'}, 't', 'a home for car3');
is($f->sql($away, q{INSERT INTO account (car, id) VALUES ('car2', 60), ('car3', 60), ('car3', 61), ('car2', 61) RETURNING car, id}), "car3|61\ncar2|61", 'a trigger that leaves rows out');
is($f->sql($away, q{SELECT string_agg(tableoid::regclass || ' ' || car, ', ' ORDER BY car) FROM account WHERE id IN (60, 61)}), 'account_elsewhere car2, account car3', 'each row where it belongs');
$f->sql($away, 'DROP TRIGGER zzz ON account');
is($f->sql($_, "INSERT INTO account (car, id, note) VALUES ('car2', 70 + $nodes{$_}, 'once') RETURNING note"), 'once!', "$_: a BEFORE trigger fires once") for @nodes;
$f->sql($_, q{DROP TRIGGER t ON account; CREATE ROLE teller LOGIN; GRANT SELECT, INSERT ON account TO teller; ALTER TABLE account ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON account TO teller USING (note <> 'secret') WITH CHECK (n < 100)}) for @nodes;
is($f->sql($away, q{SET ROLE teller; INSERT INTO account (car, id, n) VALUES ('car2', 80, 99) RETURNING n}), '99', 'row security lets a row in');
like($f->error_of($away, q{SET ROLE teller; INSERT INTO account (car, id, n) VALUES ('car2', 81, 100)}), qr/42501.*row-level security/s, 'and keeps another out');
is($f->sql($away, q{UPDATE account SET note = 'secret' WHERE car = 'car2' AND id = 80; SET ROLE teller; SELECT count(*) FROM account WHERE car = 'car2' AND id = 80}), '0', 'and hides one');
like($f->error_of($away, q{SET ROLE teller; UPDATE account SET n = 1 WHERE car = 'car2'}), qr/42501/, 'privileges are those of the table');
is($f->sql($home, q{BEGIN; SELECT n FROM account WHERE car = 'car2' AND id = 80 FOR UPDATE; COMMIT}), '99', 'a row lock at the home');

# A cold client.
$f->sql($home, "SELECT vectorshard.create_store('s', 'file://" . PostgreSQL::Test::Utils::tempdir() . "')");
my $sum = $f->sql($away, q{SELECT count(*), sum(n) FROM account WHERE car = 'car9'});
$f->sql(home('car9'), q{SELECT vectorshard.move_to_cold('car9', 's')});
# A segment for each table that has rows of it.
$f->poll(home('car9'), q{SELECT state, error FROM vectorshard.tier_moves WHERE subject = 'car9' AND direction = 'cold'}, 'done|', 'a client goes into a store');
is($f->sql(home('car9'), q{SELECT count(*), (SELECT count(*) FROM vectorshard.resident WHERE client = 'car9') FROM vectorshard.cold_client WHERE client = 'car9'}), '2|0', 'and is there alone');
is($f->sql($_, q{SELECT count(*), sum(n) FROM account WHERE car = 'car9'}), $sum, "$_ reads a cold client") for @nodes;
is($f->sql(home('car9'), q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 'car9'}), '2', 'reading leaves it there');
is($f->sql($away, q{UPDATE account SET n = n + 1 WHERE car = 'car9' AND id = 1 RETURNING n}), '1', 'a change brings it back');
is($f->sql($away, q{INSERT INTO account (car, id, n) VALUES ('car9', 99, 3) RETURNING n}), '3', 'and so it can be added to');

# A row lock holds a move up; a transaction above READ COMMITTED does not write on what it has read where the home was.
sub move { my ($car, $to) = @_; $f->sql('e1', "SELECT vectorshard.move_home('$car', '$to')"); return; }
sub moved { my ($car, $to) = @_; return $f->poll($_, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'", $to, "$_ knows that $to is the home of $car") for @nodes; }
for my $n ('e1', home('car5')) {
	my $from = home('car5');
	my ($to) = grep { $_ ne $from } 'c1', 'c2';
	my $s = Session->new($f->node($n));
	$s->ask('BEGIN');
	is($s->ask(q{SELECT n FROM account WHERE car = 'car5' AND id = 1 FOR UPDATE}), '0', "$n locks a row");
	$s->ask('ANALYZE account');    # its lock must not hide the one of the row from who looks for those to wait for
	move('car5', $to);
	$f->poll($from, q{SELECT last_error FROM vectorshard.home_move WHERE client = 'car5'}, 'transactions are writing here', 'the move waits for it');
	# The move tries again and again whether it may begin; the transaction writes in each moment of that.
	my $wrote;
	for (1 .. 30) {
		$wrote = $s->ask(q{UPDATE account SET n = 0 WHERE car = 'car5' AND id = 1 RETURNING n});
		last if $wrote ne '0';
		select(undef, undef, undef, 0.05);
	}
	is($wrote, '0', 'which may write, 30 times');
	is(home('car5'), $from, 'and its home stays meanwhile');
	$s->ask('COMMIT');
	moved('car5', $to);
	$s->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($s->ask(q{SELECT n FROM account WHERE car = 'car5' AND id = 1}), '0', "$n reads in a snapshot");
	move('car5', $from);
	moved('car5', $from);
	is($f->sql('c3', q{UPDATE account SET n = n + 1 WHERE car = 'car5' AND id = 1 RETURNING n}), '1', 'others write at the next home');
	is($s->ask(q{SELECT n FROM account WHERE car = 'car5' AND id = 1}), '0', "$n: the snapshot stands");
	like($s->ask(q{UPDATE account SET n = n + 1 WHERE car = 'car5' AND id = 1 RETURNING n}), qr/ERROR:.*(?:home of client|concurrent update)/, "$n: nothing is written on it");
	$s->ask('ROLLBACK');
	is($s->ask(q{UPDATE account SET n = n - 1 WHERE car = 'car5' AND id = 1 RETURNING n}), '0', "$n: but anew");
	$s->finish;
}

# A home whose question to the next one is not answered does not know whether it still is one, and says so until it does.
move('car4', 'c1');
moved('car4', 'c1');
ok($f->bring('c3', 'car4'), 'c3 holds car4');
$f->node('c3')->stop('fast');
$f->sql('c1', q{INSERT INTO vectorshard.home_move (client, to_node, asked) VALUES ('car4', (SELECT node FROM vectorshard.node WHERE name = 'c3'), true)});
like($f->error_of('c1', $_), qr/40001: the home of client "car4" is just moving.*HINT/s, "not known: $_")
  for q{SELECT n FROM account WHERE car = 'car4'}, q{UPDATE account SET n = 1 WHERE car = 'car4'}, q{INSERT INTO account (car, id) VALUES ('car4', 40)}, q{SELECT count(*) FROM account};
# What a peer asks of all of this home's clients: it asks the next home itself, so nothing may be passed on from here, whatever the plan.
my $peer = Session->new($f->node('c1'));
my $own = q{SELECT count(*) FROM account t WHERE EXISTS (SELECT FROM vectorshard.client h WHERE h.client = (t.car)::text COLLATE "C" AND h.home = 1)};
$peer->ask('SET vectorshard.read_scope = home; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET vectorshard.link_timeout_ms = 20000');
like($peer->ask("EXPLAIN (COSTS OFF) $own"), qr/Nested Loop.*Foreign Scan on account_elsewhere.*Clients: /s, 'a plan that names them');
like($peer->ask($own), qr/ERROR:  the home of client "car4" is just moving/, 'not known');
$peer->ask('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM vectorshard.client LIMIT 0');
$f->start_again('c3');
moved('car4', 'c3');
like($peer->ask($own), qr/ERROR:  the home of client "car4" is just moving/, 'not known in a snapshot from before the answer');
$peer->ask('ROLLBACK');
unlike($peer->ask($own), qr/ERROR/, 'and known after it');
$peer->finish;
is($f->sql($_, q{SELECT count(*) FROM account WHERE car = 'car4' AND id = 1}), '1', "$_ reads it at its next home") for @nodes;

# kill -9 of a home while all write: what was told stays, what was not told is counted as unknown.
{
	my $r = Registers->new($f, 'account', finals('e1'));
	$r->start($_, int rand 1_000_000) for @nodes;
	for my $round (1 .. 2) {
		my $victim = home($registers[$round]);
		my ($to) = grep { $_ ne $victim } 'c1', 'c2', 'c3';
		ok($r->wait_for_more(300), 'all write');
		$f->sql('e1', "SELECT vectorshard.move_home('$registers[$round]', '$to')");
		$f->kill9_and_restart($victim);
		$f->poll($_, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$registers[$round]'", $to, "kill -9 of $victim: $_ knows the home") for @nodes;
		ok($r->wait_for_more(300), 'and go on');
	}
	check_registers($r, 'homes that are killed', 100);
}

# A home that is dead: an error at every other node, for reads and writes, whatever on_unreachable says; it is not covered by copies.
my $car = 'reg1';
if (home($car) ne 'c2') { $f->sql('e1', "SELECT vectorshard.move_home('$car', 'c2')"); $f->poll($_, "SELECT home FROM vectorshard.client WHERE client = '$car'", '2', "$_ knows the home") for @nodes; }
is($f->sql('e1', "SELECT count(*) FROM ONLY account WHERE car = '$car'"), '1', 'e1 has a copy');
my $last = $f->sql('c2', "SELECT n FROM account WHERE car = '$car'");
$f->node('c2')->stop('immediate');
for my $n ('c1', 'c3', 'e1') {
	for my $sql ("SELECT n FROM account WHERE car = '$car'", "UPDATE account SET n = 0 WHERE car = '$car'", "INSERT INTO account (car, id) VALUES ('$car', 2)", 'SELECT count(*) FROM account',
		"INSERT INTO account (car, id) VALUES ('stillborn', 1)") {
		like($f->error_of($n, "SET vectorshard.on_unreachable = warn; $sql"), qr/0800[16]: .*HINT/s, "$n, home dead: $sql");
	}
	is($f->sql($n, "SET vectorshard.read_scope = local; SELECT count(*) FROM account WHERE car = '$car'"), $n eq 'c3' ? $f->sql('c3', "SELECT count(*) FROM ONLY account WHERE car = '$car'") : '1', "$n reads its copy if asked to");
}
is($f->sql('c1', q{SELECT count(*) FROM ride WHERE car = 'car1'}), '1', 'other tables are read');

# It comes back, and is the home it was.
$f->start_again('c2');
$f->poll('e1', "SELECT n FROM account WHERE car = '$car'", $last, 'a home that comes back');

# Deposed: removed by force while nobody saw it, it refuses as soon as a member tells it.
$f->node('c2')->stop('fast');
$f->sql('c1', q{SELECT vectorshard.remove_node('c2', force => true)});
$f->poll('e1', "SELECT count(*) FROM vectorshard.client WHERE home = 2", '0', 'its homes were taken');
$f->poll($_, "SELECT n FROM account WHERE car = '$car'", $last, "$_ reads what the former home had delivered") for 'c1', 'c3', 'e1';
$f->start_again('c2');
ok($f->wait_for(sub { $f->error_of('c2', "UPDATE account SET n = n + 1 WHERE car = '$car'") =~ /55000: it is not certain.*removed from the fabric by force/s }, 30), 'a deposed home refuses writes');
like($f->error_of('c2', "SELECT n FROM account WHERE car = '$car'"), qr/55000/, 'and reads');
like($f->error_of('c2', "INSERT INTO account (car, id) VALUES ('$car', 77)"), qr/55000/, 'and inserts');
is($f->sql('c1', "UPDATE account SET n = n + 1 WHERE car = '$car' AND id = 1 RETURNING n"), $last + 1, 'the new home goes on');
done_testing();
