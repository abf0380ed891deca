# Topology: core c1 with two stores, a directory and Azurite behind the fault proxy.
# Proves: whatever state a move stands in, whoever is killed there, and whatever is wrong with the store then, rows are neither lost nor doubled for
# readers of both isolation levels, what a writer was told is there, changes of the table go through, the move ends, and one pass of the
# cleaner removes all that was left. Every cell is move x state x killer x fault; CELLS=all (make test-tier-matrix) runs them all, else a choice
# by SEED (the same without); ONLY=text those whose name has it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use TierMatrix;
use Time::HiRes qw(time);

my @moves = ('partition to cold', 'partition to hot', 'client to cold', 'client back by a session', 'client back by the worker');
# State in which a move stands, and what it is about to commit.
my %points = (
	'partition to cold' => [ [ planned => 'fenced' ], [ fenced => 'settled' ], [ settled => 'exported' ], [ exported => 'verified' ], [ verified => 'registered' ],
		[ registered => 'swapped' ], [ swapped => 'grace' ], [ grace => 'done' ] ],
	'partition to hot' => [ [ planned => 'loaded' ], [ loaded => 'swapped' ], [ swapped => 'grace' ], [ grace => 'done' ] ],
	'client to cold' => [ [ planned => 'fenced' ], [ fenced => 'exported' ], [ exported => 'verified' ], [ verified => 'done' ] ],
	'client back by a session' => [ [ loaded => 'resident' ], [ merged => 'done' ] ],
	'client back by the worker' => [ [ loaded => 'resident' ], [ merged => 'done' ] ],
);
my @killers = ('worker', 'postmaster');
my $seed = $ENV{SEED} // 3;    # make check takes the same each time: a change that breaks one is told from chance
my $cells = $ENV{CELLS} // 12;
note("SEED=$seed CELLS=$cells");
my @all;
for my $move (@moves) {
	for my $point (@{ $points{$move} }) {
		for my $killer (@killers) { push @all, map { { move => $move, state => $point->[0], next => $point->[1], killer => $killer, fault => $_ } } TierMatrix::faults(); }
	}
}
sub name_of { my ($c) = @_; return "$c->{move}, $c->{state}: kill -9 of the $c->{killer}, store $c->{fault}"; }
srand $seed;
@all = grep { name_of($_) =~ /\Q$ENV{ONLY}\E/ } @all if $ENV{ONLY};
@all = shuffle @all;
my %nth;    # each move in turn
my @keyed = map { [ $nth{ $_->{move} }++, $_ ] } @all;
@all = map { $_->[1] } sort { $a->[0] <=> $b->[0] } @keyed;
splice @all, $cells if $cells ne 'all' && @all > $cells;

my $t = TierMatrix->new;
my $c1 = $t->{f}->node('c1');
my $hot_client = q{SELECT NOT EXISTS (SELECT FROM vectorshard.cold_client WHERE client = 'car1')};
sub problem { my ($text) = @_; push @{ $t->{problems} }, $text; return; }
sub ended { my ($move) = @_; return "SELECT state IN ('done', 'failed') FROM vectorshard.tier_move WHERE move = $move"; }
sub where_is {
	my ($what) = @_;
	return $t->sql($what eq 'event_1'
		? q{SELECT coalesce((SELECT s.store FROM vectorshard.cold_partition p JOIN vectorshard.segment s USING (segment) WHERE p.relid = 'event_1'::regclass), 'heap')}
		: q{SELECT coalesce((SELECT s.store FROM vectorshard.cold_client k JOIN vectorshard.segment s USING (segment) WHERE k.client = 'car1'), 'heap')});
}

sub to_cold { my ($what, $store) = @_; return $t->sql($what eq 'event_1' ? "SELECT vectorshard.move_to_cold('event_1'::regclass, '$store', interval '0')" : "SELECT vectorshard.move_to_cold('car1', '$store')"); }
sub to_hot { my ($what) = @_; return $t->sql($what eq 'event_1' ? q{SELECT vectorshard.move_to_hot('event_1'::regclass, interval '0')} : q{SELECT vectorshard.move_to_hot('car1')}); }

