-- The views for DBAs.
BEGIN;
SELECT * FROM no_plan();
SET LOCAL timezone = 'UTC';

SELECT pgsasl.add_account('shop') AS shop, pgsasl.add_account('club', 'past_due') AS club \gset
SELECT pgsasl.add_user(name, 'a long password', account, app => 'app of ' || name)
FROM (VALUES ('a', :shop::bigint), ('b', :shop), ('c', :club), ('d', :shop)) AS t (name, account) \g /dev/null
CREATE FUNCTION attempt(username text, client inet, ago interval, reason text DEFAULT 'wrong_password') RETURNS void
LANGUAGE sql AS $$
    SELECT failure(username, occurred_at => now() - ago, reason => attempt.reason, failed_checks => ARRAY[attempt.reason],
        client => client) $$;

-- failures
SELECT attempt(name, client, ago, reason)
FROM (VALUES ('a', '192.0.2.1'::inet, '1 s'::interval, 'wrong_password'), ('a', '192.0.2.1', '2 hours', 'wrong_password'),
    ('b', '192.0.2.1', '2 hours', 'wrong_password'), ('c', '192.0.2.2', '2 hours', 'stale_password'),
    ('c', '192.0.2.2', '3 hours', 'stale_password'), ('nobody', '2001:db8::1', '1 day', 'unknown_user'),
    ('nobody', '2001:db8::2', '1 day', 'throttled'), ('nobody', '2001:db8::3', '1 day', 'throttled'),
    ('a', '192.0.2.1', '8 days', 'wrong_password')) AS t (name, client, ago, reason);
SELECT bag_eq($$SELECT reason::text, sum(attempts) FROM pgsasl.failures_by_reason GROUP BY reason$$,
    $$VALUES ('wrong_password', 3::numeric), ('stale_password', 2), ('unknown_user', 1), ('throttled', 2)$$,
    'failures_by_reason: attempts of seven days');
SELECT row_eq($$SELECT hour, reason, attempts, usernames, clients FROM pgsasl.failures_by_reason
    WHERE hour = date_trunc('hour', now() - interval '2 hours') AND reason = 'wrong_password'$$,
    ROW(date_trunc('hour', now() - interval '2 hours'), 'wrong_password'::text, 2::bigint, 2::bigint, 1::bigint),
    'by reason and hour');
SELECT results_eq($$SELECT client::text, attempts, last_hour, usernames, reasons, last_at FROM pgsasl.failures_by_client
    WHERE client <> '192.0.2.2/32'$$,
    $$VALUES ('192.0.2.1/32', 3::bigint, 1::bigint, 2::bigint, '{wrong_password}'::text[], now() - interval '1 s'),
        ('2001:db8::/64', 3, 0, 1, '{throttled,unknown_user}', now() - interval '1 day')$$,
    'failures_by_client: a /64 is one client');
SELECT bag_eq($$SELECT account_id, name, standing, attempts, last_hour, usernames, reasons FROM pgsasl.failures_by_account$$,
    format($$VALUES (%s::bigint, 'shop', 'good', 3::bigint, 1::bigint, 2::bigint, '{wrong_password}'::text[]),
        (%s, 'club', 'past_due', 2, 0, 1, '{stale_password}'), (NULL, NULL, NULL, 3, 0, 1, '{throttled,unknown_user}')$$,
        :shop, :club), 'failures_by_account');
SELECT results_eq('SELECT username COLLATE "default", app, account, host(client_addr), attempts, first_at, last_at
    FROM pgsasl.top_stale',
    $$VALUES ('c', 'app of c', 'club', '192.0.2.2', 2::bigint, now() - interval '3 hours', now() - interval '2 hours')$$,
    'top_stale');

-- rotation. Four users are rotated; a is a straggler, b has moved on, c has not come yet, d has no grace.
UPDATE pgsasl.smtp_users SET password_hash = '$2b$10$' || repeat('x', 53),
    rotation_grace = CASE WHEN username = 'd' THEN '0' ELSE '7 days' END::interval;
