# Topology: core c1, edges e1 and e2.
# Proves: a client that is new on two edges at once gets one home and keeps the rows of both; without a core node a birth
# is refused with a hint, or allowed by vectorshard.birth_without_core, and then the client becomes one when the core is
# back, even if the core had known it before; a client is born inside a transaction that rolls back without harm.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000");
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car')});
$f->poll_until($_, q{SELECT to_regclass('trip') IS NOT NULL}, 't') or die for 'e1', 'e2';

# All nodes that hold `car` have `rows`, and agree on the home.
sub unified {
	my ($car, $home, $rows, $what) = @_;
	for my $n ('c1', 'e1', 'e2') {
		$f->poll($n, "SELECT home FROM vectorshard.client WHERE client = '$car'", $home, "$what: its home is known on $n");
		$f->poll($n, "SELECT count(*) FROM ONLY trip WHERE car = '$car'", $rows, "$what: all rows are on $n");
	}
	is($f->client_hash($_, 'trip', $car, 'car'), $f->client_hash('c1', 'trip', $car, 'car'), "$what: $_ equals the home") for 'e1', 'e2';
	return;
}

# The same new clients at both edges, at once, many times.
my $w = Writers->new($f);
for my $n ('e1', 'e2') { $w->start($n, [ map { "INSERT INTO trip VALUES ('twin$_', " . ($n eq 'e1' ? 1 : 2) . ", '$n') RETURNING car || ' ' || id" } 1 .. 20 ]); }
my @acknowledged = $w->finish;
note($_) for $w->errors;
is(scalar(@acknowledged), 40, 'every first row was taken');
is($f->sql('c1', q{SELECT count(*), min(home), max(home), min(epoch), max(epoch) FROM vectorshard.client WHERE client LIKE 'twin%'}), '20|1|1|1|1',
	'one home each');
for my $n ('c1', 'e1', 'e2') {
	$f->poll($n, q{SELECT count(*) || ' ' || count(DISTINCT car) FROM ONLY trip WHERE car LIKE 'twin%'}, '40 20', "the rows of both edges are on $n");
}
unified('twin7', 1, 2, 'twin');

# A birth that is rolled back leaves a client without rows, which anybody may fill.
my ($rc) = $f->node('e1')->psql('postgres', q{BEGIN; INSERT INTO trip VALUES ('ghost', 1, 'never'); ROLLBACK});
is($rc, 0, 'a birth in a transaction that rolls back');
$f->sql('e2', q{INSERT INTO trip VALUES ('ghost', 2, 'real')});
$f->poll('e1', q{SELECT string_agg(note, ' ') FROM ONLY trip WHERE car = 'ghost'}, 'real', 'the rows of another node arrive there');
$f->sql('c1', q{BEGIN; INSERT INTO trip VALUES ('phantom', 1, 'never'); ROLLBACK});
is($f->sql('c1', q{SELECT count(*) FROM vectorshard.client WHERE client = 'phantom'}), '0', 'rolled back on the core: never born');
$f->sql('e1', q{INSERT INTO trip VALUES ('phantom', 1, 'real')});

# Names.
like($f->error_of('e1', q{INSERT INTO trip VALUES ('', 1, 'x')}), qr/22023: client must not be empty.*HINT:/s, 'an empty name');
like($f->error_of('e1', q{INSERT INTO trip VALUES (repeat('x', 300), 1, 'x')}), qr/54000: name of the client is too long.*300 bytes.*HINT:/s, 'a long name');
like($f->error_of('e1', q{SELECT vectorshard.birth_client('x')}), qr/55000: clients are born on core nodes alone.*HINT:/s, 'birth_client at an edge');

# The core is down. `known` exists there, but this edge has not heard of it: as if the stream were late.
$f->sql('c1', q{INSERT INTO trip VALUES ('known', 1, 'at home')});
$f->poll_until('e1', q{SELECT count(*) FROM vectorshard.client WHERE client = 'known'}, '1') or die;
$f->sql('e1', q{SET session_replication_role = replica; DELETE FROM vectorshard.client WHERE client = 'known';
                DELETE FROM vectorshard.holder WHERE client = 'known'});
$f->node('c1')->stop('immediate');
my $error = $f->error_of('e1', q{INSERT INTO trip VALUES ('orphan', 1, 'e1')});
like($error, qr/08006: client "orphan" is not known here and no core node answers/, 'refused without a core node');
like($error, qr/DETAIL:\s+Node 1: .*HINT:.*birth_without_core/s, 'with detail and hint');
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.client WHERE client = 'orphan'}), '0', 'and nothing is left of it');
for my $n ('e1', 'e2') {
	$f->sql($n, "SET vectorshard.birth_without_core = on; INSERT INTO trip VALUES ('orphan', " . ($n eq 'e1' ? 1 : 2) . ", '$n')");
}
$f->sql('e1', q{SET vectorshard.birth_without_core = on; INSERT INTO trip VALUES ('known', 2, 'e1')});
is($f->sql('e1', q{SELECT count(*) FROM vectorshard.resident WHERE client IN ('orphan', 'known') AND NOT confirmed}), '2',
	'allowed by the setting, and marked as not confirmed by a home');
$f->start_again('c1');
unified('orphan', 1, 2, 'born alone twice');
for my $n ('c1', 'e1') { $f->poll($n, q{SELECT string_agg(note, ' ' ORDER BY id) FROM ONLY trip WHERE car = 'known'}, 'at home e1', "born again: both rows on $n"); }
$f->poll('e1', q{SELECT count(*) FROM vectorshard.resident WHERE NOT confirmed}, '0', 'the home confirms the copies');
$f->poll($_, q{SELECT count(*) FROM vectorshard.peer_debt}, '0', "$_ owes nothing") for 'c1', 'e1', 'e2';
is($f->sql('c1', q{SELECT epoch FROM vectorshard.client WHERE client = 'known'}), '1', 'the older birth keeps the home');

done_testing();
