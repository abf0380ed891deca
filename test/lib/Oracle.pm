# Statements at random, from a seed, over two vector-shard tables and a reference table, that plain PostgreSQL answers in one way
# only: sums are of numeric, whatever is limited or numbered is ordered by a key. Nothing here knows of nodes: the same text runs
# on a fabric and on plain tables, and must give the same rows.
#
#   my $o = Oracle->new(seed => 1, cars => 40);
#   $o->schema; $o->rows; $o->query; $o->change;      # SQL text, each one statement or transaction
#   $o->home_query; $o->home_change;                  # the same of table purse, for consistency home
package Oracle;
use strict;
use warnings;

my $MOST_IDS = 30;    # of a car's trips
my $T = 't.car, t.id, t.kind, t.km, t.note, t.at';    # the application's columns: enrolled tables have one more
my $V = 'v.car, v.place, v.rating, v.tags';

sub new {
	my ($class, %o) = @_;
	return bless { state => $o{seed}, cars => $o{cars}, births => 0 }, $class;
}

# Numbers of its own: Perl's depend on its version.
sub below {
	my ($self, $n) = @_;
	$self->{state} = ($self->{state} * 1103515245 + 12345) % 2147483648;
	return int($self->{state} / 65536) % $n;
}
sub one_of { my ($self, @of) = @_; return $of[ $self->below(scalar @of) ]; }

sub schema {
	return q{CREATE TABLE kind (kind int PRIMARY KEY, name text NOT NULL);
CREATE TABLE trip (car text COLLATE "C", id int, kind int, km numeric, note text, at timestamptz, PRIMARY KEY (car, id));
CREATE INDEX ON trip (kind);
CREATE TABLE visit (car text COLLATE "C", place int, rating int, tags text[], PRIMARY KEY (car, place));
CREATE TABLE purse (car text COLLATE "C" PRIMARY KEY, cents int NOT NULL, note text DEFAULT 'new');};
}

sub rows {
	my ($self) = @_;
	return qq{INSERT INTO kind SELECT k, 'kind ' || k FROM generate_series(0, 5) k;
INSERT INTO trip SELECT 'car' || c, i, (c * 7 + i) % 6, round((c * 37 + i * 11) % 1000 / 7.0, 2), CASE WHEN (c + i) % 4 > 0 THEN 'note ' || (c * i % 13) END,
  timestamptz '2026-01-01 00:00Z' + (c * 31 + i * 17) % 5000 * interval '1 minute' FROM generate_series(1, $self->{cars}) c, generate_series(1, 12) i WHERE (c + i) % 5 > 0;
INSERT INTO visit SELECT 'car' || c, p, nullif((c * p) % 6, 0), ARRAY['t' || c % 3, 't' || p % 4] FROM generate_series(1, $self->{cars}) c, generate_series(1, 4) p
  WHERE (c + p) % 3 > 0;
INSERT INTO purse SELECT 'car' || c, c * 37 % 100 FROM generate_series(1, $self->{cars}) c WHERE c % 4 > 0;};
}

sub car { my ($self) = @_; return q{'car} . (1 + $self->below($self->{cars} + $self->{births})) . q{'}; }
sub cars { my ($self) = @_; return join ', ', map { $self->car } 1 .. 1 + $self->below(12); }

