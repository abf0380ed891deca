# Topology: cores c1 and c2, edge e1; no background check, which would mend what is lost.
# Proves: a client that is new on two core nodes at once, born by each in a transaction that the other cannot see, gets
# one home; what was written on either is on both, whichever wins and whichever commits first, also if the one that lost had
# packed it into a store, and on the edge that had copied from that one. A check meanwhile does not take for a difference
# what a node will owe once it has heard of the other.
use strict;
use warnings;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [],
	config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\nvectorshard.check_rate = 0\nvectorshard.placement_mode = off\nvectorshard.tiering_interval_ms = 200\n");
$f->add_server('c2');
$f->join('c2', kind => 'core');
$f->add_server('e1');
$f->join('e1');
my @nodes = ('c1', 'c2', 'e1');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car')});
$f->poll_until($_, q{SELECT to_regclass('trip') IS NOT NULL}, 't') or die for @nodes;

# Born on both in that order, so that the second has the larger version. The first then writes on, and an edge copies from it
# before it has heard of the other.
my $twins = 0;
sub twin {
	my ($first, $second) = @_;
	my $car = 'twin' . ++$twins;
	my $open = $f->node($second)->background_psql('postgres');
	my $before = $f->node($first)->background_psql('postgres');
	$before->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 1, '$first'), ('$car', 2, '$first'), ('$car', 9, '$first')");
	$open->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 3, '$second'), ('$car', 9, '$second')");
	$before->query_safe('COMMIT');
	$f->poll_until('e1', "SELECT count(*) FROM vectorshard.client WHERE client = '$car'", '1');
	$f->sql('e1', "INSERT INTO trip VALUES ('$car', 4, 'e1')");
	$f->sql($first, "UPDATE trip SET note = note || ' again' WHERE car = '$car' AND id = 1; DELETE FROM trip WHERE car = '$car' AND id = 2");
	$open->query_safe('COMMIT');
	$_->quit for $before, $open;
	return $car;
}

my %home = (c1 => 1, c2 => 2);
sub unified {
	my ($car, $home, $rows) = @_;
	for my $n (@nodes) {
		$f->poll($n, "SELECT home || ' ' || epoch FROM vectorshard.client WHERE client = '$car'", "$home{$home} 1", "$car: its home is known on $n");
		next if $n eq 'e1' && $rows !~ /e1/;
		$f->poll($n, "SELECT string_agg(id || ' ' || note, ', ' ORDER BY id) FROM ONLY trip WHERE car = '$car'", $rows, "$car: the rows of all writers are on $n", 20);
	}
	for my $n ($rows =~ /e1/ ? @nodes : ('c1', 'c2')) {
		is($f->client_hash($n, 'trip', $car, 'car'), $f->client_hash($home, 'trip', $car, 'car'), "$car: $n equals the home");
	}
	return;
}
for my $order ([ 'c1', 'c2' ], [ 'c2', 'c1' ], [ 'c1', 'c2' ], [ 'c2', 'c1' ]) {
	my ($first, $second) = @$order;
	my $car = twin($first, $second);
	unified($car, $second, "1 $first again, 3 $second, 4 e1, 9 $second");
}

# The one that loses commits last: the row that says so waits for it, and finds what it had not seen when it came.
for my $order ([ 'c1', 'c2' ], [ 'c2', 'c1' ]) {
	my ($loser, $winner) = @$order;
	my $car = 'twin' . ++$twins;
	my $open = $f->node($loser)->background_psql('postgres');
	$open->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 1, '$loser')");
	$f->sql($winner, "INSERT INTO trip VALUES ('$car', 2, '$winner')");
	$f->poll($loser, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%vectorshard.apply%' AND pid <> pg_backend_pid()},
		't', "$car: the row of the other birth waits");
	$open->query_safe('COMMIT');
	$open->quit;
	unified($car, $winner, "1 $loser, 2 $winner");
}
# The one that loses had packed the client into a store.
my $store = PostgreSQL::Test::Utils::tempdir;
$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
{
	my $car = 'twin' . ++$twins;
	my $before = $f->node('c1')->background_psql('postgres');
	my $open = $f->node('c2')->background_psql('postgres');
	$before->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 1, 'c1')");
	$open->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 2, 'c2')");
	$before->query_safe('COMMIT');
	$f->sql('c1', "SELECT vectorshard.move_to_cold('$car')");
	$f->poll('c1', "SELECT state FROM vectorshard.holder WHERE client = '$car' AND node = 1", 'cold', "$car: packed");
	$open->query_safe('COMMIT');
	$_->quit for $before, $open;
	unified($car, 'c2', '1 c1, 2 c2');
}

# A check that begins while the loser has not heard of the winner: asked first, it owes nothing; once it has heard it does, and
# what it owes is no difference. Its payment is held up until the check is over.
my $car = 'twin' . ++$twins;
my %at = map { $_ => $f->node($_ =~ s/_.*//r)->background_psql('postgres') } 'c1_writer', 'c1_deaf', 'c2_writer', 'c2_busy';
$at{c1_writer}->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 1, 'c1')");
$at{c2_writer}->query_safe("BEGIN; INSERT INTO trip VALUES ('$car', 2, 'c2')");
$at{c1_writer}->query_safe('COMMIT');
$at{c1_deaf}->query_safe('BEGIN; LOCK TABLE vectorshard.client IN SHARE MODE');
$at{c2_writer}->query_safe('COMMIT');
$at{c2_busy}->query_safe('BEGIN; LOCK TABLE trip IN SHARE MODE');
$f->poll('c2', "SELECT count(*) FROM vectorshard.holder WHERE client = '$car' AND state = 'live'", '2', "$car: the winner knows the other holder");
my $found = '';
my $check = IPC::Run::start([ 'psql', '-XAtq', '-d', $f->node('c2')->connstr('postgres'), '-c',
	"SELECT peer || ' ' || state FROM vectorshard.check_here('$car', '', false, 1, 4)" ], '>', \$found, '2>&1');
$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE 'SELECT vectorshard.delivered($1%'}, '1', "$car: the loser was asked, and has answered");
is($f->sql('c1', "SELECT home FROM vectorshard.client WHERE client = '$car'"), '1', "$car: the loser has not heard yet");
$at{c1_deaf}->query_safe('COMMIT');
$check->finish;
is($found, "c1 under_way\n", "$car: what the loser owes is under way");
is($f->sql('c1', "SELECT string_agg(peer::text, ' ') FROM vectorshard.peer_debt WHERE client = '$car'"), '2', "$car: and it does owe");
$at{c2_busy}->query_safe('COMMIT');
$_->quit for values %at;
unified($car, 'c2', '1 c1, 2 c2');

$f->poll($_, q{SELECT coalesce(sum(queue_rows + debts), 0) FROM vectorshard.ship_lag}, '0', "$_ owes nothing") for @nodes;
is($f->sql($_, q{SELECT count(*) FROM vectorshard.conflict WHERE kind = 'diverged'}), '0', "$_ checked nothing") for @nodes;

done_testing();
