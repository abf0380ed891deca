# PostgreSQL's regression queries (test/pg_regress) as psql scripts, one for plain tables and one for a fabric, whose answers are
# compared statement by statement. The same statements run in both; what differs is how a table is made and dropped.
#
#   my $r = Regression->new(file => 'join.sql', schema => 'joins', tables => { j1_tbl => 1 });
#   $r->script(fabric => 1, between => 'command');  $r->script;     # texts for psql -f
#   my @wrong = $r->compare($answer_of_plain, $answer_of_fabric);    # indexes into @{ $r->{statements} }
#
# `tables` names the tables that are to be vector-shard tables where the file makes them; 'name.2' => 'plain' leaves the second of that
# name out. The client column is the first of the primary key; a table without one gets one, in both runs.
package Regression;
use strict;
use warnings;

my $MARK = '=== statement ';
# A version is a column of every enrolled table; its value is what no two runs share.
my $VERSION = '1800000000000000000';
my $VERSIONS = qr{\b(?:[89][0-9]{17}|1[0-9]{18})\b};

sub new {
	my ($class, %o) = @_;
	my $self = bless { schema => $o{schema}, tables => $o{tables} // {}, statements => [], enrolled => 0 }, $class;
	open my $in, '<', $o{file} or die "$o{file}: $!";
	$self->split_file(do { local $/; <$in> });
	return $self;
}

# What a character of SQL opens, and how far that goes: comments, strings, quoted names.
sub skip_quoted {
	my ($text) = @_;
	return $+[0] if $$text =~ /\G--[^\n]*/gc;
	return pos $$text if $$text =~ m{\G/\*.*?\*/}gcs;
	return pos $$text if $$text =~ /\G(?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*'/gcs;
	return pos $$text if $$text =~ /\G'(?:[^']|'')*'/gcs;
	return pos $$text if $$text =~ /\G"(?:[^"]|"")*"/gcs;
	return pos $$text if $$text =~ /\G(\$[A-Za-z_]*\$).*?\1/gcs;
	return 0;
}

sub split_file {
	my ($self, $text) = @_;
	pos $text = 0;
	while ($text =~ /\G\s*/gc && pos $text < length $text) {
		my $start = pos $text;
		if ($text =~ /\G\\[^\n]*\n?/gc) {
			$self->add_statement(substr($text, $start, pos($text) - $start), 'meta');
			next;
		}
		next if $text =~ /\G--[^\n]*/gc;
		my ($parens, $blocks) = (0, 0);
		while (pos $text < length $text) {
			next if skip_quoted(\$text);
			if ($text =~ /\G[A-Za-z_][A-Za-z0-9_]*/gc) {
				my $word = lc $&;
				$blocks++ if $word eq 'begin' && pos($text) - length($word) > $start || $blocks && $word eq 'case';
				$blocks-- if $word eq 'end' && $blocks;
				next;
			}
			$text =~ /\G./gcs;
			$parens++ if $& eq '(';
			$parens-- if $& eq ')';
			last if $& eq ';' && $parens <= 0 && !$blocks;
		}
		my $sql = substr($text, $start, pos($text) - $start);
		$sql .= $& if $sql =~ /^copy\s.*from\s+stdin/is && $text =~ /\G.*?^\\\.\n/gcsm;
		$self->add_statement($sql, 'sql');
	}
	return;
}

sub add_statement {
	my ($self, $text, $kind) = @_;
	$kind = 'plan' if $text =~ /^\s*explain\b/i;
	$kind = 'describe' if $text =~ /^\\d/;
	push @{ $self->{statements} }, { text => $text, kind => $kind, outer => outermost($text) };
	return;
}

# The text without strings, comments and what stands in parentheses, in small letters.
sub outermost {
	my ($text) = @_;
	my ($out, $parens) = ('', 0);
	pos $text = 0;
	while (pos $text < length $text) {
		my $from = pos $text;
		if (skip_quoted(\$text)) {
			$out .= $parens == 0 && substr($text, $from, 1) eq '"' ? substr($text, $from, pos($text) - $from) : ' ';
			next;
		}
		$text =~ /\G./gcs;
		$parens++ if $& eq '(';
		$out .= $& if $parens == 0;
		$parens-- if $& eq ')' && $parens;
	}
	$out =~ s/\s+/ /g;
	return lc $out;
}

# The first line of a statement: its name in the list of differences.
sub name_of {
	my ($self, $i) = @_;
	my ($line) = $self->{statements}[$i]{text} =~ /^\s*([^\n]*)/;
	$line =~ s/\s+/ /g;
	return $i . ': ' . substr($line, 0, 100);
}

# Leaves a statement out of both runs.
sub leave_out {
	my ($self, $name) = @_;
	my ($i) = $name =~ /^(\d+): / or die "no number in $name";
	die "statement $i is not \"$name\"" unless $i < @{ $self->{statements} } && $self->name_of($i) eq $name;
	$self->{statements}[$i]{kind} = 'left out';
	return;
}

# Our words for statements that make, drop or alter tables: nothing of them is compared but whether they fail.
sub quietly { my (@sql) = @_; return ("\\o /dev/null", 'SET client_min_messages = error;', @sql, 'RESET client_min_messages;', "\\o"); }

