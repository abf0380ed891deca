# Topology: one core node.
# Proves: reports of every sort, by COPY, arrays and single calls, malformed, late, doubled, too fast, over the date line and the
# poles, crash nothing; every one is accepted, counted as refused, or an error with its SQLSTATE; what is remembered stays valid.
# When memory is full, clients that report are not those that are forgotten. FUZZ_REPORTS (100000): how many; FUZZ_SEED replays.
use strict;
use warnings;
use Fabric;
use Test::More;

my $reports = $ENV{FUZZ_REPORTS} // 100_000;
my $seed = $ENV{FUZZ_SEED} // int(rand(1_000_000));
note("FUZZ_SEED=$seed FUZZ_REPORTS=$reports");

my $f = Fabric->new(core => 'c1', config => "vectorshard.max_clients = 2000\n");
my $file = $f->node('c1')->basedir . '/reports';
my $counted = q{SELECT count FROM vectorshard.telemetry_counters() WHERE name};
my $outcomes = q{SELECT sum(count) FROM vectorshard.telemetry_counters() WHERE name NOT IN ('dropped', 'arrivals', 'hits')};

# Well-formed reports of 500 clients, each at a home of its own (a fifth of them at a pole, a fifth on the date line), mostly near it and
# of now, sometimes elsewhere, late, doubled or too early. One client in twenty is early by less than report_max_ahead_s at times, which
# makes its next seconds late.
$f->sql('c1', qq{
	CREATE TABLE made AS SELECT 0 AS n, ''::text AS client, 0::float8 AS lon, 0::float8 AS lat, 0::float8 AS speed_mps, 0::float8 AS heading_deg, now() AS observed_at LIMIT 0;
	CREATE FUNCTION make(many int, seed float8) RETURNS bigint LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM setseed(seed);
		TRUNCATE made;
		INSERT INTO made
		SELECT n, 'f' || c, CASE WHEN odd < 0.02 THEN (ARRAY[180, -180, 0, 90])[1 + (random() * 3)::int]
		                         WHEN c % 5 = 1 THEN CASE WHEN random() < 0.5 THEN 180 - random() / 1000 ELSE -180 + random() / 1000 END
		                         WHEN c % 5 = 0 THEN random() * 360 - 180 ELSE c / 3.0 + random() / 1000 END,
		       CASE WHEN odd BETWEEN 0.02 AND 0.04 THEN (ARRAY[90, -90, 0])[1 + (random() * 2)::int]
		            WHEN c % 10 = 0 THEN 90 - random() / 1000 WHEN c % 10 = 5 THEN -90 + random() / 1000 ELSE c / 10.0 + random() / 1000 END,
		       CASE WHEN odd BETWEEN 0.04 AND 0.06 THEN random() * 1e6 WHEN random() < 0.7 THEN random() * 40 END,
		       CASE WHEN random() < 0.7 THEN random() * 360 END,
		       clock_timestamp() + CASE WHEN odd BETWEEN 0.06 AND 0.08 THEN random() * interval '100 s' + CASE WHEN c % 20 = 7 THEN interval '0 s' ELSE interval '2 minutes' END
		                                WHEN odd BETWEEN 0.08 AND 0.1 THEN random() * interval '-1 hour'
		                                WHEN odd BETWEEN 0.1 AND 0.12 THEN interval '-4000 years' ELSE (n / 100.0 - many / 100.0) * interval '1 ms' END
		  FROM (SELECT n, (random() * 499)::int AS c, random() AS odd FROM generate_series(1, many) n) s;
		INSERT INTO made SELECT n + (random() * many / 10)::int, client, lon, lat, speed_mps, heading_deg, observed_at FROM made WHERE random() < 0.01;
		RETURN (SELECT count(*) FROM made);
	END \$\$;
	CREATE FUNCTION one(INOUT client text, lon float8, lat float8, speed float8, heading float8, at timestamptz) LANGUAGE plpgsql AS \$\$
	BEGIN
		client := vectorshard.report(client, ST_SetSRID(ST_MakePoint(lon, lat), 4326), speed, heading, at);
	EXCEPTION WHEN OTHERS THEN
		client := SQLSTATE;
	END \$\$});

sub valid {
	my ($name) = @_;
	is($f->sql('c1', q{SELECT count(*) FROM (SELECT DISTINCT client FROM made) m, vectorshard.predicted_path(m.client, 60, 3) p
		WHERE NOT (abs(ST_X("position")) <= 180 AND abs(ST_Y("position")) <= 90 AND sigma_m >= 0 AND sigma_m < 'infinity')}), '0', "$name: every path is on earth");
}

sub taken {
	my ($name, $many, $run) = @_;
	my ($accepted, $before) = ($f->sql('c1', "$counted = 'accepted'"), $f->sql('c1', $outcomes));
	my $told = $run->();
	is($f->sql('c1', $outcomes) - $before, $many, "$name: each report is accepted or counted as refused");
	my $more = $f->sql('c1', "$counted = 'accepted'") - $accepted;
	is($told, $more, "$name: and those accepted are told") if defined $told;
	cmp_ok($more, '>', $many / 4, "$name: many are accepted");
	return;
}

my $columns = 'client, lon, lat, speed_mps, heading_deg, observed_at';
my $many = $f->sql('c1', "SELECT make($reports, $seed / 1e6)");
$f->sql('c1', "COPY (SELECT $columns FROM made ORDER BY n) TO '$file'");
taken('COPY', $many, sub { $f->sql('c1', "COPY vectorshard.telemetry ($columns) FROM '$file'"); return; });
valid('COPY');

