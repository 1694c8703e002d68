-- inventory.sql: which tables, columns, constraints, indexes and triggers this version of the schema has, and how those of
-- the database differ. Loaded by pgsasl.sql.
--
-- CREATE TABLE IF NOT EXISTS leaves a table as it is, whatever its columns are. So a database that somebody changed, or
-- that a development version made, would load without an error and fail later, in a login.

-- The objects that are there. A partition's are not listed: they follow from those of auth_failures. NOT NULL is part of a
-- column, as not every version of PostgreSQL has a constraint for it.
CREATE OR REPLACE FUNCTION pgsasl.schema_objects() RETURNS TABLE (kind text, object text, definition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
    WITH relations AS (
        SELECT c.oid, c.relname FROM pg_class c
        WHERE c.relnamespace = 'pgsasl'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition)
    SELECT 'table', c.relname::text, ''
    FROM pg_class c
    WHERE c.oid IN (SELECT r.oid FROM relations r) OR c.oid = to_regclass('pgsasl.auth_failures_default')
    UNION ALL
    SELECT 'column', r.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || quote_ident(l.collname) END,
        CASE WHEN a.attnotnull THEN 'NOT NULL' END)
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
    UNION ALL
    SELECT CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' WHEN 'f' THEN 'foreign key'
               WHEN 'x' THEN 'exclusion constraint' ELSE 'check' END, r.relname || '.' || k.conname, ''
    FROM relations r JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype IN ('p', 'u', 'f', 'x', 'c')
    UNION ALL
    SELECT 'index', r.relname || '.' || c.relname, ''
    FROM relations r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = r.oid)
    UNION ALL
    SELECT 'trigger', r.relname || '.' || g.tgname, p.proname || '()'
    FROM relations r JOIN pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal
        JOIN pg_proc p ON p.oid = g.tgfoid AND p.pronamespace = 'pgsasl'::regnamespace -- not a site's own triggers
$$;

