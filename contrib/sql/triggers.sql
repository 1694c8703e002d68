-- triggers.sql: what makes a plain INSERT, UPDATE and DELETE safe. Loaded by pgsasl.sql.

CREATE OR REPLACE FUNCTION pgsasl.stamp_password_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    NEW.password_changed_at := now();
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER password_changed BEFORE UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash)
    EXECUTE FUNCTION pgsasl.stamp_password_change();

-- Refuses a hash that costs more than settings allow, when it is written. It is not part of the CHECK, which PostgreSQL
-- evaluates at each change of a row: after the ceiling was lowered, a user above it could not be disabled.
CREATE OR REPLACE FUNCTION pgsasl.check_hash_ceiling() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    max_memory_kb integer;
    max_ms integer;
    fault text;
BEGIN
    SELECT s.hash_max_memory_kb, s.hash_max_ms INTO max_memory_kb, max_ms FROM pgsasl.settings s WHERE s.only_row;
    fault := pgsasl.hash_fault(NEW.password_hash, max_memory_kb, max_ms);
    IF fault IS NOT NULL AND pgsasl.hash_fault(NEW.password_hash) IS NULL THEN -- other faults are the CHECK's
        RAISE EXCEPTION '%', fault USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
            COLUMN = 'password_hash', CONSTRAINT = 'smtp_users_password_hash_ceiling',
            HINT = 'Use a cheaper hash, or raise the ceiling in pgsasl.settings and in each mail server''s configuration.';
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER hash_inserted BEFORE INSERT ON pgsasl.smtp_users
    FOR EACH ROW EXECUTE FUNCTION pgsasl.check_hash_ceiling();
CREATE OR REPLACE TRIGGER hash_updated BEFORE UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash)
    EXECUTE FUNCTION pgsasl.check_hash_ceiling();

-- Keeps the old hash in retired_passwords, for rotation_grace or for the grace that store_hashes() has set, and deletes the
-- user's oldest ones beyond settings.retired_kept. Passwords that
-- no longer log in are deleted before those that still do, whatever their age, so that a promised grace is kept as long as
-- there is room. A hash that the plugin cannot verify is not kept.
CREATE OR REPLACE FUNCTION pgsasl.retire_password() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET row_security = off
SET IntervalStyle = postgres
AS $$
BEGIN
    DELETE FROM pgsasl.retired_passwords r -- it is the current password again
    WHERE r.user_id = NEW.user_id AND r.password_hash = NEW.password_hash;
    IF pgsasl.hash_fault(OLD.password_hash) IS NULL THEN
        INSERT INTO pgsasl.retired_passwords (user_id, password_hash, accepted_until)
        VALUES (NEW.user_id, OLD.password_hash,
                now() + coalesce(nullif(current_setting('pgsasl.grace', true), '')::interval, NEW.rotation_grace));
    END IF;
    DELETE FROM pgsasl.retired_passwords r
    WHERE r.user_id = NEW.user_id AND r.retired_id NOT IN (
        SELECT k.retired_id FROM pgsasl.retired_passwords k WHERE k.user_id = NEW.user_id
        ORDER BY k.accepted_until > now() DESC, k.retired_at DESC, k.retired_id DESC
        LIMIT (SELECT s.retired_kept FROM pgsasl.settings s));
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER password_retired AFTER UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash)
    EXECUTE FUNCTION pgsasl.retire_password();

CREATE OR REPLACE FUNCTION pgsasl.add_tombstone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    INSERT INTO pgsasl.deleted_users (username, user_id, account_id)
    VALUES (OLD.username, OLD.user_id, OLD.account_id);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER user_deleted AFTER DELETE ON pgsasl.smtp_users
    FOR EACH ROW EXECUTE FUNCTION pgsasl.add_tombstone();
CREATE OR REPLACE TRIGGER user_renamed AFTER UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.username IS DISTINCT FROM OLD.username)
    EXECUTE FUNCTION pgsasl.add_tombstone();

