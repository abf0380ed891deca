# Topology: core nodes c1 (registrar) and c2, edge e1.
# Proves: a core node that is the home of clients leaves while all write: its homes move, what it wrote is delivered, then it is
# removed and no node any more; kill -9 of the leaving node, of the registrar and of the node that takes its homes over holds it up
# and breaks nothing; no acknowledged row is lost; the registrar hands its task on and leaves too.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'c2', 'c3' ], connect => 0,
	config => "vectorshard.link_timeout_ms = 2000\nvectorshard.insert_wait_ms = 8000\n");
$f->create('c1');
$f->join('e1');
$f->join('c2', kind => 'core');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text); SELECT vectorshard.create_reference_table('kind')});
$f->poll_until('c2', q{SELECT to_regclass('kind') IS NOT NULL}, 't') or die;
$f->sql('c2', q{INSERT INTO trip SELECT 'car' || c, i, 'born at c2' FROM generate_series(1, 12) c, generate_series(1, 5) i});
for my $n ('c1', 'e1') { $f->poll_until($n, q{SELECT count(*) FROM vectorshard.client}, '12') or die; }
$f->sql('e1', "INSERT INTO trip SELECT 'car' || c, 900, 'e1' FROM generate_series(1, 4) c");

my $w = Writers->new($f);
my $next = 1000;
for my $n ('c1', 'c2', 'e1') {
	my @s;
	for my $i (1 .. 120) {
		my $id = $next++;
		push @s, "INSERT INTO trip VALUES ('car" . (1 + $i % 6) . "', $id, '$n') RETURNING car || ' ' || id";
		push @s, "INSERT INTO kind VALUES ($id, '$n') RETURNING 'kind ' || id" if $i % 4 == 0;
	}
	$w->start($n, \@s);
}
ok($w->wait_for_more(20), 'three nodes write');
$f->sql('c1', q{SELECT vectorshard.remove_node('c2')});
is($f->sql('c1', q{SELECT state FROM vectorshard.nodes WHERE name = 'c2'}), 'leaving', 'it is leaving');
$f->poll('c2', q{SELECT count(*) < 12 FROM vectorshard.client WHERE home = 3}, 't', 'homes move');
$f->kill9_and_restart('c2');
$f->kill9_and_restart('c1');
$f->poll('c1', q{SELECT state FROM vectorshard.node WHERE name = 'c2'}, 'removed', 'it is removed', 90);
$f->poll('c2', 'SELECT vectorshard.self_node()', '0', 'it is no node any more');
$f->poll('c2', 'SELECT count(*) FROM pg_replication_slots', '0', 'and holds no WAL back');
is($f->sql('c2', 'SELECT count(*) FROM ONLY trip'), '0', 'no client is left there');
my @acknowledged = $w->finish;
for my $n ('c1', 'e1') { $f->poll($n, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$n owes nothing"); }
my %there = map { $_ => 1 } split /\n/, $f->sql('c1', q{SELECT car || ' ' || id FROM ONLY trip UNION ALL SELECT 'kind ' || id FROM kind});
my @lost = grep { !$there{$_} } @acknowledged;
is(scalar(@lost), 0, 'every acknowledged row is there, at the new home') or diag(join(', ', @lost[ 0 .. ($#lost > 9 ? 9 : $#lost) ]));
is($f->sql('c1', q{SELECT count(*) FROM ONLY trip WHERE note = 'born at c2'}), '60', 'and those that were there before');
is($f->sql('e1', q{SELECT count(*) FROM trip}), $f->sql('c1', q{SELECT count(*) FROM trip}), 'both nodes read the same');
is($f->sql('e1', q{SELECT md5(string_agg(k::text, ' ' ORDER BY id)) FROM kind k}), $f->sql('c1', q{SELECT md5(string_agg(k::text, ' ' ORDER BY id)) FROM kind k}), 'reference rows are equal');
diag($_) for $w->errors;

# Replaced: a new node takes its place; the registrar hands over and leaves.
is($f->join('c3', kind => 'core', via => 'e1'), '4', 'another core node joins');
like($f->error_of('c3', q{SELECT vectorshard.transfer_registrar('c3')}), qr/55000: this node is not the registrar.*HINT:/s, 'only the registrar hands over');
like($f->error_of('c1', q{SELECT vectorshard.transfer_registrar('e1')}), qr/22023: node 'e1' cannot be the registrar/, 'not to an edge');
$f->poll('c1', q{SELECT count(*) FROM vectorshard.nodes WHERE name = 'c3'}, '1', 'c1 knows c3');
$f->sql('c1', q{SELECT vectorshard.transfer_registrar('c3')});
for my $n ('e1', 'c3') { $f->poll($n, q{SELECT name FROM vectorshard.nodes WHERE registrar}, 'c3', "$n knows the new registrar"); }
$f->sql('c3', q{SELECT vectorshard.remove_node('c1')});
$f->poll('c3', q{SELECT state FROM vectorshard.node WHERE name = 'c1'}, 'removed', 'the founder leaves', 90);
is($f->sql('e1', q{SELECT count(*) FROM trip}), scalar(grep { !/^kind/ } @acknowledged) + 64, 'all rows are read without it');
$f->sql('e1', q{INSERT INTO trip VALUES ('new', 1, 'x'), ('car1', 5000, 'x')});
$f->poll('c3', q{SELECT count(*) FROM ONLY trip WHERE note = 'x'}, '2', 'and written');
done_testing();