-- How the objects differ from the list, one row a difference. A site may add tables, constraints, indexes and triggers of
-- its own, but no columns.
CREATE OR REPLACE FUNCTION pgsasl.schema_faults() RETURNS TABLE (kind text, object text, fault text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
    WITH wanted (kind, object, definition) AS (VALUES
        -- BEGIN LIST objects (tests/sql/run.sh --write-inventory)
        ('table', 'accounts', ''),
        ('column', 'accounts.account_id', 'bigint NOT NULL'),
        ('column', 'accounts.created_at', 'timestamp with time zone NOT NULL'),
        ('column', 'accounts.name', 'text NOT NULL'),
        ('column', 'accounts.standing', 'text NOT NULL'),
        ('check', 'accounts.accounts_name_check', ''),
        ('check', 'accounts.accounts_standing_word', ''),
        ('primary key', 'accounts.accounts_pkey', ''),
        ('unique constraint', 'accounts.accounts_name_key', ''),
        ('table', 'auth_failures', ''),
        ('column', 'auth_failures.account_id', 'bigint'),
        ('column', 'auth_failures.attempt_id', 'uuid NOT NULL'),
        ('column', 'auth_failures.attempts', 'integer NOT NULL'),
        ('column', 'auth_failures.client_addr', 'inet'),
        ('column', 'auth_failures.client_port', 'integer'),
        ('column', 'auth_failures.counts', 'boolean NOT NULL'),
        ('column', 'auth_failures.detail', 'text'),
        ('column', 'auth_failures.failed_checks', 'text[] NOT NULL'),
        ('column', 'auth_failures.mechanism', 'text'),
        ('column', 'auth_failures.merged_ids', 'uuid[]'),
        ('column', 'auth_failures.occurred_at', 'timestamp with time zone NOT NULL'),
        ('column', 'auth_failures.reason', 'text NOT NULL'),
        ('column', 'auth_failures.recorded_at', 'timestamp with time zone NOT NULL'),
        ('column', 'auth_failures.server_addr', 'inet'),
        ('column', 'auth_failures.server_host', 'text'),
        ('column', 'auth_failures.service', 'text'),
        ('column', 'auth_failures.user_id', 'bigint'),
        ('column', 'auth_failures.username', 'text COLLATE "C"'),
        ('check', 'auth_failures.auth_failures_attempts_check', ''),
        ('check', 'auth_failures.auth_failures_client_port_check', ''),
        ('check', 'auth_failures.auth_failures_reason_word', ''),
        ('index', 'auth_failures.auth_failures_account_id_idx', ''),
        ('index', 'auth_failures.auth_failures_client_idx', ''),
        ('index', 'auth_failures.auth_failures_net_idx', ''),
        ('index', 'auth_failures.auth_failures_user_id_idx', ''),
        ('index', 'auth_failures.auth_failures_username_idx', ''),
        ('primary key', 'auth_failures.auth_failures_pkey', ''),
        ('trigger', 'auth_failures.guess_gone', 'remove_recent_guess()'),
        ('trigger', 'auth_failures.guess_made', 'add_recent_guess()'),
        ('trigger', 'auth_failures.guesses_gone', 'remove_recent_guess()'),
        ('table', 'auth_failures_default', ''),
        ('table', 'deleted_users', ''),
        ('column', 'deleted_users.account_id', 'bigint'),
        ('column', 'deleted_users.deleted_at', 'timestamp with time zone NOT NULL'),
        ('column', 'deleted_users.deleted_by', 'text NOT NULL'),
        ('column', 'deleted_users.deletion_id', 'bigint NOT NULL'),
        ('column', 'deleted_users.user_id', 'bigint NOT NULL'),
        ('column', 'deleted_users.username', 'text COLLATE "C" NOT NULL'),
        ('index', 'deleted_users.deleted_users_username_idx', ''),
        ('primary key', 'deleted_users.deleted_users_pkey', ''),
        ('table', 'migrations', ''),
        ('column', 'migrations.applied_at', 'timestamp with time zone NOT NULL'),
        ('column', 'migrations.applied_by', 'text NOT NULL'),
        ('column', 'migrations.breaks_plugin', 'boolean NOT NULL'),
        ('column', 'migrations.name', 'text NOT NULL'),
        ('column', 'migrations.number', 'integer NOT NULL'),
        ('check', 'migrations.migrations_number_check', ''),
        ('primary key', 'migrations.migrations_pkey', ''),
        ('table', 'reasons', ''),
        ('column', 'reasons.check_order', 'integer NOT NULL'),
        ('column', 'reasons.reason', 'text COLLATE "C" NOT NULL'),
        ('column', 'reasons.tell_customer', 'text NOT NULL'),
        ('column', 'reasons.what_failed', 'text NOT NULL'),
        ('column', 'reasons.what_to_do', 'text NOT NULL'),
        ('primary key', 'reasons.reasons_pkey', ''),
        ('table', 'recent_guesses', ''),
        ('column', 'recent_guesses.attempt_id', 'uuid NOT NULL'),
        ('column', 'recent_guesses.net', 'cidr'),
        ('column', 'recent_guesses.occurred_at', 'timestamp with time zone NOT NULL'),
        ('column', 'recent_guesses.stale', 'boolean NOT NULL'),
        ('column', 'recent_guesses.username', 'text COLLATE "C"'),
        ('index', 'recent_guesses.recent_guesses_net_idx', ''),
        ('index', 'recent_guesses.recent_guesses_stale_idx', ''),
        ('index', 'recent_guesses.recent_guesses_user_idx', ''),
        ('primary key', 'recent_guesses.recent_guesses_pkey', ''),
        ('table', 'relays', ''),
        ('column', 'relays.noted_at', 'timestamp with time zone NOT NULL'),
        ('column', 'relays.server_host', 'text COLLATE "C" NOT NULL'),
        ('column', 'relays.spool_waiting', 'bigint NOT NULL'),
        ('check', 'relays.relays_spool_waiting_check', ''),
        ('primary key', 'relays.relays_pkey', ''),
        ('table', 'retired_passwords', ''),
        ('column', 'retired_passwords.accepted_until', 'timestamp with time zone NOT NULL'),
        ('column', 'retired_passwords.last_used_at', 'timestamp with time zone'),
        ('column', 'retired_passwords.last_used_from', 'inet'),
        ('column', 'retired_passwords.password_hash', 'text COLLATE "C" NOT NULL'),
        ('column', 'retired_passwords.retired_at', 'timestamp with time zone NOT NULL'),
        ('column', 'retired_passwords.retired_id', 'bigint NOT NULL'),
        ('column', 'retired_passwords.user_id', 'bigint NOT NULL'),
        ('foreign key', 'retired_passwords.retired_passwords_user_id_fkey', ''),
        ('index', 'retired_passwords.retired_passwords_user_id_idx', ''),
        ('primary key', 'retired_passwords.retired_passwords_pkey', ''),
        ('trigger', 'retired_passwords.retired_refused', 'refuse_retired()'),
        ('table', 'settings', ''),
        ('column', 'settings.bcrypt_cost', 'smallint NOT NULL'),
        ('column', 'settings.decoy_key', 'text NOT NULL'),
        ('column', 'settings.hash_max_memory_kb', 'integer NOT NULL'),
        ('column', 'settings.hash_max_ms', 'integer NOT NULL'),
        ('column', 'settings.login_stamp_interval', 'interval NOT NULL'),
        ('column', 'settings.only_row', 'boolean NOT NULL'),
        ('column', 'settings.retired_kept', 'smallint NOT NULL'),
        ('column', 'settings.scram_iterations', 'integer NOT NULL'),
        ('column', 'settings.throttle_client', 'integer'),
        ('column', 'settings.throttle_user_client', 'integer'),
        ('column', 'settings.throttle_window', 'interval NOT NULL'),
        ('check', 'settings.settings_bcrypt_cost_check', ''),
        ('check', 'settings.settings_hash_max_memory_kb_check', ''),
        ('check', 'settings.settings_hash_max_ms_check', ''),
        ('check', 'settings.settings_login_stamp_interval_check', ''),
        ('check', 'settings.settings_only_row_check', ''),
        ('check', 'settings.settings_retired_kept_check', ''),
        ('check', 'settings.settings_scram_iterations_check', ''),
        ('check', 'settings.settings_throttle_client_check', ''),
        ('check', 'settings.settings_throttle_user_client_check', ''),
        ('check', 'settings.settings_throttle_window_check', ''),
        ('primary key', 'settings.settings_pkey', ''),
        ('table', 'smtp_users', ''),
        ('column', 'smtp_users.account_id', 'bigint'),
        ('column', 'smtp_users.account_standing', 'text NOT NULL'),
        ('column', 'smtp_users.allowed_networks', 'cidr[]'),
        ('column', 'smtp_users.app', 'text'),
        ('column', 'smtp_users.created_at', 'timestamp with time zone NOT NULL'),
        ('column', 'smtp_users.enabled', 'boolean NOT NULL'),
        ('column', 'smtp_users.expires_at', 'timestamp with time zone'),
        ('column', 'smtp_users.last_login_at', 'timestamp with time zone'),
        ('column', 'smtp_users.last_login_from', 'inet'),
        ('column', 'smtp_users.note', 'text'),
        ('column', 'smtp_users.password_changed_at', 'timestamp with time zone NOT NULL'),
        ('column', 'smtp_users.password_hash', 'text COLLATE "C" NOT NULL'),
        ('column', 'smtp_users.rotation_grace', 'interval NOT NULL'),
        ('column', 'smtp_users.user_id', 'bigint NOT NULL'),
        ('column', 'smtp_users.username', 'text COLLATE "C" NOT NULL'),
        ('check', 'smtp_users.smtp_users_account_standing_word', ''),
        ('check', 'smtp_users.smtp_users_allowed_networks_set', ''),
        ('check', 'smtp_users.smtp_users_password_hash_scheme', ''),
        ('check', 'smtp_users.smtp_users_rotation_grace_check', ''),
        ('check', 'smtp_users.smtp_users_username_length', ''),
        ('check', 'smtp_users.smtp_users_username_no_at', ''),
        ('check', 'smtp_users.smtp_users_username_visible', ''),
        ('foreign key', 'smtp_users.smtp_users_account_id_fkey', ''),
        ('index', 'smtp_users.smtp_users_account_id_idx', ''),
        ('index', 'smtp_users.smtp_users_ring_idx', ''),
        ('primary key', 'smtp_users.smtp_users_pkey', ''),
        ('trigger', 'smtp_users.hash_inserted', 'check_hash_ceiling()'),
        ('trigger', 'smtp_users.hash_updated', 'check_hash_ceiling()'),
        ('trigger', 'smtp_users.no_truncate', 'refuse_truncate()'),
        ('trigger', 'smtp_users.password_changed', 'stamp_password_change()'),
        ('trigger', 'smtp_users.password_retired', 'retire_password()'),
        ('trigger', 'smtp_users.user_deleted', 'add_tombstone()'),
        ('trigger', 'smtp_users.user_refused', 'refuse_user()'),
        ('trigger', 'smtp_users.user_renamed', 'add_tombstone()'),
        ('unique constraint', 'smtp_users.smtp_users_username_key', '')
        -- END LIST objects
        )
    SELECT kind, object, CASE
        WHEN o.kind IS NULL THEN 'is missing'
        WHEN w.kind IS NULL THEN 'does not belong to it'
        ELSE format('is "%s", not "%s"', o.definition, w.definition) END
    FROM wanted w FULL JOIN pgsasl.schema_objects() o USING (kind, object)
    WHERE w.definition IS DISTINCT FROM o.definition
        AND (w.kind IS NOT NULL OR kind IN ('column', 'trigger'))
        -- Where a table is missing or a site's own, that says it all.
        AND (kind = 'table' OR split_part(object, '.', 1) IN (
            SELECT t.object FROM wanted t JOIN pgsasl.schema_objects() p USING (kind, object) WHERE kind = 'table'))
    ORDER BY kind <> 'table', kind <> 'column', kind, object
$$;

-- Fails where there is a difference in one of these kinds of objects.
CREATE OR REPLACE FUNCTION pgsasl.check_schema(VARIADIC kinds text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    faults text := (SELECT string_agg(concat_ws(' ', f.kind, f.object, f.fault), '; ')
                    FROM pgsasl.schema_faults() f WHERE f.kind = ANY (kinds));
BEGIN
    IF faults IS NOT NULL THEN
        RAISE EXCEPTION 'this database claims version % of the schema, but %', pgsasl.schema_version(), faults
            USING HINT = 'They were changed by hand, or made by a development version. Nothing was changed now.';
    END IF;
END
$$;
