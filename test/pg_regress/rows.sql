-- The rows of tables.sql that the asking node writes.
INSERT INTO char_tbl (f1) VALUES ('a'), ('ab'), ('abcd'), ('abcd    ');
INSERT INTO float8_tbl (f1) VALUES ('0.0'), ('-34.84'), ('-1004.30'), ('-1.2345678901234e+200'), ('-1.2345678901234e-200');
INSERT INTO int2_tbl (f1) VALUES ('0   '), ('  1234 '), ('    -1234'), ('32767'), ('-32767');
INSERT INTO int4_tbl (f1) VALUES ('   0  '), ('123456     '), ('    -123456'), ('2147483647'), ('-2147483647');
INSERT INTO int8_tbl (q1, q2) VALUES ('  123   ', '  456'), ('123   ', '4567890123456789'), ('4567890123456789', '123'),
  (+4567890123456789, '4567890123456789'), ('+4567890123456789', '-4567890123456789');
INSERT INTO point_tbl (f1) VALUES ('(0.0,0.0)'), ('(-10.0,0.0)'), ('(-3.0,4.0)'), ('(5.1, 34.5)'), ('(-5.0,-12.0)'), ('(1e-300,-1e-300)'),
  ('(1e+300,Inf)'), ('(Inf,1e+300)'), (' ( Nan , NaN ) '), ('10.0,10.0');
INSERT INTO text_tbl (f1) VALUES ('doh!'), ('hi de ho neighbor');
INSERT INTO varchar_tbl (f1) VALUES ('a'), ('ab'), ('abcd'), ('abcd    ');
INSERT INTO tenk2 SELECT * FROM wisconsin(10000);
INSERT INTO person (name, age, location) VALUES ('mike', 40, '(3.1,6.2)'), ('joe', 20, '(5.5,2.5)'), ('sally', 34, '(3.8,45.8)'), ('sandra', 19, '(9.345,11.6)');
INSERT INTO emp VALUES ('sharon', 25, '(15,12)', 1000, 'sam'), ('sam', 30, '(10,5)', 2000, 'bill'), ('bill', 20, '(11,10)', 1000, 'sharon');
INSERT INTO student VALUES ('fred', 28, '(3.1,-1.5)', 3.7), ('larry', 60, '(21.8,4.9)', 3.1);
INSERT INTO stud_emp VALUES ('jeff', 23, '(8,7.7)', 600, 'sharon', 3.5, NULL), ('cim', 30, '(10.5,4.7)', 400, NULL, 3.4, NULL), ('linda', 19, '(0.9,6.1)', 100, NULL, 2.9, NULL);
