# Topology: one node with an encrypted store, whose objects are never read in place, so that what is read of a segment is counted; and a directory.
# Proves: checks of foreign keys, row locks, UPDATE and DELETE, and joins that look up single rows of a partition in a store read a part of its segment;
# many rows are joined by reading it once; all of it means what it means on heaps: random conditions and joins, with NULLs, other types, kept plans;
# rows that changed while a lock was waited for (EvalPlanQual); plans that were kept while the partition went and came.
# Many lookups by the same columns: keys that a session keeps in memory answer as the file does, and only as long as the segment is the partition's.
# SEED and QUERIES of the environment repeat or lengthen a run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Fabric;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use TierOracle;

my $store = PostgreSQL::Test::Utils::tempdir;
my $keys = Fabric::key_file();
my $f = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nautovacuum = off\nvectorshard.store_key_file = '$keys'\n");
sub sql { my ($sql) = @_; return $f->sql('c1', $sql); }
sub to_store {
	my ($part, $to) = @_;
	my $move = sql("SELECT vectorshard.move_to_cold('$part'::regclass, '$to', grace => '0 s')");
	$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $move", 'done', "$part is in the store");
	return;
}
sub explained { my ($sql, $with) = @_; return sql('SET plan_cache_mode = force_generic_plan; ' . ($with // '') . " EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF) $sql"); }

# What is read of an object, in bytes: the blocks that its map says are there.
sql("SELECT vectorshard.create_store('vault', 'file://$store', encrypted => true)");
sql(q{CREATE TABLE site (site int8 PRIMARY KEY, name text);
	INSERT INTO site SELECT i, 'site ' || i FROM generate_series(1, 100) i;
	CREATE TABLE event (id int8, day date, site int8 REFERENCES site, words text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
	CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
	CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
	INSERT INTO event SELECT i, date '2020-01-01' + i / 1500, 1 + i / 5100, repeat(md5(i::text), 3) FROM generate_series(1, 500000) i;
	INSERT INTO event SELECT i, date '2021-01-01' + i % 300, 100, 'hot' FROM generate_series(500001, 520000) i;
	CREATE TABLE note (note int PRIMARY KEY, id int8, day date, FOREIGN KEY (id, day) REFERENCES event);
	CREATE TABLE account (account int PRIMARY KEY, event int4, state text);
	INSERT INTO account SELECT i, CASE WHEN i <> 7 THEN i * 1000 END, 'new' FROM generate_series(1, 400) i;
	ANALYZE});
to_store('event_1', 'vault');
my $bytes = sql('SELECT bytes FROM vectorshard.segment');
my $cache = $f->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read';
sub forget { unlink glob("$cache/*"); return; }
# Of what has no map the whole object was fetched.
sub there {
	my $read = 0;
	for my $file (glob "$cache/*") { $read += $file =~ /\.map$/ ? 65536 * (slurp_file($file) =~ tr/\x01//) : -e "$file.map" ? 0 : -s $file; }
	return $read;
}
sub read_by { my ($sql) = @_; forget(); my $answer = sql($sql); return ($answer, there()); }

my ($answer, $read) = read_by(q{SELECT count(*), count(id), count(day), count(site), max(words) FROM event_1});
cmp_ok($read, '>', 0.9 * $bytes, "all of it: $read of $bytes bytes");
($answer, $read) = read_by(q{SELECT words FROM event_1 WHERE id = 250000});
my $point = $read;
cmp_ok($point, '<', $bytes / 3, "one row: $point of $bytes bytes");
($answer, $read) = read_by(q{INSERT INTO note VALUES (1, 250000, date '2020-01-01' + 250000 / 1500)});
cmp_ok($read, '>', 0, 'a foreign key is looked up in the segment');
cmp_ok($read, '<=', $point / 2, "without the columns that it has not: $read bytes");
($answer, $read) = read_by(q{INSERT INTO note SELECT -i, 250000 + i, date '2020-01-01' + (250000 + i) / 1500 FROM generate_series(1, 12) i});
cmp_ok($read, '<=', $point / 2, "so are many, by a kept plan: $read bytes");
like($f->error_of('c1', q{INSERT INTO note VALUES (2, 250000, date '2020-01-01')}), qr/23503/, 'one that is not there');
forget();
like($f->error_of('c1', q{INSERT INTO note VALUES (3, 10000000, date '2020-03-01')}), qr/23503/, 'one beyond all zones');
is(there(), 0, 'costs nothing');
forget();
like($f->error_of('c1', q{DELETE FROM site WHERE site = 50}), qr/23503/, 'a row that rows in the segment refer to');
cmp_ok(there(), '<', $bytes / 4, 'is found there by a part of it');
($answer, $read) = read_by(q{SELECT id FROM event WHERE id = 250000 AND day < '2020-12-01' FOR SHARE});
is($answer, '250000', 'a row is locked');
cmp_ok($read, '<=', $point / 2, "by a part: $read bytes");
for my $change (q{UPDATE event SET words = 'no' WHERE id = 250000 AND words = 'no'}, q{DELETE FROM event WHERE id = 250000 AND words IS NULL}, q{MERGE INTO event e USING (VALUES (250000)) v(id) ON e.id = v.id AND e.words = 'no' WHEN MATCHED THEN DELETE}) {
	($answer, $read) = read_by($change);
	cmp_ok($read, '<', $bytes / 3, "no row is hit: $change, $read bytes");
}
forget();
like($f->error_of('c1', q{UPDATE event SET words = 'no' WHERE id = 250000}), qr/55000/, 'one is');
cmp_ok(there(), '<', $bytes / 3, 'for a part');
($answer, $read) = read_by(q{SELECT count(*), min(length(e.words)) FROM (VALUES (250000), (250007), (NULL), (-1)) v(id) JOIN event e ON e.id = v.id});
is($answer, '2|96', 'a join of few rows');
cmp_ok($read, '<', $bytes / 3, "looks them up: $read bytes");

# What plans say of it.
my $check = q{PREPARE c(int8, date) AS SELECT 1 FROM event x WHERE id = $1 AND $2 = day FOR KEY SHARE OF x;};
like(explained(q{EXECUTE c(250000, date '2020-01-01' + 250000 / 1500)}, $check), qr/LockRows.*Custom Scan \(VectorshardRows\) on public\.event_1.*rows=1 .*Segment Query: SELECT "id", "day", file_row_number FROM .*WHERE \("id" = \?\) AND \("day" = \?\)/s, 'a check asks for the key');
unlike(explained(q{EXECUTE c(250000, date '2020-01-01' + 250000 / 1500)}, $check), qr/Removed by Filter/, 'and nothing else comes');
like(explained('EXECUTE c(NULL, NULL)', $check), qr/(never executed|rows=0)/, 'a key that is null is no key');
my $few = 'SELECT e.words FROM account a JOIN event e ON e.id = a.event WHERE a.account IN (3, 7, 11)';
like(explained($few), qr/Nested Loop.*Foreign Scan.*loops=3.*Segment Query: [^\n]*WHERE \("id" = \?\).*Index Scan using event_2_pkey/s, 'few rows are looked up, in the heaps beside by their indexes');
unlike(explained('SELECT e.words FROM generate_series(1, 5000) a JOIN event e ON e.id = a'), qr/Foreign Scan[^\n]*loops=[2-9]/s, 'for many the segment is read once');
like(explained("SELECT e.id FROM account a JOIN event_1 e ON e.id = a.event WHERE a.account IN (3, 7, 11) FOR SHARE OF e"), qr/Nested Loop.*Custom Scan.*loops=3/s, 'with a lock, too');

# Rows that changed while a lock was waited for: the join's condition is looked at again, with the row of the segment.
for my $join (q{SELECT a.account, e.id, right(md5(e.words), 4) FROM account a JOIN event_1 e ON e.id = a.event WHERE a.account = 20 AND e.words > '' FOR UPDATE OF a},
	q{SELECT a.account, e.id, right(md5(e.words), 4) FROM account a JOIN event_1 e ON e.id = a.event WHERE a.account = 20 AND e.words > '' FOR UPDATE OF a FOR SHARE OF e},
	q{SELECT a.account, e.id, right(md5(e.words), 4) FROM account a JOIN event_1 e ON e.id = a.event WHERE a.account = 20 FOR KEY SHARE OF e FOR UPDATE OF a},
	q{UPDATE account a SET state = 'seen' FROM event_1 e WHERE e.id = a.event AND a.account = 20 RETURNING a.account, e.id, right(md5(e.words), 4)}) {
	for my $to ("state = 'other'", 'event = 21000', 'event = NULL') {
		my ($first, $second) = (Session->new($f->node('c1')), Session->new($f->node('c1')));
		sql(q{UPDATE account SET event = 20000, state = 'new' WHERE account = 20});
		$first->ask("BEGIN; UPDATE account SET $to WHERE account = 20");
		$second->begin("SELECT pg_backend_pid() IS NULL; $join");
		$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}, '1', 'waits');
		$first->ask('COMMIT');
		my $tail = sql(q{SELECT right(md5(repeat(md5('20000'), 3)), 4)});
		is($second->answer, $to =~ /event/ ? 'f' : "f\n20|20000|$tail", "$to: $join");
		$_->finish for $first, $second;
	}
}

# Plans that were kept while the partition came back and went again; an older snapshot.
my $kept = Session->new($f->node('c1'));
$kept->ask(q{SET plan_cache_mode = force_generic_plan; PREPARE l(int8) AS SELECT id, length(words) FROM event WHERE id = $1 FOR SHARE;
	PREPARE j(int, int) AS SELECT count(*), sum(length(e.words)) FROM account a JOIN event e ON e.id = a.event WHERE a.account BETWEEN $1 AND $2});
sub of_kept { return join ' ', map { $kept->ask($_) } 'EXECUTE l(300000)', 'EXECUTE l(NULL)', 'EXECUTE j(3, 9)', 'EXECUTE j(NULL, 9)'; }
my $truth = '300000|96  6|576 0|';
is(of_kept(), $truth, 'kept plans');
$kept->ask(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM site});
my $back = sql(q{SELECT vectorshard.move_to_hot('event_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $back", 'loaded', 'a move back waits for a snapshot');
is(of_kept(), $truth, 'which reads the segment');
$kept->ask('COMMIT');
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $back", 'done', 'and is done without it');
is(of_kept(), $truth, 'kept plans are made anew for the heap');
to_store('event_1', 'vault');
is(of_kept(), $truth, 'and for the segment');
$kept->ask(q{BEGIN ISOLATION LEVEL SERIALIZABLE});
is(of_kept(), $truth, 'also of a serializable transaction');
like($kept->ask(q{SELECT mode FROM pg_locks WHERE relation = 'event_1'::regclass AND mode = 'SIReadLock'}), qr/SIReadLock/, 'which is noted');
$kept->ask('COMMIT');
$kept->finish;

# Keys in memory. Without the object and its copies, whoever answers has read nothing.
sub without_store {
	my ($ask) = @_;
	rename $store, "$store.away" or die;
	forget();
	my @answers = $ask->();
	rename "$store.away", $store or die;
	return @answers;
}
my $many = Session->new($f->node('c1'));
sub of_plan { my ($line, $plan) = @_; return $plan =~ /$line: (\d+)/ ? $1 : 0; }
sub refer { my (@ids) = @_; return join '', map { $many->ask("INSERT INTO note VALUES (100000 + $_, $_, date '2020-01-01' + $_ / 1500)") } @ids; }
is(refer(map { 1000 + $_ } 1 .. 12), '', 'a dozen of keys of one part of the segment');
is_deeply([ without_store(sub { refer(2000), refer(2001, 3000, 3001) }) ], [ '', '' ], 'further ones need no file');
like((without_store(sub { $many->ask(q{INSERT INTO note VALUES (5000000, 2000, date '2020-12-31')}) }))[0], qr/violates foreign key/, 'nor does one that is not there');
like((without_store(sub { refer(400000) }))[0], qr/cannot be read/, 'other parts do');
is(refer(400000), '', 'and can be asked for afterwards');
is((without_store(sub { $many->ask(q{SELECT id, day FROM event WHERE day = '2020-01-02' AND id = 2500 FOR KEY SHARE}) }))[0], '2500|2020-01-02', 'a lock by the same columns in another order');
like((without_store(sub { $many->ask(q{SET vectorshard.key_cache_mb = 0}), refer(2002) }))[1], qr/cannot be read/, 'without memory for it the file is asked');
$many->ask('RESET vectorshard.key_cache_mb');
is(refer(map { 4000 + $_ } 1 .. 30), '', 'and again');

my $loop = 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off; SET max_parallel_workers_per_gather = 0;';
my $wide = q{SELECT count(*), sum(length(e.words)), min(e.day) FROM account a JOIN event_1 e ON e.id = a.event + 1 WHERE a.account % 2 = 0 OR a.account < 9};
my $narrow = q{SELECT count(*), sum(e.id) FROM (SELECT event + 500 AS n FROM account UNION ALL SELECT event + 3 FROM account) a JOIN event_1 e ON e.id = a.n};
my $plan = explained($narrow, $loop);
cmp_ok(of_plan('Segments Read', $plan), '<', 60, 'of eight hundred lookups a few read the segment');
cmp_ok(of_plan('Lookups in Memory', $plan), '>', 700, 'the rest is answered from memory') or note $plan;
$plan = explained($narrow, "$loop SET vectorshard.key_cache_mb = 0;");
unlike($plan, qr/Lookups in Memory/, 'unless there is none to be used');
cmp_ok(of_plan('Segments Read', $plan), '>', 700, 'all read it');
for my $query ($narrow, $wide, q{SELECT count(*), sum(id) FROM (SELECT e.id FROM site s JOIN event_1 e ON e.site = s.site WHERE s.site IN (3, 50, 98, 99, 100)) q},
	q{SELECT count(*), min(id), max(id) FROM (SELECT e.id FROM generate_series(date '2020-01-01', '2020-03-01', '1 day') d JOIN event_1 e ON e.day = d::date AND e.id % 700 = 0 WHERE e.site > 1) q}) {
	my ($with, $without) = map { sql("$loop $_ $query") } '', 'SET vectorshard.key_cache_mb = 0;';
	is($with, $without, "the same rows: $query");
}
is(sql("SET vectorshard.key_cache_mb = 1; $loop $narrow"), sql($narrow), 'with little memory, too');

# What changes between lookups of one session.
like($many->ask('ALTER TABLE event RENAME id TO number; ALTER TABLE event ADD extra int DEFAULT 7; ALTER TABLE event DROP words'), qr/^(NOTICE[^\n]*)?$/, 'columns change');
is((without_store(sub { $many->ask(q{SELECT number FROM event WHERE day = '2020-01-02' AND number = 2500 FOR KEY SHARE}) }))[0] =~ /cannot be read/ ? 'read' : 'known', 'read', 'what the session knew of the table is gone');
is(join(' ', map { $many->ask(q{SELECT number, extra FROM event WHERE day = '2020-01-02' AND number = 2500 FOR KEY SHARE}) } 1 .. 12), join(' ', ('2500|7') x 12), 'a renamed key, and a column that came later');
is((without_store(sub { $many->ask(q{SELECT number FROM event WHERE day = '2020-01-02' AND number = 2501 FOR KEY SHARE}) }))[0], '2501', 'is known by its new name');
is((without_store(sub { $many->ask(q{SELECT count(*) FROM (SELECT extra FROM event WHERE day = '2020-01-02' AND number = 1000000 AND extra > 5 FOR SHARE) q}) }))[0], '0', 'no row needs no other columns');
$many->ask('ALTER TABLE event RENAME number TO id');
is(refer(map { 6000 + $_ } 1 .. 30), '', 'keys are in memory');
my $home = sql(q{SELECT vectorshard.move_to_hot('event_1'::regclass, grace => '0 s')});
$f->poll('c1', "SELECT state FROM vectorshard.tier_moves WHERE move = $home", 'done', 'when the partition comes back');
sql(q{DELETE FROM event WHERE id = 6500});
like(refer(6500), qr/violates foreign key/, 'a row that goes then is gone');
is(refer(6501), '', 'others are there');
to_store('event_1', 'vault');
is(scalar(grep { refer(6500) =~ /violates foreign key/ } 1 .. 30), 30, 'also when the rest is in the store again');
is(refer(6502), '', 'where others are');
$many->finish;

# At random, against the same rows in heaps.
sql("SELECT vectorshard.create_store('cold', 'file://" . PostgreSQL::Test::Utils::tempdir . "'); DELETE FROM note; UPDATE account SET state = 'new'");
sql(q{CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')});
for my $table ('cold', 'hot') {
	sql("CREATE TABLE $table ($TierOracle::COLUMNS, z int, h text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)");
	my @from = ('2020-01-01', '2021-12-01', '2022-06-18', '2022-08-07', '2030-01-01');
	sql("CREATE TABLE ${table}_$_ PARTITION OF $table FOR VALUES FROM ('$from[$_ - 1]') TO ('$from[$_]')") for 1 .. 4;
	sql("CREATE INDEX ON $table (i); CREATE INDEX ON $table (n); CREATE INDEX ON $table (d); CREATE INDEX ON $table (c)");
	sql("INSERT INTO $table $TierOracle::ROWS, k % 9, 'old ' || k % 6 FROM generate_series(0, 99999) k WHERE k % 4 = 0");
	sql("ANALYZE $table");
}
to_store("cold_$_", 'cold') for 1, 2;
sql(q{CREATE TABLE probe AS SELECT row_number() OVER () AS k, q.* FROM (SELECT id, s, i, n, x, d, at, tz, day, t, c, v, b, f, r, u, i::int8 AS wide, id::int4 AS narrow, f::real AS less FROM hot WHERE id % 1999 = 0) q; ANALYZE probe});

my $queries = $ENV{QUERIES} // 60;
my $seed = $ENV{SEED} // int(rand 1_000_000);
note "SEED=$seed";
my $oracle = TierOracle->new($seed);
my @kinds = ('RESET ALL', 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET vectorshard.key_cache_mb = 0', 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off; SET vectorshard.key_cache_mb = 1', 'SET enable_hashjoin = off; SET enable_mergejoin = off', 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off', 'SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off',
	'SET enable_partitionwise_join = on; SET enable_hashjoin = off; SET enable_mergejoin = off', q{SET TimeZone = 'Asia/Kathmandu'; SET enable_hashjoin = off});
my @pairs = ('e.id = p.id', 'e.id = p.narrow', 'e.i = p.wide AND e.id > p.id', 'e.i = p.s AND e.day = p.day', 'e.n = p.i', 'e.n = p.n AND e.d = p.d', 'e.x = p.n', 'e.d = p.at', 'e.at = p.d', 'e.at = p.at', 'e.tz = p.tz', 'e.t = p.t AND e.id % 100 = 0',
	'e.c = p.c AND e.s = p.s', 'e.v = p.v AND e.i BETWEEN p.s AND p.s + 3', 'e.f = p.f AND e.id < p.id', 'e.r = p.f', 'e.f = p.less', 'e.u = p.u AND e.b = p.b', 'e.id = p.id + 4', 'e.id IN (p.id, p.wide)', 'e.id = p.id OR e.id = 8', 'e.i = p.i AND e.s IS NOT DISTINCT FROM p.s');
my (@asked, $script);
sub both {
	my ($n, $what, $statement) = @_;
	push @asked, $what;
	for my $table ('cold', 'hot') { (my $of = $statement) =~ s/%T/$table/g; $script .= "\\echo $n $table\n$of;\n"; }
	return;
}
my $sum = q{count(*) || ' ' || md5(coalesce(string_agg(q::text, '|' ORDER BY q::text COLLATE "C"), ''))};
for my $n (1 .. $queries) {
	$script .= 'RESET ALL; ' . $oracle->one_of(@kinds) . ";\n" if $n % 5 == 1;
	my $kind = $oracle->below(6);
	my $few = 'k % ' . $oracle->one_of(1, 3, 7) . ' = 0';
	if ($kind < 3) {
		my $join = 'FROM probe p ' . $oracle->one_of('JOIN', 'LEFT JOIN') . ' %T e ON ' . $oracle->one_of(@pairs) . ($oracle->below(2) ? ' AND ' . $oracle->condition(2) =~ s/\b(id|s|i|n|x|w|d|at|tz|day|t|c|v|p|b|f|r|u|y|e|j|a|z|h)\b(?=( |\)|\[))/e.$1/gr : '');
		both($n, "$join WHERE $few", "SELECT $sum FROM (SELECT p.k, e.id, e.t, e.n, e.p $join WHERE p.$few) q") if $join !~ /e\.e\.|date e\.|timestamp/;
	} elsif ($kind == 3) {
		my $lock = $oracle->one_of('FOR KEY SHARE', 'FOR SHARE', 'FOR SHARE SKIP LOCKED', 'FOR KEY SHARE NOWAIT');
		my $where = $oracle->condition($oracle->below(3));
		both($n, "$where $lock", "SELECT $sum FROM (SELECT id, s, p FROM %T WHERE $where $lock) q");
	} elsif ($kind == 4) {
		# Whether a row that is cold is hit decides.
		my $where = $oracle->condition($oracle->below(3));
		my $change = $oracle->one_of("UPDATE %T SET s = 1 WHERE $where", "DELETE FROM %T WHERE $where", "DELETE FROM %T USING probe p WHERE %T.id = p.id AND p.$few AND p.s > 3");
		my $hit = $change =~ /USING/ ? $change =~ s/DELETE FROM %T USING probe p WHERE/SELECT FROM hot, probe p WHERE hot.day < '2022-06-18' AND/r =~ s/%T/hot/gr : "SELECT FROM hot WHERE hot.day < '2022-06-18' AND ($where)";
		push @asked, $change;
		my ($cold, $hot) = map { $change =~ s/%T/$_/gr } 'cold', 'hot';
		$script .= "\\echo $n hot\nSELECT CASE WHEN EXISTS ($hit) THEN 'refused' ELSE 'done' END;\n\\echo $n cold\n\\set ON_ERROR_STOP 0\nBEGIN; $cold;\n\\if :ERROR\n\\echo refused :LAST_ERROR_SQLSTATE\n\\else\n\\echo done\n\\endif\nROLLBACK;\n";
	} else {
		my $c = $oracle->one_of('i', 'n', 'd', 'c', 'id', 'at');
		my $null = $oracle->below(8) ? 0 : 1;
		my $value = $null ? 'NULL' : $oracle->value($c);
		both($n, "$c = $value, prepared", "PREPARE q$n AS SELECT $sum FROM (SELECT id, p FROM %T WHERE $c = \$1 FOR SHARE) q; EXECUTE q$n($value); DEALLOCATE q$n");
	}
	$asked[$n - 1] //= '';
}
my ($rc, $said, $err) = $f->node('c1')->psql('postgres', $script, on_error_stop => 0, timeout => 900, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
my (%got, @wrong, $at);
for (split /\n/, $said) {
	if (/^(\d+) (cold|hot)$/) { $at = [ $1, $2 ]; next; }
	$got{ $at->[0] }{ $at->[1] } .= $_ if $at && length;
}
for my $n (1 .. $queries) {
	my ($cold, $hot) = map { ($got{$n}{$_} // 'error') =~ s/refused 55000/refused/r } 'cold', 'hot';
	$cold = $hot = 'error' if $cold =~ /^refused \w/ && $cold !~ /55000/ && $hot eq 'error';
	push @wrong, "$n: $asked[$n - 1]: $cold, not $hot" if $cold ne $hot;
}
is(join("\n", @wrong[ 0 .. ($#wrong > 9 ? 9 : $#wrong) ]), '', "$queries queries");
my $right = grep { ($got{$_}{hot} // 'error') ne 'error' } keys %got;
cmp_ok($right, '>', 0.7 * $queries, "$right of them without an error");
my %errors;
$errors{$1}++ while $err =~ /ERROR:  ([^\n]*)/g;
note "$errors{$_} times $_" for keys %errors;
done_testing();
