-- Partitions of auth_failures: made by themselves, ahead of need, and never in the way of a row. Other sessions are
-- dblink connections; what they see is committed, so this file ends in no ROLLBACK: its database is its own.
SELECT * FROM no_plan();
CREATE EXTENSION dblink;
SELECT format('host=%s dbname=%s user=postgres', split_part(current_setting('unix_socket_directories'), ',', 1),
    current_database()) AS here \gset
SELECT dblink_connect('other', :'here');

CREATE VIEW weeks AS
    SELECT c.oid::regclass::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'pgsasl.auth_failures'::regclass AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT';
CREATE FUNCTION lies_in(attempt uuid) RETURNS text LANGUAGE sql
AS $$ SELECT tableoid::regclass::text FROM pgsasl.auth_failures WHERE attempt_id = attempt $$;
CREATE FUNCTION week_name(at timestamptz) RETURNS text LANGUAGE sql
AS $$ SELECT 'pgsasl.auth_failures_' || to_char(date_trunc('week', at AT TIME ZONE 'UTC'), 'YYYY_MM_DD') $$;
CREATE FUNCTION drop_weeks() RETURNS void LANGUAGE plpgsql AS $$
DECLARE week text;
BEGIN
    FOR week IN SELECT name FROM weeks LOOP EXECUTE 'DROP TABLE ' || week; END LOOP;
    DELETE FROM pgsasl.auth_failures;
END
$$;

-- as loaded
SELECT set_eq('SELECT name FROM weeks', ARRAY[week_name(now()), week_name(now() + interval '7 days')],
    'this week''s and next week''s partitions stand from the start');
SELECT pgsasl.make_partitions();
SELECT is(count(*), 2::bigint, 'making them again makes nothing') FROM weeks;
SELECT is(pgsasl.partition_name(at::timestamptz), 'auth_failures_' || name, 'the week of ' || at)
FROM (VALUES ('2026-01-25 23:59:59.999999+00', '2026_01_19'), ('2026-01-26 00:00:00+00', '2026_01_26'),
    ('2026-01-26 00:30:00+01', '2026_01_19'), ('2024-12-31 12:00+00', '2024_12_30')) AS t (at, name);
SET timezone = 'America/New_York';
SELECT is(pgsasl.partition_name('2026-01-26 00:00:00+00'), 'auth_failures_2026_01_26', 'whatever the session''s time zone');
SET timezone = 'UTC';

-- every time has a place
SELECT lives_ok(format('SELECT failure(%L, occurred_at => %L)', 'any time', at), 'a row of ' || at)
FROM unnest(ARRAY['-infinity', '0044-03-15 12:00 BC', '1970-01-01', '2001-01-01', now() - interval '8 days', now(),
    now() + interval '8 days', '2101-01-01', '294276-01-01', 'infinity']::timestamptz[]) AS at;
SELECT is(count(*), 10::bigint, 'none was refused') FROM pgsasl.auth_failures WHERE username = 'any time';

-- by themselves, ahead of need
SELECT drop_weeks();
SELECT failure('first', '11111111-0000-7000-8000-000000000000');
SELECT set_eq('SELECT name FROM weeks', ARRAY[week_name(now()), week_name(now() + interval '7 days')],
    'a failure makes both partitions where they are missing');
SELECT is(lies_in('11111111-0000-7000-8000-000000000000'), week_name(now()), 'and lies in its own');
SELECT is(count(*), 6::bigint, 'with its indexes') FROM pg_indexes
WHERE schemaname = 'pgsasl' AND tablename = substr(week_name(now()), 8);
SELECT is(has_table_privilege('public', week_name(now()), 'SELECT'), false, 'and open to nobody');
SELECT drop_weeks();
SELECT as_role('pgsasl_plugin', $$SELECT pgsasl.record_failure(jsonb_build_object('occurred_at', now(),
    'attempt_id', '22222222-0000-7000-8000-000000000000', 'username', 'app', 'reason', 'unknown_user'))$$);
SELECT is(lies_in('22222222-0000-7000-8000-000000000000'), week_name(now()), 'the plugin''s role needs no right to it');

