-- Failures that meet another session's open transaction do not wait for it. What that session, a dblink connection, sees
-- is committed, so this file ends in no ROLLBACK: its database is its own.
SELECT * FROM no_plan();
CREATE EXTENSION dblink;
SELECT format('host=%s dbname=%s user=postgres', split_part(current_setting('unix_socket_directories'), ',', 1),
    current_database()) AS here \gset
SELECT dblink_connect('other', :'here');
CREATE FUNCTION attempt(reason text, username text DEFAULT 'app') RETURNS void LANGUAGE sql
AS $$ SELECT failure(username, reason => attempt.reason,
    failed_checks => ARRAY[attempt.reason], occurred_at => date_trunc('minute', now())) $$;
CREATE FUNCTION rows_of(wanted text) RETURNS text LANGUAGE sql
AS $$ SELECT string_agg(attempts::text, ',' ORDER BY attempts DESC) FROM pgsasl.auth_failures WHERE reason = wanted $$;
SET lock_timeout = '1s'; -- a failure that waits for the other session is an error

SELECT attempt('throttled');
SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', $$SELECT attempt('throttled')::text$$) AS t (nothing text);
SELECT lives_ok($$SELECT attempt('throttled') FROM generate_series(1, 3)$$,
    'a row that is just being added to is passed over');
SELECT dblink_exec('other', 'COMMIT');
SELECT is(rows_of('throttled'), '3,2', 'and all are counted');
SELECT attempt('throttled');
SELECT is(rows_of('throttled') IN ('4,2', '3,3'), true, 'afterwards either row will do');

SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', $$SELECT attempt('stale_password')::text$$) AS t (nothing text);
SELECT lives_ok($$SELECT attempt('stale_password')$$, 'so with a stale password');
SELECT dblink_exec('other', 'COMMIT');
SELECT is(ROW(count(*), count(*) FILTER (WHERE counts))::text, '(2,1)', 'one of two counts')
FROM pgsasl.auth_failures WHERE reason = 'stale_password';

-- an attempt that is sent again while its first sending is under way waits for that
CREATE FUNCTION twice() RETURNS void LANGUAGE sql
AS $$ SELECT failure('app', '11111111-0000-7000-8000-000000000000', '2026-01-31 12:00+00', reason => 'throttled',
    failed_checks => '{throttled}') $$;
SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', 'SELECT twice()::text') AS t (nothing text);
SELECT throws_ok('SELECT twice()', '55P03', NULL, 'the same attempt waits for itself');
SELECT dblink_exec('other', 'COMMIT');
SELECT twice();
SELECT is(sum(attempts), 1::bigint, 'and counts once') FROM pgsasl.auth_failures WHERE occurred_at = '2026-01-31 12:00+00';

-- a login does not read the audit table
UPDATE pgsasl.settings SET throttle_user_client = 1;
SELECT failure('app');
SELECT is((SELECT f.throttled FROM pgsasl.find_user('app', client_addr) f), true, 'one failure throttles')
FROM pgsasl.auth_failures WHERE reason = 'wrong_password';
SELECT client_addr AS client FROM pgsasl.auth_failures WHERE reason = 'wrong_password' \gset
SELECT dblink_exec('other', 'BEGIN; LOCK TABLE pgsasl.auth_failures IN ACCESS EXCLUSIVE MODE');
SELECT is((SELECT f.throttled FROM pgsasl.find_user('app', :'client') f), true, 'a locked audit table holds up no login');
SELECT dblink_exec('other', 'ROLLBACK');
SELECT dblink_disconnect('other');
SELECT * FROM finish();
