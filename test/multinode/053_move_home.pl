# Topology: core nodes c1 and c2, edges e1 and e2.
# Proves: a home moves to a node that holds the client or not, hot or cold, while three nodes write, and while servers are killed
# (the old home, the new one, a holder): there is one home afterwards, all nodes know it, no acknowledged write is lost and the
# holders are equal; errors say what to do; a home is taken by force only of a node that was removed, and then the rows of its
# holders stand.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2', 'c2' ], connect => 0,
	config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.insert_wait_ms = 8000\n");
$f->create('c1');
$f->join('c2', kind => 'core');
$f->join($_) for 'e1', 'e2';
my @nodes = ('c1', 'c2', 'e1', 'e2');
my %number = (c1 => 1, c2 => 2, e1 => 3, e2 => 4);
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
  INSERT INTO trip SELECT 'car' || c, i, 'home' FROM generate_series(1, 9) c, generate_series(1, 5) i});
$f->poll_until($_, q{SELECT count(*) FROM vectorshard.client}, '9') or die for @nodes;
sub home { my ($at, $car) = @_; return $f->sql($at, "SELECT n.name || ' ' || c.epoch FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'"); }
sub moved {
	my ($car, $to, $what, $timeout) = @_;
	for my $n (@nodes) {
		$f->poll($n, "SELECT n.name FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home WHERE c.client = '$car'", $to, "$what: $n knows the home", $timeout);
	}
}
sub holders_equal {
	my ($car, $what) = @_;
	$f->poll($_, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$what: $_ owes nothing") for @nodes;
	my $equal = $f->wait_for(sub {
		my @holders = grep { $f->sql($_, "SELECT count(*) FROM vectorshard.resident WHERE client = '$car'") } @nodes;
		my %d = map { $f->sql($_, "SELECT vectorshard.client_digest('$car')") => 1 } @holders;
		return keys %d == 1; }, 30);
	ok($equal, "$what: the holders have the same rows");
}

# What is refused.
like($f->error_of('c1', q{SELECT vectorshard.move_home('car1', 'nowhere')}), qr/22023: node "nowhere" cannot be a home.*HINT:/s, 'no such node');
like($f->error_of('c1', q{SELECT vectorshard.move_home('car1', 'e1')}), qr/22023: node "e1" cannot be a home.*edge node/s, 'an edge node');
like($f->error_of('c1', q{SELECT vectorshard.move_home('nobody', 'c2')}), qr/42704: client "nobody" is not known/, 'no such client');
like($f->error_of('c1', q{SELECT vectorshard.move_home('car1', 'c2', force => true)}), qr/55000: home of client "car1" is in the fabric.*HINT:.*remove_node/s, 'force without removal');

# A ban that is there refuses; one that comes later holds the move up, says so, and lets it go on when it ends.
is($f->sql('c1', q{SELECT vectorshard.forbid('car1', 'c2')}), 'forbid car1 on c2 by c1', 'a ban');
like($f->error_of('c1', q{SELECT vectorshard.move_home('car1', 'c2')}), qr/55000: client "car1" may not be on node "c2".*HINT:.*end_policy/s, 'no move to where it may not be');
$f->sql('c1', q{INSERT INTO vectorshard.home_move (client, to_node) VALUES ('car1', 2)});
$f->poll('c1', q{SELECT last_error FROM vectorshard.home_move}, 'policy "forbid car1 on c2 by c1" keeps it off node "c2"', 'what holds the move up');
$f->sql('c1', q{DELETE FROM vectorshard.home_move});
$f->sql('c1', q{SELECT vectorshard.end_policy('forbid car1 on c2 by c1')});
$f->poll('e1', q{SELECT count(*) FROM vectorshard.policies}, '0', 'the ban has ended');

# Asked from another node, to one that does not hold the client.
$f->sql('e1', q{SELECT vectorshard.move_home('car1', 'c2')});
moved('car1', 'c2', 'a home moves');
is(home('c1', 'car1'), 'c2 2', 'in the next epoch');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.home_move}), '0', 'nothing is left to do');
$f->sql('e2', q{INSERT INTO trip VALUES ('car1', 50, 'after')});
$f->poll('c2', q{SELECT note FROM ONLY trip WHERE car = 'car1' AND id = 50}, 'after', 'the new home gets what is written');
$f->sql('c1', q{SELECT vectorshard.evict('car1')});
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE car = 'car1'}), '6', 'the old home can let it go, and reads it');
$f->sql('c2', q{SELECT vectorshard.move_home('car1', 'c1')});
moved('car1', 'c1', 'and back');
holders_equal('car1', 'and back');

