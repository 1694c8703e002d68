-- accounts, and how their users follow them.
BEGIN;
SELECT plan(18);

SELECT lives_ok($$INSERT INTO pgsasl.accounts (name) VALUES ('shop')$$, 'an account needs a name only');
SELECT account_id AS shop FROM pgsasl.accounts WHERE name = 'shop' \gset
SELECT is(standing, 'good', 'and begins in good standing') FROM pgsasl.accounts WHERE name = 'shop';
SELECT pgsasl.add_account('bad', 'suspended') AS bad \gset
SELECT is(standing, 'suspended', 'add_account takes a standing') FROM pgsasl.accounts WHERE account_id = :bad;
SELECT throws_ok(format('INSERT INTO pgsasl.accounts (name, standing) VALUES (%L, %L)', name, standing),
    sqlstate::char(5), NULL,
    what)
FROM (VALUES ('shop', 'good', '23505', 'names are unique'), (' ', 'good', '23514', 'a name is not blank'),
    ('x', 'sleepy', '23514', 'a standing is one of four'), ('x', NULL, '23502', 'a standing is never NULL'))
    AS t (name, standing, sqlstate, what);

SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
SELECT pgsasl.add_user('web', 'a long password', :shop) AS web \gset
SELECT is(account_standing, 'good', 'a new user has its account''s standing')
FROM pgsasl.smtp_users WHERE user_id = :app;
UPDATE pgsasl.accounts SET standing = 'past_due' WHERE account_id = :shop;
SELECT is(array_agg(account_standing), ARRAY['past_due', 'past_due'], 'one UPDATE of an account moves all its users')
FROM pgsasl.smtp_users WHERE account_id = :shop;
SELECT pgsasl.add_user('late', 'a long password', :shop) AS late \gset
SELECT is(account_standing, 'past_due', 'a later user too has the account''s standing')
FROM pgsasl.smtp_users WHERE user_id = :late;
UPDATE pgsasl.smtp_users SET account_id = :bad WHERE user_id = :late;
SELECT is(account_standing, 'suspended', 'a user who moves takes the new account''s standing')
FROM pgsasl.smtp_users WHERE user_id = :late;
UPDATE pgsasl.smtp_users SET account_id = :shop, account_standing = 'past_due' WHERE user_id = :late;
SELECT is(account_standing, 'past_due', 'also where both are set') FROM pgsasl.smtp_users WHERE user_id = :late;
SELECT throws_ok(format($$UPDATE pgsasl.smtp_users SET account_standing = 'good' WHERE user_id = %s$$, :app),
    '23503', NULL, 'a user can not differ from its account');
SELECT throws_ok($$INSERT INTO pgsasl.smtp_users (username, password_hash, account_id, account_standing)
    SELECT 'x', password_hash, account_id, 'good' FROM pgsasl.smtp_users WHERE username = 'app'$$,
    '23503', NULL, 'nor begin so');
SELECT throws_ok($$SELECT pgsasl.add_user('x', 'a long password', 4711)$$, '23503', 'there is no account 4711',
    'an account that is none');
SELECT throws_ok($$SELECT pgsasl.add_user('x', 'a long password', NULL)$$, '23502', NULL, 'no account');
SELECT throws_ok(format('DELETE FROM pgsasl.accounts WHERE account_id = %s', :shop), '23503', NULL,
    'an account with users is not deleted');
DELETE FROM pgsasl.smtp_users WHERE account_id = :shop;
SELECT lives_ok(format('DELETE FROM pgsasl.accounts WHERE account_id = %s', :shop), 'one without users is');

SELECT * FROM finish();
ROLLBACK;
