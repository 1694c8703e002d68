-- What the support desk asks: reasons, explain, user_status.
BEGIN;
SET LOCAL DateStyle = ISO; -- the style of the functions, also for what is compared with them
SELECT * FROM no_plan();
SET LOCAL timezone = 'UTC';

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop, app => 'printer') AS app \gset
SELECT pgsasl.add_user('gone', 'a long password', :shop) \g /dev/null
DELETE FROM pgsasl.smtp_users WHERE username = 'gone';

-- reasons
SELECT bag_eq('SELECT reason::text FROM pgsasl.reasons', $$SELECT (regexp_matches(pg_get_constraintdef(oid),
    '''(\w+)''', 'g'))[1]
    FROM pg_constraint WHERE conrelid = 'pgsasl.auth_failures'::regclass AND conname = 'auth_failures_reason_word'$$,
    'each reason that can stand in auth_failures has its words');
SELECT is(count(DISTINCT what_failed), count(*), 'no two say the same') FROM pgsasl.reasons;
SELECT is(array_agg(check_order ORDER BY check_order), array_agg(n ORDER BY n), 'each has its place in the order')
FROM (SELECT check_order, row_number() OVER ()::integer AS n FROM pgsasl.reasons) AS r;
SELECT is_empty($$SELECT reason FROM pgsasl.reasons WHERE what_failed !~ '^\w.*[^.]$' OR what_to_do !~ '^\w.*[^.]$'$$,
    'what failed and what to do are parts of a sentence');
SELECT is_empty($$SELECT reason FROM pgsasl.reasons WHERE tell_customer !~ '^[A-Z].*\.$' OR tell_customer ~ '_|pgsasl'$$,
    'what the customer is told are sentences, and name nothing of ours');

-- explain
\set at '''2026-01-31 12:00:00+00'''
SELECT failure('app', occurred_at => :at::timestamptz + shift, reason => checks[1], failed_checks => checks)
FROM (VALUES ('0'::interval, '{account_suspended,wrong_password}'::text[]), ('-59 min', '{stale_password}'),
    ('60 min', '{wrong_password}'), ('61 min', '{wrong_password}'), ('-61 min', '{wrong_password}')) AS t (shift, checks);
SELECT failure('other', occurred_at => :at);
SELECT results_eq($$SELECT to_char(e.occurred_at, 'HH24:MI'), host(e.client_addr), e.what_failed, e.all_checks,
        e.what_to_do = r.what_to_do AND e.tell_customer = r.tell_customer, e.attempts, e.mechanism, e.server_host, e.detail,
        e.reason, e.name_given
    FROM pgsasl.explain('app', '2026-01-31 12:00+00') e LEFT JOIN pgsasl.reasons r ON r.reason = e.reason
    ORDER BY e.occurred_at$$,
    $$VALUES ('11:01', '192.0.2.1', 'the password is one from before a rotation',
            'the password is one from before a rotation', true, 1, 'PLAIN', 'mx.example.com', NULL, 'stale_password', 'app'),
        ('12:00', '192.0.2.1', 'the account is suspended', 'the account is suspended; the password is wrong', true, 1,
            'PLAIN', 'mx.example.com', NULL, 'account_suspended', 'app'),
        ('13:00', '192.0.2.1', 'the password is wrong', 'the password is wrong', true, 1, 'PLAIN', 'mx.example.com', NULL,
            'wrong_password', 'app')$$,
    'explain: each attempt of the name within an hour, in words');
SELECT is(count(*), 1::bigint, 'or within as much as is asked for') FROM pgsasl.explain('app', :at, '1 min');
SELECT failure('now');
SELECT is(count(reason), 1::bigint, 'at is now and within an hour, where nothing else is said') FROM pgsasl.explain('now');

-- none
SELECT row_eq($$SELECT occurred_at, what_failed, detail FROM pgsasl.explain('app', '2026-02-01 12:00+00', '30 min')$$,
    ROW(NULL::timestamptz,
    'between 2026-02-01 11:30:00+00 and 2026-02-01 12:30:00+00 the plugin rejected no attempt of "app"'::text,
        'it has never logged in'::text), 'none: one row says so');