# `wait` is done in psql after a table was made: it holds until every node has it.
sub made {
	my ($self, $name, $text, %o) = @_;
	my $client = $text =~ /(\w+)\s+\w+\s+primary key/i || $text =~ /primary key\s*\(\s*(\w+)/i ? $1 : "k_$name";
	my @sql;
	push @sql, "ALTER TABLE $name ADD COLUMN $client serial PRIMARY KEY;" unless $text =~ /primary key/i;
	push @sql, $o{fabric}
	  ? ("SELECT vectorshard.create_vector_shard_table('$name', '$client');", "\\! $o{wait} $self->{schema}.$name 1")
	  : "ALTER TABLE $name ADD COLUMN _version bigint NOT NULL DEFAULT $VERSION;";
	return quietly(@sql);
}

sub dropped {
	my ($self, $name, %o) = @_;
	return quietly("DELETE FROM $name;", "SELECT vectorshard.undistribute_table('$name');", "SELECT vectorshard.run_on_all_nodes('DROP TABLE $name CASCADE');", "\\! $o{wait} $self->{schema}.$name 0");
}

# A statement as it is to run: lines for psql. What is made in a transaction that goes on stays a plain table.
sub lines_for {
	my ($self, $s, $state, %o) = @_;
	my ($text, $live) = ($s->{text}, $state->{live});
	if ($s->{outer} =~ /^create (?:(?:temp|temporary) )?table (\w+)/ && $s->{outer} !~ /partition|inherits|on commit/) {
		my $name = $1;
		my $nth = ++$state->{made}{$name};
		return $text if $state->{open} || !(exists $self->{tables}{$name} || exists $self->{tables}{"$name.$nth"}) || ($self->{tables}{"$name.$nth"} // '') eq 'plain';
		$text =~ s/^(\s*create\s+)(?:temp|temporary)\s+/$1/i;
		$live->{$name} = 1;
		$self->{enrolled}++;
		return ($text, $self->made($name, $text, %o));
	}
	if ($s->{outer} =~ /^drop table (?:if exists )?([\w, ]+?)(?: cascade)?;?$/) {
		my @names = split /\s*,\s*/, $1;
		return $text unless grep { $live->{$_} } @names;
		return map { my $n = $_; my $was = delete $live->{$n}; $was && $o{fabric} ? $self->dropped($n, %o) : "DROP TABLE $n CASCADE;" } @names;
	}
	return "DELETE FROM $1;" if $s->{outer} =~ /^truncate (?:table )?(\w+);$/ && $live->{$1};
	return "SELECT vectorshard.run_on_all_nodes(\$all\$$text\$all\$) \\g /dev/null" if $o{fabric} && $s->{outer} =~ /^alter table (\w+)/ && $live->{$1};
	return $text;
}

# The script: what is given as `between` is done in psql before a query that follows writes, outside of transactions.
sub script {
	my ($self, %o) = @_;
	my ($n, $dirty) = (0, 0);
	my %state = (open => 0, live => {}, made => {});
	my @out = ('\pset null', '\pset format unaligned', 'SET datestyle = \'Postgres, MDY\';', 'SET timezone = \'PST8PDT\';', 'SET extra_float_digits = 0;', "CREATE SCHEMA $self->{schema};", "SET search_path = $self->{schema}, public;", $o{before} // ());
	$self->{enrolled} = 0;
	for my $s (@{ $self->{statements} }) {
		$state{open} = 1 if $s->{outer} =~ /^\s*(begin|start transaction)\b/;
		$state{open} = 0 if $s->{outer} =~ /^\s*(commit|rollback|end|abort)\b/ && $s->{outer} !~ /rollback to/;
		if ($dirty && !$state{open} && $o{between} && $s->{outer} =~ /^\s*(select|with|update|delete)\b/) {
			push @out, "\\! $o{between}";
			$dirty = 0;
		}
		push @out, "\\echo $MARK$n";
		push @out, $self->lines_for($s, \%state, %o) unless $s->{kind} =~ /^(?:plan|describe|left out)$/;
		$dirty = 1 if $s->{text} =~ /\b(insert|update|delete|copy)\b/i;
		$n++;
	}
	return join("\n", @out, "\\echo $MARK$n", '');
}

# Keys that we have added are given to rows in the order in which these come.
sub without_added_keys {
	my ($answer) = @_;
	my @lines = split /\n/, $answer;
	my @at;
	for my $line (@lines) {
		my @fields = split /\|/, $line, -1;
		if ($line =~ /(?:^|\|)k_\w/) { @at = map { $fields[$_] =~ /^k_\w+$/ ? $_ : () } 0 .. $#fields; next; }
		@at = () if $line =~ /^\(\d+ rows?\)$/;
		@fields[@at] = ('key') x @at if @at && $at[-1] <= $#fields;
		$line = join '|', @fields if @at;
	}
	$answer = join "\n", @lines, '';
	$answer =~ s/(Key \(k_\w+\)=\()\d+/$1key/g;
	return $answer;
}

sub answers {
	my ($text) = @_;
	$text =~ s/$VERSIONS/version/g;
	my %out;
	while ($text =~ /^\Q$MARK\E(\d+)\n(.*?)(?=^\Q$MARK\E|\z)/gms) { $out{$1} = without_added_keys($2); }
	return \%out;
}

sub ordered { my ($s) = @_; return $s->{outer} =~ /\border by\b/; }
sub lines_sorted { my ($text) = @_; return join "\n", sort split /\n/, $text; }

# The statements whose answers differ; rows in any order where the statement gives none.
sub compare {
	my ($self, $plain, $fabric) = @_;
	my ($p, $f) = (answers($plain), answers($fabric));
	my @wrong;
	for my $i (0 .. $#{ $self->{statements} }) {
		my ($a, $b) = ($p->{$i} // 'nothing', $f->{$i} // 'nothing');
		next if $a eq $b;
		next if !ordered($self->{statements}[$i]) && lines_sorted($a) eq lines_sorted($b);
		push @wrong, { n => $i, plain => $a, fabric => $b };
	}
	return @wrong;
}

1;
