# Random queries of one table with a column of nearly every kind, for tests of partitions in a store: conditions that a segment answers
# itself, conditions that it cannot, aggregates, groups, DISTINCT, the first rows of an order. Each is text with %T for the table.
#
#   TierOracle::tables($f, key => …, indexes => …, where => …)   makes `cold`, of whose four partitions two go to a store, and `hot`, the same in heaps
#   TierOracle->new($seed)->compare($f, $queries, @settings)     so many queries of both, under settings that change
package TierOracle;
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;

our $COLUMNS = q{id int8 NOT NULL, s int2, i int4, n numeric(12,2), x numeric(6,3), w numeric, d date, at timestamp, tz timestamptz, day date NOT NULL, t text,
	c text COLLATE "C", v varchar(20), p char(5), b bool, f float8, r float4, u uuid, y bytea, e mood, j jsonb, a int[], o text, g int};

# Values with nulls and extremes; `x` has a NaN in one partition, which keeps it out of Parquet's decimals there.
our $ROWS = q{SELECT k, nullif(k % 40, 7)::int2, nullif((k * 7919) % 1000 - 500, 13), nullif(((k * 31) % 20001 - 10000) / 100.0, 5.55)::numeric(12,2),
	CASE WHEN k % 1000 = 500 AND k >= 70000 AND k < 90000 THEN 'NaN' WHEN k % 11 <> 0 THEN (k % 1999 - 999) / 1000.0 END, CASE k % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' ELSE (k % 777) / 7.0 END,
	CASE k % 301 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN NULL ELSE date '2001-01-01' + (k % 900)::int END,
	CASE k % 401 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN NULL WHEN 3 THEN '0044-03-15 BC' ELSE timestamp '1999-12-31 23:59:59.999999' + (k % 5000) * interval '1 hour 7 us' END,
	CASE WHEN k % 17 <> 0 THEN timestamptz '1999-06-01 12:00:00.5+02' + (k % 3000) * interval '1 day' END, date '2020-01-01' + (k / 100)::int,
	CASE k % 13 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'a%b_c\\d''e' WHEN 3 THEN 'Äpfel ' || k % 9 WHEN 4 THEN U&'\+01F600' ELSE 'word ' || k % 97 END,
	CASE k % 7 WHEN 0 THEN NULL WHEN 1 THEN 'Zeta' WHEN 2 THEN 'alpha' WHEN 3 THEN 'ÿ' ELSE 'c' || k % 50 END, nullif('v' || k % 23, 'v5'), nullif(left('p' || k % 300, 5), 'p9'), nullif(k % 3, 2) = 1,
	CASE k % 60 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-0' WHEN 3 THEN NULL ELSE (k % 500) / 3.0 END, CASE WHEN k % 19 <> 3 THEN ((k % 100) / 7.0)::real END,
	md5((k % 400)::text)::uuid, CASE WHEN k % 5 <> 0 THEN decode(md5((k % 300)::text), 'hex') END, (ARRAY['sad', 'ok', 'glad', NULL])[1 + k % 4]::mood, jsonb_build_object('k', k % 5),
	ARRAY[k % 3, NULL, k % 2]::int[], 'old ' || k % 6, NULL::int};

sub new { my ($class, $seed) = @_; return bless { state => $seed & 0x7fffffff }, $class; }
# The same numbers from the same seed with every version of Perl.
sub below { my ($self, $n) = @_; $self->{state} = ($self->{state} * 1103515245 + 12345) & 0x7fffffff; return int($self->{state} / 65536) % $n; }
sub one_of { my ($self, @of) = @_; return $of[ $self->below(scalar @of) ]; }

