# Topology: core c1 (home), edges e1 and e2, later e3. A vector-shard table with a counter, a set and two registers, a
# ledger of what was added, written in the same transactions, and a reference table with a counter.
# Proves: three nodes add to the same values at once while servers are killed and stopped, and every addition counts once;
# what is written while nodes do not hear each other converges by the rules of each type, deletes and assignments among it;
# a copy that was evicted and returns adds under a new entry; a node that is not resident adds at the home, whatever is added
# there meanwhile; values survive a store and the copying of tables to a node that joins.
# Crash of a node: what it acknowledged counts, once. Dead peer: the others go on adding. Concurrent writers: all count.
use strict;
use warnings;
use Fabric;
use Writers;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ],
	config => "vectorshard.tiering_interval_ms = 200\nvectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.placement_mode = off\n");
my @nodes = ('c1', 'e1', 'e2');
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', q{
  CREATE TABLE score (car text COLLATE "C", id int, note text, hits vectorshard.counter NOT NULL DEFAULT 0, tags vectorshard.text_set NOT NULL DEFAULT '{}',
    top vectorshard.max_register NOT NULL DEFAULT '-Infinity', low vectorshard.min_register NOT NULL DEFAULT 'Infinity', PRIMARY KEY (car, id));
  INSERT INTO score (car, id, hits) VALUES ('car1', 0, 7);
  CREATE TABLE ledger (car text COLLATE "C", id int, entry text COLLATE "C", by int, PRIMARY KEY (car, id, entry));
  CREATE TABLE total (id int PRIMARY KEY, n vectorshard.counter NOT NULL DEFAULT 0);
  SELECT vectorshard.create_vector_shard_table('score', 'car'), vectorshard.create_vector_shard_table('ledger', 'car'), vectorshard.create_reference_table('total');
  INSERT INTO score (car, id, tags) SELECT 'car' || c, i, '{a,b}' FROM generate_series(1, 4) c, generate_series(1, 6) i;
  INSERT INTO total VALUES (1, 100);
});
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
$f->poll_until($_, q{SELECT count(to_regclass(t)) FROM unnest('{score,ledger,total}'::text[]) t}, '3') or die for @nodes;

sub everywhere {
	my ($car, @on) = @_;
	$f->sql($_, "SELECT vectorshard.place('$car', '$_')") for @on;
	$f->poll_until($_, "SELECT count(*) FROM vectorshard.resident WHERE client = '$car' AND NOT leaving", '1') or die for @on;
	$f->poll_until($_, "SELECT count(*) FROM vectorshard.holder WHERE client = '$car' AND state = 'live'", 1 + @on) or die for 'c1', @on;
	return;
}
everywhere($_, 'e1', 'e2') for 'car1', 'car2';

# All nodes end with the same rows, state for state.
sub converged {
	my ($what, @cars) = @_;
	for my $car (@cars) {
		my $digest = "SELECT vectorshard.client_digest('$car')";
		ok($f->wait_for(sub { my $d = $f->sql('c1', $digest); return !grep { $f->sql($_, $digest) ne $d } 'e1', 'e2'; }, 60), "$what: $car is the same everywhere");
	}
	return;
}
sub value { my ($column, $car, $id) = @_; return "SELECT $column FROM ONLY score WHERE car = '$car' AND id = $id"; }

# Three nodes add to the same counters while servers die.
my $w = Writers->new($f);
for my $n (@nodes) {
	my @statements;
	for my $i (1 .. 2000) {
		my ($car, $id, $by) = ('car' . (1 + $i % 2), 1 + $i % 3, $i % 11 - 3);
		push @statements, "WITH u AS (UPDATE score SET hits = hits + $by, tags = tags + '$n-$i', top = $i.5, low = -$i, note = '$n' WHERE car = '$car' AND id = $id RETURNING 1) "
			. "INSERT INTO ledger SELECT '$car', $id, '$n-$i', $by FROM u RETURNING car || '/' || id || '/' || entry";
	}
	$w->start($n, \@statements);
}
ok($w->wait_for_more(60), 'writers are at work');
$f->kill9_and_restart('e2');
ok($w->wait_for_more(60), 'and go on');
$f->node('c1')->stop('immediate');
ok($w->wait_for_more(40), 'while the home is down');
$f->start_again('c1');
$f->kill9_and_restart('e1') if $w->wait_for_more(30);
ok($w->wait_for_more(250), 'and to the end');
$w->enough;
my @acknowledged = $w->finish;
note("errors met by the writers: ", join('; ', $w->errors));
cmp_ok(scalar @acknowledged, '>', 400, 'most writes were acknowledged');
converged('after the crashes', 'car1', 'car2');
my %in_ledger = map { $_ => 1 } split /\n/, $f->sql('c1', q{SELECT car || '/' || id || '/' || entry FROM ONLY ledger});
is(scalar(grep { !$in_ledger{$_} } @acknowledged), 0, 'every acknowledged addition is in the ledger');
for my $n (@nodes) {
	is($f->sql($n, q{SELECT count(*) FROM ONLY score s WHERE id BETWEEN 1 AND 3 AND car IN ('car1', 'car2') AND hits <> (SELECT coalesce(sum(by), 0) FROM ONLY ledger l
	  WHERE l.car = s.car AND l.id = s.id)::bigint}), '0', "$n: each counter is the sum of what was added");
	is($f->sql($n, q{SELECT count(*) FROM ONLY score s WHERE id BETWEEN 1 AND 3 AND car IN ('car1', 'car2') AND tags::text[] <> (SELECT array_agg(t ORDER BY t COLLATE "C") FROM
	  (SELECT entry FROM ONLY ledger l WHERE l.car = s.car AND l.id = s.id UNION ALL VALUES ('a'), ('b')) AS x (t))}), '0', "$n: each set has what was added");
	is($f->sql($n, q{SELECT count(*) FROM ONLY score s WHERE id BETWEEN 1 AND 3 AND car IN ('car1', 'car2') AND (top, low)::text IS DISTINCT FROM (SELECT
	  (max(split_part(entry, '-', 2)::int) + 0.5, -max(split_part(entry, '-', 2)::int))::text FROM ONLY ledger l WHERE l.car = s.car AND l.id = s.id)}), '0', "$n: registers hold the largest and the smallest");
}
is($f->sql('c1', value('hits', 'car1', 0)), '7', 'a value from before enrolment');