# A cold client.
$f->sql('c1', "SELECT vectorshard.create_store('s', 'file://" . PostgreSQL::Test::Utils::tempdir() . "'); SELECT vectorshard.move_to_cold('car9', 's')");
$f->sql('c1', q{SELECT vectorshard.move_home('car9', 'c2')});
moved('car9', 'c2', 'a cold client');
$f->poll('c2', q{SELECT count(*) FROM ONLY trip WHERE car = 'car9'}, '5', 'it came back for it');

# While three nodes write.
my $w = Writers->new($f);
my $next = 1000;
sub write_everywhere {
	my ($count, @cars) = @_;
	for my $n ('c1', 'e1', 'e2') {
		my @s;
		for my $i (1 .. $count) {
			my ($car, $id) = ($cars[ $i % @cars ], $next++);
			push @s, "INSERT INTO trip VALUES ('$car', $id, '$n') RETURNING car || ' ' || id";
			push @s, "UPDATE trip SET note = '$n $id' WHERE car = '$car' AND id = 1" if $i % 5 == 0;
		}
		$w->start($n, \@s);
	}
	return $w->wait_for_more(15);
}
sub all_there {
	my ($what, @cars) = @_;
	my @acknowledged = $w->finish;
	holders_equal($_, $what) for @cars;
	for my $car (@cars) {
		my ($name) = split / /, home('e1', $car);
		my %there = map { $_ => 1 } split /\n/, $f->sql($name, "SELECT car || ' ' || id FROM ONLY trip WHERE car = '$car'");
		my @lost = grep { /^$car / && !$there{$_} } @acknowledged;
		is(scalar(@lost), 0, "$what: $car: every acknowledged row is at its home") or diag(join(', ', @lost[ 0 .. ($#lost > 4 ? 4 : $#lost) ]));
	}
	diag("$what: $_") for $w->errors;
}
ok(write_everywhere(150, 'car2', 'car3'), 'three nodes write');
for my $to ('c2', 'c1', 'c2') {
	$f->sql('e2', "SELECT vectorshard.move_home('$_', '$to')") for 'car2', 'car3';
	moved($_, $to, "$_ while it is written") for 'car2', 'car3';
}
all_there('moved under load', 'car2', 'car3');

# While servers are killed.
for my $victim ('c1', 'c2', 'e1') {
	my $car = { c1 => 'car4', c2 => 'car5', e1 => 'car6' }->{$victim};
	write_everywhere(60, $car);
	$f->sql('c1', "SELECT vectorshard.move_home('$car', 'c2')");
	$w->wait_for_more(int rand 10);    # a moment of chance
	$f->kill9_and_restart($victim);
	moved($car, 'c2', "kill -9 of $victim");
	all_there("kill -9 of $victim", $car);
}

# By force: c2 is gone for good. car7 is held by e1, car8 by nobody.
for my $car ('car7', 'car8') { $f->sql('c1', "SELECT vectorshard.move_home('$car', 'c2')"); moved($car, 'c2', "$car before the loss"); }
$f->sql('e1', q{INSERT INTO trip VALUES ('car7', 70, 'at e1')});
$f->poll('c2', q{SELECT count(*) FROM ONLY trip WHERE id = 70}, '1', 'car7 is at its home and at e1');
for my $car ('car7', 'car8') { $f->sql('c1', "SELECT vectorshard.evict('$car')"); }
$f->node('c2')->stop('immediate');
@nodes = ('c1', 'e1', 'e2');
like($f->error_of('c1', q{SELECT vectorshard.move_home('car7', 'c1')}), qr/08006|08001/, 'a home that does not answer cannot hand over');
$f->sql('c1', q{SELECT vectorshard.remove_node('c2', force => true)});
moved($_, 'c1', "$_ after the loss of its home") for 'car7', 'car8', 'car1';
$f->poll('c1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car7'}, '6', 'the rows of the other holder are at the new home');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflict WHERE kind = 'client_lost' AND client = 'car8'}), '1', 'what nobody held is named');
$f->sql('e2', q{INSERT INTO trip VALUES ('car8', 1, 'again')});
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE car = 'car8'}, 'again', 'and can be written again');
holders_equal('car7', 'after the loss');
done_testing();
