-- What people call: add_account, add_user, set_password, hash_password, schema_version.
BEGIN;
SELECT * FROM no_plan();

SELECT is(pgsasl.schema_version(), 1, 'the schema is version 1');
SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
SELECT is(user_id, :app::bigint, 'add_user returns the user_id') FROM pgsasl.smtp_users WHERE username = 'app';
SELECT is(password_hash, public.crypt('a long password', password_hash), 'and stores a hash of the password')
FROM pgsasl.smtp_users WHERE username = 'app';
SELECT pgsasl.add_user('second', 'a long password', :shop, enabled => false, allowed_networks => '{192.0.2.0/24}',
    app => 'printer', note => 'third floor') AS second \gset
SELECT row_eq($$SELECT enabled, allowed_networks, app, note FROM pgsasl.smtp_users WHERE username = 'second'$$,
    ROW(false, '{192.0.2.0/24}'::cidr[], 'printer'::text, 'third floor'::text), 'all else by name');
SELECT isnt(a.password_hash, b.password_hash, 'the same password has another salt')
FROM pgsasl.smtp_users a, pgsasl.smtp_users b WHERE a.username = 'app' AND b.username = 'second';

SELECT throws_ok(format('SELECT pgsasl.hash_password(%L)', password), '22023', message, what)
FROM (VALUES (NULL, 'the password is too short: 0 bytes, at least 12 are needed', 'no password'),
    ('', 'the password is too short: 0 bytes, at least 12 are needed', 'an empty password'),
    ('elevenchars', 'the password is too short: 11 bytes, at least 12 are needed', '11 bytes'),
    (repeat('x', 73), 'the password is too long: 73 bytes, bcrypt uses at most 72', '73 bytes'),
    (repeat('ä', 37), 'the password is too long: 74 bytes, bcrypt uses at most 72', '37 characters of 2 bytes'))
    AS t (password, message, what);
SELECT lives_ok(format('SELECT pgsasl.hash_password(%L)', password), what)
FROM (VALUES ('twelve chars', '12 bytes'), (repeat('x', 72), '72 bytes'), ('üüüüüü', '6 characters of 2 bytes'))
    AS t (password, what);
SELECT throws_ok(format('SELECT pgsasl.add_user(''x'', %L, %s)', 'short', :shop), '22023', NULL,
    'add_user refuses a short password');

SELECT pgsasl.set_password('app', 'another password');
SELECT is(password_hash, public.crypt('another password', password_hash), 'set_password stores the new hash')
FROM pgsasl.smtp_users WHERE username = 'app';
SELECT is(password_hash, public.crypt('a long password', password_hash), 'of this user alone')
FROM pgsasl.smtp_users WHERE username = 'second';
SELECT throws_ok($$SELECT pgsasl.set_password('app', 'short')$$, '22023', NULL, 'it refuses a short password');
SELECT throws_ok($$SELECT pgsasl.set_password('nobody', 'a long password')$$, 'P0002', 'there is no SMTP user "nobody"',
    'an unknown user is an error');
SELECT throws_ok($$SELECT pgsasl.set_password(NULL, 'a long password')$$, 'P0002', NULL, 'so is none');

-- every SECURITY DEFINER function pins its search_path
SELECT is(array_agg(p.proname ORDER BY p.proname), NULL, 'no SECURITY DEFINER function lacks the pinned search_path')
FROM pg_proc p
WHERE p.pronamespace = 'pgsasl'::regnamespace AND p.prosecdef
    AND NOT coalesce('search_path=pg_catalog, pgsasl, pg_temp' = ANY (p.proconfig), false);
SELECT cmp_ok(count(*), '>=', 6::bigint, 'and there are some') FROM pg_proc p
WHERE p.pronamespace = 'pgsasl'::regnamespace AND p.prosecdef;
-- and so a caller's own objects are not taken for ours
CREATE SCHEMA evil;
CREATE FUNCTION evil.no_more(inet, inet) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.<<= (LEFTARG = inet, RIGHTARG = inet, FUNCTION = evil.no_more);
CREATE FUNCTION evil.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 20';
CREATE FUNCTION evil.crypt(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
SET LOCAL search_path = evil, pg_catalog, public;
UPDATE pgsasl.smtp_users SET allowed_networks = '{192.0.2.0/24}' WHERE username = 'app';
SELECT is((pgsasl.find_user('app', '198.51.100.1')).client_allowed, false, 'an operator of the caller is not used');
SELECT throws_ok($$SELECT pgsasl.hash_password('short')$$, '22023', NULL, 'nor a function');
SELECT is(pgsasl.hash_password('a long password') LIKE '$2a$10$%', true, 'nor another crypt()');

SELECT * FROM finish();
ROLLBACK;
