-- The throttle: which failures count, for whom, and how throttled ones are merged.
BEGIN;
SET plan_cache_mode = force_generic_plan; -- as the role pgsasl_plugin has it
SET enable_seqscan = off;
SELECT * FROM no_plan();

SELECT is(pgsasl.client_net(address)::text, net, 'the network of ' || coalesce(address::text, 'none'))
FROM (VALUES ('192.0.2.1'::inet, '192.0.2.1/32'), ('192.0.2.1/24', '192.0.2.1/32'),
    ('::ffff:192.0.2.1', '192.0.2.1/32'), ('::ffff:255.255.255.255', '255.255.255.255/32'),
    ('2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'), ('::1', '::/64'), ('::fffe:192.0.2.1', '::/64'),
    (NULL, NULL)) AS t (address, net);

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user(name, 'a long password', :shop) FROM unnest(ARRAY['app', 'web']) AS name \g /dev/null
UPDATE pgsasl.settings SET throttle_user_client = 3, throttle_client = 5;

-- which count
CREATE FUNCTION counts(checks text[], what text, wanted boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id uuid := gen_random_uuid();
BEGIN
    PERFORM failure('name of ' || what, id, reason => checks[1], failed_checks => checks);
    RETURN is(f.counts, wanted, what || CASE WHEN wanted THEN ' counts' ELSE ' does not count' END)
        FROM pgsasl.auth_failures f WHERE f.attempt_id = id;
END
$$;
SELECT counts(ARRAY[reason], reason, reason = ANY (ARRAY['unknown_user', 'deleted_user', 'username_has_at',
    'username_whitespace', 'wrong_password', 'password_whitespace', 'stale_password', 'abandoned_exchange']))
FROM unnest(ARRAY['unknown_user', 'deleted_user', 'disabled_user', 'username_has_at', 'username_whitespace',
    'wrong_password', 'stale_password', 'password_whitespace', 'account_past_due', 'account_suspended', 'account_closed',
    'ip_not_authorized', 'throttled', 'authzid_mismatch', 'tls_required', 'malformed_response', 'unusable_hash',
    'backend_unavailable', 'abandoned_exchange', 'no_scram_verifier', 'mechanism_not_offered']) AS reason;
SELECT counts(checks, what, wanted)
FROM (VALUES ('{account_suspended,wrong_password}'::text[], 'a wrong password of a suspended account', true),
    ('{authzid_mismatch,wrong_password}', 'a wrong password with an authzid', true),
    ('{disabled_user,stale_password}', 'a stale password of a disabled user', true),
    ('{account_suspended,disabled_user}', 'a right password of a suspended account', false),
    ('{account_suspended,no_scram_verifier}', 'SCRAM of a suspended user without a verifier', false),
    ('{throttled,wrong_password}', 'a throttled attempt', false)) AS t (checks, what, wanted);
DELETE FROM pgsasl.auth_failures;

-- for whom
CREATE FUNCTION fail(username text, client inet, times integer DEFAULT 1, at timestamptz DEFAULT now(),
    reason text DEFAULT 'wrong_password', attempt_id uuid DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    SELECT failure(username, coalesce(fail.attempt_id, gen_random_uuid()), at, reason => reason,
        failed_checks => ARRAY[reason], client => client)
    FROM generate_series(1, times) $$;
-- Guesses as they were stored at that time.
CREATE FUNCTION stored(at timestamptz, username text, times integer DEFAULT 1) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, recorded_at, username, reason, failed_checks, client_addr,
        counts)
    SELECT gen_random_uuid(), at, at, username, 'wrong_password', '{wrong_password}', '192.0.2.1', true
    FROM generate_series(1, times) $$;
CREATE FUNCTION throttled(username text, client inet) RETURNS boolean LANGUAGE sql AS $$
    SELECT f.throttled FROM pgsasl.find_user(username, client) f $$;
SELECT fail('app', '192.0.2.1', 2);
SELECT is(throttled('app', '192.0.2.1'), false, 'two of three: not yet');
SELECT fail('app', '192.0.2.1');
SELECT is(throttled(name, client), wanted, format('three failures of app: %s from %s', name, client))
FROM (VALUES ('app', '192.0.2.1'::inet, true), ('app', '::ffff:192.0.2.1', true), ('app', '192.0.2.2', false),
    ('app', '2001:db8::1', false), ('web', '192.0.2.1', false), ('nobody', '192.0.2.1', false), ('app', NULL, false))
    AS t (name, client, wanted);
SELECT fail('nobody', '192.0.2.1', 2);
SELECT is(throttled(name, client), wanted, format('and two of nobody: %s from %s', name, client))
FROM (VALUES ('app', '192.0.2.1'::inet, true), ('web', '192.0.2.1', true), ('unheard', '192.0.2.1', true),
    ('web', '::ffff:192.0.2.1', true), ('web', '192.0.2.2', false), ('app', '192.0.2.2', false)) AS t (name, client, wanted);
SELECT is((SELECT f.throttled FROM pgsasl.find_user(NULL, '192.0.2.1') f), true, 'no name at all');
SELECT fail('app', '2001:db8:0:1::1', 2), fail('app', '2001:db8:0:1:ffff::', 1);
SELECT is(throttled('app', '2001:db8:0:1:aaaa::1'), true, 'addresses of one /64 are one');
SELECT is(throttled('app', '2001:db8:0:2::1'), false, 'of another are not');

-- the window slides
DELETE FROM pgsasl.auth_failures;
SELECT stored(now() - interval '10 minutes', 'app', 3);
SELECT is(throttled('app', '192.0.2.1'), false, 'failures of ten minutes ago are past');
SELECT stored(now() - interval '9 minutes', 'app', 3);
SELECT is(throttled('app', '192.0.2.1'), true, 'of nine are not');
UPDATE pgsasl.settings SET throttle_window = '8 minutes';
SELECT is(throttled('app', '192.0.2.1'), false, 'or as settings say');
UPDATE pgsasl.settings SET throttle_window = '10 minutes';
SELECT fail('web', '192.0.2.1', 3, now() + interval '1 minute');
SELECT is(throttled('web', '192.0.2.1'), true, 'a mail server''s clock may be ahead');

-- a clock that is off, and rows that somebody forges
CREATE FUNCTION fails_at(off interval) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM pgsasl.auth_failures;
    PERFORM fail('app', '192.0.2.1', 3, now() + off);
    RETURN is(throttled('app', '192.0.2.1'), true, 'failures by a clock that is off count: ' || off);
END
$$;
SELECT fails_at(off) FROM unnest(ARRAY['-30 s', '-9 min', '-1 hour', '-3 days', '-20 years', '9 min', '1 hour', '3 days',
    '20 years']::interval[]) AS off;
SELECT is(bool_and(g.occurred_at <= now()), true, 'none counts from a time to come') FROM pgsasl.recent_guesses g;
SELECT is(pgsasl.counted_at(at, '2026-01-31 12:00+00'), counted, 'a failure of ' || at || ' counts from ' || counted)
FROM (VALUES ('2026-01-31 11:59:30+00'::timestamptz, '2026-01-31 11:59:30+00'::timestamptz),
    ('2026-01-31 11:58:59+00', '2026-01-31 12:00+00'), ('2026-01-31 12:00:01+00', '2026-01-31 12:00+00'),
    ('-infinity', '2026-01-31 12:00+00'), ('infinity', '2026-01-31 12:00+00')) AS t (at, counted);
DELETE FROM pgsasl.auth_failures;
SELECT stored(now() - interval '9 minutes', 'app', 3), stored(now(), 'web', 3);

-- switched off
UPDATE pgsasl.settings SET throttle_client = NULL;
SELECT is(throttled('nobody', '192.0.2.1'), false, 'no limit for a client');
SELECT is(throttled('app', '192.0.2.1'), true, 'the other one still stands');
UPDATE pgsasl.settings SET throttle_client = 5, throttle_user_client = NULL;
SELECT is(throttled('nobody', '192.0.2.1'), true, 'no limit for a name and client: the other one still stands');
UPDATE pgsasl.settings SET throttle_client = 500;
SELECT is(throttled('app', '192.0.2.1'), false, 'and nothing else does');
UPDATE pgsasl.settings SET throttle_client = NULL;
SELECT is(throttled('app', '192.0.2.1'), false, 'neither');
UPDATE pgsasl.settings SET throttle_user_client = 3, throttle_client = 2;
SELECT is(throttled('nobody', '192.0.2.1'), true, 'the limit for a client may be the lower one');
UPDATE pgsasl.settings SET throttle_client = 5;

-- a stale password: a broken app
DELETE FROM pgsasl.auth_failures;
SELECT fail('app', '192.0.2.1', 10, reason => 'stale_password');
SELECT fail('app', '192.0.2.2', 10, reason => 'stale_password');
SELECT is(ROW(sum(attempts), count(*) FILTER (WHERE counts))::text, '(20,1)', 'a stale password counts once for a user')
FROM pgsasl.auth_failures;
SELECT fail('web', '192.0.2.1', 10, reason => 'stale_password');
SELECT is(count(*), 2::bigint, 'for each user') FROM pgsasl.auth_failures WHERE counts;
UPDATE pgsasl.recent_guesses SET occurred_at = occurred_at - interval '11 minutes' WHERE username = 'app';
SELECT fail('app', '192.0.2.3', 2, reason => 'stale_password');
SELECT is(count(*), 3::bigint, 'in each window') FROM pgsasl.auth_failures WHERE counts;
SELECT is(throttled('app', '192.0.2.1'), false, 'and throttles nobody');
DELETE FROM pgsasl.recent_guesses;

-- throttled attempts share a row
\set minute '''2026-01-31 12:00+00'''
DELETE FROM pgsasl.auth_failures;
CREATE VIEW merged AS SELECT username, host(client_addr) AS client, to_char(occurred_at, 'HH24:MI') AS minute, attempts
FROM pgsasl.auth_failures ORDER BY occurred_at, client_addr, username;
SELECT fail(name, client, times, at::timestamptz, 'throttled')
FROM (VALUES ('app', '192.0.2.1'::inet, 3, '2026-01-31 12:00:00+00'), ('app', '192.0.2.1', 2, '2026-01-31 12:00:59.9+00'),
    ('app', '::ffff:192.0.2.1', 1, '2026-01-31 12:00:30+00'), ('web', '192.0.2.1', 2, '2026-01-31 12:00:30+00'),
    ('app', '192.0.2.2', 2, '2026-01-31 12:00:30+00'), ('app', '192.0.2.1', 4, '2026-01-31 12:01:00+00'),
    ('app', '2001:db8::1', 1, '2026-01-31 12:00:30+00'), ('app', '2001:db8::2', 1, '2026-01-31 12:00:30+00'))
    AS t (name, client, times, at);
SET LOCAL timezone = 'UTC';
SELECT bag_eq('SELECT username::text, client, minute, attempts FROM merged', $$VALUES ('app', '192.0.2.1', '12:00', 6),
    ('web', '192.0.2.1', '12:00', 2), ('app', '192.0.2.2', '12:00', 2), ('app', '2001:db8::1', '12:00', 2),
    ('app', '192.0.2.1', '12:01', 4)$$, 'one row for name, network and minute');
SELECT bag_eq('SELECT DISTINCT failed_checks, counts, recorded_at FROM pgsasl.auth_failures',
    $$VALUES ('{throttled}'::text[], false, now())$$, 'otherwise rows like any');

DELETE FROM pgsasl.auth_failures;
CREATE FUNCTION id(n integer) RETURNS uuid LANGUAGE sql
AS $$ SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
SELECT fail('app', '192.0.2.1', 1, :minute, 'throttled', id(n)) FROM unnest(ARRAY[1, 1, 2, 2, 1, 3, 2, 3]) AS n;
SELECT bag_eq('SELECT attempt_id, attempts, merged_ids FROM pgsasl.auth_failures',
    'VALUES (id(1), 3, ARRAY[id(2), id(3)])', 'an attempt that is sent again counts once');
SELECT fail('app', '192.0.2.1', 1, :minute, 'throttled', id(n)) FROM generate_series(4, 100) AS n;
SELECT is(ROW(attempts, cardinality(merged_ids), merged_ids[1], merged_ids[64])::text, ROW(100, 64, id(37), id(100))::text,
    'the last 64 are remembered')
FROM pgsasl.auth_failures;
SELECT fail('app', '192.0.2.1', 1, :minute, 'throttled', id(n)) FROM generate_series(69, 100) AS n;
SELECT is(attempts, 100, 'each of them') FROM pgsasl.auth_failures;

-- many names
DELETE FROM pgsasl.auth_failures;
SELECT fail('name' || n % 100, '192.0.2.1', 1, :minute, 'throttled', id(n)) FROM generate_series(1, 1000) AS n;
SELECT is(ROW(count(*), sum(attempts), count(username))::text, '(21,1000,20)', 'many names: 20 rows, and one for the rest')
FROM pgsasl.auth_failures;
SELECT row_eq('SELECT attempts, user_id, account_id, detail FROM pgsasl.auth_failures WHERE username IS NULL',
    ROW(800, NULL::bigint, NULL::bigint, 'further user names of this client'::text), 'in which stands no name');
SELECT fail('name' || n % 100, '192.0.2.1', 1, :minute, 'throttled', id(n)) FROM unnest(ARRAY[999, 1000, 1, 5, 901]) AS n;
SELECT is(sum(attempts), 1000::bigint, 'sent again: counted once, there as well') FROM pgsasl.auth_failures;
SELECT fail('name50', '192.0.2.2', 1, :minute, 'throttled');
SELECT is(username, 'name50', 'another client has rows of its own')
FROM pgsasl.auth_failures WHERE client_addr = '192.0.2.2';
SELECT fail('app', NULL, 3, :minute, 'throttled');
SELECT is(count(*), 3::bigint, 'without a client address nothing is merged')
FROM pgsasl.auth_failures WHERE client_addr IS NULL;
SELECT lives_ok(format($$SELECT fail('app', '192.0.2.1', 2, %L, 'throttled')$$, at), 'any time has its row: ' || at)
FROM unnest(ARRAY['-infinity', '0044-03-15 12:00 BC', 'infinity']) AS at;

-- recent_guesses follows auth_failures
CREATE FUNCTION guesses() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pgsasl.recent_guesses';
DELETE FROM pgsasl.auth_failures;
SELECT is(guesses(), 0::bigint, 'what is deleted is forgotten');
SELECT fail('app', '192.0.2.1', 3);
UPDATE pgsasl.auth_failures SET counts = true, detail = 'the same';
SELECT is(throttled('app', '192.0.2.1'), true, 'three count');
UPDATE pgsasl.auth_failures SET counts = false;
SELECT is(ROW(guesses(), throttled('app', '192.0.2.1'))::text, '(0,f)', 'what is marked so counts no more');
UPDATE pgsasl.auth_failures SET counts = true;
SELECT is(ROW(guesses(), throttled('app', '192.0.2.1'))::text, '(3,t)', 'and counts again');
DELETE FROM pgsasl.auth_failures WHERE attempt_id = (SELECT min(attempt_id::text)::uuid FROM pgsasl.auth_failures);
SELECT is(ROW(guesses(), throttled('app', '192.0.2.1'))::text, '(2,f)', 'one less');
TRUNCATE pgsasl.auth_failures;
SELECT is(guesses(), 0::bigint, 'none after TRUNCATE');
SELECT stored(now() + at, 'app') FROM unnest(ARRAY['-25 hours', '-11 minutes', '-9 minutes']::interval[]) AS at;
SELECT is(guesses(), 1::bigint, 'what is past is not added');
INSERT INTO pgsasl.recent_guesses SELECT now() - interval '11 minutes', gen_random_uuid(), 'app', '192.0.2.1', false
FROM generate_series(1, 150);
UPDATE pgsasl.settings SET throttle_client = 500;
SELECT setseed(0.5);
SELECT fail('web', '192.0.2.2', 150);
SELECT bag_eq('SELECT username::text, count(*) FROM pgsasl.recent_guesses GROUP BY 1',
    $$VALUES ('web', 150::bigint), ('app', 1)$$, 'later failures clear away what is past');
SELECT format('DROP TABLE pgsasl.%I', pgsasl.partition_name(now())) \gexec
TRUNCATE pgsasl.auth_failures;
INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, username, reason, failed_checks, client_addr, counts)
SELECT gen_random_uuid(), now(), 'app', 'wrong_password', '{wrong_password}', '192.0.2.1', true FROM generate_series(1, 3);
SELECT is(ROW(count(*), throttled('app', '192.0.2.1'))::text, '(3,t)', 'rows in the default partition count')
FROM pgsasl.auth_failures_default;
SELECT pgsasl.make_partitions() \g /dev/null
SELECT is(ROW(count(*), throttled('app', '192.0.2.1'))::text, '(0,t)', 'and go on so where they are moved')
FROM pgsasl.auth_failures_default;
INSERT INTO pgsasl.recent_guesses VALUES (now() - interval '2 hours', gen_random_uuid(), 'app', '192.0.2.1', false);
SELECT pgsasl.purge_failures('1 hour') \g /dev/null
SELECT is(guesses(), 3::bigint, 'purge_failures forgets as well');

