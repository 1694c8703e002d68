-- Who may do what. The tables of rights are complete: a right too many fails as one too few does.
BEGIN;
SELECT * FROM no_plan();

SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop) AS app \gset
SELECT failure('app');

CREATE FUNCTION executable_by(role text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT p.proname::text FROM pg_proc p
    WHERE p.pronamespace = 'pgsasl'::regnamespace AND has_function_privilege(role, p.oid, 'EXECUTE') ORDER BY 1
$$;
CREATE FUNCTION rights_of(role text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT c.relname || ' ' || lower(r)
    FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS r
    WHERE c.relnamespace = 'pgsasl'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND has_table_privilege(role, c.oid, r)
    UNION ALL
    SELECT c.relname || '(' || string_agg(a.attname, ',' ORDER BY a.attnum) || ') ' || lower(r)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS r
    WHERE c.relnamespace = 'pgsasl'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND NOT has_table_privilege(role, c.oid, r) AND has_column_privilege(role, c.oid, a.attnum, r)
    GROUP BY c.relname, r
    UNION ALL
    SELECT c.relname || ' sequence'
    FROM pg_class c
    WHERE c.relnamespace = 'pgsasl'::regnamespace AND c.relkind = 'S'
        AND has_sequence_privilege(role, c.oid, 'USAGE, SELECT, UPDATE')
    ORDER BY 1
$$;
CREATE FUNCTION readable_settings() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = 'pgsasl.settings'::regclass AND a.attnum > 0 AND a.attname <> 'decoy_key'
$$;
CREATE ROLE pgsasl_test_nobody;

-- the roles themselves
SELECT is(ROW(rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls)::text,
    ROW(login, false, false, false, false, false)::text, name || ': its attributes')
FROM (VALUES ('pgsasl_plugin', true), ('pgsasl_operator', false), ('pgsasl_auditor', false)) AS t (name, login)
    JOIN pg_roles ON rolname = name;
SELECT is(rolpassword, NULL, 'pgsasl_plugin has no password of its own') FROM pg_authid WHERE rolname = 'pgsasl_plugin';
SELECT is(rolconfig, ARRAY['plan_cache_mode=force_generic_plan', 'enable_seqscan=off', 'statement_timeout=5s',
    'client_connection_check_interval=1s'], 'plans by index, and an end to what the plugin has given up')
FROM pg_roles WHERE rolname = 'pgsasl_plugin';

-- what each may do, as the catalogue has it
SELECT is_empty(format('SELECT executable_by(%L)', 'pgsasl_test_nobody'), 'PUBLIC may call nothing');
SELECT is_empty(format('SELECT rights_of(%L)', 'pgsasl_test_nobody'), 'nor touch a table');
SELECT schema_privs_are('pgsasl', role, privileges, role || ': the schema')
FROM (VALUES ('pgsasl_test_nobody', '{}'::text[]), ('pgsasl_plugin', '{USAGE}'), ('pgsasl_operator', '{USAGE}'),
    ('pgsasl_auditor', '{USAGE}')) AS t (role, privileges);
SELECT results_eq($$SELECT executable_by('pgsasl_plugin')$$, ARRAY['find_user', 'note_login', 'record_failure'],
    'the plugin may call three functions');
SELECT is_empty($$SELECT rights_of('pgsasl_plugin')$$, 'and touch no table');
SELECT results_eq($$SELECT executable_by('pgsasl_operator')$$,
    ARRAY['add_account', 'add_user', 'end_rotation', 'hash_fault', 'hash_password', 'parse_hash', 'random_password',
        'rotate_password', 'rotate_passwords', 'schema_version', 'set_password', 'store_hashes', 'worse_standing'],
    'what operators may call');
SELECT results_eq($$SELECT rights_of('pgsasl_operator') ORDER BY 1$$, ARRAY[
    'accounts delete', 'accounts select', 'accounts(name,standing) insert', 'accounts(name,standing) update',
    'costly_hashes select', 'deleted_users select', 'idle_users select', 'migrations select', 'reasons select',
    'retired_passwords(accepted_until) update',
    'retired_passwords(retired_id,user_id,retired_at,accepted_until,last_used_at,last_used_from) select',
    'rotation_stragglers select', 'safe_to_revoke select',
    'settings(' || readable_settings() || ') select', 'smtp_users delete',
    'smtp_users(user_id,username,enabled,account_id,account_standing,expires_at,allowed_networks,app,note,rotation_grace,'
        'created_at,password_changed_at,last_login_at,last_login_from) select',
    'smtp_users(username,password_hash,enabled,account_id,account_standing,expires_at,allowed_networks,app,note,'
        'rotation_grace) insert',
    'smtp_users(username,password_hash,enabled,account_id,account_standing,expires_at,allowed_networks,app,note,'
        'rotation_grace) update'],
    'what operators may touch');
SELECT results_eq($$SELECT executable_by('pgsasl_auditor')$$, ARRAY['client_net', 'explain', 'partition_faults', 'schema_version', 'user_status', 'worse_standing'],
    'what auditors may call');
SELECT results_eq($$SELECT rights_of('pgsasl_auditor')$$,
    ARRAY['auth_failures select', 'costly_hashes select', 'deleted_users select', 'failures_by_account select', 'failures_by_client select',
        'failures_by_reason select', 'failures_in_words select', 'idle_users select', 'migrations select',
        'reasons select', 'relays select',
        'rotation_stragglers select', 'safe_to_revoke select',
        'settings(' || readable_settings() || ') select', 'top_stale select'],
    'what auditors may touch');

-- and as they find it
SELECT permits('pgsasl_plugin', $$SELECT pgsasl.note_login('{"user_id": "1"}')$$);
SELECT permits('pgsasl_plugin', $$SELECT * FROM pgsasl.find_user('app', '192.0.2.1')$$);
SELECT permits('pgsasl_plugin', $$SELECT pgsasl.record_failure(jsonb_build_object('attempt_id', gen_random_uuid(),
    'occurred_at', now(), 'username', 'app', 'user_id', '1', 'reason', 'wrong_password', 'client_addr', '192.0.2.1'))$$);
SELECT denies('pgsasl_plugin', statement) FROM unnest(ARRAY[
    'SELECT * FROM pgsasl.smtp_users', 'SELECT * FROM pgsasl.auth_failures', 'DELETE FROM pgsasl.auth_failures',
    'SELECT * FROM pgsasl.auth_failures_default', 'UPDATE pgsasl.accounts SET standing = ''good''',
    'SELECT * FROM pgsasl.retired_passwords', 'SELECT pgsasl.rotate_password(''app'')',
    'SELECT * FROM pgsasl.explain(''app'')', 'SELECT * FROM pgsasl.top_stale', 'SELECT pgsasl.make_partitions()',
    'SELECT pgsasl.set_password(''app'', ''a long password'')',
    'SELECT pgsasl.hash_password(''a long password'')', 'CREATE TABLE pgsasl.mine ()']) AS statement;

SELECT permits('pgsasl_operator', statement) FROM unnest(ARRAY[
    'SELECT pgsasl.add_account(''club'')',
    'SELECT pgsasl.add_user(''new'', ''a long password'', (SELECT account_id FROM pgsasl.accounts WHERE name = ''club''))',
    'SELECT pgsasl.set_password(''new'', ''another password'')',
    'SELECT pgsasl.set_password(''new'', ''a third password'', ''1 hour'')',
    'SELECT pgsasl.rotate_password(''new'')', 'SELECT pgsasl.rotate_password(''new'', ''7 days'')',
    'SELECT retired_id, accepted_until, last_used_at FROM pgsasl.retired_passwords',
    'SELECT * FROM pgsasl.rotation_stragglers', 'SELECT * FROM pgsasl.safe_to_revoke', 'SELECT * FROM pgsasl.idle_users',
    'SELECT pgsasl.end_rotation(''new'')',
    'INSERT INTO pgsasl.smtp_users (username, password_hash, account_id)
        SELECT ''raw'', pgsasl.hash_password(''a long password''), account_id FROM pgsasl.accounts WHERE name = ''club''',
    'UPDATE pgsasl.smtp_users SET password_hash = pgsasl.hash_password(''another password'') WHERE username = ''raw''',
    'UPDATE pgsasl.smtp_users SET enabled = false, expires_at = now(), allowed_networks = ''{192.0.2.0/24}'' WHERE username = ''new''',
    'UPDATE pgsasl.accounts SET standing = ''suspended'' WHERE name = ''club''',
    'UPDATE pgsasl.smtp_users SET account_standing = ''suspended'' WHERE username = ''raw''',
    'SELECT pgsasl.add_user(''alone'', ''a long password'')',
    'SELECT username, enabled, account_standing, password_changed_at FROM pgsasl.smtp_users',
    'DELETE FROM pgsasl.smtp_users WHERE username = ''new''',
    'INSERT INTO pgsasl.smtp_users (username, password_hash, note) VALUES (''raw'', ''$2b$10$'' || repeat(''x'', 53), ''twice'')
        ON CONFLICT (username) DO UPDATE SET password_hash = ''$2b$10$'' || repeat(''x'', 53), note = excluded.note',
    'INSERT INTO pgsasl.accounts (name) VALUES (''club'') ON CONFLICT (name) DO UPDATE SET standing = excluded.standing',
    'SELECT * FROM pgsasl.deleted_users']) AS statement;
SELECT is(ROW(note, password_hash ~ 'x{53}')::text, '(twice,t)', 'an operator''s INSERT ... ON CONFLICT DO UPDATE')
FROM pgsasl.smtp_users WHERE username = 'raw';
SELECT is(count(*), 1::bigint, 'an operator''s DELETE has its tombstone') FROM pgsasl.deleted_users WHERE username = 'new';
SELECT denies('pgsasl_operator', statement) FROM unnest(ARRAY[
    'SELECT password_hash FROM pgsasl.smtp_users', 'SELECT * FROM pgsasl.smtp_users', 'SELECT u FROM pgsasl.smtp_users u',
    'SELECT username FROM pgsasl.smtp_users WHERE password_hash LIKE ''$2%''',
    'UPDATE pgsasl.smtp_users SET note = password_hash',
    'UPDATE pgsasl.smtp_users SET enabled = true RETURNING password_hash',
    'DELETE FROM pgsasl.smtp_users RETURNING password_hash',
    'SELECT password_hash FROM pgsasl.retired_passwords', 'SELECT r FROM pgsasl.retired_passwords r',
    'UPDATE pgsasl.retired_passwords SET accepted_until = now() RETURNING password_hash',
    'UPDATE pgsasl.retired_passwords SET password_hash = ''x''', 'DELETE FROM pgsasl.retired_passwords',
    'SELECT pgsasl.purge_failures(''1 year'')', 'SELECT pgsasl.bcrypt(''a long password'', 4)',
    'SELECT * FROM pgsasl.find_user(''app'', NULL)', 'SELECT * FROM pgsasl.auth_failures',
    'INSERT INTO pgsasl.smtp_users AS u (username, password_hash) VALUES (''app'', ''$2b$10$'' || repeat(''x'', 53))
        ON CONFLICT (username) DO UPDATE SET note = u.password_hash',
    'UPDATE pgsasl.smtp_users SET password_changed_at = now()',
    'DELETE FROM pgsasl.deleted_users', 'UPDATE pgsasl.settings SET bcrypt_cost = 10', 'TRUNCATE pgsasl.smtp_users',
    'ALTER TABLE pgsasl.smtp_users DISABLE TRIGGER ALL']) AS statement;

SELECT permits(role, 'SELECT bcrypt_cost, hash_max_ms FROM pgsasl.settings')
FROM unnest(ARRAY['pgsasl_operator', 'pgsasl_auditor']) AS role;
SELECT denies(role, 'SELECT decoy_key FROM pgsasl.settings')
FROM unnest(ARRAY['pgsasl_operator', 'pgsasl_auditor']) AS role;
SELECT permits('pgsasl_auditor', 'SELECT * FROM pgsasl.auth_failures');
SELECT permits('pgsasl_auditor', 'SELECT * FROM pgsasl.deleted_users');
SELECT permits('pgsasl_auditor', 'SELECT * FROM pgsasl.' || name)
FROM unnest(ARRAY['failures_in_words', 'failures_by_reason', 'failures_by_client', 'failures_by_account', 'top_stale',
    'rotation_stragglers', 'safe_to_revoke', 'idle_users', 'explain(''app'')', 'user_status(''app'')']) AS name;
SELECT denies('pgsasl_auditor', statement) FROM unnest(ARRAY[
    'SELECT username FROM pgsasl.smtp_users', 'SELECT * FROM pgsasl.accounts',
    'SELECT user_id FROM pgsasl.retired_passwords', 'SELECT pgsasl.rotate_password(''app'')',
    'SELECT pgsasl.end_rotation(''app'')', 'DELETE FROM pgsasl.auth_failures',
    'INSERT INTO pgsasl.auth_failures (attempt_id, occurred_at, reason, failed_checks)
        VALUES (gen_random_uuid(), now(), ''throttled'', ''{}'')',
    'SELECT * FROM pgsasl.find_user(''app'', NULL)']) AS statement;

SELECT * FROM finish();
ROLLBACK;
