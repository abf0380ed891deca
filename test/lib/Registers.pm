# Sessions that add to registers (the row with id 1 of each client of a table) and read them, and a check of what they were told: as if each had
# taken effect at one moment between question and answer. All processes are on this machine and go by one monotonic clock.
#
#   my $r = Registers->new($fabric, 'account', { client => value, … });  $r->start('e1', $seed);  …  $r->stop;  my @wrong = $r->wrong(\%final);
package Registers;
use strict;
use warnings;
use IO::Handle;
use IPC::Open2;
use POSIX ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(clock_gettime usleep CLOCK_MONOTONIC);

sub new {
	my ($class, $fabric, $table, $initial) = @_;
	return bless { fabric => $fabric, table => $table, initial => $initial, clients => [ sort keys %$initial ], workers => [], dir => PostgreSQL::Test::Utils::tempdir() }, $class;
}

# One process with one session on the node. What it does and is told stands in its file: kind, client, value or - , began, ended.
sub start {
	my ($self, $node, $seed) = @_;
	my $file = "$self->{dir}/session" . scalar @{ $self->{workers} };
	my $connstr = $self->{fabric}->node($node)->connstr('postgres');
	my $pid = fork() // die "fork: $!";
	push @{ $self->{workers} }, { pid => $pid, file => $file, node => $node };
	return if $pid;
	eval { $self->work($connstr, $file, $seed) };    # the child ends by _exit: the END blocks of the test are the parent's
	print STDERR $@ if $@;
	POSIX::_exit(0);
}

# Waits until so many more questions were answered.
sub wait_for_more {
	my ($self, $more) = @_;
	my $asked = sub { my $n = 0; for my $w (@{ $self->{workers} }) { $n += () = slurp_file($w->{file}) =~ /\n/g if -e $w->{file}; } return $n; };
	my $wanted = $asked->() + $more;
	return $self->{fabric}->wait_for(sub { return $asked->() >= $wanted; }, 60);
}

sub stop {
	my ($self) = @_;
	append_to_file("$self->{dir}/enough", '');
	waitpid($_->{pid}, 0) for @{ $self->{workers} };
	return;
}

my ($out, $in, $psql);

# The answer's lines, errors included; undef if the session ended meanwhile.
sub ask {
	my ($sql) = @_;
	print $in "$sql;\n\\echo == done\n" or return;
	my @lines;
	while (defined(my $line = <$out>)) {
		chomp $line;
		return @lines ? \@lines : [''] if $line eq '== done';
		push @lines, $line;
	}
	return;
}

sub connect_to {
	my ($self, $connstr) = @_;
	$psql = open2($out, $in, "exec psql -XAtq -d '$connstr' 2>&1");
	$in->autoflush(1);
	return ask("SET plan_cache_mode = force_generic_plan; PREPARE r (text) AS SELECT n FROM $self->{table} WHERE car = \$1 AND id = 1");
}

sub work {
	my ($self, $connstr, $file, $seed) = @_;
	$SIG{PIPE} = 'IGNORE';
	srand $seed;
	open my $log, '>', $file or die "$file: $!";
	$log->autoflush(1);
	$self->connect_to($connstr);
	while (!-e "$self->{dir}/enough") {
		my $client = $self->{clients}[ rand @{ $self->{clients} } ];
		my $kind = (qw(add add upsert locked read read kept all))[ rand 8 ];
		my $began = clock_gettime(CLOCK_MONOTONIC);
		my $lines = $self->question($kind, $client);
		my $ended = clock_gettime(CLOCK_MONOTONIC);
		printf $log "%s\t%s\t%s\t%.6f\t%.6f\n", $kind, $client, $lines ? join('; ', @$lines) : 'lost', $began, $ended;
		next if $lines;
		waitpid($psql, 0);
		usleep(100_000);
		$self->connect_to($connstr);
	}
	close $log;
	print $in "\\q\n";
	waitpid($psql, 0);
	return;
}