SELECT matches(what_to_do, word, 'and what it can mean: ' || word)
FROM pgsasl.explain('app', '2026-02-01'), unnest(ARRAY['CRAM-MD5', 'base64', 'TLS', 'host, port', 'user name',
    'database']) AS word;
UPDATE pgsasl.smtp_users SET last_login_at = '2026-02-01 11:59:58.7+00' WHERE username = 'app';
SELECT is(detail, wanted, 'none of ' || name)
FROM (VALUES ('app', 'its last login was at 2026-02-01 11:59:58+00'), ('nobody', 'there is no SMTP user of this name'))
    AS t (name, wanted), LATERAL pgsasl.explain(name, '2026-02-01');
SELECT matches(detail, '^this user was deleted at 20', 'none of a deleted one') FROM pgsasl.explain('gone', '2026-02-01');
SELECT lives_ok(format('SELECT * FROM pgsasl.explain(%L, %L, %L)', name, at, within), 'odd values do no harm')
FROM (VALUES (NULL, NULL, NULL), ('', '2026-02-01', '1 hour'), ('用户', '2026-02-01', '1 hour'), ('a', 'infinity', '1 hour'),
    ('%s', '2026-02-01', '-1 hour')) AS t (name, at, within);

-- near names
SELECT failure(name, occurred_at => '2026-03-01 12:00+00', reason => 'unknown_user')
FROM unnest(ARRAY['web@example.com', 'Web', ' web', E'web\u200b', 'we\xff\xfeb', 'webs', 'we', '用户', 'w.eb']) AS name;
SELECT bag_eq($$SELECT name_given FROM pgsasl.explain('web', '2026-03-01 12:00+00') WHERE occurred_at IS NOT NULL$$,
    $$SELECT unnest(ARRAY['web@example.com', 'Web', ' web', E'web\u200b', 'we\xff\xfeb'])$$,
    'with an @, another case, blanks, invisible or escaped characters: near names');
SELECT bag_eq($$SELECT name_given FROM pgsasl.explain('WEB@other.example',
    '2026-03-01 12:00+00') WHERE name_given IS NOT NULL$$,
    $$SELECT unnest(ARRAY['web@example.com', 'Web', ' web', E'web\u200b', 'we\xff\xfeb'])$$, 'both ways');
SELECT is(count(*), 1::bigint, 'a name without ASCII has none') FROM pgsasl.explain('äöü', '2026-03-01 12:00+00');
SELECT is(count(*), 1::bigint, 'failures of the name itself leave near ones out') FROM pgsasl.explain('Web',
    '2026-03-01 12:00+00');
SELECT failure('many' || repeat(' ', n), occurred_at => '2026-04-01 12:00+00') FROM generate_series(1, 30) AS n;
SELECT is(count(*), 21::bigint, 'twenty at most') FROM pgsasl.explain('many', '2026-04-01 12:00+00');