# Nobody hears the others for a while.
my @silenced;
sub silence {
	for my $n (@nodes) { push @silenced, $f->sql($n, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard shipper'}); }
	kill 'STOP', @silenced;
	return;
}
sub hear { kill 'CONT', splice @silenced; return; }
END { kill 'CONT', @silenced if @silenced; }

$f->sql('c1', q{UPDATE score SET hits = 10 WHERE car = 'car1' AND id IN (4, 5, 6)});
converged('before the silence', 'car1');
silence();
$f->sql('e1', q{UPDATE score SET hits = hits + 1 WHERE car = 'car1'});
$f->sql('e2', q{UPDATE score SET hits = hits - 3 WHERE car = 'car1'});
# Row 4: deleted and made anew. Row 5: deleted, and another column written elsewhere later. Row 6: deleted.
$f->sql('c1', q{DELETE FROM score WHERE car = 'car1' AND id IN (4, 5, 6); INSERT INTO score (car, id, hits) VALUES ('car1', 4, 1000);
  UPDATE score SET hits = hits + 5 WHERE car = 'car1' AND id = 4});
$f->sql('e2', q{UPDATE score SET note = 'lives', tags = tags + 'late' WHERE car = 'car1' AND id = 5});
# Row 3: an assignment among additions. Row 0: sets and registers, and a plain column that additions leave alone.
$f->sql('e1', q{UPDATE score SET hits = hits + 1 WHERE car = 'car1' AND id = 3});
$f->sql('c1', q{UPDATE score SET hits = 50 WHERE car = 'car1' AND id = 3; UPDATE score SET hits = hits + 2 WHERE car = 'car1' AND id = 3});
$f->sql('c1', q{UPDATE score SET note = 'by c1', tags = tags + 'c', top = 60, low = 60 WHERE car = 'car1' AND id = 0});
$f->sql('e1', q{UPDATE score SET tags = tags + 'd' - 'nothing', top = 50, low = 50, hits = hits + 100 WHERE car = 'car1' AND id = 0});
$f->sql('e2', q{UPDATE score SET tags = tags + 'c', top = 70, low = 70, hits = hits + 200 WHERE car = 'car1' AND id = 0});
$f->sql('c1', q{UPDATE score SET tags = tags - 'c' WHERE car = 'car1' AND id = 0});
# A large set, of which another column is written elsewhere: its bytes are not in that change.
$f->sql('c1', q{UPDATE score SET tags = tags - 'a', note = 'small' WHERE car = 'car1' AND id = 1});
$f->sql('e1', q{UPDATE score SET tags = tags + (SELECT array_agg(md5(i::text)) FROM generate_series(1, 3000) i) WHERE car = 'car1' AND id = 1});
$f->sql('e1', q{UPDATE score SET note = 'large' WHERE car = 'car1' AND id = 1});
$f->sql('e2', q{UPDATE score SET tags = tags + 'e2 too' WHERE car = 'car1' AND id = 1});
# Reference tables.
$f->sql($_, q{UPDATE total SET n = n + 5 WHERE id = 1}) for @nodes;
hear();
converged('after the silence', 'car1');
for my $n (@nodes) {
	is($f->sql($n, value('hits', 'car1', 4)), '1005', "$n: made anew, it counts from there");
	is($f->sql($n, value(q{note || ' ' || hits::text || ' ' || tags::text || ' ' || top::text}, 'car1', 5)), 'lives 0 {} -Infinity', "$n: a delete ends values in a row that lives");
	is($f->sql($n, value('hits', 'car1', 6)), '', "$n: additions do not bring a deleted row back");
	is($f->sql($n, value('hits', 'car1', 3)), '52', "$n: an assignment beats what it did not see");
	is($f->sql($n, value(q{note || ' ' || hits::text || ' ' || tags::text || ' ' || top::text || ' ' || low::text}, 'car1', 0)), 'by c1 305 {c,d} 70 50',
		"$n: an addition survives a removal that did not see it, a plain column survives additions");
	is($f->sql($n, value(q{note || (tags @> '{e2 too}') || (tags @> '{a}') || (tags @> ARRAY[md5('1'), md5('3000')]::vectorshard.text_set)}, 'car1', 1)), 'largetruefalsetrue', "$n: a large set");
	$f->poll($n, 'SELECT n FROM ONLY total', '115', "$n: a reference table counts");
}
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'dead_letter'}), '0', 'no dead letters');

