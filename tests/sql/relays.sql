-- relays: what a mail server says of its spool is there while something waits, and gone afterwards.
BEGIN;
SELECT * FROM no_plan();
SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset

-- A failure and a login of a server, with what waits there.
CREATE FUNCTION fail_at(host text, waiting text, occurred_at timestamptz DEFAULT now()) RETURNS void LANGUAGE sql AS $$
    SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', gen_random_uuid(), 'occurred_at', occurred_at, 'username', 'app',
        'reason', 'wrong_password', 'server_host', host, 'spool_waiting', waiting))
$$;
CREATE FUNCTION log_in_at(host text, waiting text) RETURNS void LANGUAGE sql AS $$
    SELECT pgsasl.note_login(jsonb_build_object('user_id', '1', 'occurred_at', now(), 'server_host', host,
        'spool_waiting', waiting))
$$;
CREATE FUNCTION age() RETURNS void LANGUAGE sql AS $$ UPDATE pgsasl.relays SET noted_at = noted_at - interval '10 seconds' $$;
CREATE VIEW said AS SELECT server_host COLLATE "default" AS server_host, spool_waiting FROM pgsasl.relays ORDER BY 1;

SELECT fail_at('mx1', NULL);
SELECT log_in_at('mx1', NULL);
SELECT is_empty('SELECT * FROM said', 'a server whose spool is empty is not listed');
SELECT fail_at('mx1', '4096');
SELECT log_in_at('mx2', '100');
SELECT results_eq('SELECT * FROM said', $$ VALUES ('mx1', 4096::bigint), ('mx2', 100) $$, 'failures and logins say what waits');
SELECT log_in_at('mx1', '5000');
SELECT results_eq('SELECT * FROM said', $$ VALUES ('mx1', 4096::bigint), ('mx2', 100) $$, 'not written again at once');
SELECT age();
SELECT log_in_at('mx1', '5000');
SELECT fail_at('mx2', '50');
SELECT results_eq('SELECT * FROM said', $$ VALUES ('mx1', 5000::bigint), ('mx2', 50) $$, 'but after a while');
SELECT fail_at('mx2', NULL, now() - interval '1 hour');
SELECT fail_at('mx1', '9', now() - interval '1 hour');
SELECT age();
SELECT results_eq('SELECT * FROM said', $$ VALUES ('mx1', 5000::bigint), ('mx2', 50) $$, 'what comes out of a spool says nothing');
SELECT fail_at('mx1', odd) FROM unnest(ARRAY['-1', 'many', '1e9', '9999999999999999', '']) AS odd;
SELECT lives_ok($$ SELECT fail_at(NULL, '7') $$, 'nor what is odd, which is no error');

SELECT alike((SELECT what_failed FROM pgsasl.explain('app') WHERE server_host = 'mx2' ORDER BY what_failed LIMIT 1),
    'mx2 had 50 bytes of failures in its spool at % they are still to arrive here', 'explain says so behind the failures');
SELECT is((SELECT count(*) FROM pgsasl.explain('nobody') WHERE what_to_do LIKE '%the rows arrive with its next logins'), 1::bigint,
    'and where there are none');
SELECT results_eq($$ SELECT item, ok FROM pgsasl.user_status('app') WHERE item = 'still to arrive' $$,
    $$ VALUES ('still to arrive', false) $$, 'user_status says so');
SELECT permits('pgsasl_auditor', 'SELECT * FROM pgsasl.relays');
SELECT permits('pgsasl_auditor', $$ SELECT * FROM pgsasl.explain('app') $$);
SELECT denies('pgsasl_plugin', 'SELECT * FROM pgsasl.relays');

SELECT age();
SELECT log_in_at('mx2', NULL);
SELECT fail_at('mx1', NULL);
SELECT is_empty('SELECT * FROM said', 'a server whose spool has become empty is gone');
SELECT is_empty($$ SELECT FROM pgsasl.user_status('app') WHERE item = 'still to arrive' $$, 'and nothing is said any more');
SELECT * FROM finish();
ROLLBACK;
