# Topology: servers core and mission, which the examples of docs/reference.md make a fabric of.
# Proves: every ```sql block of docs/reference.md runs without an error, in the order of the page; every heading that names an
# object has one; arguments and columns in the headings are those of the object; the table of settings is that of the server.
#
# Put in for what stands in an example: 10.0.0.1 and 10.0.0.2 with port 5432 (the two servers), dbname 'app', password '…',
# file:///srv (a directory of the test).
use strict;
use warnings;
use FindBin;
use Fabric;
use PostgreSQL::Test::Utils;
use Test::More;

my $f = Fabric->new(core => 'core', edges => ['mission'], auth => 'scram', connect => 0,
	config => "vectorshard.tiering_interval_ms = 500\nvectorshard.store_key_file = 'keys'\n");
for my $node ('core', 'mission') {
	open my $out, '>', $f->node($node)->data_dir . '/keys' or die $!;
	print $out '2026-01 ', 'ab' x 32, "\n";
	close $out;
	chmod 0600, $f->node($node)->data_dir . '/keys';
}
my $page = slurp_file("$FindBin::RealBin/../../docs/reference.md");
my $store = PostgreSQL::Test::Utils::tempdir();
mkdir "$store/$_" or die "mkdir: $!" for 'cold', 'attic', 'vault';
my %port = ('10.0.0.1' => $f->node('core')->port, '10.0.0.2' => $f->node('mission')->port);

