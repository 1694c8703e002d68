-- Rotation: what a change of password_hash keeps, and for how long.
BEGIN;
SELECT * FROM no_plan();

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
SELECT pgsasl.add_user('other', 'a long password', :shop) AS other \gset
CREATE FUNCTION h(name text) RETURNS text LANGUAGE sql
AS $$ SELECT '$2b$10$' || rpad(name, 53, 'x') $$;
CREATE FUNCTION change(name text, grace interval DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    UPDATE pgsasl.smtp_users SET password_hash = h(name), rotation_grace = coalesce(grace, rotation_grace)
    WHERE username = 'app' $$;
-- what is kept of app, newest first: first letter, and how long it is accepted
CREATE FUNCTION kept() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(substr(r.password_hash, 8, 1) || ' ' || accepted_until - now(), ', ' ORDER BY retired_id DESC)
    FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u USING (user_id) WHERE username = 'app' $$;
CREATE FUNCTION forget() RETURNS void LANGUAGE sql AS $$ DELETE FROM pgsasl.retired_passwords $$;

-- the trigger
UPDATE pgsasl.smtp_users SET password_hash = h('a') WHERE username IN ('app', 'other');
SELECT forget();
SELECT change('b');
SELECT is(kept(), 'a 00:00:00', 'a plain UPDATE retires the old hash: dead at once');
SELECT row_eq('SELECT user_id, password_hash COLLATE "default", retired_at, accepted_until, last_used_at, last_used_from
               FROM pgsasl.retired_passwords',
    ROW(:app::bigint, h('a'), now(), now(), NULL::timestamptz, NULL::inet), 'in a row of its own');
SELECT change('c', '1 day');
SELECT is(kept(), 'b 1 day, a 00:00:00', 'one UPDATE can set grace and hash');
SELECT change('d');
SELECT is(kept(), 'c 1 day, b 1 day', 'the user''s grace holds for later ones; two are kept');
UPDATE pgsasl.smtp_users SET password_hash = password_hash, note = 'x' WHERE username = 'app';
SELECT is(kept(), 'c 1 day, b 1 day', 'the same hash again is no rotation');
SELECT change('c');
SELECT is(kept(), 'd 1 day, b 1 day', 'one that is set back is retired no more');
SELECT change('e', '0');
SELECT is(kept(), 'd 1 day, b 1 day', 'one that is dead makes no room at the cost of one that logs in');
UPDATE pgsasl.settings SET retired_kept = 3;
SELECT change('f');
SELECT is(kept(), 'e 00:00:00, d 1 day, b 1 day', 'it is kept where there is room');
SELECT change('g');
SELECT is(kept(), 'f 00:00:00, d 1 day, b 1 day', 'of dead ones the newest');
UPDATE pgsasl.settings SET retired_kept = 0;
SELECT change('h', '1 day');
SELECT is(kept(), NULL, 'retired_kept = 0 keeps none');
UPDATE pgsasl.settings SET retired_kept = 8;
SELECT change('h' || n) FROM generate_series(1, 10) AS n;
SELECT is(count(*), 8::bigint, 'retired_kept = 8 keeps eight') FROM pgsasl.retired_passwords;
UPDATE pgsasl.settings SET retired_kept = 2;
SELECT is(count(*), 0::bigint, 'all of this user alone') FROM pgsasl.retired_passwords WHERE user_id = :other;
ALTER TABLE pgsasl.smtp_users DROP CONSTRAINT smtp_users_password_hash_scheme, DISABLE TRIGGER user_refused;
UPDATE pgsasl.smtp_users SET password_hash = '*' WHERE username = 'other';
SELECT forget();
UPDATE pgsasl.smtp_users SET password_hash = h('z') WHERE username = 'other';
SELECT is_empty('SELECT FROM pgsasl.retired_passwords', 'a hash that never let anybody in is not kept');
UPDATE pgsasl.smtp_users SET password_hash = h('y') WHERE username = 'other';
DELETE FROM pgsasl.smtp_users WHERE username = 'other';
SELECT is_empty('SELECT FROM pgsasl.retired_passwords', 'deleting a user deletes them');
SELECT throws_ok(format('UPDATE pgsasl.settings SET %s', change), '23514', NULL, 'no setting: ' || change)
FROM unnest(ARRAY['retired_kept = -1', 'retired_kept = 9', 'login_stamp_interval = ''-1 s''',
    'login_stamp_interval = ''2 days''', 'throttle_window = ''0''', 'throttle_window = ''2 days''',
    'throttle_user_client = 0', 'throttle_client = 0', 'throttle_client = 10001']) AS change;

-- find_user
SELECT change('a', '0'), forget();
SELECT change('b', '1 day');
SELECT retired_id AS a FROM pgsasl.retired_passwords \gset
SELECT row_eq($$SELECT password_hash, retired_hashes, retired_accepted, retired_at, retired_ids
                FROM pgsasl.find_user('app', NULL)$$,
    ROW(h('b'), ARRAY[h('a'), NULL], ARRAY[true, NULL], ARRAY[now(), NULL],
        ARRAY[:a::bigint, NULL]), 'one retired password and an empty slot');
SELECT change('c', '0');
SELECT is((pgsasl.find_user('app', NULL)).retired_accepted, ARRAY[true, false],
    'expired ones are given too, after the accepted ones');
UPDATE pgsasl.smtp_users SET password_hash = '$6$salt$' || repeat('x', 86) WHERE username = 'app';
SELECT forget();
SELECT is(retired_hashes, '{NULL,NULL}', 'without any: empty slots, for ' || name)
FROM unnest(ARRAY['app', 'nobody']) AS name, pgsasl.find_user(name, NULL);
SELECT is(decoy_hash, '$6$....$' || repeat('.', 86), 'the decoy of an unknown name is like the newest user''s')
FROM pgsasl.find_user('nobody', NULL);

UPDATE pgsasl.smtp_users SET password_hash = h('a');
SELECT change('b', '1 day');
CREATE FUNCTION sizes(kept integer, name text) RETURNS integer[] LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pgsasl.settings SET retired_kept = kept;
    RETURN (SELECT ARRAY[cardinality(retired_hashes), cardinality(retired_accepted), cardinality(retired_at),
                         cardinality(retired_ids)]
            FROM pgsasl.find_user(name, NULL));
END
$$;
SELECT is(sizes(kept, name), array_fill(kept, '{4}'), format('retired_kept = %s, for %s', kept, name))
FROM unnest(ARRAY[0, 1, 2, 3, 8]) AS kept, unnest(ARRAY['app', 'nobody']) AS name;

-- set_password, rotate_password, end_rotation
SELECT forget();
UPDATE pgsasl.smtp_users SET password_hash = pgsasl.hash_password('a long password'), rotation_grace = '2 hours';
SELECT forget();
CREATE FUNCTION grace_of_last() RETURNS interval LANGUAGE sql AS $$
    SELECT accepted_until - retired_at FROM pgsasl.retired_passwords ORDER BY retired_id DESC LIMIT 1 $$;
SELECT pgsasl.set_password('app', 'another long password');
SELECT is(grace_of_last(), '2 hours', 'set_password grants the user''s own grace');
SELECT pgsasl.set_password('app', 'a third long password', '7 days');
SELECT is(grace_of_last(), '7 days', 'or the one that is given');
SELECT is(rotation_grace, '2 hours', 'which changes nothing for the next') FROM pgsasl.smtp_users;
SELECT pgsasl.set_password('app', 'a fourth long password', '0');
SELECT is(grace_of_last(), '0', 'none is one as well');
SELECT throws_ok($$SELECT pgsasl.set_password('app', 'a fifth long password', '-1 s')$$, '23514', NULL,
    'a negative one is refused');
SELECT throws_ok($$SELECT pgsasl.set_password('app', 'short', '1 day')$$, '22023', NULL, 'so is a short password');

SELECT forget();
SELECT pgsasl.rotate_password('app', '1 day') AS made \gset
SELECT is(password_hash, public.crypt(:'made', password_hash), 'rotate_password returns what it has set')
FROM pgsasl.smtp_users;
SELECT is(:'made' ~ '^[abcdefghijkmnpqrstuvwxyz23456789]{32}$', true, '160 bits: 32 of 32 characters');
SELECT is(grace_of_last(), '1 day', 'its grace');
SELECT pgsasl.rotate_password('app') \g /dev/null
SELECT is(grace_of_last(), '2 hours', 'without one, the user''s own');
SELECT is(count(DISTINCT p), 1000::bigint, 'no two are alike')
FROM (SELECT pgsasl.random_password() AS p FROM generate_series(1, 1000)) AS made;
SELECT is(count(DISTINCT c), 32::bigint, 'all of the alphabet is used')
FROM (SELECT unnest(string_to_array(pgsasl.random_password(), NULL)) AS c FROM generate_series(1, 100)) AS made;
SELECT throws_ok($$SELECT pgsasl.rotate_password('nobody')$$, 'P0002', 'there is no SMTP user "nobody"', 'an unknown user');

SELECT is(pgsasl.end_rotation('app'), 2, 'end_rotation ends what is accepted');
SELECT is(count(*), 2::bigint, 'and keeps it, to tell a stale password from a wrong one')
FROM pgsasl.retired_passwords WHERE accepted_until = now();
SELECT is(pgsasl.end_rotation('app'), 0, 'once');
SELECT throws_ok($$SELECT pgsasl.end_rotation('nobody')$$, 'P0002', 'there is no SMTP user "nobody"', 'an unknown user');

SELECT * FROM finish();
ROLLBACK;