# Conditions on `t`, an alias of trip.
sub named {
	my ($self, $t) = @_;
	return $self->one_of("$t.car = " . $self->car, "$t.car IN (" . $self->cars . ')', "$t.car = ANY (ARRAY[" . $self->cars . '])',
		"($t.car = " . $self->car . " OR $t.car = " . $self->car . ')');
}
sub of_trip {
	my ($self, $t) = @_;
	my $k = $self->below(6);
	my $n = $self->below(14);
	return $self->one_of("$t.kind = $k", "$t.id < $n", "$t.km > " . $self->below(140), "$t.note IS NULL", "$t.note = 'note $n'", "$t.note LIKE 'note 1%'",
		"$t.at < timestamptz '2026-01-01 00:00Z' + $n * interval '5 hours'", "$t.kind IN ($k, 3) AND $t.id > 2", "$t.id % 3 = 1",
		"coalesce($t.note, 'none') <> 'note $n'", "NOT ($t.kind = $k AND $t.id > 4)", 'true');
}
sub where {
	my ($self, $t) = @_;
	return $self->below(5) < 2 ? $self->named($t) . ' AND ' . $self->of_trip($t) : $self->of_trip($t);
}
sub aggregates {
	my ($self, $t) = @_;
	return $self->one_of('count(*)', "count(DISTINCT $t.kind), sum($t.km)", "min($t.at), max($t.note)", "avg($t.km), count($t.note)", "count(DISTINCT $t.note), round(min($t.km), 2)", "count(DISTINCT $t.car), sum(DISTINCT $t.id % 5)", "round(min($t.km), 2), max($t.at), min($t.car)", "stddev($t.id), var_pop($t.km), avg($t.kind)", "sum($t.id) FILTER (WHERE $t.kind < 3)",
		"bool_or($t.kind = 2), sum($t.id)", "string_agg($t.note, ',' ORDER BY $t.car, $t.id)", "array_agg($t.id ORDER BY $t.car, $t.id)", "round(max($t.km) - min($t.km), 2)");
}

# Joins of two or three tables over all clients, with trip as t among them: what follows FROM.
sub joined {
	my ($self) = @_;
	my $n = $self->below(6);
	my $to_visit = $self->one_of('v.car = t.car', 'v.car = t.car AND v.place = t.id', "v.car = t.car AND v.rating > $n", 'v.car = t.car AND v.place < t.id AND t.kind <> 2');
	my $to_trip = $self->one_of('u.car = t.car AND u.id < t.id', "u.car = t.car AND u.kind = t.kind AND u.id > $n");
	my $to_kind = $self->one_of('k.kind = t.kind', "k.kind = t.kind AND k.name <> 'kind $n'", 'k.kind > t.kind AND k.kind < 5');
	my $from = $self->one_of(
		"trip t JOIN visit v ON $to_visit", "trip t LEFT JOIN visit v ON $to_visit", "visit v LEFT JOIN trip t ON $to_visit", 'trip t FULL JOIN visit v ON ' . $self->one_of('v.car = t.car', 'v.car = t.car AND v.place = t.id'),
		'(SELECT * FROM trip t WHERE ' . $self->of_trip('t') . ") t FULL JOIN (SELECT * FROM visit WHERE place < 4) v ON v.car = t.car AND v.place = t.id",
		"trip t JOIN trip u ON $to_trip", "trip t LEFT JOIN trip u ON $to_trip", "trip t JOIN kind k ON $to_kind", "trip t LEFT JOIN kind k ON $to_kind", "kind k LEFT JOIN trip t ON $to_kind", 'trip t');
	return $from if $self->below(2);
	return "$from " . $self->one_of('JOIN', 'LEFT JOIN') . ' ' . $self->one_of('visit w ON w.car = t.car AND w.place = t.id', "visit w ON w.car = t.car AND w.rating = $n", "kind w ON w.kind = t.id", "kind w ON w.kind = t.kind AND w.kind <> $n");
}
sub of_joined {
	my ($self) = @_;
	my $n = $self->below(6);
	return $self->of_trip('t') . $self->one_of('', '', " AND EXISTS (SELECT FROM visit x WHERE x.car = t.car AND x.rating > $n)", " AND NOT EXISTS (SELECT FROM visit x WHERE x.car = t.car AND x.place = t.id AND x.rating <> $n)",
		" AND t.car IN (SELECT x.car FROM visit x WHERE x.place = $n)", " AND EXISTS (SELECT FROM kind x WHERE x.kind = t.kind AND x.name > 'kind $n')", " AND t.kind NOT IN (SELECT x.kind FROM kind x WHERE x.kind = $n)",
		" AND NOT EXISTS (SELECT FROM kind x WHERE x.kind = t.id)", " AND NOT EXISTS (SELECT FROM trip x WHERE x.car = t.car AND x.id > t.id AND x.kind = $n)");
}
my @JOINS = (
	sub { my ($o) = @_; return 'SELECT ' . $o->aggregates('t') . ' FROM ' . $o->joined . ' WHERE ' . $o->of_joined; },
	sub { my ($o) = @_; return 'SELECT t.kind, ' . $o->aggregates('t') . ' FROM ' . $o->joined . ' WHERE ' . $o->of_joined . ' GROUP BY t.kind HAVING count(*) > ' . $o->below(3); },
	sub { my ($o) = @_; return 'SELECT k.name, ' . $o->aggregates('t') . ' FROM trip t JOIN kind k USING (kind) ' . $o->one_of('', 'JOIN visit v ON v.car = t.car', 'LEFT JOIN visit v ON v.car = t.car AND v.place = t.id') . ' WHERE ' . $o->of_joined . ' GROUP BY k.name'; },
	sub { my ($o) = @_; return 'SELECT t.car, t.id, t.km FROM ' . $o->joined . ' WHERE ' . $o->of_joined; },
	sub { my ($o) = @_; return 'SELECT DISTINCT t.kind, t.id % 3 FROM ' . $o->joined . ' WHERE ' . $o->of_joined; },
	sub { my ($o) = @_; return 'SELECT t.car, t.id, t.note FROM ' . $o->joined . ' WHERE ' . $o->of_joined . ' ORDER BY ' . $o->one_of('t.car, t.id', 't.km DESC NULLS LAST, t.car, t.id') . ' LIMIT ' . (1 + $o->below(20)); },
	sub { my ($o) = @_; return 'SELECT coalesce(t.car, v.car), count(*), count(t.id), count(v.place), sum(t.km) FROM trip t FULL JOIN visit v ON t.car = v.car AND t.id = v.place ' . $o->one_of('', "WHERE coalesce(v.rating, 2) > 1") . ' GROUP BY 1'; },
	sub { my ($o) = @_; return 'SELECT v.car, v.place, v.rating, v.tags, t.note FROM visit v JOIN trip t ON t.car = v.car AND t.id = v.place WHERE ' . $o->of_joined; },
);

