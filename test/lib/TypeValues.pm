# Values of every type that a column may have: ordinary ones, empty ones, the least and the greatest. Expressions of SQL, in which i is
# the number of the row.
package TypeValues;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT_OK = qw(%values %big no_values);

# Types whose values no SQL can make: they exist inside of indexes only, and their input functions refuse. Columns of them hold nulls.
sub no_values { return qw(gtsvector _gtsvector pg_brin_bloom_summary pg_brin_minmax_multi_summary); }

sub quoted { return map { "'$_'" } @_; }
my $all_bytes = join '', map { sprintf '%02x', $_ } 0 .. 255;
my @oids = ("i % 100000", quoted('0', '4294967295', '2200'));

our %values = (
	bool => [ quoted('t', 'f') ],
	bytea => [ "int4send(i)", "'\\x'", "'\\x$all_bytes'", "'\\x00'" ],
	char => [ quoted('a', ''), "chr(33 + i % 90)::\"char\"", "(-128)::\"char\"" ],
	name => [ "'name' || i", quoted('', 'größe', 'x' x 63) ],
	int8 => [ 'i::int8 * 1000003', quoted('-9223372036854775808', '9223372036854775807', '0', '-1') ],
	int4 => [ 'i', quoted('-2147483648', '2147483647', '0') ],
	int2 => [ 'i % 32768', quoted('-32768', '32767') ],
	int2vector => [ quoted('', '1 2 -32768 32767') ],
	oidvector => [ quoted('', '1 4294967295 0') ],
	regproc => [ quoted('-', 'now', '4294967290') ],
	regprocedure => [ quoted('-', 'abs(int4)', '4294967290') ],
	regoper => [ quoted('0', '4294967290', 'pg_catalog.||/') ],
	regoperator => [ quoted('0', '+(int4,int4)', '4294967290') ],
	regclass => [ quoted('-', 'pg_class', '4294967290') ],
	regcollation => [ quoted('-', '"C"', '4294967290') ],
	regtype => [ quoted('-', 'int4[]', '4294967290') ],
	regrole => [ quoted('-', 'pg_monitor', '4294967290') ],
	regnamespace => [ quoted('-', 'pg_catalog', '4294967290') ],
	regconfig => [ quoted('-', 'simple', '4294967290') ],
	regdictionary => [ quoted('-', 'simple', '4294967290') ],
	text => [ "'words ' || i", quoted('', 'größe 𝄞', ' \\N\t\n ', 'x' x 300) ],
	oid => [@oids],
	xid => [ quoted('0', '1', '4294967295') ],
	xid8 => [ quoted('0', '18446744073709551615'), 'i::text::xid8' ],
	cid => [ quoted('0', '4294967295') ],
	tid => [ quoted('(0,0)', '(4294967295,65535)'), "('(' || i || ',1)')::tid" ],
	json => [ quoted('{"a" :  1, "a": [null, 1e400]}', '""', ' null ', '{}'), "('{\"i\": ' || i || '}')::json" ],
	jsonb => [ quoted('{"b": 1.000, "a": [null, true, "\\\\u00e9\\\\n"]}', '""', 'null', '[]', '-1e300'), "('{\"i\": ' || i || '.50}')::jsonb" ],
	jsonpath => [ quoted('$', 'strict $.a[*] ? (@ > 1.50).size()') ],
	xml => [ quoted('', '<a/>', 'words <b>ö</b>', '<?xml version="1.0"?><a x="1">&amp;</a>', '<?xml version="1.1" standalone="yes"?><a/>', '<?xml version="1.0" encoding="UTF-8"?><a>ä</a>') ],
	pg_node_tree => ['(SELECT adbin FROM pg_attrdef ORDER BY oid LIMIT 1)'],
	pg_ndistinct => ['(SELECT stxdndistinct FROM pg_statistic_ext_data LIMIT 1)'],
	pg_dependencies => ['(SELECT stxddependencies FROM pg_statistic_ext_data LIMIT 1)'],
	pg_mcv_list => ['(SELECT stxdmcv FROM pg_statistic_ext_data LIMIT 1)'],
	point => [ quoted('(1.5,-0)', '(NaN,Infinity)', '(1e-310,-1e308)'), 'point(i, -i)' ],
	lseg => [ quoted('[(1,2),(3,4)]', '[(NaN,0),(Infinity,-Infinity)]') ],
	path => [ quoted('[(1,2)]', '((0,0),(1,1),(NaN,2))') ],
	box => [ quoted('(3,4),(1,2)', '(Infinity,0),(-Infinity,-0)') ],
	polygon => [ quoted('((0,0),(1,1),(1,0))', '((1,2))') ],
	line => [ quoted('{1,-1,0}', '{0,1e300,-5}') ],
	circle => [ quoted('<(1,2),3>', '<(NaN,0),0>', '<(0,0),Infinity>') ],
	float4 => [ 'i / 7.0', quoted('NaN', 'Infinity', '-Infinity', '-0', '1e-45', '3.4028235e38', '-1.17549435e-38') ],
	float8 => [ 'i / 7.0', quoted('NaN', 'Infinity', '-Infinity', '-0', '4.9406564584124654e-324', '1.7976931348623157e308', '2.2250738585072014e-308') ],
	money => [ "(i / 7.0)::numeric::money", "(-9223372036854775808)::numeric * 0.01::numeric * '\$1.00'::money", "'92233720368547758.07'" ],
	macaddr => [ quoted('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '08:00:2b:01:02:03') ],
	macaddr8 => [ quoted('00:00:00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff:ff:ff') ],
	inet => [ quoted('0.0.0.0/0', '255.255.255.255', '10.1.2.3/8', '::/0', '2001:db8::1/64', '::ffff:1.2.3.4') ],
	cidr => [ quoted('0.0.0.0/0', '10.0.0.0/8', '::/0', '2001:db8::/32') ],
	aclitem => [ quoted('=r/pg_signal_backend', 'pg_monitor=r*w/pg_monitor', 'pg_signal_backend=arwdDxt/pg_monitor') ],
	bpchar => [ "'words ' || i", quoted('', '   ', 'a  ') ],
	varchar => [ "'words ' || i", quoted('', 'größe') ],
	date => [ "'2000-01-01'::date + i % 10000", quoted('infinity', '-infinity', '0001-01-01 BC', '4713-01-01 BC', '5874897-12-31', '1970-01-01') ],
	time => [ quoted('00:00', '24:00', '23:59:59.999999') ],
	timetz => [ quoted('00:00+15:59:59', '24:00-15:59:59', '23:59:59.999999+00') ],
	timestamp => [ "'2000-01-01'::timestamp + i * interval '1.000001 s'", quoted('infinity', '-infinity', '0001-01-01 BC', '4713-01-01 BC', '294276-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999') ],
	timestamptz => [ "'2000-01-01'::timestamptz + i * interval '1.000001 s'", quoted('infinity', '-infinity', '0001-01-01 BC+00', '4713-01-02 BC+00', '294276-12-31 23:59:59.999999+00', '1969-12-31 23:59:59.999999+00') ],
	interval => [ "i * interval '1.000001 s'", quoted('-178000000 years', '178000000 years', '1 mon -1 day 00:00:00.000001', '-2147483648 days', '0', '-2562047788:00:54.775807') ],
	bit => [ "B'1'", "B'0'" ],
	varbit => [ "B''", "B'101010101'", 'i::bit(32)::varbit' ],
	numeric => [ 'i / 7.0', quoted('NaN', 'Infinity', '-Infinity', '0', '0.000', '-1.50', '123456789012345678901234567890.1234567890123456789') ],
	refcursor => [ quoted('', 'a cursor') ],
	uuid => [ "md5(i::text)::uuid", quoted('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff') ],
	pg_lsn => [ quoted('0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848') ],
	tsvector => [ quoted('', 'a:1A,2B b:16383', 'words'), "to_tsvector('simple', 'number ' || i)" ],
	tsquery => [ quoted('', 'a & !(b | c:*AB) <5> d') ],
	txid_snapshot => [ quoted('1:1:', '10:20:10,14,15') ],
	pg_snapshot => [ quoted('1:1:', '10:20:10,14,15') ],
	(map { ($_->[0] . 'range' => [ quoted('empty', '(,)', "[$_->[1],)", "[$_->[1],$_->[2])") ], $_->[0] . 'multirange' => [ quoted('{}', '{(,)}', "{[$_->[1],$_->[2])}") ]) }
		[ 'int4', -5, 2147483647 ], [ 'int8', -5, '9223372036854775807' ], [ 'num', '-1.50', '1e30' ], [ 'date', '0044-03-15 BC', 'infinity' ],
		[ 'ts', '0001-01-01 BC', 'infinity' ], [ 'tstz', '0001-01-01 BC+00', 'infinity' ]),
);

# Once in 100,000 rows: a megabyte, or a numeric with all digits there are.
our %big = (
	text => "repeat(md5(i::text), 32768)",
	numeric => "'9e131071'::numeric + '1e-16383'::numeric",
	bytea => "decode(repeat(md5(i::text), 65536), 'hex')",
	jsonb => "to_jsonb(repeat(md5(i::text), 32768))",
	xml => "('<a>' || repeat(md5(i::text), 32768) || '</a>')::xml",
);
1;
