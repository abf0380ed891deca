# Writers beside a test: processes that run many small transactions on one node and note what was acknowledged. An error
# to retry, a refusal or a lost connection is no acknowledgement; the writer goes on with the next statement.
#
#   my $w = Writers->new($fabric);  $w->start('e1', [@statements]);  my @acknowledged = $w->finish;
#
# Each statement is a transaction of its own and returns one text, which names what it wrote.
package Writers;
use strict;
use warnings;
use POSIX ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

# Statements for one connection; after a lost connection the next chunk connects anew.
my $CHUNK = 20;

sub new {
	my ($class, $fabric) = @_;
	return bless { fabric => $fabric, pids => [], files => [], dir => PostgreSQL::Test::Utils::tempdir() }, $class;
}

sub start {
	my ($self, $node, $statements) = @_;
	my $n = $self->{fabric}->node($node);
	my $file = sprintf('%s/writer%d', $self->{dir}, scalar @{ $self->{files} });
	my $connstr = $n->connstr('postgres');
	push @{ $self->{files} }, $file;
	my $pid = fork() // die "fork: $!";
	if ($pid) {
		push @{ $self->{pids} }, $pid;
		return;
	}
	# The child ends by _exit: the END blocks of the test are the parent's.
	my @left = @$statements;
	while (!-e "$self->{dir}/enough" && (my @chunk = splice(@left, 0, $CHUNK))) {
		open my $in, '>', "$file.sql" or POSIX::_exit(1);
		print $in "$_;\n" for @chunk;
		close $in;
		my $rc = system("psql -XAtq -d '$connstr' -f '$file.sql' >>'$file' 2>>'$file.err'");
		usleep(200_000) if $rc != 0;
	}
	POSIX::_exit(0);
}

# What was acknowledged so far.
sub acknowledged {
	my ($self) = @_;
	return map { -e $_ ? split(/\n/, slurp_file($_)) : () } @{ $self->{files} };
}

# Waits until so many more writes are acknowledged; false if the writers do not get on.
sub wait_for_more {
	my ($self, $more) = @_;
	my $wanted = $self->acknowledged + $more;
	for (1 .. 300) {
		return 1 if $self->acknowledged >= $wanted;
		usleep(50_000);
	}
	return 0;
}

# Lets the writers end before their statements do: give them more than a fast machine needs until then.
sub enough {
	my ($self) = @_;
	append_to_file("$self->{dir}/enough", '');
	return;
}

# Waits for all writers; gives what was acknowledged.
sub finish {
	my ($self) = @_;
	waitpid($_, 0) for @{ $self->{pids} };
	$self->{pids} = [];
	return $self->acknowledged;
}

# Messages of the errors that the writers met, each once, with how often.
sub errors {
	my ($self) = @_;
	my %seen;
	for my $file (@{ $self->{files} }) {
		next unless -e "$file.err";
		for (split /\n/, slurp_file("$file.err")) {
			next unless /(?:ERROR|FATAL|error): +(.*)/;
			my $text = $1;
			$text =~ s/"[^"]*"/"…"/g;
			$seen{$text}++;
		}
	}
	return map { "$seen{$_} x $_" } sort keys %seen;
}

sub DESTROY {
	my ($self) = @_;
	for my $pid (@{ $self->{pids} }) { kill 'KILL', $pid; waitpid($pid, 0); }
	return;
}

1;
