-- smtp_users: what may stand in it, and what its triggers keep.
BEGIN;
SELECT * FROM no_plan();

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.hash_password('a long password') AS hash \gset
CREATE FUNCTION insertion(username text) RETURNS text LANGUAGE sql
AS $$ SELECT format('INSERT INTO pgsasl.smtp_users (username, password_hash, account_id)
    SELECT %L, ''$2b$10$'' || repeat(''x'', 53), account_id FROM pgsasl.accounts', username) $$;

-- user names
SELECT lives_ok(insertion(username), 'a user name: ' || username)
FROM unnest(ARRAY['a', 'app-1.example_x', 'Müller', '用户', ''';DROP/**/TABLE--', '%s\', repeat('x', 255),
    repeat('€', 85)]) AS username;
SELECT throws_ok(insertion(username), '23514', NULL, 'no user name: ' || what)
FROM (VALUES ('', 'empty'), (repeat('x', 256), '256 bytes'), (repeat('€', 85) || 'x', '256 bytes in 86 characters'),
    ('a@example.com', 'an address'), ('@', 'an at sign'), ('a b', 'a blank'), (' a', 'a blank before'),
    ('a ', 'a blank after'), (E'a\t', 'a tab'), (E'a\n', 'a newline'), (E'a\r', 'a carriage return'),
    (E'\x01', 'a control'), (E'a\x7f', 'DEL')) AS t (username, what);
SELECT throws_ok(insertion('a' || chr(code) || 'b'), '23514', NULL, 'no user name: one with U+' || upper(to_hex(code)))
FROM unnest(ARRAY[x'85'::int, x'a0'::int, x'ad'::int, x'34f'::int, x'61c'::int, x'115f'::int, x'1680'::int, x'17b4'::int,
    x'180e'::int, x'2000'::int, x'200b'::int, x'200d'::int, x'200f'::int, x'2028'::int, x'202e'::int, x'2060'::int,
    x'206f'::int, x'2800'::int, x'3000'::int, x'3164'::int, x'fe0f'::int, x'feff'::int, x'ffa0'::int, x'fff9'::int,
    x'1bca0'::int, x'1d173'::int, x'e0001'::int, x'e0020'::int, x'e0100'::int]) AS code;
SELECT lives_ok(insertion('a' || chr(code) || 'b'), 'a user name may have U+' || upper(to_hex(code)))
FROM unnest(ARRAY[x'21'::int, x'7e'::int, x'a1'::int, x'301'::int, x'640'::int, x'2010'::int, x'2030'::int, x'3001'::int,
    x'fffd'::int, x'1f600'::int]) AS code;
SELECT throws_ok(insertion('a'), '23505', NULL, 'user names are unique');
SELECT lives_ok(insertion('A'), 'and case-sensitive');

-- defaults and other columns
SELECT row_eq($$SELECT enabled, allowed_networks, rotation_grace, last_login_at, last_login_from, password_changed_at
                FROM pgsasl.smtp_users WHERE username = 'a'$$,
    ROW(true, NULL::cidr[], '0'::interval, NULL::timestamptz, NULL::inet, now()), 'a new user''s columns');
SELECT throws_ok(format('UPDATE pgsasl.smtp_users SET %s WHERE username = ''a''', change), code::char(5), NULL, what)
FROM (VALUES ('enabled = NULL', '23502', 'enabled is yes or no'),
    ('rotation_grace = ''-1 day''', '23514', 'no grace is negative'),
    ('rotation_grace = NULL', '23502', 'nor NULL'),
    ('allowed_networks = ''{NULL}''', '23514', 'no network is NULL'),
    ('allowed_networks = ''{10.0.0.1/8}''', '22P02', 'a network has no host bits'),
    ('password_hash = NULL', '23502', 'no user is without a hash'),
    ('user_id = 7', '428C9', 'a user_id stays')) AS t (change, code, what);

-- password_changed_at, by any SQL
UPDATE pgsasl.smtp_users SET password_changed_at = '2020-01-01' WHERE username IN ('a', 'A');
UPDATE pgsasl.smtp_users SET enabled = false, password_hash = password_hash WHERE username = 'a';
SELECT is(password_changed_at, '2020-01-01', 'the same hash again is no change')
FROM pgsasl.smtp_users WHERE username = 'a';
UPDATE pgsasl.smtp_users SET password_hash = :'hash' WHERE username = 'a';
SELECT is(password_changed_at, now(), 'a plain UPDATE stamps the change') FROM pgsasl.smtp_users WHERE username = 'a';
SELECT pgsasl.set_password('A', 'another long password');
SELECT is(password_changed_at, now(), 'so does set_password') FROM pgsasl.smtp_users WHERE username = 'A';

-- tombstones
SELECT user_id AS a FROM pgsasl.smtp_users WHERE username = 'a' \gset
SELECT lives_ok($$DELETE FROM pgsasl.smtp_users WHERE username = 'a'$$, 'DELETE just works');
SELECT row_eq($$SELECT user_id, account_id, deleted_at, deleted_by FROM pgsasl.deleted_users WHERE username = 'a'$$,
    ROW(:a::bigint, :shop::bigint, now(), 'postgres'::text), 'and leaves a tombstone');
SELECT lives_ok(insertion('a'), 'the name can be used again');
SELECT isnt(user_id, :a::bigint, 'by another user') FROM pgsasl.smtp_users WHERE username = 'a';
DELETE FROM pgsasl.smtp_users WHERE username = 'a';
SELECT is(count(*), 2::bigint, 'each deletion has its tombstone') FROM pgsasl.deleted_users WHERE username = 'a';
UPDATE pgsasl.smtp_users SET username = 'B' WHERE username = 'A';
SELECT is(count(*), 1::bigint, 'a rename buries the old name') FROM pgsasl.deleted_users WHERE username = 'A';
SELECT is(count(*), 1::bigint, 'and keeps the user') FROM pgsasl.smtp_users WHERE username = 'B';
SELECT throws_ok('TRUNCATE pgsasl.smtp_users', '0A000', NULL, 'TRUNCATE would leave no tombstones: refused');
SET LOCAL client_min_messages = warning;
SELECT throws_ok('TRUNCATE pgsasl.smtp_users CASCADE', 'P0001', NULL, 'also with what refers to it');
SELECT throws_ok('TRUNCATE pgsasl.accounts CASCADE', 'P0001', NULL, 'and by way of accounts');

SELECT * FROM finish();
ROLLBACK;
