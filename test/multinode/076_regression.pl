# Topology: core nodes c1 and c2, edge e1; c2 asks. Clients have their homes on both cores; some are also on the edge, some in a store.
# Proves: PostgreSQL's own regression queries (test/pg_regress) give on vector-shard tables, statement by statement, what they give on
# plain tables of the same server, but for the differences that test/pg_regress/differences.txt lists with their reasons; a listed
# difference that does not occur fails too. REGRESSION_FILES="join with" runs some of the files.
use strict;
use warnings;
use Fabric;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Regression;
use Test::More;
use Time::HiRes qw(time);

my $here = 'test/pg_regress';
my @files = split ' ', $ENV{REGRESSION_FILES} // 'join aggregates subselect update returning with window select select_having select_implicit union groupingsets case tsrf prepare delete';

# The client column of each table: 'k' is a key that the table gets in both runs, '+column' is made the key.
my %loaded = (float8_tbl => 'k', int2_tbl => 'f1', int4_tbl => 'f1', int8_tbl => 'q1', point_tbl => 'k', text_tbl => 'f1', varchar_tbl => 'k',
	onek => 'unique1', onek2 => 'unique1', tenk1 => 'hundred');
# And those that the files make.
my %tables = (
	join => [qw(j1_tbl j2_tbl t1 t2 t3 t2.2=plain x y tt1 tt2 tt4 tt5 tt6 xx yy zt1 zt2 zt3 nt1 a b join_ut1 innertab parent j1 j2)],
	aggregates => [qw(aggtest regr_test bytea_test_table t1 t1.1=plain t2 t2.1=plain)],
	subselect => [qw(subselect_tbl foo bar orderstest parts shipped numeric_table float_table t1 table_a outer_7597 inner_7597 outer_text inner_text notinouter notininner
		ta tb tc upsert sq_limit)],
	update => [qw(update_test mintab non_parted)],
	returning => [qw(foo joinme)],
	with => [qw(duplicates graph0 graph y x bug6051_2 yy)],
	window => [qw(empsalary numerics datetimes t1)],
	select => ['foo'], select_having => ['test_having'], select_implicit => ['test_missing_target'], union => ['t1'], groupingsets => ['bug_16784'],
	case => [qw(case_tbl case2_tbl)], tsrf => ['few'], prepare => [], delete => ['delete_test'],
);

my $f = Fabric->new(core => 'c1', edges => [], config => "vectorshard.placement_mode = off\nvectorshard.keep_s = 100000\nvectorshard.tiering_interval_ms = 500\nautovacuum = off");
$f->add_server($_) for 'c2', 'e1';
$f->join('c2', kind => 'core');
$f->join('e1');
my @nodes = ('c1', 'c2', 'e1');
my $dir = PostgreSQL::Test::Utils::tempdir();
mkdir "$dir/store";
my $asker = $f->node('c2');

sub file { my ($name) = @_; return slurp_file("$here/$name"); }