sub question {
	my ($self, $kind, $client) = @_;
	my $t = $self->{table};
	my $row = "car = '$client' AND id = 1";
	return ask("UPDATE $t SET n = n + 1 WHERE $row RETURNING n") if $kind eq 'add';
	return ask("INSERT INTO $t AS a (car, id) VALUES ('$client', 1) ON CONFLICT (car, id) DO UPDATE SET n = a.n + 1 RETURNING n") if $kind eq 'upsert';
	return ask("SELECT n FROM $t WHERE $row") if $kind eq 'read';
	return ask("EXECUTE r ('$client')") if $kind eq 'kept';
	return ask("SELECT string_agg(car || '=' || n, ',' ORDER BY car, n) FROM $t WHERE id = 1") if $kind eq 'all';
	# What is added to was read under a lock: a home that moved in between would lose what others added.
	my $seen = ask("BEGIN; SELECT n FROM $t WHERE $row FOR UPDATE") or return;
	my $value = $seen->[-1] =~ /^\d+$/ ? $seen->[-1] + 1 : undef;
	my $set = defined $value ? ask("UPDATE $t SET n = $value WHERE $row RETURNING n") : $seen;
	my $end = ask('COMMIT') or return;
	return $end->[-1] ne '' ? $end : $set;
}

# All that was done, by client: [kind, value, began, ended], value undef: not done; 'unknown': done or not.
sub history {
	my ($self) = @_;
	my (%by_client, %errors);
	my $count = 0;
	for my $w (@{ $self->{workers} }) {
		for (split /\n/, slurp_file($w->{file})) {
			my ($kind, $client, $answer, $began, $ended) = split /\t/;
			$count++;
			if ($answer =~ /(?:ERROR|FATAL|error|lost)(.*)/) {
				my $text = $answer;
				$text =~ s/"[^"]*"/"…"/g;
				$text =~ s/;.*//;
				$errors{$text}++;
				my $known = $answer =~ /ERROR/ && $answer !~ /did not confirm the commit|terminating|connection to server was lost|was lost/;
				push @{ $by_client{$client} }, [ $kind, 'unknown', $began, $ended ] if !$known && $kind =~ /add|upsert|locked/;
			} elsif ($kind eq 'all') {
				my %seen;
				$seen{$1} = defined $seen{$1} ? 'twice' : $2 while $answer =~ /(\w+)=(\d+)/g;
				push @{ $by_client{$_} }, [ 'read', $seen{$_} // 'missing', $began, $ended ] for @{ $self->{clients} };
			} else {
				push @{ $by_client{$client} }, [ $kind =~ /add|upsert|locked/ ? 'add' : 'read', $answer, $began, $ended ];
			}
		}
	}
	return (\%by_client, \%errors, $count);
}

# What cannot be: texts. `final`: the registers' values when all sessions had ended.
sub wrong {
	my ($self, $final) = @_;
	my ($by_client, undef, undef) = $self->history;
	my @wrong;
	for my $client (@{ $self->{clients} }) {
		my @all = @{ $by_client->{$client} // [] };
		my @done = grep { $_->[1] ne 'unknown' } @all;
		my $unknown = @all - @done;
		push @wrong, "$client: a $_->[0] was told \"$_->[1]\"" for grep { $_->[1] !~ /^\d+$/ } @done;
		@done = grep { $_->[1] =~ /^\d+$/ } @done;
		my @adds = grep { $_->[0] eq 'add' } @done;
		my %given;
		push @wrong, "$client: $_->[1] was given twice" for grep { $given{ $_->[1] }++ } @adds;
		my $grown = $final->{$client} - $self->{initial}{$client};
		push @wrong, "$client: grew by $grown, " . @adds . " were added and $unknown perhaps" if $grown < @adds || $grown > @adds + $unknown;
		my @ended = sort { $a->[3] <=> $b->[3] } @done;
		my $known = $self->{initial}{$client};
		for my $op (sort { $a->[2] <=> $b->[2] } @done) {
			while (@ended && $ended[0][3] < $op->[2]) { my $e = shift @ended; $known = $e->[1] if $e->[1] > $known; }
			push @wrong, "$client: a $op->[0] gave $op->[1], $known was known before it began" if $op->[1] < $known + ($op->[0] eq 'add');
		}
	}
	return @wrong;
}

sub DESTROY {
	my ($self) = @_;
	for my $w (@{ $self->{workers} }) { kill 'KILL', $w->{pid}; waitpid($w->{pid}, 0); }
	return;
}

1;
