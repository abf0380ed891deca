# A psql session that stays open between questions, for tests of snapshots, cursors and kept plans.
#
#   my $s = Session->new($f->node('e1'));   $s->ask('BEGIN');   $s->ask('SELECT 1');   $s->finish;
package Session;
use strict;
use warnings;
use IPC::Run;

sub new {
	my ($class, $node) = @_;
	my $self = bless { in => '', out => '' }, $class;
	$self->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$self->{in}, '>', \$self->{out}, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return $self;
}

# Runs statements; their whole answer, errors included.
sub ask {
	my ($self, $sql) = @_;
	$self->begin($sql);
	return $self->answer;
}

# The same in two steps, for statements that wait for somebody.
sub begin {
	my ($self, $sql) = @_;
	$self->{out} = '';
	$self->{in} .= "$sql;\n\\echo done\n";
	$self->{run}->pump while length $self->{in};
	return;
}
sub answer {
	my ($self) = @_;
	$self->{run}->pump until $self->{out} =~ /^done$/m;
	$self->{out} =~ s/\n?done\n$//;
	return $self->{out};
}

sub finish {
	my ($self) = @_;
	$self->{in} .= "\\q\n";
	return $self->{run}->finish;
}

1;
