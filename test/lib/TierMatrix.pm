package TierMatrix;

# What every cell of the crash matrix (065_tier_matrix.pl) needs: a server with a partition and a client that go to stores and come back, readers
# and a writer that survive its crashes, faults of the stores, and places in which a move can be stopped.
#
# A move is stopped by a trigger on the table of moves (and on that of resident clients), which waits for an advisory lock: the work of a step is done then,
# and what it did to a store has happened, but its transaction is open, so the move stands in the state before. No other time is worse for a crash.
use strict;
use warnings;
use Fabric;
use ObjectStores;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my @children;

sub new {
	my ($class) = @_;
	my $self = bless { cell => 0, dir => PostgreSQL::Test::Utils::tempdir, files => PostgreSQL::Test::Utils::tempdir . '/store' }, $class;
	$self->{azure} = ObjectStores->azurite(PostgreSQL::Test::Utils::tempdir);
	$self->{proxy} = $self->{azure}->proxy;
	mkdir $self->{files};
	$self->{f} = Fabric->new(core => 'c1', config => "vectorshard.tiering_interval_ms = 200\nvectorshard.placement_mode = off\nvectorshard.keep_s = 0\n"
		  . "vectorshard.store_timeout_ms = 1000\nrestart_after_crash = on\n");
	$self->make_tables;
	$self->sql("SELECT vectorshard.create_store('files', 'file://$self->{files}')");
	$self->{f}->node('c1')->psql('postgres', "SELECT vectorshard.create_store('blobs', '" . $self->{proxy}->url('') . "'); CREATE USER MAPPING FOR CURRENT_USER SERVER blobs OPTIONS (" . $self->{proxy}->options . ')');
	$self->make_holds;
	$self->{truth} = $self->rows;
	$self->sql("INSERT INTO truth VALUES ('$self->{truth}')");
	return $self;
}