my @COMPARE = ('=', '<>', '<', '<=', '>', '>=');
my %VALUES = (
	id => sub { $_[0]->below(105000) }, s => sub { $_[0]->below(42) }, i => sub { $_[0]->below(1000) - 500 }, n => sub { $_[0]->one_of($_[0]->below(200) - 100, '5.555', '-3.14', "'NaN'", '1e20', '0', '99.99', "'-Infinity'") },
	x => sub { $_[0]->one_of('0.5', '-0.7771', "'NaN'", '0.123', 1000) }, w => sub { $_[0]->one_of('12', "'Infinity'", '5.5') },
	d => sub { $_[0]->one_of("date '2001-03-05'", "date '2002-12-31'", "date 'infinity'", "date '-infinity'", "date '4000-01-01'", "date '0001-01-01 BC'") },
	at => sub { $_[0]->one_of("timestamp '2000-01-05 03:00:00.000700'", "timestamp 'infinity'", "timestamp '0044-03-15 BC'", "timestamp '2000-04-01'", "timestamp '-infinity'") },
	tz => sub { $_[0]->one_of("timestamptz '2003-01-05 00:00+05'", "now()", "timestamptz '1999-06-01 12:00:00.5+02'", "timestamptz '2005-05-05'") },
	t => sub { $_[0]->one_of("'word 5'", "''", "'a%b_c\\\\d''e'", "'Äpfel 3'", "U&'\\+01F600'") }, c => sub { $_[0]->one_of("'Zeta'", "'alpha'", "'c20'", "'ÿ'", "'d'") },
	v => sub { $_[0]->one_of("'v3'", "'v22'", "'x'") }, p => sub { $_[0]->one_of("'p3'", "'p299'", "'p3   '") }, f => sub { $_[0]->one_of("'NaN'", '0', "'-0'", '33.3333', "'Infinity'", '5/3.0') }, r => sub { $_[0]->one_of('1', '(3/7.0)::real', '2.5') },
	u => sub { 'md5(' . $_[0]->below(500) . '::text)::uuid' }, y => sub { 'decode(md5(' . $_[0]->below(400) . "::text), 'hex')" }, e => sub { $_[0]->one_of("'sad'", "'glad'") }, day => sub { "date '2020-01-01' + " . $_[0]->below(1100) },
	z => sub { $_[0]->below(9) }, h => sub { $_[0]->one_of("'old 3'", "'old 9'") });
my @NAMED = sort keys %VALUES;

sub value { my ($self, $column) = @_; return $VALUES{$column}->($self); }

sub leaf {
	my ($self) = @_;
	my $c = $self->one_of(@NAMED);
	my $kind = $self->below(12);
	return "$c IS NULL" if $kind == 0;
	return "$c IS NOT NULL" if $kind == 1;
	return "$c IN (" . join(', ', map { $self->below(12) ? $self->value($c) : 'NULL' } 0 .. $self->below(4)) . ')' if $kind == 2;
	return "$c NOT IN (" . join(', ', map { $self->below(25) ? $self->value($c) : 'NULL' } 0 .. $self->below(3)) . ')' if $kind == 3;
	return $self->one_of('b', 'NOT b', 'b IS TRUE', 'b IS NOT FALSE', 'b = (s > 5)', 'true', 'NULL') if $kind == 4;
	return $self->one_of("t LIKE 'word%'", "t NOT LIKE '%1_'", "t LIKE '%l 3'", "t LIKE 'a\\\\%%'", "v LIKE '_2'", "t ILIKE 'WORD 1%'", "c LIKE '%a'") if $kind == 5;
	return $self->one_of('s < i', 'i >= id', 's = s', 'at > d', 'd < day', 'c = t', 'f > r', 'n > x', 'tz > at') if $kind == 6;
	return $self->one_of('s + 1 > 20', "j ->> 'k' = '3'", 'a[1] = 2', "lower(t) = 'word 7'", 'id % 3 = 1', "w > 5", 'abs(n) < 10') if $kind == 7;
	return "$c BETWEEN " . $self->value($c) . ' AND ' . $self->value($c) if $kind == 8;
	return $self->value($c) . ' ' . $self->one_of(@COMPARE) . " $c" if $kind == 9;
	return "$c " . $self->one_of(@COMPARE) . ' ' . $self->value($c);
}
sub condition {
	my ($self, $depth) = @_;
	my $kind = $depth > 2 ? 9 : $self->below(10);
	return '(' . $self->condition($depth + 1) . ($kind < 3 ? ' AND ' : ' OR ') . $self->condition($depth + 1) . ')' if $kind < 5;
	return 'NOT ' . $self->condition($depth + 1) if $kind == 5;
	return '(' . $self->leaf . ')';
}
sub where { my ($self) = @_; return $self->below(8) ? 'WHERE ' . $self->condition($self->below(3)) : ''; }