-- user_status
CREATE FUNCTION status(wanted_item text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(value || CASE ok WHEN true THEN ' +' WHEN false THEN ' -' ELSE '' END, ' | ')
    FROM pgsasl.user_status('app') WHERE item = wanted_item $$;
UPDATE pgsasl.smtp_users SET last_login_at = NULL, password_changed_at = '2026-01-01 12:00:00.5+00' WHERE username = 'app';
SELECT results_eq($$SELECT item, value, ok FROM pgsasl.user_status('app') WHERE item <> 'failure'$$, format($$VALUES
    ('user', 'user_id %s, printer', true), ('enabled', 'yes', true), ('account', 'shop: good', true),
    ('standing', 'good', true), ('expires', 'never', true),
    ('password', '$2a$, set at 2026-01-01 12:00:00+00', true), ('addresses', 'anywhere', NULL),
    ('throttled from', 'nowhere', true), ('last login', 'never', NULL), ('rotation grace', '00:00:00', NULL)$$, :app),
    'user_status: every check');
SELECT is(status('failure') ~ '^\d{4}-\d\d-\d\d [\d:]+\+00, the password is wrong, from 192.0.2.1 \| ', true,
    'the last failures');
SELECT is(count(*), 5::bigint, 'five of them') FROM pgsasl.user_status('app') WHERE item = 'failure';
UPDATE pgsasl.smtp_users SET enabled = false, allowed_networks = '{192.0.2.0/24,2001:db8::/32}', rotation_grace = '7 days',
    last_login_at = '2026-01-02 12:00:00.5+00', last_login_from = '192.0.2.1', app = NULL WHERE username = 'app';
UPDATE pgsasl.accounts SET standing = 'past_due';
SELECT is(status(item), wanted, 'user_status: ' || item)
FROM (VALUES ('user', format('user_id %s +', :app)), ('enabled', 'no -'), ('account', 'shop: past due -'),
    ('standing', 'past due, set for its account -'),
    ('addresses', '192.0.2.0/24, 2001:db8::/32'), ('last login', '2026-01-02 12:00:00+00 from 192.0.2.1'),
    ('rotation grace', '7 days')) AS t (item, wanted);
UPDATE pgsasl.smtp_users SET account_standing = 'closed' WHERE username = 'app';
SELECT is(status('standing'), 'closed, set for this user -', 'the user''s own standing, where it is the worse');
UPDATE pgsasl.smtp_users SET account_id = NULL WHERE username = 'app';
SELECT is(status('account'), 'none', 'no account');
UPDATE pgsasl.smtp_users SET account_id = :shop WHERE username = 'app';
UPDATE pgsasl.smtp_users SET expires_at = '2026-01-02 12:00:00.5+00' WHERE username = 'app';
SELECT is(status('expires'), '2026-01-02 12:00:00+00 -', 'a user that has expired');
UPDATE pgsasl.smtp_users SET expires_at = 'infinity' WHERE username = 'app';
SELECT is(status('expires'), 'infinity +', 'or not yet');
SELECT pgsasl.rotate_password('app', '1 hour') \g /dev/null
SELECT is(status('retired password'), format('retired at %s, accepted until %s, not used since',
    date_trunc('second', now()), date_trunc('second', now() + '1 hour'::interval)), 'a retired password');
UPDATE pgsasl.retired_passwords SET last_used_at = '2026-01-02 12:00:00.5+00', last_used_from = '2001:db8::1';
SELECT matches(status('retired password'), 'last used at 2026-01-02 12:00:00\+00, from 2001:db8::1$', 'which was used');
SELECT failure('app', occurred_at => now()) FROM generate_series(1, 20) \g /dev/null
SELECT is(status('throttled from'), '192.0.2.1 -', 'throttled by name and client');
UPDATE pgsasl.settings SET throttle_user_client = NULL,
    throttle_client = (SELECT count(*) + 3 FROM pgsasl.recent_guesses WHERE net = '192.0.2.1');
SELECT is(status('throttled from'), 'nowhere +', 'or not');
SELECT failure('another', occurred_at => now()) FROM generate_series(1, 3) \g /dev/null
SELECT is(status('throttled from'), '192.0.2.1 -', 'throttled by client');
SELECT is((pgsasl.find_user('app', '192.0.2.1')).throttled, true, 'as find_user says');
ALTER TABLE pgsasl.smtp_users DROP CONSTRAINT smtp_users_password_hash_scheme, DISABLE TRIGGER user_refused;
UPDATE pgsasl.smtp_users SET password_hash = '*' WHERE username = 'app';
SELECT is(status('password') ~ '^set at .* -$', true, 'a hash that is none');
SELECT results_eq($$SELECT item, value, ok FROM pgsasl.user_status('nobody')$$,
    $$VALUES ('user', 'there is no SMTP user of this name', false)$$, 'nobody');
SELECT is(value ~ '^deleted at .* by \w+$', true, 'a deleted user') FROM pgsasl.user_status('gone');
SELECT is_empty($$SELECT * FROM pgsasl.user_status('app') WHERE value ~ '[./A-Za-z0-9]{31}'$$, 'no hash is shown');

SELECT * FROM finish();
ROLLBACK;
