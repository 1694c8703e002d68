-- people.sql: functions to add users and set passwords. They are not SECURITY DEFINER: the caller's grants and row-level
-- security apply. Loaded by pgsasl.sql.

-- bcrypt from pgcrypto, in whatever schema the extension is.
SELECT format($function$
    CREATE OR REPLACE FUNCTION pgsasl.bcrypt(password text, cost integer) RETURNS text
    LANGUAGE sql
    AS $body$ SELECT %1$I.crypt(password, %1$I.gen_salt('bf'::text, cost)) $body$
    $function$, n.nspname)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pgcrypto'
\gexec

-- 32 characters out of 32 possible ones: 160 bits. Lower-case letters without l and o and digits without 0 and 1: no two
-- look alike, a double click selects the whole, and a telephone does not capitalise it.
SELECT format($function$
    CREATE OR REPLACE FUNCTION pgsasl.random_password() RETURNS text
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
    AS $body$
        SELECT string_agg(substr('abcdefghijkmnpqrstuvwxyz23456789', (get_byte(random.bytes, n) & 31) + 1, 1), '')
        FROM (SELECT %1$I.gen_random_bytes(32) AS bytes) AS random, generate_series(0, 31) AS n
    $body$
    $function$, n.nspname)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pgcrypto'
\gexec

-- The hash to store for a password. SECURITY DEFINER, because it reads settings; it reads and writes no user.
CREATE OR REPLACE FUNCTION pgsasl.hash_password(password text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    IF password IS NULL OR octet_length(password) < 12 THEN
        RAISE EXCEPTION 'the password is too short: % bytes, at least 12 are needed',
            coalesce(octet_length(password), 0) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(password) > 72 THEN
        RAISE EXCEPTION 'the password is too long: % bytes, bcrypt uses at most 72', octet_length(password)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN pgsasl.bcrypt(password, (SELECT s.bcrypt_cost FROM pgsasl.settings s));
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.add_account(name text, standing text DEFAULT 'good') RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    INSERT INTO pgsasl.accounts (name, standing) VALUES (add_account.name, add_account.standing) RETURNING account_id
$$;

CREATE OR REPLACE FUNCTION pgsasl.add_user(username text, password text, account_id bigint DEFAULT NULL,
    enabled boolean DEFAULT true, allowed_networks cidr[] DEFAULT NULL, app text DEFAULT NULL, note text DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    INSERT INTO pgsasl.smtp_users (username, password_hash, account_id, enabled, allowed_networks, app, note, expires_at)
    VALUES (add_user.username, pgsasl.hash_password(password), add_user.account_id, add_user.enabled,
            add_user.allowed_networks, add_user.app, add_user.note, add_user.expires_at)
    RETURNING user_id
$$;

-- grace is how long the old password still logs in. Without it, the user's rotation_grace applies.
CREATE OR REPLACE FUNCTION pgsasl.set_password(username text, password text, grace interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    usual interval;
BEGIN
    SELECT u.rotation_grace INTO usual FROM pgsasl.smtp_users u WHERE u.username = set_password.username FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no SMTP user "%"', username USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE pgsasl.smtp_users u
    SET password_hash = pgsasl.hash_password(password), rotation_grace = coalesce(grace, usual)
    WHERE u.username = set_password.username;
    IF grace <> usual THEN
        UPDATE pgsasl.smtp_users u SET rotation_grace = usual WHERE u.username = set_password.username;
    END IF;
END
$$;

-- Returns the new password, this one time. It is in no statement and so in no statement log; only its hash is stored.
CREATE OR REPLACE FUNCTION pgsasl.rotate_password(username text, grace interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    password text := pgsasl.random_password();
BEGIN
    PERFORM pgsasl.set_password(username, password, grace);
    RETURN password;
END
$$;

-- Ends every grace of a user: only the current password logs in. Returns how many retired ones did until now.
CREATE OR REPLACE FUNCTION pgsasl.end_rotation(username text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    id bigint;
    ended integer;
BEGIN
    SELECT u.user_id INTO id FROM pgsasl.smtp_users u WHERE u.username = end_rotation.username;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no SMTP user "%"', username USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE pgsasl.retired_passwords r SET accepted_until = now() WHERE r.user_id = id AND r.accepted_until > now();
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
