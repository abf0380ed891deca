# Topology: core c1 (home of all clients), edges e1 and e2; clients with rows in two tables.
# Proves: a copy brings all rows of a client in one step; an eviction removes them once the home has confirmed, and
# nothing is lost when the home is down; debts of an evicted copy are paid by the home; writers on three nodes, while
# clients are copied and let go all the time, lose no acknowledged write, and afterwards all holders are equal.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;
use Time::HiRes qw(time);

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000");
$f->sql('c1', q{
  CREATE TABLE trip (car text, id int, note text, extra jsonb, PRIMARY KEY (car, id));
  CREATE TABLE stop (car text, at timestamptz, id int, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  SELECT vectorshard.create_vector_shard_table('stop', 'car');
  INSERT INTO trip SELECT 'car' || c, i, repeat('x', 500), '{"a": 1}' FROM generate_series(1, 6) c, generate_series(1, 100) i;
  INSERT INTO stop SELECT 'car' || c, now(), i FROM generate_series(1, 6) c, generate_series(1, 10) i;
});
$f->poll_until($_, q{SELECT to_regclass('trip') IS NOT NULL AND to_regclass('stop') IS NOT NULL}, 't') or die for 'e1', 'e2';
$f->poll_until($_, q{SELECT count(*) FROM vectorshard.client}, '6') or die for 'e1', 'e2';

sub resident { my ($client) = @_; return "SELECT count(*) FROM vectorshard.resident WHERE client = '$client' AND NOT leaving"; }
my $debts = 'SELECT count(*) FROM vectorshard.peer_debt';

# One client, there and back.
$f->sql('e1', q{SELECT vectorshard.place('car1', 'e1')});
$f->poll('e1', resident('car1'), '1', 'place() brings a client');
is($f->client_hash('e1', $_, 'car1', 'car'), $f->client_hash('c1', $_, 'car1', 'car'), "the copy of $_ is equal") for 'trip', 'stop';
is($f->sql('e1', 'SELECT count(*) FROM ONLY trip'), '100', 'and no other client came along');
$f->poll('c1', q{SELECT state FROM vectorshard.holder WHERE client = 'car1' AND node = 2}, 'live', 'the home knows the holder');
cmp_ok($f->sql('e1', 'SELECT vectorshard.copy_time_ms(1)'), '>', 0, 'the time of a copy is measured');
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 1000, 'by e1')});
$f->sql('c1', q{UPDATE trip SET note = 'by c1' WHERE car = 'car1' AND id = 1; DELETE FROM stop WHERE car = 'car1' AND id = 1});
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE car = 'car1' AND id = 1000}, 'by e1', 'a write at the copy reaches the home');
$f->poll('e1', q{SELECT note FROM ONLY trip WHERE car = 'car1' AND id = 1}, 'by c1', 'a write at the home reaches the copy');
$f->sql('e1', q{SELECT vectorshard.evict('car1')});
is($f->sql('e1', 'SELECT (SELECT count(*) FROM ONLY trip) + (SELECT count(*) FROM ONLY stop) + (SELECT count(*) FROM vectorshard.resident)'),
	'0', 'an evicted client leaves nothing behind');
$f->poll('c1', q{SELECT state FROM vectorshard.holder WHERE client = 'car1' AND node = 2}, 'gone', 'the home knows that it went');
is($f->sql('c1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car1'}), '101', 'the home has all rows');

# Refusals.
like($f->error_of('e1', q{SELECT vectorshard.evict('car1')}), qr/55000: client "car1" is not resident on this node.*DETAIL:.*HINT:/s, 'not resident');
like($f->error_of('c1', q{SELECT vectorshard.evict('car1')}), qr/55000: client "car1" has its home on this node.*HINT:/s, 'the home keeps it');
like($f->error_of('e1', q{SELECT vectorshard.evict('nobody')}), qr/42704: client "nobody" is not known.*HINT:/s, 'unknown client');
like($f->error_of('e1', q{SELECT vectorshard.place('car1', 'e9')}), qr/42704: node "e9" does not exist.*DETAIL:.*c1, e1, e2.*HINT:/s, 'unknown node');
$f->sql('c1', q{SELECT vectorshard.place('car2', 'e1')});
$f->poll('e1', resident('car2'), '1', 'the core pins a client onto an edge');
like($f->error_of('e1', q{SELECT vectorshard.evict('car2')}), qr/55006: client "car2" is wished onto this node.*DETAIL:.*pinned by.*HINT:/s, 'wished by another');