sub sql { my ($self, $sql) = @_; return $self->{f}->sql('c1', $sql); }
# The same when the server may be starting, or the statement may fail.
sub try { my ($self, $sql) = @_; my ($rc, $out) = $self->{f}->node('c1')->psql('postgres', $sql); return $rc ? undef : $out; }
sub wait_sql {
	my ($self, $sql, $what, $timeout) = @_;
	my $until = time + ($timeout // 40);
	while (time < $until) { return 1 if ($self->try($sql) // '') eq 't'; usleep(30_000); }
	push @{ $self->{problems} }, "waited in vain: $what";
	return 0;
}

my $rows = q{(SELECT count(*) || md5(string_agg(e.id || e.words, '|' ORDER BY e.id)) FROM public.event e WHERE at < '2021-01-01') || ' ' ||
	(SELECT count(*) || md5(string_agg(t.id || t.words, '|' ORDER BY t.id)) FROM public.trip t WHERE client = 'car1')};
sub rows { my ($self) = @_; return $self->try("SELECT $rows") // 'unreadable'; }

sub make_tables {
	my ($self) = @_;
	$self->sql(qq{
		CREATE TABLE event (id int, at date NOT NULL, words text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
		CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
		CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
		INSERT INTO event SELECT i, date '2020-01-01' + i % 300, md5(i::text) FROM generate_series(1, 500) i;
		CREATE TABLE trip (client text COLLATE "C", id int, words text, PRIMARY KEY (client, id));
		SELECT vectorshard.create_vector_shard_table('trip', 'client');
		INSERT INTO trip SELECT 'car1', i, repeat(md5(i::text), 5) FROM generate_series(1, 100) i;
		CREATE TABLE truth (rows text);
		CREATE SEQUENCE reads_committed; CREATE SEQUENCE reads_repeatable;
		CREATE TABLE seen (at timestamptz DEFAULT clock_timestamp(), who text, kind text, was text);
		CREATE PROCEDURE read_on(who text) LANGUAGE plpgsql AS \$\$ DECLARE one text; two text; BEGIN
			FOR i IN 1 .. 1000000 LOOP
				BEGIN
					SELECT $rows INTO one; PERFORM pg_sleep(0.02); SELECT $rows INTO two;
					IF one <> (SELECT rows FROM public.truth) OR two <> one THEN INSERT INTO seen (who, kind, was) VALUES (who, 'wrong', one || ' then ' || two); END IF;
					PERFORM nextval('public.reads_' || CASE current_setting('transaction_isolation') WHEN 'repeatable read' THEN 'repeatable' ELSE 'committed' END);
				EXCEPTION WHEN OTHERS THEN
					INSERT INTO seen (who, kind, was) VALUES (who, 'error', SQLSTATE || ' ' || SQLERRM);
				END;
				COMMIT;
				PERFORM pg_sleep(0.02);  -- also after an error: only who waits notices that the server was killed
			END LOOP; END \$\$;
		-- A row of another partition and one of another client in one transaction; what is told was committed.
		CREATE PROCEDURE write_on() LANGUAGE plpgsql AS \$\$ DECLARE n int := (SELECT coalesce(max(id), 0) FROM trip WHERE client = 'busy'); BEGIN
			FOR i IN n + 1 .. n + 1000000 LOOP
				INSERT INTO event VALUES (100000 + i, '2021-06-06', 'new'); INSERT INTO trip VALUES ('busy', i, 'new');
				COMMIT; RAISE NOTICE 'wrote %', i; PERFORM pg_sleep(0.02);
			END LOOP; END \$\$;
	});
	return;
}

sub make_holds {
	my ($self) = @_;
	$self->sql(q{
		CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = 0 SET search_path = pg_catalog AS $$ BEGIN
			PERFORM pg_advisory_xact_lock_shared(77, hashtext(CASE TG_TABLE_NAME WHEN 'resident' THEN 'resident' ELSE to_jsonb(NEW) ->> 'state' END));
			RETURN NULL; END $$;
		CREATE TRIGGER zz_hold AFTER INSERT OR UPDATE ON vectorshard.tier_move FOR EACH ROW EXECUTE FUNCTION hold();
		CREATE TRIGGER zz_hold AFTER INSERT ON vectorshard.resident FOR EACH ROW EXECUTE FUNCTION hold();
		ALTER TABLE vectorshard.tier_move ENABLE ALWAYS TRIGGER zz_hold; ALTER TABLE vectorshard.resident ENABLE ALWAYS TRIGGER zz_hold;
	});
	return;
}

# A psql that begins anew whenever its server goes away; what it says goes into the file `name`.
sub forever {
	my ($self, $name, $sql, $until_done) = @_;
	my $psql = sprintf "psql -XAtq -v ON_ERROR_STOP=1 -d '%s' -f '%s'", $self->{f}->node('c1')->connstr('postgres'), "$self->{dir}/$name.sql";
	ObjectStores::write_file("$self->{dir}/$name.sql", $sql);
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{dir}/$name.out" or POSIX::_exit(1);
		open STDERR, '>&', \*STDOUT;
		exec 'sh', '-c', "until [ -e $self->{dir}/enough ]; do $psql " . ($until_done ? '&& exit 0' : '') . '; sleep 0.1; done' or POSIX::_exit(127);
	}
	push @children, $pid;
	return $pid;
}

sub clients {
	my ($self) = @_;
	for my $level ('READ COMMITTED', 'REPEATABLE READ') { $self->forever(lc $level =~ s/ /_/r, "SET default_transaction_isolation = '$level';\nCALL read_on('$level');\n"); }
	$self->forever('writer', "CALL write_on();\n");
	return;
}

# How often readers of each level have read so far; both have, since then.
sub reads { my ($self) = @_; return [ split /\|/, $self->sql('SELECT c.last_value, r.last_value FROM reads_committed c, reads_repeatable r') ]; }
sub wait_reads {
	my ($self, $since) = @_;
	return $self->wait_sql("SELECT c.last_value > $since->[0] AND r.last_value > $since->[1] FROM reads_committed c, reads_repeatable r", 'readers of both levels to read');
}

# Stops the clients; their sessions are ended by the server.
sub enough {
	my ($self) = @_;
	ObjectStores::write_file("$self->{dir}/enough", '');
	$self->try(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^CALL (read|write)_on'});
	waitpid $_, 0 for splice @children;
	return;
}

# What goes wrong at a store. `gone` is a directory that is not there; the others happen on the way to a store elsewhere.
my %rules = (
	none => [],
	'503' => [ { do => 'status', status => 503, times => 1000 } ],
	reset => [ { do => 'reset', times => 2 }, { do => 'hang', seconds => 3, times => 1 }, { do => 'reset', times => 1000 } ],
	damaged => [ { method => 'GET', do => 'short', times => 1 }, { method => 'GET', do => 'corrupt', times => 1000 } ],
	denied => [ { do => 'status', status => 403, times => 1000 } ],
);
sub faults { return (sort(keys %rules), 'gone'); }
sub store_of { my ($self, $fault) = @_; return $fault eq 'none' || $fault eq 'gone' ? 'files' : 'blobs'; }
sub break {
	my ($self, $fault) = @_;
	if ($fault eq 'gone') { rename $self->{files}, "$self->{files}.away" or die "rename: $!"; }
	else { $self->{proxy}->rules(@{ $rules{$fault} }); }
	unlink glob $self->{f}->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool/read/*' if $fault ne 'none';    # the store is asked, not copies
	return;
}
sub mend {
	my ($self) = @_;
	rename "$self->{files}.away", $self->{files} if -e "$self->{files}.away";
	$self->{proxy}->rules;
	return;
}

# Objects of both stores, as a list for SQL.
sub objects {
	my ($self) = @_;
	my @files = map { s{^\Q$self->{files}\E/}{}r } split /\n/, `find $self->{files} -type f`;
	return join ', ', "('', '')", map({ "('files', '$_')" } @files), map({ "('blobs', '$_')" } $self->{azure}->names);
}

# What is there and should not be, as text.
sub leftovers {
	my ($self) = @_;
	my $read = $self->{f}->node('c1')->data_dir . '/vectorshard/pgsql_tmp_spool';
	my $spool = join ', ', "('')", map { my $name = s{.*/}{}r; "('$name')" } split /\n/, `find $read -type f ! -name '.*'`;
	return $self->try(qq{SELECT coalesce(string_agg(x, '; '), '') FROM (
		SELECT 'object ' || o.key FROM (VALUES ${\$self->objects}) o(store, key) WHERE key <> '' AND NOT EXISTS (SELECT FROM vectorshard.segment s WHERE s.store = o.store AND s.object_key = o.key AND s.state = 'live')
		UNION ALL SELECT 'segment ' || segment || ' is ' || state FROM vectorshard.segment WHERE state <> 'live'
		UNION ALL SELECT 'segment ' || segment || ' of nothing' FROM vectorshard.segment s WHERE NOT EXISTS (SELECT FROM vectorshard.cold_client k WHERE k.segment = s.segment)
			AND NOT EXISTS (SELECT FROM vectorshard.cold_partition p WHERE p.segment = s.segment)
		UNION ALL SELECT 'record of ' || object_key FROM vectorshard.made_object o WHERE NOT EXISTS (SELECT FROM vectorshard.segment s WHERE s.object_key = o.object_key)
		UNION ALL SELECT 'spool file ' || f FROM (VALUES $spool) v(f) WHERE f <> '' AND NOT EXISTS (SELECT FROM vectorshard.segment s WHERE f LIKE s.sha256 || '%')
		UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relname ~ '_(moved|hot)_[0-9]'
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE 'zz\\_vectorshard\\_moving%'
		UNION ALL SELECT 'late write' FROM vectorshard.tier_write
		UNION ALL SELECT client || ' is leaving' FROM vectorshard.resident WHERE leaving
		UNION ALL SELECT 'move ' || move || ' is ' || state FROM vectorshard.tier_move WHERE state NOT IN ('done', 'failed')) x(x)}) // 'the server does not answer';
}

# One pass of the cleaner: a tiering worker that is started tidies once, then not for a minute. Objects are kept for readers with old snapshots: there are
# none any more, when every reader has begun anew twice since nothing refers to the object.
sub clean {
	my ($self) = @_;
	for (1 .. 2) { $self->wait_reads($self->reads); }
	$self->sql($_) for 'ALTER SYSTEM SET vectorshard.object_retention_s = 0', 'SELECT pg_reload_conf()';
	$self->wait_sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'vectorshard tiering'}, 'a worker to end');
	my $until = time + 30;
	my $left;
	while (($left = $self->leftovers) ne '' && time < $until) { usleep(100_000); }
	push @{ $self->{problems} }, "left over: $left" if $left ne '';
	$self->sql($_) for 'ALTER SYSTEM RESET vectorshard.object_retention_s', 'SELECT pg_reload_conf()';
	return;
}

# What the writer was told is there, all of it once.
sub check_writer {
	my ($self) = @_;
	my $told = 0;
	my $said = PostgreSQL::Test::Utils::slurp_file("$self->{dir}/writer.out");
	$told = $1 while $said =~ /wrote (\d+)/g;
	my $got = $self->try(qq{SELECT t.n = t.most AND t.most >= $told AND e.n = t.n FROM (SELECT count(*) AS n, coalesce(max(id), 0) AS most FROM trip WHERE client = 'busy') t,
		(SELECT count(DISTINCT id) AS n FROM event WHERE at = '2021-06-06') e}) // 'unreadable';
	push @{ $self->{problems} }, "the writer was told $told rows: $got" if $got ne 't';
	return;
}

END {
	my $rc = $?;
	kill 'TERM', $_ for @children;
	$? = $rc;
}

1;
