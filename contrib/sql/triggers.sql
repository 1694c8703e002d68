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
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    fault text := (
        SELECT pgsasl.hash_fault(NEW.password_hash, s.hash_max_memory_kb, s.hash_max_ms) FROM pgsasl.settings s
        WHERE s.only_row AND pgsasl.hash_fault(NEW.password_hash) IS NULL); -- other faults are the CHECK's
BEGIN
    IF fault IS NOT NULL THEN
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

-- Keeps the old hash in retired_passwords, and deletes the user's oldest ones beyond settings.retired_kept. Passwords that
-- no longer log in are deleted before those that still do, whatever their age, so that a promised grace is kept as long as
-- there is room. A hash that the plugin cannot verify is not kept.
CREATE OR REPLACE FUNCTION pgsasl.retire_password() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    DELETE FROM pgsasl.retired_passwords r -- it is the current password again
    WHERE r.user_id = NEW.user_id AND r.password_hash = NEW.password_hash;
    IF pgsasl.hash_fault(OLD.password_hash) IS NULL THEN
        INSERT INTO pgsasl.retired_passwords (user_id, password_hash, accepted_until)
        VALUES (NEW.user_id, OLD.password_hash, now() + NEW.rotation_grace);
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