# The partition or client is in the heap, or in the store, before its cell begins.
sub prepare {
	my ($what, $place) = @_;
	my $is = where_is($what);
	return if $is eq $place;
	if ($is ne 'heap') {
		my $move = to_hot($what);
		$t->wait_sql(ended($move), "$what to come back before the cell") if $what eq 'event_1';
	}
	$t->wait_sql(ended(to_cold($what, $place)), "$what to go before the cell") if $place ne 'heap';
	problem("$what is not in $place before the cell") if where_is($what) ne $place;
	return;
}

# Begins the move; the process that is to be killed with it, and its number.
sub begin {
	my ($c, $what) = @_;
	my $move;
	if ($c->{move} =~ /cold/) { $move = to_cold($what, $t->store_of($c->{fault})); }
	elsif ($what eq 'event_1') { $move = to_hot($what); }
	elsif ($c->{move} =~ /session/) {
		$c->{session} = $c1->background_psql('postgres', on_error_stop => 0);
		$c->{session}{stdin} .= "SELECT vectorshard.move_to_hot('car1');\n";
		$c->{session}{run}->pump_nb;
	}
	else { $t->sql(q{INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version) VALUES ('car1', 1, 1, now() + interval '1 hour', 'test', 0)
		ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until}); }
	$t->wait_sql(q{SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND classid = 77 AND NOT granted}, "the move to stop before $c->{next}");
	my $pid = $t->sql(q{SELECT max(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 77 AND NOT granted});
	if ($move) {
		my $state = $t->sql("SELECT state FROM vectorshard.tier_move WHERE move = $move");
		problem("the move stands in $state") if $state ne $c->{state};
	}
	return ($move, $pid);
}