UPDATE pgsasl.retired_passwords SET retired_at = now() - interval '2 days';
SELECT is_empty('SELECT * FROM pgsasl.rotation_stragglers', 'nobody has used the old password yet');
SELECT is_empty('SELECT * FROM pgsasl.safe_to_revoke', 'nor the new one');
CREATE FUNCTION login(name text, ago interval, old boolean DEFAULT false) RETURNS void LANGUAGE sql AS $$
    SELECT note(u.user_id::text, '192.0.2.1', now() - ago, CASE WHEN old THEN r.retired_id END)
    FROM pgsasl.smtp_users u JOIN pgsasl.retired_passwords r USING (user_id) WHERE username = name $$;
SELECT login('a', '3 hours'), login('b', '2 hours', true);
SELECT login('a', '1 hours', true), login('b', '1 hours');
SELECT results_eq('SELECT username COLLATE "default", app, account, last_used_at, last_used_from,
    retired_at, accepted_until, time_left
    FROM pgsasl.rotation_stragglers ORDER BY username', $$VALUES
    ('a', 'app of a', 'shop', now() - interval '1 hour', '192.0.2.1'::inet, now() - interval '2 days',
        now() + interval '7 days', interval '7 days'),
    ('b', 'app of b', 'shop', now() - interval '2 hours', '192.0.2.1', now() - interval '2 days',
        now() + interval '7 days', interval '7 days')$$, 'rotation_stragglers: logins by an old password');
SELECT results_eq('SELECT username COLLATE "default", app, account, accepted, accepted_until,
    last_used_at, unused_for, last_login_at
    FROM pgsasl.safe_to_revoke', $$VALUES ('b', 'app of b', 'shop', 1::bigint, now() + interval '7 days',
        now() - interval '2 hours', interval '2 hours', now() - interval '1 hour')$$,
    'safe_to_revoke: the new one has logged in since');
SELECT login('c', '1 hour');
SELECT is(unused_for, '2 days', 'also where the old one was never used') FROM pgsasl.safe_to_revoke WHERE username = 'c';
SELECT login('b', '3 minutes', true), login('b', '1 second');
SELECT is_empty($$SELECT FROM pgsasl.safe_to_revoke WHERE username = 'b'$$, 'not yet: two apps share the user');
UPDATE pgsasl.smtp_users SET last_login_at = now() - interval '3 days' WHERE username = 'c';
SELECT is_empty($$SELECT FROM pgsasl.safe_to_revoke WHERE username = 'c'$$, 'nor where the login was before the rotation');
SELECT is(pgsasl.end_rotation('a'), 1, 'the rotation of a ends');
SELECT is_empty($$SELECT FROM pgsasl.rotation_stragglers WHERE username = 'a'$$, 'a straggler no more');

-- idle users
UPDATE pgsasl.smtp_users SET created_at = now() - interval '40 days',
    last_login_at = CASE username WHEN 'a' THEN now() - interval '31 days' WHEN 'b' THEN now() - interval '29 days' END,
    enabled = username <> 'd';
INSERT INTO pgsasl.smtp_users (username, password_hash, created_at, expires_at)
SELECT 'over', password_hash, created_at, now() FROM pgsasl.smtp_users WHERE username = 'a'; -- could not log in
SELECT results_eq('SELECT username COLLATE "default", app, account, account_standing, last_login_at, idle_for
    FROM pgsasl.idle_users',
    $$VALUES ('c', 'app of c', 'club', 'past_due', NULL::timestamptz, interval '40 days'),
        ('a', 'app of a', 'shop', 'good', now() - interval '31 days', interval '31 days')$$,
    'idle_users: enabled, and no login for 30 days');

-- a function in WHERE sees what the view shows, and no other row
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'pgsasl'::regnamespace AND relkind = 'v'
    AND NOT coalesce(reloptions @> '{security_barrier=true}', false)$$, 'each view is a security barrier');
SELECT pgsasl.add_user('busy', 'a long password') \g /dev/null
CREATE TABLE seen (username text);
CREATE FUNCTION peek(username text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN INSERT INTO seen VALUES (username); RETURN true; END $$;
SELECT count(*) FROM pgsasl.idle_users WHERE peek(username) \g /dev/null
SELECT is_empty($$SELECT FROM seen WHERE username = 'busy'$$, 'no function sees a user that is not idle');

SELECT * FROM finish();
ROLLBACK;
