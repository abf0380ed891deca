# Topology: core c1 (home of all clients), edge e1 that takes two copies.
# Proves: a full node refuses a third copy and says so; a peer in an earlier incarnation is refused until it has a new one, and nothing is lost; on a node
# without shipper, navigator, holder and tiering worker, and without the home, resident clients are read and written, and all
# of it arrives when they are back.
use strict;
use warnings;
use Fabric;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => ['e1'],
	config => "vectorshard.keep_s = 100000\nvectorshard.max_copies_per_node = 2\nvectorshard.link_timeout_ms = 2000\n");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
                INSERT INTO trip SELECT c, i, 'home' FROM unnest('{a,b,c}'::text[]) c, generate_series(1, 10) i});
$f->poll('e1', q{SELECT count(*) FROM trip}, '30', 'e1 has the table, and reads all rows');

# Full.
my $residents = q{SELECT string_agg(client, ' ' ORDER BY client) FROM vectorshard.resident};
$f->sql('e1', "SELECT vectorshard.place('$_', 'e1')") for 'a', 'b';
$f->poll('e1', $residents, 'a b', 'two copies');
$f->sql('c1', q{SELECT vectorshard.place('c', 'e1')});
$f->poll('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'c' AND until > now()}, '1', 'e1 hears of a wish for a third');
like($f->error_of('e1', q{INSERT INTO trip VALUES ('c', 100, 'no room')}), qr/53400: node is full: client "c".*DETAIL:.*max_copies_per_node is 2.*HINT:/s,
	'a writer is told that the node is full');
is($f->sql('e1', $residents), 'a b', 'nothing was evicted for it');
is($f->sql('e1', q{UPDATE trip SET note = 'e1' WHERE car = 'c' AND id = 1 RETURNING note}), 'e1', 'what is there already is changed at the home');

# An earlier life: the fabric knows a later incarnation of e1 than e1 itself. It is refused until it has begun a new one.
my $later = $f->sql('c1', "SET session_replication_role = replica; UPDATE vectorshard.node SET incarnation = incarnation + 1 WHERE name = 'e1' RETURNING incarnation");
$f->sql('e1', q{INSERT INTO trip VALUES ('a', 100, 'from the past')});
$f->poll('c1', "SELECT incarnation > $later FROM vectorshard.node WHERE name = 'e1'", 't', 'a peer in an earlier incarnation is given a new one');
ok($f->node('e1')->log_contains('an earlier incarnation'), 'it was refused before');
$f->poll('c1', q{SELECT count(*) FROM ONLY trip WHERE id = 100}, '1', 'nothing of it is lost');
$f->poll('e1', $residents, 'a b', 'its copies stay');

# No worker on e1, no home.
my $workers = q{SELECT string_agg(backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity WHERE backend_type LIKE 'vectorshard %'};
$f->poll('e1', $workers, 'vectorshard holder, vectorshard launcher, vectorshard navigator, vectorshard shipper, vectorshard tiering', 'all workers run');
my $launcher = $f->sql('e1', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard launcher'});
kill 'STOP', $launcher;    # it would start the others again
kill 'TERM', split /\n/, $f->sql('e1', qq{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'vectorshard %' AND pid <> $launcher});
$f->poll('e1', $workers, 'vectorshard launcher', 'no worker runs');
$f->node('c1')->stop('immediate');
my $quick = q{SET statement_timeout = '20s'};
is($f->sql('e1', "$quick; INSERT INTO trip VALUES ('a', 200, 'alone') RETURNING note"), 'alone', 'INSERT');
is($f->sql('e1', "$quick; UPDATE trip SET note = 'alone' WHERE car = 'b' AND id <= 3 RETURNING id"), "1\n2\n3", 'UPDATE');
is($f->sql('e1', "$quick; DELETE FROM trip WHERE car = 'a' AND id = 1 RETURNING id"), '1', 'DELETE');
is($f->sql('e1', "$quick; SELECT count(*), count(*) FILTER (WHERE note = 'alone') FROM trip WHERE car IN ('a', 'b')"), '21|4', 'SELECT');
is($f->sql('e1', "$quick; SELECT vectorshard.report('a', " . $f->place(1) . ')'), 't', 'a report');
$f->start_again('c1');
kill 'CONT', $launcher;
for my $car ('a', 'b') {
	my $digest = "SELECT vectorshard.client_digest('$car')";    # of its motion too, which the navigator writes by and by
	ok($f->wait_for(sub { $f->sql('e1', $digest) eq $f->sql('c1', $digest) }), "$car: the home gets all of it");
}
is($f->sql('c1', q{SELECT count(*) FILTER (WHERE note = 'alone') FROM ONLY trip}), '4', 'row for row');

done_testing();