sub crash {
	my ($c, $pid) = @_;
	if ($c->{killer} eq 'worker') { kill 'KILL', $pid or problem("no process $pid to kill"); }
	else { $t->{f}->kill9_and_restart('c1'); }
	# A server that has begun anew.
	$t->wait_sql(qq{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid) AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering')}, 'the server to go on');
	return;
}

# Until the move has met what is wrong with the store, or has ended without.
sub meet_fault {
	my ($c, $move, $log) = @_;
	return if $c->{fault} eq 'none';
	if ($c->{move} =~ /session/) {
		problem('a client came back from a store that does not answer') if defined $t->try(q{SELECT vectorshard.move_to_hot('car1')});
		return;
	}
	my $met = $move ? "SELECT state IN ('done', 'failed') OR coalesce((detail ->> 'attempts')::int, 0) > 0 FROM vectorshard.tier_move WHERE move = $move" : $hot_client;
	return if $t->{f}->wait_for(sub { ($t->try($met) // '') eq 't' || slurp_file($c1->logfile, $log) =~ /stays in the store/ }, 30);
	return problem('the move neither met the fault nor ended');
}

# How it may end: see src/core/tier/moves.hpp. What has swapped goes on; a pack that was cut off is taken back.
sub check_end {
	my ($c, $move) = @_;
	$t->wait_sql(ended($move), 'the move to end') or return;
	my ($state, $error) = split /\|/, $t->sql("SELECT state, coalesce(error, '') FROM vectorshard.tier_moves WHERE move = $move"), 2;
	$c->{end} = $state;
	return if $state eq 'done';
	my $allowed = $c->{move} eq 'client to cold' ? ($c->{state} ne 'planned' ? qr/stopped in the middle/ : $c->{fault} eq 'none' ? qr/^\b$/ : qr/segment object|store/)
	  : $c->{state} =~ /swapped|grace/ ? qr/^\b$/
	  : $c->{fault} eq 'damaged' ? qr/changed while|damaged|does not hold|cannot be read/
	  : qr/changed while/;
	problem("the move failed: $error") if $error !~ $allowed;
	return;
}

sub run_cell {
	my ($c, $number) = @_;
	$t->{problems} = [];
	my $what = $c->{move} =~ /partition/ ? 'event_1' : 'car1';
	prepare($what, $c->{move} =~ /to cold/ ? 'heap' : $t->store_of($c->{fault}));
	my $first = $t->sql('SELECT clock_timestamp()');
	my $holder = $c1->background_psql('postgres', on_error_stop => 0);
	$holder->query("SELECT pg_advisory_lock(77, hashtext('$c->{next}'))");
	my ($move, $pid) = begin($c, $what);
	# The table changes before the crash, which cuts it off where it waits for the move, or while the move goes on.
	my $change = "ALTER TABLE event ADD COLUMN IF NOT EXISTS c$number int;\nCREATE INDEX IF NOT EXISTS i$number ON event (c$number);\n";
	my $early = $number % 2;
	$t->forever("ddl$number", $change, 1) if $early;
	my $log = -s $c1->logfile;
	$t->break($c->{fault});
	crash($c, $pid);
	eval { $_->quit } for grep { $_ } $holder, delete $c->{session};
	my $since = $t->reads;    # a sequence may be ahead of what the crash left
	$t->forever("ddl$number", $change, 1) if !$early;
	meet_fault($c, $move, $log);
	$t->mend;
	check_end($c, $move) if $move;
	$t->wait_reads($since);
	problem('the change of the table has not gone through') if !$t->{f}->wait_for(sub { ($t->try("SELECT to_regclass('i$number') IS NOT NULL") // '') eq 't' }, 30);
	if ($c->{move} =~ /back/) {
		# The worker would try again ten seconds after it has failed.
		$t->try($c->{move} =~ /session/ ? q{SELECT vectorshard.move_to_hot('car1')} : q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'});
		$t->wait_sql($hot_client, 'the client to be in the heap');
		$t->try(q{UPDATE vectorshard.wish SET until = now() - interval '1 s' WHERE client = 'car1'});
	}
	$t->clean;
	my $rows = $t->rows;
	problem("the rows are $rows") if $rows ne $t->{truth};
	my $seen = $t->sql("SELECT string_agg(DISTINCT who || ': ' || kind || ' ' || was, '; ') FROM seen WHERE at >= '$first'" . ($c->{fault} eq 'none' ? '' : " AND kind = 'wrong'"));
	problem("readers saw: $seen") if $seen ne '';
	$t->check_writer;
	$t->sql("ALTER TABLE event DROP COLUMN c$number");
	$c->{ok} = ok(!@{ $t->{problems} }, name_of($c));
	diag(join "\n", @{ $t->{problems} }) if !$c->{ok};
	return;
}

sub table {
	my @columns = map { my $k = $_; map { "$k/$_" } TierMatrix::faults() } @killers;
	my %was = map { ("$_->{move}, $_->{state}|$_->{killer}/$_->{fault}" => $_->{ok} ? 'ok' : 'NOT OK') } @all;
	note(sprintf '%-34s' . ' %-10s' x @columns, '', map { my $k = $_; map { $k } TierMatrix::faults() } @killers);
	note(sprintf '%-34s' . ' %-10s' x @columns, '', map { TierMatrix::faults() } @killers);
	for my $move (@moves) {
		for my $point (@{ $points{$move} }) {
			my $row = "$move, $point->[0]";
			note(sprintf '%-34s' . ' %-10s' x @columns, $row, map { $was{"$row|$_"} // '-' } @columns);
		}
	}
	note(sprintf '%d cells, %d ok; %d moves went on to the end, %d were taken back', scalar @all, scalar(grep { $_->{ok} } @all), map { my $e = $_; scalar grep { ($_->{end} // '') eq $e } @all } 'done', 'failed');
	return;
}

$t->clients;
my $number = 0;
for my $c (@all) {
	my $begun = time;
	run_cell($c, ++$number);
	note(sprintf '%.1f s', time - $begun);
}

# What the cells look for would be found: rows that are other ones, objects that nobody knows, a row that the writer was told of and is gone.
$t->{problems} = [];
$t->sql(q{UPDATE truth SET rows = 'others'});
$t->wait_sql(q{SELECT count(DISTINCT who) = 2 FROM seen WHERE kind = 'wrong'}, 'both readers to see other rows');
is("@{ $t->{problems} }", '', 'readers tell of rows that are other ones');
$t->enough;
mkdir "$t->{files}/node1";
ObjectStores::write_file("$t->{files}/node1/planted.parquet", 'x');
like($t->leftovers, qr{object node1/planted}, 'an object that nobody knows is told');
$t->check_writer;
$t->sql(q{DELETE FROM event WHERE id = 100001});
$t->check_writer;
is(scalar @{ $t->{problems} }, 1, 'a row that is gone is told');
table();
done_testing();
