# Topology: core c1 (home), edges e1 and e2.
# Proves: kill -9 of a holder, and of the home, while clients are written, copied and let go, loses no acknowledged write,
# and the holders are equal when all have healed; a copy that a crash interrupted is carried on; a leaving mark that a
# crash left is taken back.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000");
$f->sql('c1', q{
  CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id));
  SELECT vectorshard.create_vector_shard_table('trip', 'car');
  INSERT INTO trip SELECT 'car' || c, i, repeat('x', 200) FROM generate_series(1, 30) c, generate_series(1, 50) i;
});
$f->poll_until($_, q{SELECT to_regclass('trip') IS NOT NULL}, 't') or die for 'e1', 'e2';
$f->poll_until($_, q{SELECT count(*) FROM vectorshard.client}, '30') or die for 'e1', 'e2';
sub resident { my ($client) = @_; return "SELECT count(*) FROM vectorshard.resident WHERE client = '$client' AND NOT leaving"; }

# A copy that is interrupted: the home is away, the holder row says `copying`, and the holder is killed.
$f->node('c1')->stop('immediate');
$f->sql('e1', q{SELECT vectorshard.place('car1', 'e1')});
$f->poll('e1', q{SELECT state FROM vectorshard.holder WHERE client = 'car1' AND node = 2}, 'copying', 'a copy is under way');
my $generation = $f->sql('e1', q{SELECT generation FROM vectorshard.holder WHERE client = 'car1' AND node = 2});
$f->kill9_and_restart('e1');
$f->start_again('c1');
$f->poll('e1', resident('car1'), '1', 'it is carried on after a crash');
is($f->sql('e1', q{SELECT generation FROM vectorshard.resident WHERE client = 'car1'}), $generation, 'as the same residency');
is($f->client_hash('e1', 'trip', 'car1', 'car'), $f->client_hash('c1', 'trip', 'car1', 'car'), 'and is complete');

# A leaving mark that a crash left.
$f->sql('e1', q{UPDATE vectorshard.resident SET leaving = true WHERE client = 'car1'});
$f->kill9_and_restart('e1');
$f->poll('e1', resident('car1'), '1', 'a leaving mark is taken back after a crash');
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 100, 'after the crash')});

# Crashes under load. Each insert has a key of its own; the updates meet in shared rows.
my $w = Writers->new($f);
my $next = 1000;
sub write_everywhere {
	for my $n ('c1', 'e1', 'e2') {
		my @s;
		for my $i (1 .. 2000) {    # more than they come to before they are stopped
			my ($car, $id) = ('car' . (2 + $i % 3), $next++);
			push @s, "INSERT INTO trip VALUES ('$car', $id, '$n') RETURNING car || ' ' || id";
			push @s, "UPDATE trip SET note = '$n $id' WHERE car = '$car' AND id = 1" if $i % 4 == 0;
		}
		$w->start($n, \@s);
	}
	return $w->wait_for_more(30);
}
# Copies and evictions on both edges, as often as the servers are there.
my $evictions = 0;
sub churn {
	for my $n ('e1', 'e2') {
		my $car = 'car' . (2 + ($evictions + ($n eq 'e1')) % 3);
		my ($rc) = $f->node($n)->psql('postgres', "SELECT vectorshard.place('$car', '$n')");
		next if $rc || !$f->poll_until($n, resident($car), '1', 5);
		($rc) = $f->node($n)->psql('postgres', "SELECT vectorshard.evict('$car')");
		$evictions++ unless $rc;
	}
	return;
}
for my $victim ('e1', 'c1') {
	ok(write_everywhere(), "writers are at work before $victim dies");
	churn();
	# Twenty more clients are on their way.
	my $to = $victim eq 'c1' ? 'e2' : 'e1';
	$f->sql($to, "SELECT vectorshard.place('car' || i, '$to') FROM generate_series(11, 30) i");
	$f->kill9_and_restart($victim);
	churn();
}
my @acknowledged = $w->finish;
note("$evictions evictions; " . scalar(@acknowledged) . ' writes acknowledged');
my @errors = $w->errors;
note($_) for @errors;
ok(scalar(grep { /connection|server closed|recovery|starting up/ } @errors), 'the crashes hit writers');
cmp_ok($evictions, '>', 0, 'clients were evicted between the crashes');
cmp_ok(scalar(@acknowledged), '>', 100, 'writes were acknowledged');

for my $n ('e1', 'e2') {
	$f->poll($n, q{SELECT count(*) FROM vectorshard.resident WHERE client IN (SELECT 'car' || i FROM generate_series(11, 30) i)}, '20', "what $n was to copy is there", 30);
	is($f->sql($n, 'SELECT count(*) FROM vectorshard.resident WHERE leaving'), '0', "nothing is left leaving on $n");
	is($f->sql($n, q{SELECT count(*) FROM ONLY trip t WHERE NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = t.car)}),
		'0', "no row on $n is of a client that is not resident");
}
for my $n ('c1', 'e1', 'e2') { $f->poll($n, q{SELECT count(*) FROM vectorshard.peer_debt}, '0', "$n owes nothing", 30); }
my $all = q{SELECT md5(string_agg(t::text, '' ORDER BY t::text COLLATE "C")) FROM ONLY trip t WHERE car = '%s'};
my $bad = '';
for my $n ('e1', 'e2') {
	for my $car (split /\n/, $f->sql($n, 'SELECT client FROM vectorshard.resident')) {
		my $hash = sprintf($all, $car);
		$bad .= " $n/$car" unless $f->wait_for(sub { $f->sql($n, $hash) eq $f->sql('c1', $hash) }, 15);
	}
}
is($bad, '', 'every holder equals the home');
my %home = map { $_ => 1 } split /\n/, $f->sql('c1', q{SELECT car || ' ' || id FROM ONLY trip});
is(join(', ', grep { !$home{$_} } @acknowledged), '', 'no acknowledged write is lost');
is($f->sql('c1', q{SELECT note FROM trip WHERE car = 'car1' AND id = 100}), 'after the crash', 'nor the one after the mark');

done_testing();