-- a long report, a dump: another session reads the audit table and stays in its transaction
SELECT drop_weeks();
SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', 'SELECT count(*) FROM pgsasl.auth_failures') AS t (n bigint);
SET lock_timeout = '1s'; -- a row that waits for the other session is an error
SELECT lives_ok($$SELECT failure('meanwhile', '33333333-0000-7000-8000-000000000000')$$, 'a report makes no row wait');
SELECT is(lies_in('33333333-0000-7000-8000-000000000000'), 'pgsasl.auth_failures_default', 'the default partition has it');
SELECT throws_ok('SELECT pgsasl.make_partitions()', '55P03', NULL, 'make_partitions says that it can not');
SELECT dblink_exec('other', 'COMMIT');
SELECT failure('afterwards', '44444444-0000-7000-8000-000000000000');
SELECT is(lies_in('44444444-0000-7000-8000-000000000000'), week_name(now()), 'the next failure makes the partition');
SELECT is(lies_in('33333333-0000-7000-8000-000000000000'), week_name(now()), 'and takes along what waited');
SELECT is(count(*), 0::bigint, 'the default partition is empty again') FROM pgsasl.auth_failures_default;

-- an open insert of another session
SELECT drop_weeks();
SELECT dblink_exec('other', 'BEGIN');
SELECT dblink_exec('other', $$INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, reason, failed_checks)
    VALUES (gen_random_uuid(), '2001-01-01', 'throttled', '{throttled}')$$);
SELECT lives_ok($$SELECT failure('meanwhile', '55555555-0000-7000-8000-000000000000')$$, 'nor does an open insert');
SELECT dblink_exec('other', 'COMMIT');
SELECT is(count(*), 2::bigint, 'both rows are there') FROM pgsasl.auth_failures;

-- next week's partition just being made, by a session that does not come to its COMMIT
SELECT pgsasl.make_partitions();
SELECT format('DROP TABLE %s', week_name(now() + interval '7 days')) \gexec
SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', 'SELECT pgsasl.make_partitions()::text') AS t (nothing text);
SELECT lives_ok($$SELECT failure('meanwhile', '77777777-0000-7000-8000-000000000000')$$, 'nor does a partition being made');
SELECT dblink_exec('other', 'ROLLBACK');
SELECT is(lies_in('77777777-0000-7000-8000-000000000000'), week_name(now()), 'the row is in its week');

-- rows that wait for no partition stay; a default partition that has grown is left to a person
SELECT pgsasl.make_partitions();
SELECT is(count(*), 1::bigint, 'a row of another time stays in the default partition') FROM pgsasl.auth_failures_default;
SELECT drop_weeks();
INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, reason, failed_checks, detail)
SELECT gen_random_uuid(), now() - n * interval '1 second', 'throttled', '{throttled}', repeat('x', 400)
FROM generate_series(1, 20000) AS n;
SELECT is(current_setting('pgsasl.told_default_is_large', true), NULL, 'nothing has been said of a large one');
SELECT failure('on top', '66666666-0000-7000-8000-000000000000');
SELECT is(current_setting('pgsasl.told_default_is_large'), 'yes', 'a failure says once for the connection that it is large');
SELECT is(string_agg(fault, '; '), format('auth_failures has no partition %s; auth_failures has no partition %s; the default '
    'partition of auth_failures has %s, so record_failure() makes no partitions', pgsasl.partition_name(now()),
    pgsasl.partition_name(now() + interval '7 days'), pg_size_pretty(pg_relation_size('pgsasl.auth_failures_default'))),
    'and partition_faults() for everybody')
FROM pgsasl.partition_faults();
SELECT is(lies_in('66666666-0000-7000-8000-000000000000'), 'pgsasl.auth_failures_default',
    'a login does not move thousands of rows');
SELECT pgsasl.make_partitions();
SELECT is(count(*), 20001::bigint, 'make_partitions does, and loses none') FROM pgsasl.auth_failures;
SELECT is(lies_in('66666666-0000-7000-8000-000000000000'), week_name(now()), 'the row has moved');
SELECT 'SELECT pgsasl.make_partitions() FROM pg_sleep(0.2)' FROM generate_series(1, 5) \gexec
SELECT is_empty('SELECT fault FROM pgsasl.partition_faults()', 'and nothing is wrong any more');
SELECT format('DROP TABLE %s', week_name(now() + interval '7 days')) \gexec
SELECT failure('later');
SELECT is(count(*), 2::bigint, 'so a failure makes the next partition again') FROM weeks;

-- so does a purge, beside rows that stay in the default partition
INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, reason, failed_checks, detail)
SELECT gen_random_uuid(), CASE WHEN n <= 100 THEN '2021-06-01' ELSE '2019-06-01' END::timestamptz + n * interval '1 second',
    'throttled', '{throttled}', repeat('x', 400)