# The home is down: nothing is evicted, nothing is lost.
$f->sql('c1', q{SELECT vectorshard.place('car2', 'e1', now())});
$f->poll_until('e1', q{SELECT count(*) FROM vectorshard.wish WHERE client = 'car2' AND until > now()}, '0') or die;
$f->node('c1')->stop('immediate');
$f->sql('e1', q{UPDATE trip SET note = 'while the home was down' WHERE car = 'car2'});
like($f->error_of('e1', q{SELECT vectorshard.evict('car2')}), qr/08006: .*nothing is evicted.*DETAIL:.*HINT:/s, 'evict with the home down');
is($f->sql('e1', q{SELECT count(*) || ' ' || min(note) FROM ONLY trip}), '100 while the home was down', 'the rows stay');
is($f->sql('e1', resident('car2')), '1', 'and are not leaving');
$f->sql('e1', q{INSERT INTO trip VALUES ('car2', 500, 'still writable')});
$f->start_again('c1');
$f->poll('c1', q{SELECT count(*) FROM ONLY trip WHERE car = 'car2' AND note <> repeat('x', 500)}, '101', 'the home gets them when it is back');
$f->poll('e1', q{SELECT vectorshard.evict('car2')}, '', 'and then it can be evicted');

# A peer is down: what the copy owes it is the home's to pay.
for my $n ('e1', 'e2') { $f->sql($n, "SELECT vectorshard.place('car3', '$n')"); }
$f->poll($_, resident('car3'), '1', "car3 is on $_") for 'e1', 'e2';
$f->poll_until('e1', q{SELECT count(*) FROM vectorshard.holder WHERE client = 'car3' AND state = 'live'}, '3') or die;
$f->node('e2')->stop('immediate');
$f->sql('e1', q{UPDATE trip SET note = 'e2 was away' WHERE car = 'car3'});
$f->poll('e1', q{SELECT vectorshard.evict('car3')}, '', 'a copy that owes something can be evicted');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.peer_debt WHERE client = 'car3'}), '0', 'its debt left with it');
is($f->sql('c1', q{SELECT peer FROM vectorshard.peer_debt WHERE client = 'car3'}), '3', 'to the home');
$f->start_again('e2');
$f->poll('e2', q{SELECT count(*) FROM ONLY trip WHERE car = 'car3' AND note = 'e2 was away'}, '100', 'the home pays it');

# Writers on all nodes while clients come and go. Each insert has a key of its own; the updates meet in shared rows.
my $w = Writers->new($f);
my %base = (c1 => 10000, e1 => 20000, e2 => 30000);
for my $n ('c1', 'e1', 'e2') {
	my @s;
	for my $i (1 .. 120) {
		my ($car, $id) = ('car' . (4 + $i % 3), $base{$n} + $i);
		push @s, "INSERT INTO trip VALUES ('$car', $id, '$n') RETURNING 'trip ' || car || ' ' || id";
		push @s, "INSERT INTO stop VALUES ('$car', now(), $id) RETURNING 'stop ' || car || ' ' || id" if $i % 3 == 0;
		push @s, "UPDATE trip SET note = '$n $i' WHERE car = '$car' AND id = 1" if $i % 2 == 0;
	}
	$w->start($n, \@s);
}
my ($evicted, $kept) = (0, 0);
my $until = time + 25;
for my $round (1 .. 12) {
	last if time > $until;
	for my $n ('e1', 'e2') {
		my $car = 'car' . (4 + ($round + ($n eq 'e1')) % 3);
		$f->sql($n, "SELECT vectorshard.place('$car', '$n')");
		$f->poll_until($n, resident($car), '1', 10);
		my ($rc) = $f->node($n)->psql('postgres', "SELECT vectorshard.evict('$car')");
		$rc ? $kept++ : $evicted++;
	}
}
my @acknowledged = $w->finish;
note("$evicted evictions, $kept refused; " . scalar(@acknowledged) . ' writes acknowledged');
note($_) for $w->errors;
cmp_ok($evicted, '>', 0, 'clients were evicted under writers');
cmp_ok(scalar(grep { /^trip/ } @acknowledged), '>', 100, 'writes were acknowledged');

# Quiet: no debts, everything delivered, all holders equal to the home.
sub differing {
	my $bad = '';
	for my $n ('e1', 'e2') {
		for my $car (split /\n/, $f->sql($n, 'SELECT client FROM vectorshard.resident')) {
			for my $t ('trip', 'stop') {
				$bad .= " $n/$t/$car" if $f->client_hash($n, $t, $car, 'car') ne $f->client_hash('c1', $t, $car, 'car');
			}
		}
	}
	return $bad;
}
for my $n ('c1', 'e1', 'e2') { $f->poll($n, $debts, '0', "$n owes nothing", 30); }
$f->wait_for(sub { differing() eq '' }, 20);
is(differing(), '', 'every holder equals the home');
my %home = map { $_ => 1 } split /\n/, $f->sql('c1', q{SELECT 'trip ' || car || ' ' || id FROM ONLY trip UNION ALL SELECT 'stop ' || car || ' ' || id FROM ONLY stop});
is(join(', ', grep { !$home{$_} } @acknowledged), '', 'no acknowledged write is lost');
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.conflict WHERE kind <> 'beaten'}), '0', 'no dead letters at the home');

done_testing();
