-- Session settings change no result: everything here runs under hostile ones, which somebody may have set for the database.
BEGIN;
SELECT * FROM no_plan();
SELECT pgsasl.add_user('app', 'a long password', pgsasl.add_account('shop')) AS app \gset
-- What depends on a setting, as one text.
CREATE FUNCTION outcome() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    answer text;
BEGIN
    DELETE FROM pgsasl.auth_failures;
    PERFORM pgsasl.set_password('app', 'another password', '7 days 02:00');
    PERFORM public.failure('App@' || chr(92) || 'xFF', '11111111-0000-7000-8000-000000000000',
        date_trunc('minute', now()), client => '192.0.2.1');
    PERFORM pgsasl.record_failure('{"attempt_id": "22222222-0000-7000-8000-000000000000", "reason": "wrong_password",
        "occurred_at": "2026-02-01T12:00:00.123456Z", "username": "app"}');
    PERFORM pgsasl.note_login(jsonb_build_object('user_id', u.user_id::text, 'occurred_at', '2026-02-01T12:00:00.5Z'))
    FROM pgsasl.smtp_users u;
    EXECUTE 'DROP TABLE pgsasl.' || pgsasl.partition_name(now());
    PERFORM pgsasl.make_partitions();
    PERFORM pgsasl.make_partition('2020-01-31 12:00+00');
    PERFORM set_config('DateStyle', 'ISO', true), set_config('TimeZone', 'UTC', true);
    SELECT concat_ws(E'\n', string_agg(concat_ws(' ', f.occurred_at, f.username, f.reason, f.counts), '; '
               ORDER BY f.occurred_at),
           (SELECT r.accepted_until - r.retired_at = '7 days 2 hours' FROM pgsasl.retired_passwords r
            ORDER BY r.retired_id DESC LIMIT 1),
           (SELECT u.last_login_at FROM pgsasl.smtp_users u),
           (SELECT string_agg(pg_get_expr(c.relpartbound, c.oid), '; ' ORDER BY c.relname) FROM pg_class c
            WHERE c.relname ~ 'auth_failures_[0-9_]+$' AND c.relispartition AND c.relkind = 'r'),
           (SELECT count(*) FROM pgsasl.explain('app', now(), '1 hour') e WHERE e.name_given LIKE 'App%'),
           (SELECT count(*) FROM pgsasl.schema_faults() s WHERE s.kind <> 'trigger'),
           (SELECT string_agg(s.item || ' ' || s.ok, ', ') FROM pgsasl.user_status('app') s
            WHERE s.item NOT LIKE '%password'),
           pgsasl.simplified_name(' App' || chr(92) || 'xC3@x'))
    INTO answer FROM pgsasl.auth_failures f;
    RETURN answer || pgsasl.purge_failures('90 days');
END
$$;
SET LOCAL TimeZone = 'UTC';
SELECT outcome() AS wanted \gset
CREATE FUNCTION outcome_under(setting text, value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config(setting, value, true);
    RETURN public.outcome();
END
$$;
SELECT is(outcome_under(setting, value), :'wanted', setting || ' = ' || value)
FROM (VALUES ('DateStyle', 'SQL, DMY'), ('DateStyle', 'German'), ('DateStyle', 'Postgres, MDY'),
    ('TimeZone', 'Asia/Kolkata'), ('TimeZone', 'America/St_Johns'), ('IntervalStyle', 'sql_standard'),
    ('IntervalStyle', 'iso_8601'), ('bytea_output', 'escape'), ('extra_float_digits', '-15'),
    ('transform_null_equals', 'on'), ('quote_all_identifiers', 'on'), ('array_nulls', 'off'),
    ('plan_cache_mode', 'force_custom_plan'), ('lc_messages', 'C'), ('row_security', 'off')) AS t (setting, value);
SELECT is(:'wanted' ~ '1 partitions dropped \(auth_failures_2020_01_27\), [12] rows', true, 'the results are right: a purge');

-- strings in which a backslash escapes: set and reset in statements that have none
CREATE TEMP TABLE answers AS SELECT NULL::text AS answer;
SET LOCAL escape_string_warning = off;
SET LOCAL standard_conforming_strings = off;
UPDATE answers SET answer = public.outcome();
SET LOCAL standard_conforming_strings = on;
SELECT is(answer, :'wanted', 'standard_conforming_strings = off') FROM answers;

-- row-level security that hides users from the owner
ALTER TABLE pgsasl.smtp_users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgsasl.auth_failures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT denies('pgsasl_plugin', statement) FROM unnest(ARRAY[$$SELECT * FROM pgsasl.find_user('app', NULL)$$,
    $$SELECT pgsasl.record_failure('{"attempt_id": "33333333-0000-7000-8000-000000000000", "reason": "wrong_password",
        "occurred_at": "2026-02-01T12:00:00Z", "username": "app"}')$$]) AS statement;
SELECT throws_ok($$SELECT as_role('pgsasl_auditor', 'SELECT * FROM pgsasl.explain(''app'')')$$, '42501', NULL,
    'nor is the desk told that there is no such user');

SELECT * FROM finish();
ROLLBACK;