-- What PostgreSQL says of a row that a constraint refuses contains the row, with the hash, or with the clear text that
-- somebody stored by mistake. So these triggers refuse it before that, in words that contain no value. The constraints stay
-- as the last wall.
CREATE OR REPLACE FUNCTION pgsasl.username_fault(username text, OUT constraint_name text, OUT fault text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pgsasl, pg_temp SET standard_conforming_strings = on
AS $$
BEGIN
    IF octet_length(username) NOT BETWEEN 1 AND 255 THEN
        constraint_name := 'smtp_users_username_length';
        fault := format('a user name has 1 to 255 bytes, not %s', octet_length(username));
    ELSIF strpos(username, '@') > 0 THEN
        constraint_name := 'smtp_users_username_no_at';
        fault := 'a user name contains no @';
    ELSIF username ~ ( -- as in the CHECK
        '[\u0001-\u0020\u007F-\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F'
        '\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF9-\uFFFB'
        '\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]') THEN
        constraint_name := 'smtp_users_username_visible';
        fault := 'a user name contains no white space and no invisible character';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.refuse_user() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    standings CONSTANT text[] := ARRAY['good', 'past_due', 'suspended', 'closed'];
    missing text;
    broken text;
    fault text;
BEGIN
    missing := CASE WHEN NEW.user_id IS NULL THEN 'user_id' WHEN NEW.username IS NULL THEN 'username'
        WHEN NEW.password_hash IS NULL THEN 'password_hash' WHEN NEW.enabled IS NULL THEN 'enabled'
        WHEN NEW.account_standing IS NULL THEN 'account_standing' WHEN NEW.rotation_grace IS NULL THEN 'rotation_grace'
        WHEN NEW.created_at IS NULL THEN 'created_at'
        WHEN NEW.password_changed_at IS NULL THEN 'password_changed_at' END;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% of an SMTP user cannot be NULL', missing
            USING ERRCODE = 'not_null_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = missing;
    END IF;

    IF TG_OP = 'INSERT' OR NEW.username <> OLD.username THEN
        broken := (pgsasl.username_fault(NEW.username)).constraint_name;
        fault := (pgsasl.username_fault(NEW.username)).fault;
    END IF;
    IF broken IS NOT NULL THEN
        NULL;
    ELSIF NEW.account_standing <> ALL (standings) THEN
        broken := 'smtp_users_account_standing_word';
        fault := 'account_standing is ' || array_to_string(standings, ', ');
    ELSIF NEW.rotation_grace < '0' THEN
        broken := 'smtp_users_rotation_grace_check';
        fault := 'rotation_grace cannot be negative';
    ELSIF array_position(NEW.allowed_networks, NULL) IS NOT NULL THEN
        broken := 'smtp_users_allowed_networks_set';
        fault := 'no network of allowed_networks can be NULL';
    ELSIF TG_OP = 'INSERT' OR NEW.password_hash <> OLD.password_hash THEN
        fault := pgsasl.hash_fault(NEW.password_hash);
        broken := CASE WHEN fault IS NOT NULL THEN 'smtp_users_password_hash_scheme' END;
    END IF;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION '% (%)', fault, broken
            USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = broken;
    END IF;
    RETURN NEW;
END
$$;
-- It fires last of the triggers for a row, by its name, and not for the columns that logins update.
CREATE OR REPLACE TRIGGER user_refused
    BEFORE INSERT OR UPDATE OF user_id, username, password_hash, enabled, account_id, account_standing, expires_at,
        allowed_networks, rotation_grace, created_at, password_changed_at ON pgsasl.smtp_users
    FOR EACH ROW EXECUTE FUNCTION pgsasl.refuse_user();

CREATE OR REPLACE FUNCTION pgsasl.refuse_retired() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    missing text := CASE WHEN NEW.retired_id IS NULL THEN 'retired_id' WHEN NEW.user_id IS NULL THEN 'user_id'
        WHEN NEW.password_hash IS NULL THEN 'password_hash' WHEN NEW.retired_at IS NULL THEN 'retired_at'
        WHEN NEW.accepted_until IS NULL THEN 'accepted_until' END;
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% of a retired password cannot be NULL', missing
            USING ERRCODE = 'not_null_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = missing;
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER retired_refused
    BEFORE INSERT OR UPDATE OF retired_id, user_id, password_hash, retired_at, accepted_until ON pgsasl.retired_passwords
    FOR EACH ROW EXECUTE FUNCTION pgsasl.refuse_retired();

CREATE OR REPLACE FUNCTION pgsasl.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE is not allowed on %.%, because it would leave no tombstones', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING HINT = 'Use DELETE.';
END
$$;
CREATE OR REPLACE TRIGGER no_truncate BEFORE TRUNCATE ON pgsasl.smtp_users
    FOR EACH STATEMENT EXECUTE FUNCTION pgsasl.refuse_truncate();
