-- accounts, and which standing counts for their users.
BEGIN;
SELECT no_plan();

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
SELECT pgsasl.add_user('alone', 'a long password') AS alone \gset

CREATE FUNCTION standing_of(username text) RETURNS text LANGUAGE sql AS $$
    SELECT (pgsasl.find_user(username, NULL)).account_standing $$;
SELECT is(account_standing, 'good', 'a new user is in good standing') FROM pgsasl.smtp_users WHERE user_id = :app;
SELECT is(standing_of('app'), 'good', 'and so it is for a look-up');
UPDATE pgsasl.accounts SET standing = 'past_due' WHERE account_id = :shop;
SELECT is(ARRAY[standing_of('app'), standing_of('web')], ARRAY['past_due', 'past_due'],
    'one UPDATE of an account holds for all its users');
SELECT is(account_standing, 'good', 'and changes no user') FROM pgsasl.smtp_users WHERE user_id = :app;
SELECT is(standing_of('alone'), 'good', 'a user without an account has its own standing only');
UPDATE pgsasl.smtp_users SET account_standing = 'suspended' WHERE username IN ('app', 'alone');
SELECT is(ARRAY[standing_of('app'), standing_of('web'), standing_of('alone')], ARRAY['suspended', 'past_due', 'suspended'],
    'a user can be in worse standing than its account');
UPDATE pgsasl.smtp_users SET account_id = :bad, account_standing = 'good' WHERE username IN ('app', 'alone');
SELECT is(standing_of('app'), 'suspended', 'with another account, that one''s standing counts');
SELECT is(standing_of('alone'), 'suspended', 'also for a user that had none');
SELECT is(standing_of('nobody'), NULL, 'nobody has no standing');

SELECT is(pgsasl.worse_standing(words[a], words[b]), words[greatest(a, b)], format('%s and %s', words[a], words[b]))
FROM (SELECT ARRAY['good', 'past_due', 'suspended', 'closed'] AS words) AS w, generate_series(1, 4) AS a,
    generate_series(1, 4) AS b;
SELECT is(pgsasl.worse_standing(word, NULL), word, 'without an account: ' || word)
FROM unnest(ARRAY['good', 'past_due', 'suspended', 'closed']) AS word;

SELECT throws_ok(format('UPDATE pgsasl.smtp_users SET account_standing = %L', standing), sqlstate::char(5), NULL, what)
FROM (VALUES ('sleepy', '23514', 'a user''s standing is one of four'), (NULL, '23502', 'and never NULL'))
    AS t (standing, sqlstate, what);
SELECT throws_ok($$SELECT pgsasl.add_user('x', 'a long password', 4711)$$, '23503', NULL, 'an account that is none');
SELECT throws_ok(format('DELETE FROM pgsasl.accounts WHERE account_id = %s', :shop), '23503', NULL,
    'an account with users is not deleted');
DELETE FROM pgsasl.smtp_users WHERE account_id = :shop;
SELECT lives_ok(format('DELETE FROM pgsasl.accounts WHERE account_id = %s', :shop), 'one without users is');
UPDATE pgsasl.smtp_users SET account_id = NULL WHERE username = 'alone';
DELETE FROM pgsasl.smtp_users WHERE username = 'alone';
SELECT row_eq($$SELECT user_id, account_id FROM pgsasl.deleted_users WHERE username = 'alone'$$,
    ROW(:alone::bigint, NULL::bigint), 'a user without an account leaves a tombstone');
SELECT failure('alone');
SELECT row_eq($$SELECT user_id, account_id FROM pgsasl.auth_failures WHERE username = 'alone'$$,
    ROW(:alone::bigint, NULL::bigint), 'and failures');

SELECT * FROM finish();
ROLLBACK;
