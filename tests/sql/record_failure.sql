-- record_failure: one attempt is one row, whatever it says.
BEGIN;
SELECT * FROM no_plan();

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
\set attempt '''0190b7a4-0000-7000-8000-000000000001'''

SELECT pgsasl.record_failure(format('{"attempt_id": "%s", "occurred_at": "2026-01-31T12:00:00.123456Z", "username": "app",
    "user_id": "%s", "reason": "account_suspended", "failed_checks": ["account_suspended", "wrong_password"],
    "mechanism": "PLAIN", "client_addr": "192.0.2.1", "client_port": 4711, "server_addr": "2001:db8::25", "service": "smtp",
    "server_host": "mx.example.com", "detail": "a word", "of_a_newer_plugin": {"x": [1]}, "counts": true, "attempts": 5,
    "account_id": 77, "recorded_at": "2020-01-01"}', :attempt, :app)::jsonb);
SELECT row_eq($$SELECT attempt_id, occurred_at, recorded_at, username COLLATE "default", user_id, account_id, reason,
        failed_checks, mechanism, client_addr, client_port, server_addr, service, server_host, attempts, detail
      FROM pgsasl.auth_failures$$,
    ROW(:attempt::uuid, '2026-01-31 12:00:00.123456+00'::timestamptz, now(), 'app'::text, :app::bigint, :shop::bigint,
        'account_suspended'::text, '{account_suspended,wrong_password}'::text[], 'PLAIN'::text, '192.0.2.1'::inet, 4711,
        '2001:db8::25'::inet, 'smtp'::text, 'mx.example.com'::text, 1, 'a word'::text), 'every name has its column, and no other name has');
SELECT failure('app', :attempt, '2026-01-31 12:00:00.123456+00', reason => 'unknown_user');
SELECT results_eq('SELECT reason FROM pgsasl.auth_failures', ARRAY['account_suspended'],
    'the same attempt again changes nothing');
SELECT failure('app', :attempt, '2026-01-31 12:00:01+00');
SELECT is(count(*), 2::bigint, 'at another time it is another') FROM pgsasl.auth_failures;
SELECT lives_ok($$SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', gen_random_uuid(), 'occurred_at', now(),
    'reason', 'backend_unavailable', 'username', NULL, 'failed_checks', NULL))$$, 'time and reason are enough');
SELECT is(failed_checks, ARRAY['backend_unavailable'], 'failed checks have the reason at least')
FROM pgsasl.auth_failures WHERE reason = 'backend_unavailable';

-- reasons
SELECT lives_ok(format('SELECT failure(%L, reason => %L)', 'app', reason), 'a reason: ' || reason)
FROM unnest(ARRAY['unknown_user', 'deleted_user', 'disabled_user', 'username_has_at', 'username_whitespace',
    'wrong_password', 'stale_password', 'password_whitespace', 'account_past_due', 'account_suspended', 'account_closed',
    'ip_not_authorized', 'throttled', 'authzid_mismatch', 'tls_required', 'malformed_response', 'unusable_hash',
    'backend_unavailable']) AS reason;