sub localized {
	my ($sql) = @_;
	for my $host (keys %port) {
		$sql =~ s/host=\Q$host\E port=5432/host=127.0.0.1 port=$port{$host}/g;
		$sql =~ s/host '\Q$host\E', port '5432'/host '127.0.0.1', port '$port{$host}'/g;
	}
	$sql =~ s/dbname 'app'/dbname 'postgres'/g;
	$sql =~ s/(password) '…'/$1 'right'/gi;
	$sql =~ s{file:///srv/}{file://$store/}g;
	return $sql;
}

# The page in pieces: [section, heading, text]. Under a heading of level 2 without one of level 3, the heading is empty.
my (@pieces, $section);
for my $piece (split /^(?=###? )/m, $page) {
	my ($level, $title, $text) = $piece =~ /\A(###?) ([^\n]*)\n(.*)\z/s or next;
	$section = $title if $level eq '##';
	push @pieces, [ $section, $level eq '##' ? '' : $title, $text ];
}
cmp_ok(scalar(@pieces), '>', 50, 'the page has sections');

# Where a section's examples run; core, if it is not here.
my %runs_on = (Telemetry => 'mission', Prediction => 'mission', Placement => 'mission', Reading => 'mission');
my $here = { join_fabric => 'mission' };

# What must be there before the examples of a section or an object.
my %before = (
	create_fabric => sub { $f->sql('core', 'DROP ROLE fabric') },  # the page makes it
	remove_node => sub {    # a node whose server never came up
		$f->sql('core', q{SELECT vectorshard.register_here('harbour', 'edge', gen_random_uuid(), '127.0.0.1', 1, 'postgres',
			ST_SetSRID(ST_MakePoint(-122.39, 37.80), 4326)::text, NULL, vectorshard.wall_clock_ms())});
	},
	Telemetry => sub {
		$f->sql('core', q{INSERT INTO trip (car, note) SELECT 'cab-' || c, 'note ' || i FROM generate_series(7, 9) c, generate_series(1, 5) i});
		$f->poll('mission', q{SELECT count(*) FROM vectorshard.client WHERE client LIKE 'cab-%'}, '3', 'mission knows the clients');
		$f->poll('mission', q{SELECT count(*) FROM trip}, '15', 'and reads their rows');
	},
	Prediction => sub {
		$f->poll('mission', q{SELECT count(*) FROM vectorshard.resident WHERE client IN ('cab-7', 'cab-8')}, '2', 'reports bring clients');
	},
	evict => sub {
		$f->poll('mission', q{SELECT state FROM vectorshard.placements WHERE client = 'cab-7' AND node = 'mission'}, 'live', 'place() keeps the copy');
	},
	Shipping => sub {
		is($f->sql('mission', q{SELECT count(*) FROM vectorshard.resident WHERE client = 'cab-7'}), '0', 'evict() has let the client go');
	},
	'move_to_cold(partition' => sub {
		$f->poll('core', q{SELECT state FROM vectorshard.tier_moves WHERE subject = 'cab-9' ORDER BY move DESC LIMIT 1}, 'done', 'the client is in the store');
		$f->sql('core', q{CREATE TABLE event (id bigint NOT NULL, at date NOT NULL, words text) PARTITION BY RANGE (at);
			CREATE TABLE event_2020 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
			INSERT INTO event SELECT i, date '2020-01-01' + i, 'word' FROM generate_series(1, 100) i});
	},
	'move_to_hot(partition' => sub {
		$f->poll('core', q{SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname = 'event_2020'}, 'vectorshard_cold', 'the partition is in the store');
	},
	forget_client => sub { $f->sql('core', q{INSERT INTO trip (car, note) VALUES ('cab-3', 'note')}) },
	segment_rows => sub {
		$f->poll('core', q{SELECT relkind FROM pg_class WHERE relname = 'event_2020'}, 'r', 'the partition is back');
		is($f->sql('core', q{SELECT count(*) FROM event}), '100', 'with its rows');
		is($f->sql('core', q{SELECT count(*) FROM ONLY trip WHERE car = 'cab-9'}), '5', 'and so is the client');
	},
);
# Errors that the page tells applications to retry.
my $retry = qr/ERROR:\s+(40001|55P03)/;

sub run_block {
	my ($node, $sql, $what) = @_;
	my ($rc, $out, $err);
	$f->wait_for(sub {
		($rc, $out, $err) = $f->node($node)->psql('postgres', localized($sql), extra_params => [ '-v', 'VERBOSITY=verbose' ]);
		return $rc == 0 || $err !~ $retry;
	}, 10);
	ok($rc == 0 && $err !~ /ERROR/, $what) or diag("on $node:\n$sql$err");
	return;
}

# Names of arguments (or columns) in a list as the headings write it.
sub names { return join ',', map { /^\s*"?(\w+)/ ? $1 : '?' } split /,/, $_[0]; }

# What there is: 'name(arguments) → (result columns)' of functions, 'name(columns)' of views and foreign tables.
my @there = split /\n/, $f->sql('core', q{
	SELECT format('%s(%s) → (%s)', p.proname,
	         (SELECT string_agg(n, ',' ORDER BY i) FROM unnest(p.proargnames) WITH ORDINALITY u (n, i)
	           WHERE p.proargmodes IS NULL OR p.proargmodes[i] = 'i'),
	         (SELECT string_agg(n, ',' ORDER BY i) FROM unnest(p.proargnames) WITH ORDINALITY u (n, i) WHERE p.proargmodes[i] IN ('t', 'o')))
	  FROM pg_proc p WHERE p.pronamespace = 'vectorshard'::regnamespace
	UNION ALL
	SELECT format('%s(%s)', c.relname, (SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a
	                                    WHERE a.attrelid = c.oid AND a.attnum > 0))
	  FROM pg_class c WHERE c.relnamespace = 'vectorshard'::regnamespace AND c.relkind IN ('v', 'f')});

sub check_heading {
	my ($heading) = @_;
	my ($name, $list, $result) = $heading =~ /^`(\w+)(?:\(([^)]*)\))?(?: → (.*))?`$/ or return fail("heading: $heading");
	my @same = grep { /^\Q$name\E\(/ } @there;
	return ok(@same > 0, "$name is there") unless defined $list;
	my $relation = "$name(" . names($list) . ')';
	my $function = "$relation → (" . ((($result // '') =~ /^\((.*)\)$/) ? names($1) : '') . ')';
	return ok((grep { $_ eq $relation || $_ eq $function } @same), "arguments or columns of $name")
	  || diag("the page has $function; there is @same");
}

my %prepared;
for my $piece (@pieces) {
	my ($in, $heading, $text) = @$piece;
	my ($object) = $heading =~ /^`(\w+)/;
	my @keys = ($in, $object // '', $heading =~ /^`(\w+\(\w+)/ ? $1 : '');
	for my $key (grep { $before{$_} && !$prepared{$_} } @keys) { $prepared{$key} = 1; $before{$key}->(); }
	my @blocks = $text =~ /^```sql\n(.*?)^```$/msg;
	my $what = $heading || $in;
	ok(@blocks > 0, "an example of $what") if $object;
	run_block($here->{ $object // '' } // $runs_on{$in} // 'core', $_, "example of $what") for @blocks;
	check_heading($heading) if $object;
}

# Settings: name, default and context as the server has them.
my %context = (reload => 'sighup', session => 'user', superuser => 'superuser', start => 'postmaster');
my @rows = $page =~ /^\| `(vectorshard\.\w+ *` \| [^|]+ \| [^|]+ \| \w+) \|/mg;
my $settings = join "\n", sort map { my ($name, $default, undef, $context) = split / \| /; $name =~ s/`//; "$name|$default|$context{$context}" } @rows;
is($settings, $f->sql('core', q{SELECT name, boot_val, context FROM pg_settings WHERE name LIKE 'vectorshard.%' ORDER BY name || '|' COLLATE "C"}), 'settings');
is(join(' ', grep { !$prepared{$_} } sort keys %before), '', 'every preparation found its place');

done_testing();