FROM generate_series(1, 20000) AS n;
SELECT pgsasl.add_user('kept', 'a long password') \g /dev/null
SELECT failure('kept', occurred_at => '2021-06-01');
SELECT format('DROP TABLE %s', week_name(now() + interval '7 days')) \gexec
SELECT is(count(*), 2::bigint, 'a large default partition') FROM pgsasl.partition_faults();
SELECT is(pgsasl.purge_failures(now() - '2020-01-01'), '0 partitions dropped, 19900 rows deleted from the default one',
    'a purge');
SELECT is(count(*), 1::bigint, 'makes the partition') FROM pgsasl.partition_faults();
-- more than once, because a statement of another session (autovacuum) may still see what was deleted
SELECT $$SELECT pgsasl.purge_failures(now() - '2020-01-01'), pg_sleep(0.5 * (f.fault IS NOT NULL)::integer)
    FROM (SELECT) AS one LEFT JOIN pgsasl.partition_faults() f ON true$$ FROM generate_series(1, 10) \gexec
SELECT is_empty('SELECT fault FROM pgsasl.partition_faults()', 'and later ones leave the default partition small');
SELECT is(ROW(count(*), pg_relation_size('pgsasl.auth_failures_default') < 200000)::text, '(101,t)', 'with what is newer')
FROM pgsasl.auth_failures_default;
SELECT is(count(*), 1::bigint, 'and its guesses count once') FROM pgsasl.recent_guesses WHERE username = 'kept';
DELETE FROM pgsasl.auth_failures_default;

-- reports read the weeks they ask for and no other
SELECT unalike(string_agg(line, E'\n'), '%' || substr(week_name(now() + interval '7 days'), 8) || '%',
    'a question about today does not read next week')
FROM (SELECT * FROM dblink('other', $$EXPLAIN SELECT * FROM pgsasl.auth_failures
    WHERE username = 'app' AND occurred_at >= current_date AND occurred_at < current_date + 1$$) AS t (line text)) AS plan;

-- purge_failures
SELECT drop_weeks();
SELECT pgsasl.make_partitions();
SELECT pgsasl.make_partition(at) FROM unnest(ARRAY['2020-01-06', '2020-01-13', '2020-01-20']::timestamptz[]) AS at;
CREATE TABLE pgsasl.auth_failures_archive PARTITION OF pgsasl.auth_failures FOR VALUES FROM ('2010-01-01') TO ('2010-01-02');
SELECT failure('app', occurred_at => at) FROM unnest(ARRAY['2020-01-06', '2020-01-19 23:00', '2020-01-20', '2019-06-01',
    '2021-06-01', '2010-01-01']::timestamptz[]) AS at;
SELECT failure('app');
CREATE FUNCTION since(moment timestamptz) RETURNS interval LANGUAGE sql AS $$ SELECT now() - moment $$;
SELECT is(pgsasl.purge_failures(since('2020-01-19 12:00')),
    '1 partitions dropped (auth_failures_2020_01_06), 1 rows deleted from the default one',
    'a week goes when all of it is older');
SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', 'SELECT count(*) FROM pgsasl.auth_failures') AS t (n bigint);
SELECT throws_ok($$SELECT pgsasl.purge_failures(since('2020-01-27'))$$, '55P03',
    'auth_failures is in use, for example by a report or a dump; try again later', 'a report makes it give up');
SELECT dblink_exec('other', 'COMMIT');
SELECT is(count(*), 5::bigint, 'with nothing done') FROM pgsasl.auth_failures;
SELECT is(pgsasl.purge_failures(since('2020-01-27')),
    '2 partitions dropped (auth_failures_2020_01_13, auth_failures_2020_01_20),'
    ' 0 rows deleted from the default one', 'midnight of Monday, UTC, is the end of a week');
SELECT is(pgsasl.purge_failures('1 day'), '0 partitions dropped, 1 rows deleted from the default one',
    'the default partition');
SELECT is(count(*), 2::bigint, 'this week and a partition of another name stay') FROM pgsasl.auth_failures;
INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, recorded_at, reason, failed_checks)
SELECT gen_random_uuid(), at::timestamptz, now() - interval '2 days', 'unknown_user', '{unknown_user}'
FROM unnest(ARRAY['infinity', '9999-01-01']) AS at;
SELECT is(pgsasl.purge_failures('1 day'), '0 partitions dropped, 2 rows deleted from the default one',
    'rows that claim a time to come are purged by the time when they arrived');
SELECT throws_ok(format('SELECT pgsasl.purge_failures(%L)', span), '22023', NULL, 'not by mistake: ' || coalesce(span,
    'NULL'))
FROM unnest(ARRAY[NULL, '0', '-1 day', '59 minutes']) AS span;

SELECT dblink_disconnect('other');
SELECT * FROM finish();