sub aggregate {
	my ($self) = @_;
	my $of = $self->one_of('count(*)', 'count(t)', 'count(x)', 'sum(s)', 'sum(i)', 'sum(id)', 'sum(n)', 'sum(x)', 'avg(s)', 'avg(i)', 'avg(id)', 'avg(n)', 'min(id)', 'max(i)', 'min(n)', 'max(x)', 'min(d)', 'max(at)', 'min(tz)', 'max(tz)',
		'min(c)', 'max(c)', 'max(t)', 'bool_and(b)', 'bool_or(b)', 'every(b)', 'count(DISTINCT s)', 'sum(w)', 'max(s + i)', 'sum(DISTINCT i)', 'max(f)', 'count(z)', 'max(h)', 'sum(z)', 'min(p)', 'stddev(i)');
	return $self->below(6) ? $of : "$of FILTER (WHERE " . $self->condition(2) . ')';
}
sub query {
	my ($self) = @_;
	my $kind = $self->below(10);
	my @groups = qw(s b d c t v p u e day z h x n j at f);
	return 'SELECT ' . join(', ', map { $self->aggregate } 0 .. $self->below(3)) . ' FROM %T ' . $self->where if $kind < 4;
	if ($kind < 7) {
		my $by = join ', ', map { $self->one_of(@groups) } 0 .. $self->below(2);
		return "SELECT $by, " . join(', ', map { $self->aggregate } 0 .. $self->below(2)) . ' FROM %T ' . $self->where . " GROUP BY $by" . ($self->below(4) ? '' : ' HAVING count(*) > 10');
	}
	return 'SELECT DISTINCT ' . $self->one_of('s, b', 'c', 'day', 'v, s', 'u', 'p', 'e, z', 'd', 'n') . ' FROM %T ' . $self->where if $kind == 7;
	my $order = $self->one_of('id', 'd DESC, id', 'c, id DESC', 'n NULLS FIRST, id', 'at DESC NULLS LAST, id', 'f, id', 't, id', 'p DESC, id', 'tz, i, id', 's DESC, u, id', 'i + 1, id');
	return 'SELECT id, t, n, f FROM %T ' . $self->where . " ORDER BY $order LIMIT " . (1 + $self->below(20)) . ($self->below(4) ? '' : ' OFFSET 3') if $kind == 8;
	return 'SELECT id, s, n, x, w, d, at, tz, t, c, v, p, b, f, r, u, y, e, j, a, z, h FROM %T WHERE id % 97 = 5 AND ' . $self->condition(1);
}

# `key`: after the columns; `indexes`: statements with %T; `where`: which rows.
sub tables {
	my ($f, %o) = @_;
	my $store = PostgreSQL::Test::Utils::tempdir;
	$f->sql('c1', "SELECT vectorshard.create_store('cold', 'file://$store')");
	$f->sql('c1', q{CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')});
	for my $table ('cold', 'hot') {
		$f->sql('c1', "CREATE TABLE $table ($COLUMNS" . ($o{key} // '') . ') PARTITION BY RANGE (day)');
		my @from = ('2020-01-01', '2021-12-01', '2022-06-18', '2022-08-07', '2030-01-01');
		$f->sql('c1', "CREATE TABLE ${table}_$_ PARTITION OF $table FOR VALUES FROM ('$from[$_ - 1]') TO ('$from[$_]')") for 1 .. 4;
		$f->sql('c1', $o{indexes} =~ s/%T/$table/gr) if $o{indexes};
		$f->sql('c1', "INSERT INTO $table $ROWS FROM generate_series(0, 99999) k" . ($o{where} ? " WHERE $o{where}" : ''));
		$f->sql('c1', "ANALYZE $table");
	}
	for my $part (1, 2) {
		my $move = $f->sql('c1', "SELECT vectorshard.move_to_cold('cold_$part'::regclass, grace => '0 s')");
		$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "partition $part is in the store");
	}
	is($f->sql('c1', q{SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'cold'::regclass AND a.amname = 'vectorshard_cold'}), '2', 'two are stubs');
	return;
}

sub compare {
	my ($self, $f, $queries, @settings) = @_;
	my (@asked, $script, %got, @wrong, %errors);
	for my $n (1 .. $queries) {
		my $query = $self->query;
		push @asked, $query;
		$script .= $self->one_of(@settings) . ";\n" if $n % 10 == 1;
		for my $table ('cold', 'hot') {
			(my $of = $query) =~ s/%T/$table/g;
			$script .= qq{SELECT '$n $table ' || count(*) || ' ' || md5(coalesce(string_agg(q::text, '|' ORDER BY q::text COLLATE "C"), '')) FROM ($of) q;\n};
		}
	}
	my ($rc, $out, $err) = $f->node('c1')->psql('postgres', $script, on_error_stop => 0, timeout => 900);
	for (split /\n/, $out) { $got{$1}{$2} = $3 if /^(\d+) (cold|hot) (.*)/; }
	for my $n (1 .. $queries) {
		my ($cold, $hot) = map { $got{$n}{$_} // 'error' } 'cold', 'hot';
		push @wrong, "$asked[$n - 1]: $cold, not $hot" if $cold ne $hot;
	}
	is(join("\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ]), '', "$queries queries");
	my $right = grep { ($got{$_}{hot} // 'error') ne 'error' } keys %got;
	cmp_ok($right, '>', 0.8 * $queries, "$right of them without an error");
	$errors{$1}++ while $err =~ /ERROR:  ([^\n]*)/g;
	note "$errors{$_} times $_" for keys %errors;
	return;
}

1;
