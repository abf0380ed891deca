# Topology: core nodes c1 (the registrar), c2 and c3, edge e1.
# Proves: a home that asked a node to be the next, which was removed by force before it answered, goes on under an epoch that beats what that node
# may have been, and no other is home: whether nobody, an edge, or the registrar had heard of that node as the home. Two
# nodes never take a home for one epoch: the registrar goes on asking the one that it asked first.
use strict;
use warnings;
use Fabric;
use Session;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\n");
$f->add_server($_) for 'c2', 'c3', 'e1';
$f->join($_, kind => 'core') for 'c2', 'c3';
$f->join('e1');
my @left = ('c1', 'c3', 'e1');
$f->sql('c1', q{CREATE TABLE purse (car text PRIMARY KEY, cents int); SELECT vectorshard.create_vector_shard_table('purse', 'car', consistency => 'home');
  CREATE TABLE trip (car text, id int, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car')});
for my $n ('c2', 'c3', 'e1') { $f->poll($n, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before' AND tgrelid::regclass::text IN ('purse', 'trip')}, '2', "$n has the tables"); }
my @cars = ('unheard', 'heard', 'known');
$f->sql('c3', "INSERT INTO purse VALUES ('$_', 1); INSERT INTO trip VALUES ('$_', 1)") for @cars;
$f->poll($_, q{SELECT count(*) FROM vectorshard.client WHERE home = 3 AND epoch = 1}, '3', "$_ knows the clients") for 'c1', 'c2', 'e1';
for my $car (@cars) { ok($f->bring('c2', $car), "c2 holds $car"); }
ok($f->bring('c1', 'known'), 'c1 holds known');

# What c3's worker does before it asks; c2 takes what it is asked for, and the answer never comes.
my $ask = sub { my ($car) = @_; return "INSERT INTO vectorshard.home_move (client, to_node, asked) VALUES ('$car', 2, true)"; };
my $take = sub { my ($car) = @_; return $f->sql('c2', "SELECT vectorshard.become_home('$car', 3, 1, '', true)"); };
$f->sql('c3', q{SELECT pg_reload_conf()}) if $f->node('c3')->append_conf('postgresql.conf', 'vectorshard.link_timeout_ms = 500');
my $worker = $f->sql('c3', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'vectorshard holder'});
kill 'STOP', $worker;
$f->sql('c3', $ask->($_)) for @cars;
$f->node('c3')->stop('immediate');
is($take->('known'), 'ok', 'c2 is the home of one');
$f->poll($_, q{SELECT home, epoch FROM vectorshard.client WHERE client = 'known'}, '2|2', "which $_ hears of") for 'c1', 'e1';
$f->node('c1')->stop('fast');
is($take->('heard'), 'ok', 'and of another');
$f->poll('e1', q{SELECT home, epoch FROM vectorshard.client WHERE client = 'heard'}, '2|2', 'which only the edge hears of');
$f->node('e1')->stop('fast');
is($take->('unheard'), 'ok', 'and of one of which nobody hears');
$f->node('c2')->stop('immediate');
$f->start_again($_) for 'c1', 'e1';
$f->sql('c1', q{SELECT vectorshard.remove_node('c2', force => true)});
$f->poll('c1', q{SELECT home, epoch FROM vectorshard.client WHERE client = 'known'}, '1|3', 'the registrar knew of c2, and gives its client to a holder');
$f->start_again('c3');

for my $n (@left) {
	$f->poll($n, q{SELECT string_agg(client || ' ' || home, ', ' ORDER BY client) FROM vectorshard.client}, 'heard 3, known 1, unheard 3', "$n: one home each");
	$f->poll($n, q{SELECT count(*) FROM vectorshard.client WHERE client IN ('heard', 'unheard') AND epoch < 3}, '0', "$n: that beat those that may have been");
}
$f->poll('c3', q{SELECT count(*) FROM vectorshard.home_move}, '0', 'nothing is asked any more');
is($f->sql('c3', q{SELECT count(*) FROM vectorshard.conflicts WHERE kind = 'home_taken' AND client IN ('heard', 'unheard')}), '2', 'the operator is told');
my $cents = 1;
for my $n (@left) {
	$cents++;
	for my $car (@cars) {
		is($f->sql($n, "UPDATE purse SET cents = cents + 1 WHERE car = '$car' RETURNING cents"), $cents, "$n: $car is written at its home");
		$f->sql($n, "INSERT INTO trip VALUES ('$car', $cents)");
	}
}
for my $n (@left) { $f->poll($n, q{SELECT (SELECT count(*) FROM trip), (SELECT sum(cents) FROM purse)}, '12|12', "$n reads all"); }

# The registrar keeps on record whom it asks, and goes on asking that one, though it holds the client itself by now.
$f->sql('c3', q{INSERT INTO trip VALUES ('late', 1), ('both', 1)});
$f->poll($_, q{SELECT count(*) FROM vectorshard.client WHERE client IN ('late', 'both') AND home = 3}, '2', "$_ knows them") for 'c1', 'e1';
ok($f->bring('e1', $_), "e1 holds $_") for 'late', 'both';
ok($f->bring('c1', 'both'), 'c1 holds both');
$f->sql('c1', q{INSERT INTO vectorshard.home_asked (client, node, epoch) VALUES ('both', 4, 1)});
my $lock = Session->new($f->node('e1'));
$lock->ask('BEGIN');
$lock->ask('LOCK TABLE vectorshard.conflict');
$f->node('c3')->stop('immediate');
$f->sql('c1', q{SELECT vectorshard.remove_node('c3', force => true)});
ok($f->wait_for(sub { $f->sql('e1', q{SELECT count(DISTINCT query) FROM pg_stat_activity WHERE query LIKE 'SELECT vectorshard.take_home(%' AND wait_event_type = 'Lock'}) eq '2' }), 'e1 is asked to take both');
is($f->sql('c1', q{SELECT client, node, epoch FROM vectorshard.home_asked WHERE client IN ('late', 'both') ORDER BY client}), "both|4|1\nlate|4|1", 'which is on record');
is($f->sql('c1', q{SELECT DISTINCT home, epoch FROM vectorshard.client WHERE client IN ('late', 'both')}), '3|1', 'c1 takes none itself');
$lock->ask('COMMIT');
$lock->finish;
$f->poll($_, q{SELECT DISTINCT home, epoch FROM vectorshard.client WHERE client IN ('late', 'both')}, '1|3', "$_: e1 has taken them, and handed them over") for 'c1', 'e1';
$f->poll('c1', q{SELECT count(*) FROM vectorshard.home_asked}, '0', 'nobody is asked any more');
is($f->sql($_, q{SELECT count(*) FROM trip WHERE car IN ('late', 'both')}), '2', "$_ reads them") for 'c1', 'e1';
done_testing();
