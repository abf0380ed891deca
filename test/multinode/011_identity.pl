# Topology: core c1 (registrar, home of all clients), edges e1 and e2 that hold copies.
# Proves: a copy of a node's data directory that is started beside it is refused by name, stamps nothing, and changes nothing
# elsewhere, also if its files look like the original's; a directory restored from the past is noticed, gets a new incarnation
# and everything it had shipped; what it had not is gone at it alone; the same of the registrar; a promoted standby.
use strict;
use warnings;
use Fabric;
use Writers;
use Test::More;
use PostgreSQL::Test::Utils;

my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.keep_s = 100000\nvectorshard.link_timeout_ms = 2000\n");
my @nodes = ('c1', 'e1', 'e2');
$f->sql('c1', q{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
  CREATE TABLE kind (id int PRIMARY KEY, words text); SELECT vectorshard.create_reference_table('kind');
  INSERT INTO trip SELECT 'car' || c, 1, 'first' FROM generate_series(1, 6) c});
$f->poll_until($_, q{SELECT to_regclass('kind') IS NOT NULL AND (SELECT count(*) FROM vectorshard.client) = 6}, 't') or die for @nodes;
for my $n ('e1', 'e2') { $f->sql($n, "INSERT INTO trip SELECT 'car' || c, 10 + vectorshard.self_node(), '$n' FROM generate_series(1, 4) c"); }

sub digests { return q{SELECT string_agg(vectorshard.client_digest('car' || c), ' ' ORDER BY c) FROM generate_series(1, 4) c}; }
sub converge {
	my ($what) = @_;
	for my $n (@nodes) { $f->poll($n, 'SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag', '0', "$what: $n owes nothing"); }
	my $same = $f->wait_for(sub { my %d = map { $f->sql($_, digests()) => 1 } @nodes; return keys %d == 1; }, 45);
	ok($same, "$what: the holders have the same rows") or diag(join("\n", map { "$_: " . $f->sql($_, 'SELECT string_agg(t::text, \' \' ORDER BY t) FROM ONLY trip t') } @nodes));
	my %kinds = map { $f->sql($_, q{SELECT md5(string_agg(k::text, ' ' ORDER BY id)) FROM kind k}) => 1 } @nodes;
	is(keys %kinds, 1, "$what: the reference rows are equal");
}
sub incarnation { my ($at, $of) = @_; return $f->sql($at, "SELECT incarnation FROM vectorshard.node WHERE name = '$of'"); }
sub copy_directory { my ($from, $to) = @_; system('rm', '-rf', $to); system('cp', '-a', $from, $to) == 0 or die "cp: $!"; return; }
converge('before');

# A clone beside its original, while writes go on at it.
my $w = Writers->new($f);
$w->start($_, [ map { my $id = 1000 + $_ * 10; "INSERT INTO trip SELECT 'car' || (1 + $_ % 4), $id + vectorshard.self_node(), 'w' RETURNING car || ' ' || id" } 1 .. 150 ]) for @nodes;
ok($w->wait_for_more(20), 'writers write');
my $clone = PostgreSQL::Test::Cluster->new('clone');
my $copy = $clone->data_dir;
mkdir $clone->basedir;
sub start_clone {
	my ($fake) = @_;
	copy_directory($f->node('e1')->data_dir, $copy);
	unlink "$copy/postmaster.pid";
	if ($fake) {    # as if the whole file system had been cloned, inodes and all
		my $facts = join ',', map { my $n = `stat -c '%i' $copy/$_`; chomp $n; my $b = birth("$copy/$_"); "$n.$b" } 'PG_VERSION', 'global/pg_control';
		my $boot = slurp_file("$copy/vectorshard/boot");
		my @lines = split /\n/, $boot;
		$lines[7] = $facts;
		open my $out, '>', "$copy/vectorshard/boot" or die $!;
		print $out join("\n", @lines) . "\n";
		close $out;
	}
	$clone->append_conf('postgresql.conf', 'port = ' . $clone->port . "\n");
	$clone->start;
}
# Nanoseconds since 1970 at which a file was made, as statx tells them; 0 where it does not.
sub birth {
	my ($path) = @_;
	my $text = `LC_ALL=C TZ=UTC stat -c '%W %w' $path`;
	my ($s, $fraction) = $text =~ /^(\d+) \S+ \d\d:\d\d:\d\d\.(\d+)/;
	return defined $fraction && $s ? $s . $fraction : 0;
}
sub clone_sql { my ($rc, $out, $err) = $clone->psql('postgres', $_[0], extra_params => [ '-v', 'VERBOSITY=verbose' ]); return $rc ? $err : $out; }
my $life = incarnation('c1', 'e1');
start_clone(0);
ok($f->wait_for(sub { clone_sql(q{INSERT INTO trip VALUES ('car1', 77, 'clone')}) =~ /55000: it is not certain that this server is node 2.*is a clone.*HINT:/s }, 20),
	'a clone stamps nothing, and says what it is') or diag(clone_sql(q{INSERT INTO trip VALUES ('car1', 77, 'clone')}));