# Evicted and back: a new entry, whatever the copy knew of the old one. Meanwhile it adds at the home.
my $entries = value('vectorshard.crdt_entries(hits)', 'car3', 1);
everywhere('car3', 'e1');
$f->sql('e1', q{UPDATE score SET hits = hits + 1, tags = tags + 'first' WHERE car = 'car3' AND id = 1});
$f->poll('e1', q{SELECT vectorshard.evict('car3')}, '', 'the copy leaves');
is($f->sql('c1', value('hits', 'car3', 1)), '1', 'the home has what it added');
is($f->sql('e1', q{SELECT hits || ' ' || tags::text FROM (SELECT hits::bigint, tags FROM score WHERE car = 'car3' AND id = 1) AS s}), '1 {a,b,first}', 'read from the home');
$f->sql('e1', q{UPDATE score SET hits = hits + 10, tags = tags - 'first', top = 3 WHERE car = 'car3' AND id = 1});
is($f->sql('c1', value(q{hits::text || tags::text || top::text}, 'car3', 1)), '11{a,b}3', 'a change that is forwarded');
my $early = $f->sql('e1', q{SELECT vectorshard.crdt_state(hits) FROM score WHERE car = 'car3' AND id = 1});
$f->sql('c1', q{UPDATE score SET hits = hits + 100 WHERE car = 'car3' AND id = 1});
$f->sql('e1', "UPDATE score SET hits = '$early'::vectorshard.counter + 1000 WHERE car = 'car3' AND id = 1");
is($f->sql('c1', value('hits', 'car3', 1)), '1111', 'one that was read before another adds to what is there');
is($f->sql('c1', $entries), '2', 'under the entry of the home');
everywhere('car3', 'e1');
$f->sql('e1', q{UPDATE score SET hits = hits + 1 WHERE car = 'car3' AND id = 1});
$f->poll('c1', value('hits', 'car3', 1), '1112', 'back, it adds');
is($f->sql('c1', $entries), '3', 'under an entry of its own');
$f->kill9_and_restart('e1');
$f->sql('e1', q{UPDATE score SET hits = hits + 1 WHERE car = 'car3' AND id = 1});
$f->poll('c1', value('hits', 'car3', 1), '1113', 'a crash loses nothing');

# Through a store, and to a node that joins.
$f->sql('c1', q{UPDATE score SET hits = hits + 4, tags = tags + 'x', top = 9 WHERE car = 'car4' AND id = 1});
my $state = q{SELECT vectorshard.crdt_state(hits) || vectorshard.crdt_state(tags) || vectorshard.crdt_state(top) FROM score WHERE car = 'car4' AND id = 1};
my $before = $f->sql('c1', $state);
$f->sql('c1', q{SELECT vectorshard.move_to_cold('car4')});
$f->poll('c1', q{SELECT count(*) FROM ONLY score WHERE car = 'car4'}, '0', 'a client goes to the store');
is($f->sql($_, $state), $before, "$_ reads the whole state from there") for 'c1', 'e1';
$f->sql('e1', q{UPDATE score SET hits = hits + 1 WHERE car = 'car4' AND id = 1});
is($f->sql('c1', value('hits', 'car4', 1)), '5', 'an addition brings it back');
# Additions keep the version, and still the client is not idle.
$f->sql('c1', q{SELECT vectorshard.add_tier_policy(NULL, interval '2 s', 'cold')});
my ($looks, $there) = (0, 0);
for (my $until = time + 5; time < $until; $looks++) {
	$there += $f->sql('c1', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'car4'});
	$f->sql('c1', q{UPDATE score SET hits = hits + 1 WHERE car = 'car4' AND id = 2});
}
is($there, $looks, 'a client whose counters move stays');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.cold_client WHERE client = 'car4'}, '1', 'and goes when they do not');
$f->sql('c1', q{SELECT vectorshard.remove_tier_policy(NULL)});
$f->add_server('e3');
$f->join('e3');
my $total = 'SELECT vectorshard.crdt_state(n) FROM ONLY total';
is($f->sql('e3', $total), $f->sql('c1', $total), 'a node that joins is given the state');
$f->sql($_, q{UPDATE total SET n = n + 1 WHERE id = 1}) for @nodes, 'e3';
$f->poll($_, 'SELECT n FROM ONLY total', '119', "$_ counts") for @nodes, 'e3';
done_testing();
