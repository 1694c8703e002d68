-- find_user: one row for any name.
BEGIN;
SELECT * FROM no_plan();

SELECT volatility_is('pgsasl', 'find_user', ARRAY['text', 'inet'], 'stable', 'find_user runs on a hot standby');
SELECT results_eq($$SELECT count(*), count(decoy_hash) FROM pgsasl.find_user('nobody', '192.0.2.1')$$,
    'VALUES (1::bigint, 0::bigint)', 'an empty table: one row, no decoy');

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
SELECT pgsasl.add_user('App', 'a long password', :shop) AS other \gset
SELECT password_hash AS hash FROM pgsasl.smtp_users WHERE user_id = :app \gset
SELECT row_eq($$SELECT * FROM pgsasl.find_user('app', '192.0.2.1')$$,
    ROW(:app::bigint, :'hash'::text, true, 'good'::text, false, NULL::timestamptz, true, false,
        '{NULL,NULL}'::text[], '{NULL,NULL}'::boolean[],
        '{NULL,NULL}'::timestamptz[], '{NULL,NULL}'::bigint[], NULL::text, false, true,
        (SELECT decoy_key FROM pgsasl.settings), 4096), 'a user');
SELECT row_eq(format('SELECT decoy_key, scram_iterations FROM pgsasl.find_user(%L, NULL)', name),
    (SELECT ROW(decoy_key, scram_iterations) FROM pgsasl.settings), 'the same SCRAM decoy for ' || name)
FROM unnest(ARRAY['app', 'nobody', 'app@example.com']) AS name;
SELECT matches(decoy_key, '^[0-9a-f]{64}$', 'a random decoy_key') FROM pgsasl.settings;
SELECT throws_ok('UPDATE pgsasl.settings SET ' || change, code, NULL, 'no setting: ' || change)
FROM (VALUES ('scram_iterations = 0', '23514'), ('scram_iterations = 10000001', '23514'), ('scram_iterations = NULL', '23502'),
    ('decoy_key = NULL', '23502')) AS t (change, code);
UPDATE pgsasl.smtp_users SET enabled = false WHERE user_id = :app;
UPDATE pgsasl.accounts SET standing = 'suspended' WHERE account_id = :shop;
SELECT row_eq($$SELECT enabled, account_standing FROM pgsasl.find_user('app', NULL)$$,
    ROW(false, 'suspended'::text), 'disabled, of a suspended account');

SELECT row_eq(format('SELECT user_id, password_hash, deleted_at FROM pgsasl.find_user(%L, NULL)', name),
    ROW(NULL::bigint, NULL::text, NULL::timestamptz), 'unknown: ' || name)
FROM unnest(ARRAY['nobody', 'APP', ' app', 'app ', 'app%', '', 'app''--', 'app@example.com', repeat('x', 100000)]) AS name;
SELECT row_eq($$SELECT user_id, throttled FROM pgsasl.find_user(NULL, NULL)$$, ROW(NULL::bigint, false), 'no name at all');
SELECT is((pgsasl.find_user('nobody', NULL)).decoy_hash, left(password_hash, 7) || repeat('.', 53),
    'the decoy is of the users'' scheme and cost')
FROM pgsasl.smtp_users WHERE user_id = :other;