ok($clone->wait_for_log(qr/no new incarnation: another server answers as node 'e1'/), 'the fabric has refused it by name');
is(clone_sql(q{SELECT count(*) > 0 FROM ONLY trip}), 't', 'it can be read');
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE id = 77}), '0', 'nothing of it is anywhere');
$clone->stop('immediate');
start_clone(1);
ok($f->wait_for(sub { clone_sql(q{INSERT INTO trip VALUES ('car1', 78, 'clone')}) =~ /55000: it is not certain that this server is node 2.*HINT:/s }, 30),
	'a clone of the whole file system is found out by its peers');
is(incarnation('c1', 'e1'), $life, 'the original keeps its incarnation');
$f->sql('e1', q{INSERT INTO trip VALUES ('car1', 79, 'original')});
$f->poll('e2', q{SELECT note FROM ONLY trip WHERE id = 79}, 'original', 'and ships');
$clone->stop('immediate');
my @acknowledged = $w->finish;
converge('after the clones');
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE note = 'w'}), scalar(@acknowledged), 'every acknowledged row is there');
is($f->sql('c1', q{SELECT count(*) FROM trip WHERE id = 78}), '0', 'no row of a clone is');

# Restored from the past: what e1 (then c1) wrote and shipped after the copy was made comes back; what it had not shipped is lost.
my $round = 0;
sub restore {
	my ($victim, $other) = @_;
	$round++;
	my $n = $f->node($victim);
	my $before = incarnation($other, $victim);
	$n->stop('fast');
	copy_directory($n->data_dir, $n->basedir . '/past');
	$n->start;
	$f->sql($victim, "INSERT INTO trip SELECT 'car' || c, 200 + $round, 'shipped by $victim' FROM generate_series(1, 4) c;
	  UPDATE trip SET note = 'updated by $victim' WHERE car = 'car2' AND id = 1; DELETE FROM trip WHERE car = 'car3' AND id = 200 + $round;
	  INSERT INTO kind VALUES ($round, 'of $victim')");
	$f->poll($other, "SELECT count(*) FROM ONLY trip WHERE note = 'shipped by $victim'", '3', "$victim ships");
	$f->poll($other, "SELECT words FROM kind WHERE id = $round", "of $victim", "$victim ships reference rows");
	$f->poll($victim, q{SELECT sum(queue_rows + debts) FROM vectorshard.ship_lag}, '0', "$victim has shipped all");
	$f->node($_)->stop('fast') for grep { $_ ne $victim } @nodes;
	$f->sql($victim, "INSERT INTO trip VALUES ('car4', 300 + $round, 'never shipped')");
	$n->stop('immediate');
	$f->start_again($_) for grep { $_ ne $victim } @nodes;
	copy_directory($n->basedir . '/past', $n->data_dir);
	$f->start_again($victim);
	$f->poll($victim, "SELECT (SELECT incarnation FROM vectorshard.node WHERE name = '$victim') > $before", 't', "$victim has a new incarnation");
	$f->poll($other, "SELECT (SELECT incarnation FROM vectorshard.node WHERE name = '$victim') > $before", 't', "$other knows it");
	$f->poll($victim, "SELECT count(*) FROM ONLY trip WHERE note = 'shipped by $victim'", '3', "$victim has back what it had shipped");
	$f->poll($victim, "SELECT words FROM kind WHERE id = $round", "of $victim", "$victim has back reference rows");
	$f->poll($victim, "SELECT note FROM ONLY trip WHERE car = 'car2' AND id = 1", "updated by $victim", "$victim has back updates");
	$f->poll($victim, "WITH i AS (INSERT INTO trip VALUES ('car1', 400 + $round, 'new life') ON CONFLICT DO NOTHING RETURNING 1) SELECT 1", '1', "$victim is written again");
	converge("$victim restored");
	is($f->sql($other, q{SELECT count(*) FROM trip WHERE note = 'never shipped'}), '0', 'what was never shipped is gone');
	is($f->sql($other, "SELECT count(*) FROM trip WHERE id = 400 + $round"), '1', 'and what is written anew is shipped');
}
restore('e1', 'e2');
restore('c1', 'e1');

# A standby of e2 takes over under its address.
my $standby = PostgreSQL::Test::Cluster->new('standby');
my $old = $f->node('e2');
$old->safe_psql('postgres', 'SELECT 1');
$old->backup('base');
$standby->init_from_backup($old, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "shared_preload_libraries = 'vectorshard'");
$standby->start;
$f->sql('e2', q{INSERT INTO trip VALUES ('car1', 500, 'before the failover')});
$old->wait_for_catchup($standby, 'replay');
my $was = incarnation('c1', 'e2');
$old->stop('immediate');
$standby->stop('fast');
$standby->append_conf('postgresql.conf', 'port = ' . $old->port);
$standby->{_port} = $old->port;
$standby->start;
$standby->promote;
$f->{nodes}{e2} = $standby;
$f->poll('e2', "SELECT (SELECT incarnation FROM vectorshard.node WHERE name = 'e2') > $was", 't', 'the promoted standby has a new incarnation');
$f->poll('c1', q{SELECT note FROM ONLY trip WHERE id = 500}, 'before the failover', 'what the old primary wrote arrives');
$f->poll('e2', q{WITH i AS (INSERT INTO trip VALUES ('car2', 501, 'promoted') ON CONFLICT DO NOTHING RETURNING 1) SELECT 1}, '1', 'it is written');
converge('after the failover');
$standby->stop('immediate');
done_testing();
