-- roles.sql: roles and grants. Loaded by pgsasl.sql.

SET LOCAL client_min_messages = notice;

DO $$
DECLARE
    wanted record;
    may_create boolean := (SELECT r.rolsuper OR r.rolcreaterole FROM pg_catalog.pg_roles r
                           WHERE r.rolname = current_user);
    to_do text := '';
BEGIN
    FOR wanted IN
        SELECT w.name, w.attribute
        FROM (VALUES ('pgsasl_plugin', 'LOGIN'), ('pgsasl_operator', 'NOLOGIN'), ('pgsasl_auditor', 'NOLOGIN'))
             AS w (name, attribute)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w.name)
    LOOP
        IF may_create THEN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attribute);
        ELSE
            to_do := to_do || format(E'\n    CREATE ROLE %I %s;', wanted.name, wanted.attribute);
        END IF;
    END LOOP;
    IF to_do <> '' THEN
        RAISE NOTICE 'pgsasl: role "%" cannot create roles. Have an administrator run this, then load the file again:%',
            current_user, to_do;
    END IF;
END
$$;

-- Generic plans that use indexes: no time is spent on planning a single login, and no plan that was made while the tables
-- were small lasts as long as the connection. And limits for what the plugin no longer waits for: the server ends a
-- statement after any deadline of the plugin, and the work for a client that is gone. All other settings of the role are
-- reset: a role may alter its own, so somebody with the plugin's credential could leave some behind.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_plugin') THEN
        ALTER ROLE pgsasl_plugin RESET ALL;
        EXECUTE format('ALTER ROLE pgsasl_plugin IN DATABASE %I RESET ALL', current_database());
        ALTER ROLE pgsasl_plugin SET plan_cache_mode = 'force_generic_plan';
        ALTER ROLE pgsasl_plugin SET enable_seqscan = off;
        ALTER ROLE pgsasl_plugin SET statement_timeout = '5s';
        ALTER ROLE pgsasl_plugin SET client_connection_check_interval = '1s';
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE E'pgsasl: role "%" cannot alter pgsasl_plugin. Have an administrator run:%', current_user,
            E'\n    ALTER ROLE pgsasl_plugin RESET ALL;'
            '\n    ALTER ROLE pgsasl_plugin SET plan_cache_mode = ''force_generic_plan'';'
            '\n    ALTER ROLE pgsasl_plugin SET enable_seqscan = off;'
            '\n    ALTER ROLE pgsasl_plugin SET statement_timeout = ''5s'';'
            '\n    ALTER ROLE pgsasl_plugin SET client_connection_check_interval = ''1s'';';
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA pgsasl FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA pgsasl FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgsasl FROM PUBLIC;

-- The plugin calls three functions and can do nothing else.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_plugin') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgsasl_plugin', current_database());
    GRANT USAGE ON SCHEMA pgsasl TO pgsasl_plugin;
    GRANT EXECUTE ON FUNCTION pgsasl.find_user(text, inet) TO pgsasl_plugin;
    GRANT EXECUTE ON FUNCTION pgsasl.record_failure(jsonb) TO pgsasl_plugin;
    GRANT EXECUTE ON FUNCTION pgsasl.note_login(jsonb) TO pgsasl_plugin;
END
$$;

-- Operators write hashes and cannot read them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_operator') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgsasl_operator', current_database());
    GRANT USAGE ON SCHEMA pgsasl TO pgsasl_operator;
    GRANT SELECT, DELETE, INSERT (name, standing), UPDATE (name, standing) ON pgsasl.accounts TO pgsasl_operator;
    GRANT DELETE,
        SELECT (user_id, username, enabled, account_id, account_standing, expires_at, allowed_networks, app, note,
            rotation_grace, created_at, password_changed_at, last_login_at, last_login_from),
        INSERT (username, password_hash, enabled, account_id, account_standing, expires_at, allowed_networks, app, note,
            rotation_grace),
        UPDATE (username, password_hash, enabled, account_id, account_standing, expires_at, allowed_networks, app, note,
            rotation_grace)
        ON pgsasl.smtp_users TO pgsasl_operator;
    GRANT SELECT ON pgsasl.deleted_users, pgsasl.reasons, pgsasl.migrations, pgsasl.costly_hashes,
        pgsasl.rotation_stragglers, pgsasl.safe_to_revoke, pgsasl.idle_users TO pgsasl_operator;
    -- The CHECK of smtp_users calls hash_fault() and parse_hash() with the rights of the role that writes a hash.
    GRANT EXECUTE ON FUNCTION pgsasl.schema_version(), pgsasl.worse_standing(text, text), pgsasl.hash_password(text),
        pgsasl.hash_fault(text), pgsasl.parse_hash(text), pgsasl.add_account(text, text), pgsasl.add_user(text, text, bigint, boolean, cidr[], text, text, timestamptz),
        pgsasl.random_password(), pgsasl.set_password(text, text, interval), pgsasl.rotate_password(text, interval),
        pgsasl.rotate_passwords(text[], interval), pgsasl.store_hashes(text[], text[], interval), pgsasl.end_rotation(text)
        TO pgsasl_operator;
    GRANT SELECT (retired_id, user_id, retired_at, accepted_until, last_used_at, last_used_from), UPDATE (accepted_until)
        ON pgsasl.retired_passwords TO pgsasl_operator;
END
$$;

-- Auditors read what happened.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_auditor') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgsasl_auditor', current_database());
    GRANT USAGE ON SCHEMA pgsasl TO pgsasl_auditor;
    GRANT SELECT ON pgsasl.auth_failures, pgsasl.deleted_users, pgsasl.costly_hashes, pgsasl.reasons, pgsasl.migrations, pgsasl.relays,
        pgsasl.failures_in_words, pgsasl.failures_by_reason, pgsasl.failures_by_client, pgsasl.failures_by_account,
        pgsasl.top_stale, pgsasl.rotation_stragglers, pgsasl.safe_to_revoke, pgsasl.idle_users TO pgsasl_auditor;
    GRANT EXECUTE ON FUNCTION pgsasl.schema_version(), pgsasl.worse_standing(text, text), pgsasl.client_net(inet),
        pgsasl.explain(text, timestamptz, interval), pgsasl.user_status(text), pgsasl.partition_faults() TO pgsasl_auditor;
END
$$;

-- Both read the settings, but not the key that chooses decoys.
DO $$
DECLARE
    readable text := (SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = 'pgsasl.settings'::regclass AND a.attnum > 0 AND NOT a.attisdropped
                          AND a.attname <> 'decoy_key');
    reader text;
BEGIN
    FOR reader IN SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.rolname IN ('pgsasl_operator', 'pgsasl_auditor') LOOP
        EXECUTE format('REVOKE SELECT ON pgsasl.settings FROM %I', reader);
        EXECUTE format('GRANT SELECT (%s) ON pgsasl.settings TO %I', readable, reader);
    END LOOP;
END
$$;
