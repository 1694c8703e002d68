-- note_login: stamps, sparingly, and never in anybody's way. Another session holds locks by dblink, so what it sees is
-- committed, and this file ends in no ROLLBACK: its database is its own.
SELECT * FROM no_plan();
CREATE EXTENSION dblink;
SELECT format('host=%s dbname=%s user=postgres', split_part(current_setting('unix_socket_directories'), ',', 1),
    current_database()) AS here \gset
SELECT dblink_connect('other', :'here');

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
SELECT pgsasl.add_user('web', 'a long password', :shop) AS web \gset
SELECT pgsasl.set_password('app', 'another password', '1 day');
SELECT retired_id AS old FROM pgsasl.retired_passwords \gset
CREATE VIEW stamps AS SELECT u.last_login_at AS login_at, u.last_login_from AS login_from, r.last_used_at AS used_at,
    r.last_used_from AS used_from
FROM pgsasl.smtp_users u LEFT JOIN pgsasl.retired_passwords r USING (user_id) WHERE u.username = 'app';
CREATE FUNCTION reset(login interval DEFAULT NULL, used interval DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    UPDATE pgsasl.smtp_users SET last_login_at = now() - login, last_login_from = '192.0.2.9';
    UPDATE pgsasl.retired_passwords SET last_used_at = now() - used, last_used_from = '192.0.2.9';
$$;
SET lock_timeout = '1s'; -- a stamp that waits for the other session is an error

BEGIN;
SELECT reset();
SELECT note(:'app', '192.0.2.1', now() - interval '1 second', NULL);
SELECT row_eq('SELECT * FROM stamps', ROW(now() - interval '1 second', '192.0.2.1'::inet, NULL::timestamptz,
    '192.0.2.9'::inet), 'a login stamps its user');
SELECT is(current_setting('synchronous_commit'), 'off', 'and does not wait for the disk');
SELECT is(last_login_at, NULL, 'this user alone') FROM pgsasl.smtp_users WHERE user_id = :web;
SELECT note(:'app', '192.0.2.1', now(), :old);
SELECT is(used_at, now(), 'a retired password stamps itself') FROM stamps;
COMMIT;
SELECT is(current_setting('synchronous_commit'), 'on', 'for this transaction alone');

BEGIN;
CREATE FUNCTION stamped(login interval, used interval, retired boolean, wanted text, what text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM reset(login, used);
    PERFORM note(user_id::text, '192.0.2.1', now(), CASE WHEN retired THEN r.retired_id END)
    FROM pgsasl.retired_passwords r;
    RETURN is(concat_ws(',', CASE WHEN login_at = now() AND login_from = '192.0.2.1' THEN 'login' END,
                             CASE WHEN used_at = now() AND used_from = '192.0.2.1' THEN 'used' END), wanted, what)
    FROM stamps;
END
$$;
SELECT stamped(login, used, retired, wanted, what)
FROM (VALUES ('4 min'::interval, NULL::interval, false, '', 'four minutes later: not again'),
    ('5 min', NULL, false, 'login', 'five minutes later: again'),
    ('4 min', NULL, true, 'used', 'the retired password has an interval of its own'),
    ('4 min', '4 min', true, '', 'neither is due'),
    ('4 min', '5 min', true, 'used', 'the retired one is due'),
    ('5 min', '1 min', true, 'login,used', 'a user is not stamped without the retired password that it used'),
    (NULL, NULL, true, 'login,used', 'the first login')) AS t (login, used, retired, wanted, what);
UPDATE pgsasl.settings SET login_stamp_interval = '0';
SELECT stamped('1 s', '1 s', true, 'login,used', 'an interval of 0: every login');
UPDATE pgsasl.settings SET login_stamp_interval = '1 hour';
SELECT stamped('30 min', NULL, false, '', 'an interval of an hour');

-- odd values
SELECT reset('1 day', '1 day');
SELECT lives_ok(format('SELECT note(%L, %L, %L, %L)', id, client, at, retired), 'no error: ' || what)
FROM (VALUES (NULL, '192.0.2.1', now()::text, NULL, 'no user_id'),
    ('', '192.0.2.1', now()::text, NULL, 'an empty one'),
    ('b0a7d4c2-uuid', '192.0.2.1', now()::text, NULL, 'one that is no number'), ('-1', NULL, now()::text, NULL, 'negative'),
    ('99999999999999999999999', NULL, now()::text, NULL, 'of many digits'), ('999999', NULL, now()::text, NULL, 'nobody''s'),
    (:'web', '192.0.2.1', '-infinity', :'old', 'another user''s retired_id'),
    (:'app', NULL, '-infinity', '0', 'no retired_id'),
    (:'app', NULL, '-infinity', NULL, 'long ago')) AS t (id, client, at, retired, what);
SELECT is(ROW(login_at, used_at)::text, ROW(now() - interval '1 day', now() - interval '1 day')::text, 'and no stamp')
FROM stamps;
SELECT note(:'app', NULL, 'infinity', NULL);
SELECT row_eq('SELECT login_at, login_from FROM stamps', ROW(now(), NULL::inet),
    'a time to come is now; no address is none');
SELECT reset();
SELECT note(:'app', NULL, NULL, NULL);
SELECT is(login_at, now(), 'no time is now') FROM stamps;
SELECT is((pgsasl.find_user('app', NULL)).login_due, false, 'find_user says that none is due');
SELECT reset('2 hours');
SELECT is((pgsasl.find_user('app', NULL)).login_due, true, 'and when one is');
SELECT reset();
SELECT is((pgsasl.find_user('app', NULL)).login_due, true, 'also for the first');

-- values of another kind
SELECT reset();
SELECT lives_ok(format('SELECT pgsasl.note_login(%L)', login), 'no error: ' || coalesce(login, 'NULL'))
FROM unnest(ARRAY[NULL, 'null', '[]', '"x"', '{}', '{"user_id": 1.5}', '{"user_id": {}}', '{"user_id": null}']) AS login;
SELECT is(login_at, NULL, 'and no stamp') FROM stamps;
SELECT pgsasl.note_login(jsonb_build_object('user_id', :app, 'client_addr', 'mx', 'occurred_at', 'noon', 'color', 'blue'));
SELECT row_eq('SELECT login_at, login_from FROM stamps', ROW(now(), NULL::inet),
    'a number as user_id, no address, no time and an unknown name');
SELECT reset();
SELECT pgsasl.note_login(jsonb_build_object('user_id', :'app', 'retired_id', 'x'));
SELECT is(login_at, NULL, 'no stamp of the user where the retired password cannot be found') FROM stamps;
SELECT pgsasl.note_login(jsonb_build_object('user_id', :'app', 'retired_id', NULL));
SELECT is(login_at, now(), 'a retired_id of null is none') FROM stamps;
ROLLBACK;

-- a row that is just being changed
SELECT reset();
SELECT dblink_exec('other', 'BEGIN');
SELECT dblink_exec('other', $$UPDATE pgsasl.smtp_users SET note = 'x' WHERE username = 'app'$$);
SELECT lives_ok(format('SELECT note(%L, NULL, now(), NULL)', :'app'), 'no wait for a row of smtp_users');
SELECT is(login_at, NULL, 'no stamp either') FROM stamps;
SELECT dblink_exec('other', 'ROLLBACK');
SELECT dblink_exec('other', 'BEGIN');
SELECT dblink_exec('other', 'UPDATE pgsasl.retired_passwords SET accepted_until = now()');
SELECT lives_ok(format('SELECT note(%L, NULL, now(), %s)', :'app', :old), 'nor for one of retired_passwords');
SELECT is(ROW(login_at, used_at)::text, '(,)', 'and no stamp of the user without it') FROM stamps;
SELECT dblink_exec('other', 'ROLLBACK');
SELECT note(:'app', NULL, now(), :old);
SELECT is(login_at = used_at, true, 'afterwards both, with one time') FROM stamps;

-- a table that is locked
SELECT reset();
CREATE FUNCTION noted_beside(lock text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dblink_exec('other', 'BEGIN'), dblink_exec('other', 'LOCK TABLE ' || lock);
    RETURN lives_ok(format('SELECT note(%L, NULL, now(), %s)', user_id, retired_id), 'no wait for a lock on ' || lock)
    FROM pgsasl.retired_passwords;
END
$$;
SELECT noted_beside(lock), dblink_exec('other', 'ROLLBACK')
FROM unnest(ARRAY['pgsasl.smtp_users IN SHARE MODE', 'pgsasl.smtp_users', 'pgsasl.settings', 'pgsasl.relays']) AS lock;
SELECT is(ROW(login_at, used_at)::text, '(,)', 'and no record') FROM stamps;
SELECT is(current_setting('lock_timeout'), '1s', 'the limit is the function''s own');
SELECT dblink_disconnect('other');
SELECT * FROM finish();