my @QUERIES = (
	sub { my ($o) = @_; return "SELECT $T FROM trip t WHERE " . $o->named('t'); },
	sub { my ($o) = @_; return 'SELECT t.car, t.id, t.km * 2 AS twice FROM trip t WHERE ' . $o->where('t'); },
	sub { my ($o) = @_; return 'SELECT ' . $o->aggregates('t') . ' FROM trip t WHERE ' . $o->where('t'); },
	sub { my ($o) = @_; return 'SELECT t.kind, ' . $o->aggregates('t') . ' FROM trip t WHERE ' . $o->where('t') . ' GROUP BY t.kind'; },
	sub { my ($o) = @_; return 'SELECT t.car, ' . $o->aggregates('t') . ' FROM trip t WHERE ' . $o->where('t') . ' GROUP BY t.car HAVING count(*) > ' . $o->below(5); },
	sub { my ($o) = @_; return 'SELECT t.car, t.id, v.place, v.rating FROM trip t JOIN visit v USING (car) WHERE ' . $o->where('t') . ' AND v.rating > ' . $o->below(5); },
	sub { my ($o) = @_; return 'SELECT k.name, ' . $o->aggregates('t') . ' FROM trip t JOIN kind k USING (kind) WHERE ' . $o->where('t') . ' GROUP BY k.name'; },
	sub { my ($o) = @_; return 'SELECT v.car, v.place, t.id FROM visit v LEFT JOIN trip t ON t.car = v.car AND ' . $o->of_trip('t') . ' WHERE v.car IN (' . $o->cars . ')'; },
	sub { my ($o) = @_; return 'SELECT count(*), count(t.car), count(v.car) FROM trip t FULL JOIN visit v ON t.car = v.car AND t.id = v.place'; },
	sub { my ($o) = @_; return "SELECT $T FROM trip t WHERE t.car IN (SELECT v.car FROM visit v WHERE v.rating = " . $o->below(6) . ') AND ' . $o->of_trip('t'); },
	sub { my ($o) = @_; return 'SELECT count(*) FROM trip t WHERE NOT EXISTS (SELECT FROM visit v WHERE v.car = t.car AND v.place = t.id) AND ' . $o->where('t'); },
	sub { my ($o) = @_; return 'SELECT t.car, t.id FROM trip t WHERE t.km > (SELECT avg(u.km) FROM trip u WHERE u.car = t.car) AND ' . $o->where('t'); },
	sub { my ($o) = @_; return 'SELECT v.car, (SELECT count(*) FROM trip t WHERE t.car = v.car AND ' . $o->of_trip('t') . ') FROM visit v WHERE v.place = ' . (1 + $o->below(4)); },
	sub { my ($o) = @_; return 'SELECT t.car, t.id, t.km FROM trip t WHERE ' . $o->where('t') . ' ORDER BY ' . $o->one_of('t.car, t.id', 't.km DESC NULLS LAST, t.car, t.id', 't.at, t.car, t.id')
		. ' LIMIT ' . (1 + $o->below(15)) . ' OFFSET ' . $o->below(5); },
	sub { my ($o) = @_; return 'SELECT DISTINCT t.kind, t.note FROM trip t WHERE ' . $o->where('t'); },
	sub { my ($o) = @_; return 'SELECT t.id % 4, t.note, ' . $o->aggregates('t') . ' FROM trip t WHERE ' . $o->of_trip('t') . ' GROUP BY 1, 2 HAVING sum(t.km) > ' . $o->below(400); },
	sub { my ($o) = @_; return 'SELECT DISTINCT t.kind, t.id % ' . (2 + $o->below(4)) . ' FROM trip t WHERE ' . $o->of_trip('t') . ' ORDER BY 1, 2 LIMIT ' . (1 + $o->below(9)); },
	sub { my ($o) = @_; return 'SELECT count(*) FROM (SELECT FROM trip t WHERE ' . $o->of_trip('t') . ' LIMIT ' . (1 + $o->below(200)) . ') x'; },
	sub { my ($o) = @_; return 'SELECT k.kind, (SELECT ' . $o->one_of('count(*)', 'sum(t.km)', 'max(t.at)') . ' FROM trip t WHERE t.kind = k.kind AND ' . $o->of_trip('t') . ') FROM kind k'; },
	sub { my ($o) = @_; return 'SELECT DISTINCT ON (t.car) t.car, t.id, t.km FROM trip t WHERE ' . $o->where('t') . ' ORDER BY t.car, t.km DESC NULLS LAST, t.id'; },
	sub { my ($o) = @_; return 'SELECT t.car, t.id, sum(t.km) OVER (PARTITION BY t.car ORDER BY t.id), rank() OVER (ORDER BY t.kind, t.car, t.id) FROM trip t WHERE ' . $o->where('t'); },
	sub { my ($o) = @_; return 'WITH long AS (SELECT t.car, max(t.km) AS km FROM trip t WHERE ' . $o->of_trip('t') . ' GROUP BY t.car) SELECT l.car, t.id FROM long l JOIN trip t ON t.car = l.car AND t.km = l.km'; },
	sub { my ($o) = @_; return 'SELECT t.car FROM trip t WHERE ' . $o->where('t') . $o->one_of(' UNION ', ' EXCEPT ', ' INTERSECT ', ' UNION ALL ') . 'SELECT v.car FROM visit v WHERE v.rating < ' . $o->below(6); },
	sub { my ($o) = @_; return 'SELECT v.car, v.place, x.id FROM visit v, LATERAL (SELECT t.id FROM trip t WHERE t.car = v.car AND t.id >= v.place ORDER BY t.id LIMIT 2) x WHERE v.car IN (' . $o->cars . ')'; },
	sub { my ($o) = @_; return 'SELECT a.car, a.id, b.id FROM trip a JOIN trip b ON a.car = b.car AND a.id < b.id WHERE ' . $o->named('a') . ' AND ' . $o->of_trip('b'); },
	sub { my ($o) = @_; return 'SELECT n.car, t.id FROM (VALUES (' . join('), (', map { $o->car } 1 .. 4) . ')) n (car) JOIN trip t ON t.car = n.car WHERE ' . $o->of_trip('t'); },
	sub { my ($o) = @_; return "SELECT v.car, v.tags FROM visit v WHERE v.tags && ARRAY['t" . $o->below(4) . "'] AND v.rating IS " . $o->one_of('NULL', 'NOT NULL'); },
	sub { my ($o) = @_; return 'SELECT t.kind, t.car, count(*) FROM trip t WHERE ' . $o->where('t') . ' GROUP BY ' . $o->one_of('ROLLUP', 'CUBE') . ' (t.kind, t.car)'; },
	sub {
		my ($o) = @_;
		my $car = $o->car;
		return 'SET plan_cache_mode = ' . $o->one_of('force_generic_plan', 'force_custom_plan')
			. '; PREPARE p (text, int) AS SELECT t.car, t.id FROM trip t WHERE t.car = $1 AND t.id > $2; EXECUTE p (' . $car . ', ' . $o->below(10) . '); EXECUTE p ('
			. $o->car . ', 3); DEALLOCATE p; RESET plan_cache_mode';
	},
	sub { my ($o) = @_; return "SELECT $T FROM trip t WHERE false AND " . $o->where('t') . " UNION ALL SELECT $T FROM trip t WHERE t.car IS NULL OR " . $o->named('t'); },
);