$many = $f->sql('c1', "SELECT make($reports, ($seed + 1) / 1e6)");
taken('arrays', $many, sub {
	# The thousands in their order, each in that of its heap.
	return $f->sql('c1', q{SELECT sum(vectorshard.report(c, x, y, s, h, o)) FROM (SELECT array_agg(client) c, array_agg(lon) x, array_agg(lat) y,
		array_agg(speed_mps) s, array_agg(heading_deg) h, array_agg(observed_at) o FROM made GROUP BY n / 1000 ORDER BY n / 1000 OFFSET 0) a});
});
valid('arrays');

$many = $f->sql('c1', "SELECT make($reports / 10, ($seed + 2) / 1e6)");
taken('INSERT', $many, sub { $f->sql('c1', "INSERT INTO vectorshard.telemetry ($columns) SELECT $columns FROM made ORDER BY n"); return; });

# One value of each is wrong: every such report is an error, and it says which.
my $wrongly = q{client, CASE wrong WHEN 0 THEN (ARRAY['NaN', 'Infinity', '-Infinity', 180.001, -1e300])[pick]::float8 ELSE lon END,
		CASE wrong WHEN 1 THEN (ARRAY['NaN', 'Infinity', '-Infinity', 90.001, -1e300])[pick]::float8 ELSE lat END,
		CASE wrong WHEN 2 THEN (ARRAY['NaN', 'Infinity', '-Infinity', -1e-9, -5])[pick]::float8 ELSE 1 END,
		CASE wrong WHEN 3 THEN (ARRAY['NaN', 'Infinity', '-Infinity', 360.001, -1e-9])[pick]::float8 ELSE 1 END,
		CASE wrong WHEN 4 THEN (ARRAY['infinity', '-infinity', 'infinity', '-infinity', 'infinity'])[pick]::timestamptz ELSE observed_at END};
is($f->sql('c1', qq{
	SELECT setseed(($seed + 3) / 1e6);
	SELECT string_agg(DISTINCT one($wrongly), ',') FROM (SELECT *, n % 5 AS wrong, 1 + (random() * 4)::int AS pick FROM made) m}) =~ s/^\s*//r, '22023', 'malformed reports are errors');
# Or, every other one being wrong, they are refused and the rest is taken, by COPY too, with a line of nulls.
$many = $f->sql('c1', "SELECT make($reports / 10, ($seed + 5) / 1e6)");
$f->sql('c1', qq{COPY (SELECT $wrongly FROM (SELECT *, n % 10 AS wrong, 1 + (random() * 4)::int AS pick FROM made) m
	UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL) TO '$file'});
my $malformed = $f->sql('c1', "$counted = 'malformed'");
taken('malformed ones refused', $many + 1, sub { $f->sql('c1', "SET vectorshard.malformed_reports = refuse; COPY vectorshard.telemetry ($columns) FROM '$file'"); return; });
is($f->sql('c1', "$counted = 'malformed'") - $malformed, $f->sql('c1', 'SELECT 1 + count(*) FROM made WHERE n % 10 < 5'), 'and they are counted');
my ($out, $err);
for my $row ("\\N\t1\t1", "\t1\t1", "x\t\\N\t1", "x\tNaN\t1", "x\t1\t91", ('y' x 256) . "\t1\t1") {
	$f->node('c1')->psql('postgres', "COPY vectorshard.telemetry (client, lon, lat) FROM STDIN;\nx\t1\t1\n$row\n\\.\n", stderr => \$err);
	like($err, qr/ERROR: .*\n(DETAIL|HINT|CONTEXT)/, 'COPY of ' . substr($row, 0, 12) =~ s/\t/ /gr);
}
valid('malformed');

# Memory for 64 clients: one that reports between hundreds of others stays, so its last report is known to be doubled.
$f->node('c1')->append_conf('postgresql.conf', 'vectorshard.max_clients = 64');
$f->node('c1')->restart;
is($f->sql('c1', q{
	DO $$
	DECLARE at timestamptz; kept int := 0;
	BEGIN
		FOR wave IN 1 .. 20 LOOP
			at := clock_timestamp();
			PERFORM vectorshard.report('steady', ST_SetSRID(ST_MakePoint(1, 1), 4326), observed_at => at);
			PERFORM vectorshard.report(array_agg('w' || wave || '_' || i), array_agg(2.0::float8), array_agg(2.0::float8)) FROM generate_series(1, 40) i;
			IF NOT vectorshard.report('steady', ST_SetSRID(ST_MakePoint(1, 1), 4326), observed_at => at) THEN kept := kept + 1; END IF;
		END LOOP;
		PERFORM set_config('test.kept', kept::text, false);
	END $$;
	SELECT current_setting('test.kept')}), '20', 'a client that reports is not forgotten for those that came once');
cmp_ok($f->sql('c1', "$counted = 'dropped'"), '>=', 700, 'others are');
$many = $f->sql('c1', "SELECT make(5000, ($seed + 4) / 1e6)");
taken('too many clients', $many, sub { $f->sql('c1', "INSERT INTO vectorshard.telemetry ($columns) SELECT $columns FROM made ORDER BY n"); return; });

$f->poll('c1', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'vectorshard navigator'}, '1', 'the navigator runs');
unlike(PostgreSQL::Test::Utils::slurp_file($f->node('c1')->logfile), qr/terminated by signal|PANIC|TRAP/, 'nothing crashed');
done_testing();
