-- What people may do to the tables in plain SQL, and what the plugin's role may not.
\set ON_ERROR_STOP on
BEGIN;
SELECT plan(32);

SELECT pgsasl.add_account('shop') AS account \gset
SELECT pgsasl.add_user('app', 'correct horse battery', :account) AS app \gset

-- constraints
SELECT throws_ok($$INSERT INTO pgsasl.smtp_users (username, password_hash, account_id)
    SELECT 'a@b', password_hash, account_id FROM pgsasl.smtp_users WHERE username = 'app'$$, '23514', NULL, 'no @ in a name');
SELECT throws_ok(format($$INSERT INTO pgsasl.smtp_users (username, password_hash, account_id)
    SELECT %L, password_hash, account_id FROM pgsasl.smtp_users WHERE username = 'app'$$, name), '23514', NULL, what)
    FROM (VALUES ('a ', 'no blank at an end'), (' a', 'nor at the other'), ('a b', 'nor within'), (E'a\n', 'no newline'),
        (E'a\u200b', 'nothing invisible'), ('', 'no empty name'), (repeat('x', 256), 'no more than 255 octets')) AS t(name, what);
SELECT throws_ok(format($$UPDATE pgsasl.smtp_users SET password_hash = %L WHERE username = 'app'$$, hash), '23514', NULL,
    'no hash: ' || hash)
    FROM unnest(ARRAY['', '*', '!', 'secret', 'abJnggxhB/yWI', '$1$salt$J0a3kwkDbjMbPVLm1zBWk1', '$2b$10$short', '$6$']) AS t(hash);
SELECT throws_ok($$SELECT pgsasl.set_password('app', 'short')$$, NULL, NULL, 'a password under 12 octets is refused');
SELECT throws_ok($$SELECT pgsasl.set_password('app', repeat('x', 73))$$, NULL, NULL, 'one over 72 octets is refused');
SELECT throws_ok($$SELECT pgsasl.set_password('nobody', 'correct horse battery')$$, NULL, NULL, 'so is one of nobody');

-- standing: one UPDATE moves all users of an account, and the two can not disagree
UPDATE pgsasl.accounts SET standing = 'suspended' WHERE account_id = :account;
SELECT is(account_standing, 'suspended', 'the users follow their account') FROM pgsasl.smtp_users WHERE username = 'app';
SELECT throws_ok($$UPDATE pgsasl.smtp_users SET account_standing = 'good' WHERE username = 'app'$$, '23503', NULL,
    'a user can not leave it');
SELECT is((pgsasl.find_user('app', '192.0.2.1')).account_standing, 'suspended', 'and the look-up says so');

-- look-up, deletion, allow list
SELECT is((pgsasl.find_user('app', '192.0.2.1')).client_allowed, true, 'no list: from anywhere');
UPDATE pgsasl.smtp_users SET allowed_networks = '{192.0.2.0/24,2001:db8::/32}' WHERE username = 'app';
SELECT is((pgsasl.find_user('app', client)).client_allowed, allowed, 'from ' || coalesce(client::text, 'nowhere'))
    FROM (VALUES ('192.0.2.9'::inet, true), ('2001:db8::1', true), ('198.51.100.1', false), (NULL, false)) AS t(client, allowed);
DELETE FROM pgsasl.smtp_users WHERE username = 'app';
SELECT isnt((pgsasl.find_user('app', NULL)).deleted_at, NULL, 'a deleted user is known as such');
SELECT is((pgsasl.find_user('app', NULL)).password_hash, NULL, 'and has no password');

-- audit: the same attempt twice is one row, of any day
SELECT pgsasl.record_failure('0190b7a4-0000-7000-8000-000000000001', at, 'app', NULL, 'deleted_user', '{deleted_user}',
    'PLAIN', '192.0.2.1', 4711, '192.0.2.2', 'smtp', 'mail', NULL)
    FROM unnest(ARRAY[now(), now(), '2001-01-01', '2101-01-01']::timestamptz[]) AS t(at);
SELECT is(count(*), 3::bigint, 'no row counts twice, none lacks a partition') FROM pgsasl.auth_failures
    WHERE attempt_id = '0190b7a4-0000-7000-8000-000000000001';

-- the plugin's role
SELECT table_privs_are('pgsasl', name, 'pgsasl_plugin', '{}', 'the plugin may not touch ' || name)
    FROM unnest(ARRAY['smtp_users', 'auth_failures']) AS t(name);

SELECT * FROM finish();
ROLLBACK;