-- what cannot be read: a row is lost only where it has no attempt_id or no time
CREATE FUNCTION stored(part jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    id uuid := gen_random_uuid();
    f pgsasl.auth_failures;
BEGIN
    PERFORM pgsasl.record_failure(jsonb_build_object('attempt_id', id, 'occurred_at', now(), 'reason', 'wrong_password',
        'detail', 'a word') || part);
    SELECT * INTO STRICT f FROM pgsasl.auth_failures WHERE attempt_id = id;
    RETURN concat_ws(' | ', f.reason, f.failed_checks, f.client_addr, f.client_port, f.server_addr, f.detail);
END
$$;
SELECT is(stored(part::jsonb), wanted, 'an attempt with ' || part)
FROM (VALUES
    ('{"reason": "too_tired"}', 'backend_unavailable | {too_tired} | a word; reason "too_tired" is not known to this schema;'
        ' load the newer one'),
    ('{"reason": "too_tired", "failed_checks": ["too_tired", "wrong_password"], "detail": null}',
        'backend_unavailable | {too_tired,wrong_password} | reason "too_tired" is not known to this schema; load the newer one'),
    ('{"reason": null}', 'backend_unavailable | {backend_unavailable} | a word; no reason was given'),
    ('{"reason": ""}', 'backend_unavailable | {""} | a word; reason "" is not known to this schema; load the newer one'),
    ('{"reason": "Wrong_password"}', 'backend_unavailable | {Wrong_password} | a word; reason "Wrong_password" is not known to'
        ' this schema; load the newer one'),
    ('{"failed_checks": "wrong_password"}', 'wrong_password | {wrong_password} | a word; failed_checks could not be read'),
    ('{"failed_checks": []}', 'wrong_password | {} | a word'),
    ('{"failed_checks": ["wrong_password", null, 1, {}]}', 'wrong_password | {wrong_password,1,"{}"} | a word'),
    ('{"client_addr": "mx.example.com"}', 'wrong_password | {wrong_password} | a word; client_addr could not be read'),
    ('{"client_addr": "", "server_addr": 25}', 'wrong_password | {wrong_password} | a word; client_addr could not be read;'
        ' server_addr could not be read'),
    ('{"client_addr": "192.0.2.1", "client_port": 65535}', 'wrong_password | {wrong_password} | 192.0.2.1 | 65535 | a word'),
    ('{"client_port": "25"}', 'wrong_password | {wrong_password} | 25 | a word'),
    ('{"client_port": 0}', 'wrong_password | {wrong_password} | a word; client_port could not be read'),
    ('{"client_port": 65536}', 'wrong_password | {wrong_password} | a word; client_port could not be read'),
    ('{"client_port": -1}', 'wrong_password | {wrong_password} | a word; client_port could not be read'),
    ('{"client_port": 1e30}', 'wrong_password | {wrong_password} | a word; client_port could not be read'),
    ('{"client_port": "smtp"}', 'wrong_password | {wrong_password} | a word; client_port could not be read'),
    ('{"client_port": null}', 'wrong_password | {wrong_password} | a word'),
    ('{"detail": {"x": 1}}', 'wrong_password | {wrong_password} | {"x": 1}')) AS t (part, wanted);
SELECT is(counts, true, 'an unknown reason counts towards the throttle as its checks say')
FROM pgsasl.auth_failures WHERE failed_checks = '{too_tired,wrong_password}';
CREATE FUNCTION error_of(attempt jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pgsasl.record_failure(attempt);
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
SELECT matches(error_of(attempt::jsonb), '^22', 'an error of class 22: ' || coalesce(attempt, 'NULL'))
FROM unnest(ARRAY[NULL, 'null', '[]', '"x"', '1', '{}', '{"attempt_id": "0190b7a4-0000-7000-8000-000000000001"}',
    '{"occurred_at": "2026-01-31T12:00:00Z"}', '{"attempt_id": "x", "occurred_at": "2026-01-31T12:00:00Z"}',
    '{"attempt_id": "0190b7a4-0000-7000-8000-000000000001", "occurred_at": "noon"}',
    '{"attempt_id": "0190b7a4-0000-7000-8000-000000000001", "occurred_at": "2026-13-31T12:00:00Z"}',
    '{"attempt_id": [], "occurred_at": {}}']) AS attempt;

-- who it was: each failure has a client port of its own, by which it is found again
SELECT pgsasl.add_user('gone', 'a long password', :shop) AS gone \gset
DELETE FROM pgsasl.smtp_users WHERE user_id = :gone;
SELECT failure('app', client_port => 1, user_id => :'app');
SELECT failure('app', client_port => 2);
SELECT failure('app', client_port => 3, user_id => '999999');
SELECT failure('app', client_port => 4, user_id => 'b0a7d4c2-uuid');
SELECT failure('foreign', client_port => 5, user_id => :'app');
SELECT failure('nobody', client_port => 6);
SELECT failure('gone', client_port => 7);
SELECT failure('gone', client_port => 8, user_id => :'gone');
SELECT failure('app', client_port => 9, user_id => '99999999999999999999999');
SELECT failure('app', client_port => 10, user_id => '-1');
SELECT failure('app', client_port => 11, user_id => '');
SELECT is(ROW(f.user_id, f.account_id)::text, ROW(t.user_id, t.account_id)::text, t.what)
FROM (VALUES
    (1, :app::bigint, :shop::bigint, 'a user by id and name'),
    (2, :app, :shop, 'a user by name'),
    (3, 999999, NULL, 'an id of another table: the name is no proof'),
    (4, :app, :shop, 'an id that is no number'),
    (5, :app, NULL, 'a name of another table: the id is no proof'),
    (6, NULL, NULL, 'an unknown name'),
    (7, :gone, :shop, 'a deleted user by name'),
    (8, :gone, :shop, 'a deleted user by id and name'),
    (9, :app, :shop, 'an id of too many digits'),
    (10, :app, :shop, 'a negative id'),
    (11, :app, :shop, 'an empty id')) AS t (port, user_id, account_id, what)
    JOIN pgsasl.auth_failures f ON f.client_port = t.port;

-- hostile values
SELECT lives_ok(format('SELECT failure(%L, client_port => %s)', 'app', port), 'no port refuses a row: ' || port)
FROM unnest(ARRAY[0, -1, 65536, 2147483647]) AS port;
SELECT is(count(*), 4::bigint, 'one that is none is NULL')
FROM pgsasl.auth_failures WHERE client_port IS NULL AND username = 'app' AND detail = 'client_port could not be read';
SELECT lives_ok(format('SELECT failure(%L)', name), 'no name refuses a row: ' || what)
FROM (VALUES ('', 'empty'), ('''; DROP TABLE pgsasl.auth_failures; --', 'SQL'), (E'a\r\nForged: line', 'line ends'),
    (repeat('\xff', 275), 'all escaped'), ('a@b', 'an address'), (E'\U0001F600', 'an emoji')) AS t (name, what);
SELECT is(count(*), 1::bigint, 'and it stands as it came') FROM pgsasl.auth_failures WHERE username = E'a\r\nForged: line';
SELECT failure((SELECT string_agg(chr(x'10000'::int + (n * 7919) % 60000), '') FROM generate_series(1, 5000) AS n),
    client_port => 12);
SELECT is(octet_length(username) <= 1100 AND detail = 'username was cut', true, 'a name that no index takes is cut')
FROM pgsasl.auth_failures WHERE client_port = 12;

-- text that somebody with the plugin's credential made up
SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', 'aaaaaaaa-0000-7000-8000-000000000000', 'occurred_at', now(),
    'reason', 'wrong_password', 'mechanism', long, 'service', long, 'server_host', long, 'detail', long, 'username', long,
    'failed_checks', ARRAY(SELECT long FROM generate_series(1, 1000))))
FROM repeat('x', 100000) AS long;
SELECT cmp_ok(octet_length(f::text), '<', 6000, 'the length of a row is bounded')
FROM pgsasl.auth_failures f WHERE attempt_id = 'aaaaaaaa-0000-7000-8000-000000000000';
SELECT * FROM finish();
ROLLBACK;