sub query { my ($self) = @_; return $self->below(4) ? $QUERIES[ $self->below(scalar @QUERIES) ]->($self) : $JOINS[ $self->below(scalar @JOINS) ]->($self); }

sub new_car { my ($self) = @_; $self->{births}++; return q{'car} . ($self->{cars} + $self->{births}) . q{'}; }
sub trip_values {
	my ($self, $car) = @_;
	return '(' . ($car // $self->car) . ', ' . (1 + $self->below($MOST_IDS)) . ', ' . $self->below(6) . ', ' . $self->below(9999) / 100 . ", 'note " . $self->below(13)
		. "', timestamptz '2026-02-01 00:00Z' + " . $self->below(5000) . " * interval '1 minute')";
}

my @CHANGES = (
	sub { my ($o) = @_; return 'INSERT INTO trip AS t VALUES ' . $o->trip_values . " ON CONFLICT DO NOTHING RETURNING $T"; },
	sub { my ($o) = @_; return 'INSERT INTO trip AS t VALUES ' . $o->trip_values . ' ON CONFLICT (car, id) DO UPDATE SET km = t.km + excluded.km, note = excluded.note RETURNING ' . $T; },
	sub {
		my ($o) = @_;
		my ($i, $car) = (0, $o->car);
		return 'INSERT INTO visit VALUES ' . join(', ', map { "($car, " . (5 + $o->below(3) + 3 * $i++) . ', ' . $o->below(6) . ", '{many}')" } 1 .. 3) . ' ON CONFLICT (car, place) DO NOTHING';
	},
	sub { my ($o) = @_; return 'INSERT INTO trip VALUES ' . $o->trip_values($o->new_car) . ' RETURNING car'; },
	sub { my ($o) = @_; return 'INSERT INTO trip SELECT v.car, 100 + v.place, 0, 1, NULL, NULL FROM visit v WHERE v.car = ' . $o->car . ' ON CONFLICT DO NOTHING'; },
	sub { my ($o) = @_; return 'UPDATE trip t SET km = t.km + 1, note = nullif(t.note, ' . "'note 3'" . ') WHERE ' . $o->named('t') . ' AND ' . $o->of_trip('t') . " RETURNING $T"; },
	sub { my ($o) = @_; return 'UPDATE trip t SET kind = (t.kind + 1) % 6 WHERE ' . $o->of_trip('t') . ' AND t.id = ' . (1 + $o->below(12)) . ' RETURNING t.car, t.id, t.kind'; },
	sub { my ($o) = @_; return 'UPDATE trip t SET km = v.rating FROM visit v WHERE v.car = t.car AND v.place = t.id AND ' . $o->named('t') . " RETURNING $T, v.place"; },
	sub { my ($o) = @_; return 'UPDATE visit v SET rating = v.rating + 1 WHERE v.car = ' . $o->car . " RETURNING $V"; },
	sub { my ($o) = @_; return 'DELETE FROM trip t WHERE ' . $o->named('t') . ' AND t.id = ' . (1 + $o->below(12)) . " RETURNING $T"; },
	sub { my ($o) = @_; return 'DELETE FROM visit v USING trip t WHERE t.car = v.car AND t.id = v.place AND t.kind = ' . $o->below(6) . ' AND ' . $o->named('t') . ' RETURNING v.car, v.place'; },
	sub { my ($o) = @_; return 'WITH gone AS (DELETE FROM trip t WHERE t.car = ' . $o->car . ' AND t.id > 25 RETURNING t.km) SELECT count(*), sum(km) FROM gone'; },
	sub {
		my ($o) = @_;
		my $end = $o->one_of('COMMIT', 'COMMIT', 'ROLLBACK');
		return 'BEGIN; INSERT INTO trip VALUES ' . $o->trip_values . ' ON CONFLICT DO NOTHING; UPDATE trip t SET km = t.km + 5 WHERE ' . $o->named('t') . '; SAVEPOINT s; DELETE FROM trip t WHERE '
			. $o->named('t') . '; SELECT count(*) FROM trip; ROLLBACK TO s; UPDATE visit v SET rating = 4 WHERE v.car = ' . $o->car . '; SELECT count(*), sum(km) FROM trip; ' . $end;
	},
	sub {
		my ($o) = @_;
		my $car = $o->car;
		return "BEGIN; UPDATE trip t SET km = t.km + 1 WHERE t.car = $car RETURNING $T; INSERT INTO trip AS t VALUES ($car, " . (1 + $o->below(40)) . ", 1, 2.5, 'after', NULL) ON CONFLICT DO NOTHING RETURNING $T; INSERT INTO visit VALUES ($car, "
			. (1 + $o->below(9)) . ", 3, '{late}') ON CONFLICT (car, place) DO UPDATE SET rating = excluded.rating RETURNING car, place, rating; " . $o->one_of('COMMIT', 'ROLLBACK');
	},
	sub {
		my ($o) = @_;
		return 'PREPARE u (text, int) AS UPDATE trip t SET note = $1 || t.note WHERE t.car = $1 AND t.id < $2 RETURNING ' . $T . '; BEGIN; EXECUTE u (' . $o->car . ', 4); EXECUTE u (' . $o->car . ', 6); COMMIT; DEALLOCATE u';
	},
);

sub change { my ($self) = @_; return $CHANGES[ $self->below(scalar @CHANGES) ]->($self); }

my $P = 'p.car, p.cents, p.note';
my @HOME_QUERIES = (
	sub { my ($o) = @_; return "SELECT $P FROM purse p WHERE " . $o->named('p'); },
	sub { my ($o) = @_; return "SELECT $P FROM purse p WHERE p.cents % 7 = " . $o->below(7); },
	sub { my ($o) = @_; return 'SELECT count(*), sum(p.cents), min(p.note), avg(p.cents) FROM purse p WHERE p.cents > ' . $o->below(50); },
	sub { my ($o) = @_; return 'SELECT p.cents % 5, p.note, count(*), max(p.cents) FROM purse p GROUP BY 1, 2'; },
	sub { my ($o) = @_; return 'SELECT DISTINCT p.note, p.cents % 3 FROM purse p'; },
	sub { my ($o) = @_; return 'SELECT p.car, p.cents FROM purse p ORDER BY p.cents DESC, p.car LIMIT ' . (1 + $o->below(9)); },
	sub { my ($o) = @_; return 'SELECT p.car, k.name FROM purse p JOIN kind k ON k.kind = p.cents % 6 WHERE ' . $o->named('p'); },
	sub { my ($o) = @_; return 'SELECT n.car, p.cents FROM (VALUES (' . join('), (', map { $o->car } 1 .. 4) . ')) n (car) LEFT JOIN purse p ON p.car = n.car'; },
	sub { my ($o) = @_; return 'SELECT a.car, b.car FROM purse a JOIN purse b ON a.cents = b.cents AND a.car < b.car WHERE ' . $o->named('a'); },
	sub { my ($o) = @_; return 'SELECT k.name, count(*), sum(p.cents) FROM purse p ' . $o->one_of('', 'LEFT ') . 'JOIN kind k ON k.kind = p.cents % 7 GROUP BY 1'; },
	sub { my ($o) = @_; return 'SELECT count(*), sum(a.cents - b.cents) FROM purse a ' . $o->one_of('', 'LEFT ') . 'JOIN purse b ON a.car = b.car AND b.cents > ' . $o->below(60); },
	sub { my ($o) = @_; return 'SELECT a.car, a.cents FROM purse a WHERE ' . $o->one_of('', 'NOT ') . 'EXISTS (SELECT FROM purse b WHERE a.car = b.car AND b.cents > ' . $o->below(60) . ')'; },
	sub { my ($o) = @_; return 'SELECT p.car, (SELECT count(*) FROM purse q WHERE q.cents > p.cents) FROM purse p WHERE ' . $o->named('p'); },
	sub {
		my ($o) = @_;
		return 'SET plan_cache_mode = force_generic_plan; PREPARE h (text) AS SELECT p.cents, p.note FROM purse p WHERE p.car = $1; EXECUTE h (' . $o->car . '); EXECUTE h (' . $o->car . '); DEALLOCATE h; RESET plan_cache_mode';
	},
);
my @HOME_CHANGES = (
	sub { my ($o) = @_; return 'UPDATE purse p SET cents = p.cents + ' . $o->below(9) . ' WHERE ' . $o->named('p') . " RETURNING $P"; },
	sub { my ($o) = @_; return "UPDATE purse p SET note = 'kind ' || k.name FROM kind k WHERE k.kind = p.cents % 6 AND " . $o->named('p') . " RETURNING $P"; },
	sub { my ($o) = @_; return 'UPDATE purse p SET cents = p.cents - 1 WHERE p.cents % 11 = ' . $o->below(11) . ' RETURNING p.car, p.cents'; },
	sub { my ($o) = @_; return 'INSERT INTO purse AS p (car, cents) VALUES (' . $o->car . ', ' . $o->below(90) . ") ON CONFLICT DO NOTHING RETURNING $P"; },
	sub { my ($o) = @_; return 'INSERT INTO purse AS p VALUES (' . $o->car . ', ' . $o->below(90) . ", 'put') ON CONFLICT (car) DO UPDATE SET cents = p.cents + excluded.cents, note = excluded.note WHERE p.cents < 80 RETURNING $P"; },
	sub { my ($o) = @_; return 'INSERT INTO purse AS p VALUES (' . $o->new_car . ", 5, 'born') RETURNING $P"; },
	sub { my ($o) = @_; return 'DELETE FROM purse p WHERE ' . $o->named('p') . " RETURNING $P"; },
	sub {
		my ($o) = @_;
		my $car = $o->car;
		return "BEGIN; SELECT p.cents FROM purse p WHERE p.car = $car FOR UPDATE; DELETE FROM purse p WHERE p.car = $car; SAVEPOINT s; INSERT INTO purse VALUES ($car, 1); ROLLBACK TO s; INSERT INTO purse AS p VALUES ($car, 2, NULL) RETURNING $P; "
			. 'SELECT count(*), sum(cents) FROM purse; ' . $o->one_of('COMMIT', 'ROLLBACK');
	},
);
sub home_query { my ($self) = @_; return $HOME_QUERIES[ $self->below(scalar @HOME_QUERIES) ]->($self); }
sub home_change { my ($self) = @_; return $HOME_CHANGES[ $self->below(scalar @HOME_CHANGES) ]->($self); }

1;