-- a bulk insert of old failures adds and deletes no guesses: each row would have to skip what the rows before it deleted
SELECT n_tup_ins + n_tup_del AS changes FROM pg_stat_xact_user_tables WHERE relname = 'recent_guesses' \gset
SELECT stored(now() - interval '20 minutes', 'bulk', 1000);
SELECT is(n_tup_ins + n_tup_del, :changes::bigint, 'old failures in bulk') FROM pg_stat_xact_user_tables
WHERE relname = 'recent_guesses';
INSERT INTO pgsasl.recent_guesses SELECT now() - interval '20 minutes', gen_random_uuid(), 'app', '192.0.2.1', false
FROM generate_series(1, 500);
SELECT stored(now(), 'bulk', 1000);
SELECT is(count(*), 500::bigint, 'new ones in bulk leave the expired ones to record_failure()')
FROM pgsasl.recent_guesses WHERE username = 'app' AND occurred_at < now() - interval '10 minutes';
DELETE FROM pgsasl.recent_guesses;
DELETE FROM pgsasl.auth_failures;

-- past the limit of a client network, failures of every kind share rows
CREATE FUNCTION floods(reason text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM pgsasl.auth_failures;
    PERFORM fail('name' || n % 40, '192.0.2.1', 1, '2026-01-31 12:00+00', floods.reason, id(n))
    FROM unnest(ARRAY(SELECT generate_series(1, 120)) || ARRAY[120, 119, 7, 1]) AS n;
    RETURN is(ROW(sum(attempts), count(*) < 60)::text, '(120,t)', 'a flood of ' || floods.reason)
        FROM pgsasl.auth_failures;
END
$$;
UPDATE pgsasl.settings SET throttle_client = 30, throttle_user_client = 10000;
SELECT floods(r.reason) FROM pgsasl.reasons r ORDER BY r.check_order;
SELECT fail('app', '192.0.2.2', 1, '2026-01-31 12:00+00', 'malformed_response');
SELECT is(count(*), 1::bigint, 'another client has rows of its own')
FROM pgsasl.auth_failures WHERE client_addr = '192.0.2.2' AND username = 'app';
SELECT floods('malformed_response');
SELECT fail('app', '192.0.2.1', 29);
SELECT is(throttled('app', '192.0.2.1'), false, 'they are no guesses');
SELECT fail('app', '192.0.2.1', 40, reason => 'malformed_response');
SELECT fail('web', '192.0.2.1', 1);
SELECT is(ROW(throttled('app', '192.0.2.1'), count(*) > 29)::text, '(t,t)', 'a guess that shares a row counts')
FROM pgsasl.auth_failures;
UPDATE pgsasl.settings SET throttle_client = NULL;
SELECT fail('app', '192.0.2.7', 100, '2026-01-31 12:00+00', 'malformed_response');
SELECT is(count(*), 100::bigint, 'no limit, no merging') FROM pgsasl.auth_failures WHERE client_addr = '192.0.2.7';
UPDATE pgsasl.settings SET throttle_user_client = 3, throttle_client = 5;

-- the probes read indexes, whatever the statistics were when they were planned
DELETE FROM pgsasl.auth_failures;
ANALYZE pgsasl.auth_failures, pgsasl.recent_guesses;
SELECT throttled('app', '192.0.2.1') \g /dev/null
SELECT fail('name' || n % 1000, '192.0.2.0'::inet + n % 250, 1) FROM generate_series(1, 5000) AS n;
SELECT sum(seq_scan) AS scans, sum(idx_tup_fetch) AS fetched FROM pg_stat_xact_user_tables
WHERE relname LIKE 'auth\_failures%' OR relname = 'recent_guesses' \gset
SELECT throttled('app', '198.51.100.1') FROM generate_series(1, 20) \g /dev/null
SELECT fail('app', '198.51.100.1', 20, reason => 'throttled');
SELECT is(sum(seq_scan), :scans::numeric, 'no scan of a whole table') FROM pg_stat_xact_user_tables
WHERE relname LIKE 'auth\_failures%' OR relname = 'recent_guesses';
SELECT cmp_ok(sum(idx_tup_fetch), '<', :fetched + 100::numeric, 'nor by way of an index that does not fit')
FROM pg_stat_xact_user_tables WHERE relname LIKE 'auth\_failures%' OR relname = 'recent_guesses';

SELECT * FROM finish();
ROLLBACK;