CREATE FUNCTION expired(at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pgsasl.smtp_users SET expires_at = at WHERE username = 'app';
    RETURN (pgsasl.find_user('app', NULL)).expired;
END
$$;
SELECT is(expired(at), wanted, 'expires_at ' || coalesce(at::text, 'NULL'))
FROM (VALUES (NULL::timestamptz, false), (now(), true), (now() + interval '1 us', false), (now() - interval '1 us', true),
    ('-infinity', true), ('infinity', false)) AS t (at, wanted);
SELECT is((pgsasl.find_user('nobody', NULL)).expired, false, 'nobody has not expired');
SELECT pgsasl.add_user('guest', 'a long password', expires_at => '2026-01-31') \g /dev/null
SELECT is((pgsasl.find_user('guest', NULL)).expired, expires_at < now(), 'add_user takes an expires_at')
FROM pgsasl.smtp_users WHERE username = 'guest';
DELETE FROM pgsasl.smtp_users WHERE username = 'guest';

CREATE FUNCTION allowed(networks cidr[], client inet) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pgsasl.smtp_users SET allowed_networks = networks WHERE username = 'app';
    RETURN (pgsasl.find_user('app', client)).client_allowed;
END
$$;
SELECT is(allowed(networks, client), wanted,
    coalesce(host(client), 'no address') || ' and the list ' || coalesce(networks::text, 'NULL'))
FROM (VALUES
    (NULL::cidr[], '192.0.2.1'::inet, true), (NULL, NULL, true), ('{}', '192.0.2.1', true), ('{}', NULL, true),
    ('{192.0.2.0/24}', '192.0.2.1', true), ('{192.0.2.0/24}', '192.0.3.1', false), ('{192.0.2.0/24}', NULL, false),
    ('{192.0.2.0/24}', '2001:db8::1', false), ('{192.0.2.7/32,2001:db8::/32}', '2001:db8:1::1', true),
    ('{192.0.2.7/32,2001:db8::/32}', '192.0.2.7', true), ('{192.0.2.7/32,2001:db8::/32}', '192.0.2.8', false),
    ('{2001:db8::/32}', '2001:db9::1', false), ('{0.0.0.0/0}', '198.51.100.1', true), ('{0.0.0.0/0}', '::1', false),
    ('{192.0.2.0/24}', '::ffff:192.0.2.1', true), ('{192.0.2.0/24}', '::ffff:192.0.3.1', false),
    ('{::ffff:192.0.2.0/120}', '192.0.2.1', true), ('{::ffff:192.0.2.0/120}', '192.0.3.1', false),
    ('{::ffff:192.0.2.0/120}', '::ffff:192.0.2.1', true), ('{::ffff:192.0.2.7/128}', '192.0.2.7', true),
    ('{::ffff:0.0.0.0/96}', '198.51.100.1', true), ('{::ffff:0.0.0.0/96}', '2001:db8::1', false),
    ('{::/0}', '2001:db8::1', true), ('{::/0}', '192.0.2.1', false), ('{::/0}', '::ffff:192.0.2.1', false),
    ('{0.0.0.0/0}', '::ffff:192.0.2.1', true), ('{2001:db8::/32,::ffff:192.0.2.0/120}', '192.0.2.255', true))
    AS t (networks, client, wanted);

DELETE FROM pgsasl.smtp_users WHERE username = 'app';
SELECT row_eq($$SELECT user_id, password_hash, deleted_at FROM pgsasl.find_user('app', NULL)$$,
    ROW(NULL::bigint, NULL::text, now()), 'a deleted user has no hash and a time of deletion');
INSERT INTO pgsasl.deleted_users (username, user_id, account_id, deleted_at) VALUES ('app', :app, :shop, '2020-01-01');
SELECT is((pgsasl.find_user('app', NULL)).deleted_at, now(), 'the last one');
SELECT pgsasl.add_user('app', 'a long password', :shop) AS again \gset
SELECT row_eq($$SELECT user_id, deleted_at FROM pgsasl.find_user('app', NULL)$$,
    ROW(:again::bigint, NULL::timestamptz), 'a name used again is a user');

ALTER TABLE pgsasl.smtp_users DROP CONSTRAINT smtp_users_password_hash_scheme, DISABLE TRIGGER user_refused;
UPDATE pgsasl.smtp_users SET password_hash = '';
SELECT is((pgsasl.find_user('app', NULL)).password_hash, '', 'a broken hash is given as it is');
SELECT lives_ok($$SELECT pgsasl.find_user('nobody', NULL)$$, 'and makes no decoy fail');

INSERT INTO pgsasl.smtp_users (username, password_hash, account_id)
SELECT 'user' || n, '$2b$10$' || repeat('x', 53), :shop FROM generate_series(1, 5000) AS n;
ANALYZE pgsasl.smtp_users;
SELECT seq_scan AS scans FROM pg_stat_xact_user_tables WHERE relid = 'pgsasl.smtp_users'::regclass \gset
SELECT count(*) FROM generate_series(1, 20) AS n, pgsasl.find_user('user' || n, NULL) \g /dev/null
SELECT count(*) FROM generate_series(1, 20) AS n, pgsasl.find_user('nobody' || n, NULL) \g /dev/null
SELECT is(seq_scan, :scans::bigint, 'neither a user nor an unknown name costs a scan of the table')
FROM pg_stat_xact_user_tables WHERE relid = 'pgsasl.smtp_users'::regclass;

-- An unknown name is like one of the users: 200 of cost 10, 100 of cost 11 of whom half have retired passwords of another
-- scheme.
DELETE FROM pgsasl.smtp_users;
INSERT INTO pgsasl.smtp_users (username, password_hash)
SELECT 'old' || n, '$2b$10$' || repeat('x', 53) FROM generate_series(1, 200) AS n;
INSERT INTO pgsasl.smtp_users (username, password_hash)
SELECT 'new' || n, '$2b$11$' || repeat('x', 53) FROM generate_series(1, 100) AS n;
INSERT INTO pgsasl.retired_passwords (user_id, password_hash, accepted_until)
SELECT user_id, '$6$salt$' || repeat('x', 86), now() FROM pgsasl.smtp_users WHERE username LIKE 'new%' AND user_id % 2 = 0;
CREATE FUNCTION look() RETURNS TABLE (name text, decoy text, retired text[]) LANGUAGE sql AS $$
    SELECT n.name, f.decoy_hash, f.retired_hashes
    FROM (SELECT 'nobody' || i FROM generate_series(1, 1000) AS i) AS n (name), pgsasl.find_user(n.name, NULL) AS f
$$;
CREATE TEMPORARY TABLE before AS SELECT * FROM look();
SELECT results_eq('SELECT DISTINCT decoy, retired FROM before ORDER BY 1, 2', format($$VALUES
    (%1$L, %2$L::text[]), (%3$L, %4$L::text[]), (%3$L, %2$L::text[])$$,
    '$2b$10$' || repeat('.', 53), '{NULL,NULL}', '$2b$11$' || repeat('.', 53),
    ARRAY['$6$....$' || repeat('.', 86), NULL]), 'unknown names are like all kinds of users, and only like them');
SELECT cmp_ok(count(*) FILTER (WHERE decoy LIKE '$2b$11%'), '>=', 200::bigint, 'a third is like a third of the users') FROM before;
SELECT cmp_ok(count(*) FILTER (WHERE decoy LIKE '$2b$11%'), '<=', 470::bigint, 'and no more') FROM before;
SELECT results_eq('SELECT * FROM look()', 'SELECT * FROM before', 'the same name always gets the same');
INSERT INTO pgsasl.smtp_users (username, password_hash)
SELECT 'added' || n, '$2b$12$' || repeat('x', 53) FROM generate_series(1, 3) AS n;
SELECT cmp_ok(count(*), '<', 50::bigint, 'three more users change few names')
FROM before b JOIN look() l USING (name) WHERE (b.decoy, b.retired) IS DISTINCT FROM (l.decoy, l.retired);
SELECT is_empty($$SELECT b.*, l.decoy FROM before b JOIN look() l USING (name)
    WHERE (b.decoy, b.retired) IS DISTINCT FROM (l.decoy, l.retired) AND l.decoy NOT LIKE '$2b$12%'$$,
    'and those become like the new users');
DELETE FROM pgsasl.smtp_users WHERE username LIKE 'added%';
SELECT results_eq('SELECT * FROM look()', 'SELECT * FROM before', 'all is as before when they are gone');
UPDATE pgsasl.settings SET decoy_key = 'another';
SELECT cmp_ok(count(*), '>=', 200::bigint, 'under another key many names get the decoy of another kind of user')
FROM before b JOIN look() l USING (name) WHERE b.decoy <> l.decoy;
SELECT is((pgsasl.find_user(name, NULL)).retired_accepted, '{NULL,NULL}', 'no decoy of a retired password logs in')
FROM before WHERE retired <> '{NULL,NULL}' LIMIT 1;
SELECT isnt(decoy_key, '', 'the key is random') FROM pgsasl.settings;

SELECT * FROM finish();
ROLLBACK;

-- As on a hot standby: a write would be an error, and fail the file.
BEGIN TRANSACTION READ ONLY;
SELECT count(*) FROM pgsasl.find_user('nobody', NULL) \g /dev/null
ROLLBACK;
