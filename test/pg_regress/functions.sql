-- On every node: what makes rows of the Wisconsin benchmark, and a table of them that stays a plain one.
CREATE TABLE tenk2 (unique1 int4, unique2 int4, two int4, four int4, ten int4, twenty int4, hundred int4, thousand int4, twothousand int4, fivethous int4,
  tenthous int4, odd int4, even int4, stringu1 name, stringu2 name, string4 name);
CREATE FUNCTION four_letters(n int) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$SELECT chr(65 + n % 26) || chr(65 + n / 26 % 26) || chr(65 + n / 676 % 26) || chr(65 + n / 17576 % 26)$$;
CREATE FUNCTION wisconsin(n int) RETURNS SETOF tenk2 LANGUAGE sql AS $$
  SELECT u1, u2, u1 % 2, u1 % 4, u1 % 10, u1 % 20, u1 % 100, u1 % 1000, u1 % 2000, u1 % 5000, u1, u1 % 100 * 2, u1 % 100 * 2 + 1,
    reverse(four_letters(u1 / 26)) || 'xx', four_letters(u2) || 'xx', (ARRAY['AAAAxx', 'HHHHxx', 'OOOOxx', 'VVVVxx'])[u2 % 4 + 1]
  FROM (SELECT (i * 7919 + 42) % n AS u1, i AS u2 FROM generate_series(0, n - 1) i) x$$;
