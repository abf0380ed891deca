-- The tables that PostgreSQL's regression queries expect (its test_setup.sql and create_index.sql), with a key each. Where the
-- original loads a file, the rows are made here: its columns are all functions of two permutations of 0 … n-1, and any will do,
-- as both runs have the same.
CREATE TABLE char_tbl (f1 char(4));
CREATE TABLE float8_tbl (f1 float8);
CREATE TABLE int2_tbl (f1 int2 PRIMARY KEY);
CREATE TABLE int4_tbl (f1 int4 PRIMARY KEY);
CREATE TABLE int8_tbl (q1 int8, q2 int8, PRIMARY KEY (q1, q2));
CREATE TABLE point_tbl (f1 point);
CREATE TABLE text_tbl (f1 text PRIMARY KEY);
CREATE TABLE varchar_tbl (f1 varchar(4));
CREATE TABLE onek (unique1 int4, unique2 int4, two int4, four int4, ten int4, twenty int4, hundred int4, thousand int4, twothousand int4, fivethous int4,
  tenthous int4, odd int4, even int4, stringu1 name, stringu2 name, string4 name);
CREATE TABLE onek2 (LIKE onek, PRIMARY KEY (unique1));
CREATE TABLE tenk1 (LIKE onek, PRIMARY KEY (hundred, unique1));
ALTER TABLE onek ADD PRIMARY KEY (unique1);
CREATE TABLE person (name text, age int4, location point);
CREATE TABLE emp (salary int4, manager name) INHERITS (person);
CREATE TABLE student (gpa float8) INHERITS (person);
CREATE TABLE stud_emp (percent int4) INHERITS (emp, student);
CREATE INDEX onek_unique2 ON onek (unique2);
CREATE INDEX onek_hundred ON onek (hundred);
CREATE INDEX onek_stringu1 ON onek (stringu1);
CREATE INDEX tenk1_unique1 ON tenk1 (unique1);
CREATE INDEX tenk1_unique2 ON tenk1 (unique2);
CREATE INDEX tenk1_hundred ON tenk1 (hundred);
CREATE INDEX tenk1_thous_tenthous ON tenk1 (thousand, tenthous);
CREATE INDEX tenk2_unique1 ON tenk2 (unique1);
CREATE INDEX tenk2_unique2 ON tenk2 (unique2);
CREATE INDEX tenk2_hundred ON tenk2 (hundred);
CREATE INDEX onek2_u1_prtl ON onek2 (unique1) WHERE unique1 < 20 OR unique1 > 980;
CREATE INDEX onek2_u2_prtl ON onek2 (unique2) WHERE stringu1 < 'B';
CREATE INDEX onek2_stu1_prtl ON onek2 (stringu1) WHERE onek2.stringu1 >= 'J' AND onek2.stringu1 < 'K';