# One script in psql, both outputs together as they come.
sub psql_script {
	my ($database, $name, $script) = @_;
	open my $out, '>', "$dir/$name.sql" or die $!;
	print $out $script;
	close $out;
	my $got = '';
	open my $in, '<', "$dir/$name.sql" or die $!;
	local $ENV{PGTZ} = 'PST8PDT';
	IPC::Run::run([ 'psql', '-Xq', '-d', $asker->connstr($database) ], '<', $in, '>', \$got, '2>&1', IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	close $in;
	return $got;
}

# The tables and their rows, as plain ones.
$asker->safe_psql('postgres', 'CREATE DATABASE plain');
my $keys = join '', map { "ALTER TABLE $_ ADD COLUMN k_$_ serial PRIMARY KEY;" } grep { $loaded{$_} eq 'k' } sort keys %loaded;
$asker->safe_psql('plain', file('functions.sql') . file('tables.sql') . $keys
	  . join('', map { "ALTER TABLE $_ ADD COLUMN _version bigint NOT NULL DEFAULT 1800000000000000000;" } sort keys %loaded) . file('rows.sql')
	  . join('', map { "INSERT INTO $_ SELECT * FROM wisconsin(1000);" } 'onek', 'onek2') . 'INSERT INTO tenk1 SELECT * FROM wisconsin(10000); ANALYZE');

# And in the fabric: each client's rows come where its number says.
$f->sql($_, file('functions.sql')) for @nodes;
$f->sql('c2', file('tables.sql') . $keys);
$f->sql('c2', "SELECT vectorshard.create_vector_shard_table('$_', '" . ($loaded{$_} eq 'k' ? "k_$_" : $loaded{$_}) . "')") for sort keys %loaded;
my $names = join ',', sort keys %loaded;
$f->poll($_, "SELECT count(*) FROM pg_trigger WHERE tgname = 'zz_vectorshard_before' AND tgrelid::regclass::text = ANY ('{$names}')", '10', "$_ has the tables") for @nodes;
note time - $^T, ' s';
my @third = map { "WHERE hundred % 3 = $_" } 0 .. 2;
$f->sql('c1', join ';', map { ("INSERT INTO onek SELECT * FROM wisconsin(1000) $_", "INSERT INTO tenk1 SELECT * FROM wisconsin(10000) $_") } @third[ 0, 2 ]);
$f->sql('c2', join ';', map { ("INSERT INTO onek SELECT * FROM wisconsin(1000) $_", "INSERT INTO tenk1 SELECT * FROM wisconsin(10000) $_") } $third[1]);
$f->sql($nodes[$_], "INSERT INTO onek2 SELECT * FROM wisconsin(1000) $third[$_]") for 0 .. 2;
$f->sql('c2', file('rows.sql'));
$f->sql('c1', "SELECT vectorshard.create_store('attic', 'file://$dir/store')");

# Off the asking node goes what has its home elsewhere; some of its own clients and of c1's go into the store.
my $evict = q{SELECT count(*) FROM (SELECT vectorshard.evict(r.client) FROM vectorshard.resident r JOIN vectorshard.client c USING (client)
  WHERE c.home <> vectorshard.self_node() AND r.confirmed) x};
$f->sql('c2', $evict);
for my $round (1, 2) {
	# Twice more than half of what may be asked of the holder worker at once: what has ended makes room.
	$f->sql('c2', "INSERT INTO onek2 SELECT * FROM wisconsin(1000) $third[0] ON CONFLICT DO NOTHING");
	cmp_ok($f->sql('c2', $evict), '>', 300, "c2 lets many clients go, $round");
}
my $number = $f->sql('c2', 'SELECT vectorshard.self_node()');
$f->poll('c1', "SELECT count(*) FROM vectorshard.holder WHERE node = $number AND state IN ('copying', 'live') AND client IN (SELECT client FROM vectorshard.client WHERE home = vectorshard.self_node())", '0', 'c1 knows that they are gone');
for my $n ('c1', 'c2') {
	my $cold = $f->sql($n, q{WITH own AS (SELECT client FROM vectorshard.client WHERE home = vectorshard.self_node() AND client ~ '^[0-9]+$'
	  AND client NOT IN (SELECT client FROM vectorshard.holder WHERE node <> vectorshard.self_node() AND state IN ('copying', 'live')) AND client::numeric % 10 < 2 ORDER BY length(client), client LIMIT 40)
	  SELECT count(vectorshard.move_to_cold(client)) FROM own});
	is($cold, '40', "$n packs clients");
}
$f->poll($_, q{SELECT count(*) FROM vectorshard.placements WHERE node = (SELECT name FROM vectorshard.nodes WHERE is_self) AND state = 'cold'}, '40', "$_ has clients in the store") for 'c1', 'c2';
$f->sql('c2', 'ANALYZE');
note $f->sql('c2', q{SELECT node, is_home, state, count(*) FROM vectorshard.placements GROUP BY 1, 2, 3});
note time - $^T, ' s';

open my $between, '>', "$dir/between.sh" or die $!;
print $between "psql -XAtq -d '", $asker->connstr('postgres'), "' -c \"$evict\" >/dev/null 2>>'$dir/between.log'\n";
close $between;
open my $wait, '>', "$dir/wait.sh" or die $!;
print $wait "for i in \$(seq 200); do n=0\n";
print $wait "  [ \"\$(psql -XAtq -d '", $f->node($_)->connstr('postgres'), "' -c \"SELECT count(*) FROM pg_class WHERE oid = to_regclass('\$1') AND (\$2 = 0 OR relhastriggers)\")\" = \$2 ] || n=1\n" for @nodes;
print $wait "  [ \$n = 0 ] && exit; sleep 0.1; done; echo \"waited for \$1 in vain\"\n";
close $wait;
my %listed;
for (split /\n/, file('differences.txt')) { $listed{$1}{$2} = 1 if /^(\w+) ([?-]?\d+: .*)/; }
for my $name (@files) {
	my $r = Regression->new(file => "$here/$name.sql", schema => "of_$name", tables => { map { /(.*)=(.*)/ ? ($1 => $2) : ($_ => 1) } @{ $tables{$name} } });
	for (grep { /^-/ } keys %{ $listed{$name} }) { delete $listed{$name}{$_}; $r->leave_out(substr $_, 1); }
	my $began = time;
	my $plain = psql_script('plain', $name, $r->script);
	note time - $began, ' s plain';
	my $fabric = psql_script('postgres', $name, $r->script(fabric => 1, between => "sh '$dir/between.sh'", wait => "sh '$dir/wait.sh'", before => "SET statement_timeout = '60s';"));
	note "$name: $r->{enrolled} tables, ", scalar @{ $r->{statements} }, ' statements, ', time - $began, ' s';
	my @wrong = $r->compare($plain, $fabric);
	my $unlisted = 0;
	for my $w (@wrong) {
		my $known = $r->name_of($w->{n});
		next if delete $listed{$name}{$known} || delete $listed{$name}{"?$known"};
		$unlisted++;
		diag("$name $known\n$r->{statements}[$w->{n}]{text}\n--- plain\n$w->{plain}--- fabric\n$w->{fabric}");
	}
	is($unlisted, 0, "$name: " . @{ $r->{statements} } . ' statements give what they give on plain tables, or what is listed');
	is(join("\n", grep { !/^\?/ } sort keys %{ $listed{$name} }), '', "$name: what is listed occurs");
}
note -e "$dir/between.log" ? slurp_file("$dir/between.log") : '';
done_testing();
