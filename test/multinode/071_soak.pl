# Topology: core c1 with a store, edges e1 and e2. Duration: SOAK_S seconds (20; `make test-soak` ten minutes).
# Proves: count(*) and a hash over all rows never change at any node, from statement to statement (READ COMMITTED) and within a
# snapshot (REPEATABLE READ), while clients are placed on the edges, evicted, packed into the store and brought back, all the
# time and at random. A statement that fails because a client moved under it (40001) is no answer, and is counted.
use strict;
use warnings;
use Fabric;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{SOAK_S} // 20;
my $seed = $ENV{SEED} // time;
srand($seed);
my ($clients, $rows) = (12, 40);
my $f = Fabric->new(core => 'c1', edges => [ 'e1', 'e2' ], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 0\nlog_min_messages = warning");
my $dir = PostgreSQL::Test::Utils::tempdir();
$f->sql('c1', "SELECT vectorshard.create_store('shelf', 'file://$dir')");
$f->sql('c1', qq{CREATE TABLE trip (car text, id int, note text, PRIMARY KEY (car, id)); SELECT vectorshard.create_vector_shard_table('trip', 'car');
                 INSERT INTO trip SELECT 'car' || c, i, md5(c || ' ' || i) FROM generate_series(1, $clients) c, generate_series(1, $rows) i});
my $all = q{SELECT count(*), count(DISTINCT (car, id)), sum(hashtext(car || id || note)::bigint) FROM trip};
my $sound = $f->sql('c1', $all);
like($sound, qr/^480\|480\|/, "seed $seed, $seconds s: all rows are there");
for my $n ('e1', 'e2') { $f->poll($n, $all, $sound, "$n reads them"); }

# A child process that runs `$turn` again and again until the time is over, and leaves what it returned, a line each.
my $until = time + $seconds;
my %children;
sub child {
	my ($name, $turn) = @_;
	my $pid = fork() // die "fork: $!";
	if ($pid) { $children{$name} = $pid; return; }
	srand($seed + length($name) * 1000 + ord($name));
	open my $out, '>', "$dir/$name" or POSIX::_exit(1);
	$out->autoflush(1);
	while (time < $until) { print $out $turn->() . "\n"; }
	POSIX::_exit(0);
}
my $some = sub { return 'car' . (1 + int rand $clients); };
my $try = sub { my ($n, $sql) = @_; my ($rc, $out, $err) = $f->node($n)->psql('postgres', $sql); return $rc ? $err =~ /(?:ERROR|FATAL): *(.*)/ ? "error $1" : "error $err" : $out; };

# What moves: each placed client is waited for, so that it is read here before it goes again.
for my $n ('e1', 'e2') {
	child("mover_$n", sub {
		my $c = $some->();
		$try->($n, "INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version) SELECT '$c', n, n, now() + interval '1 hour', 'test', 0
		            FROM vectorshard.self_node() n ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until");
		my $came = $f->wait_for(sub { return $try->($n, "SELECT count(*) FROM vectorshard.resident WHERE client = '$c'") eq '1' || time > $until }, 5);
		$try->($n, "UPDATE vectorshard.wish SET until = now() - interval '1 s' WHERE client = '$c' AND node = vectorshard.self_node()");
		my $gone = $f->wait_for(sub { $try->($n, "SELECT vectorshard.evict('$c')"); return $try->($n, "SELECT count(*) FROM vectorshard.resident WHERE client = '$c'") eq '0' || time > $until }, 5);
		return $came && $gone ? 'placed and evicted' : 'stays';
	});
}
child('packer', sub {
	my $c = $some->();
	$try->('c1', "SELECT vectorshard.move_to_cold('$c')");
	my $cold = $f->wait_for(sub { return $try->('c1', "SELECT count(*) FROM vectorshard.cold_client WHERE client = '$c'") eq '1' || time > $until }, 2);
	my $back = $cold ? $try->('c1', "SELECT vectorshard.move_to_hot('$c')") : 'not packed';
	return $cold && $back !~ /^error/ ? 'packed and brought back' : $back;
});

# What reads.
my $check = sub {
	my @answers = split /\n/, $_[0];
	return 'retry' if $_[0] =~ /^error .*(?:moved|resident|home|serialize)/;
	return 'right' if @answers && !grep { $_ ne $sound } @answers;
	return "wrong $_[0]";
};
for my $n ('c1', 'e1', 'e2') {
	child("reader_$n", sub { return $check->($try->($n, $all)); });
	child("snapshot_$n", sub { return $check->($try->($n, "BEGIN ISOLATION LEVEL REPEATABLE READ; $all; $all; $all; COMMIT")); });
}
waitpid($children{$_}, 0) for keys %children;

my %count;
for my $name (keys %children) {
	my ($kind) = $name =~ /^([a-z]+)/;
	$count{$kind}{$_}++ for split /\n/, PostgreSQL::Test::Utils::slurp_file("$dir/$name");
}
for my $kind ('reader', 'snapshot') {
	my %got = %{ $count{$kind} };
	my @wrong = grep { !/^(?:right|retry)$/ } keys %got;
	is(join('; ', @wrong), '', "$kind: no wrong answer");
	cmp_ok($got{right}, '>', ($got{retry} // 0), "$kind: $got{right} right, " . ($got{retry} // 0) . ' to be retried');
}
cmp_ok($count{mover}{'placed and evicted'} // 0, '>', 2, 'clients were placed and evicted: ' . ($count{mover}{'placed and evicted'} // 0));
cmp_ok($count{packer}{'packed and brought back'} // 0, '>', 2, 'clients were packed and brought back: ' . ($count{packer}{'packed and brought back'} // 0));
diag(join ', ', map { my $k = $_; map { "$k: $_ $count{$k}{$_}" } sort keys %{ $count{$k} } } sort keys %count);
$f->poll($_, $all, $sound, "$_: all rows at the end") for ('c1', 'e1', 'e2');
done_testing();
