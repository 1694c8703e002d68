-- people.sql: functions to add users and set passwords. They are not SECURITY DEFINER: the caller's grants and row-level
-- security apply. Loaded by pgsasl.sql.

-- A parameter of a planned statement is a constant of its plan, where the caller makes PostgreSQL plan each call, and plans
-- can be logged. So functions that handle a password or a hash set plan_cache_mode, and are in PL/pgSQL: what a function in
-- SQL is given, auto_explain logs as parameters.

-- bcrypt from pgcrypto, in whatever schema the extension is.
SELECT format($function$
    CREATE OR REPLACE FUNCTION pgsasl.bcrypt(password text, cost integer) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
    AS $body$ BEGIN RETURN %1$I.crypt(password, %1$I.gen_salt('bf'::text, cost)); END $body$
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
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET row_security = off
AS $$
DECLARE
    cost integer := (SELECT s.bcrypt_cost FROM pgsasl.settings s);
BEGIN
    IF password IS NULL OR octet_length(password) < 12 THEN
        RAISE EXCEPTION 'the password is too short: % bytes, at least 12 are needed',
            coalesce(octet_length(password), 0) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(password) > 72 THEN
        RAISE EXCEPTION 'the password is too long: % bytes, bcrypt uses at most 72', octet_length(password)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN pgsasl.bcrypt(password, cost);
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
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    hash text := pgsasl.hash_password(password);
    id bigint;
BEGIN
    INSERT INTO pgsasl.smtp_users (username, password_hash, account_id, enabled, allowed_networks, app, note, expires_at)
    VALUES (add_user.username, hash, add_user.account_id, add_user.enabled, add_user.allowed_networks, add_user.app,
            add_user.note, add_user.expires_at)
    RETURNING user_id INTO id;
    RETURN id;
END
$$;

-- Stores new hashes, in one UPDATE, so that each row is locked for a moment only: the hashes are made before. grace is how
-- long the old passwords still log in; NULL: each user's rotation_grace. The trigger reads it, because rotation_grace
-- itself stays as it is.
CREATE OR REPLACE FUNCTION pgsasl.store_hashes(usernames text[], hashes text[], grace interval) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
SET IntervalStyle = postgres
AS $$
BEGIN
    IF grace < '0' THEN
        RAISE EXCEPTION 'the grace is negative' USING ERRCODE = 'check_violation';
    END IF;
    IF cardinality(usernames) > 1 THEN -- in one order, so that two calls do not deadlock
        PERFORM FROM pgsasl.smtp_users u WHERE u.username = ANY (usernames) ORDER BY u.user_id FOR NO KEY UPDATE;
    END IF;
    PERFORM set_config('pgsasl.grace', coalesce(grace::text, ''), true);
    UPDATE pgsasl.smtp_users u SET password_hash = new.hash
    FROM unnest(usernames, hashes) AS new (username, hash)
    WHERE u.username = new.username;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the user has just been deleted' USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM set_config('pgsasl.grace', '', true);
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.set_password(username text, password text, grace interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM FROM pgsasl.smtp_users u WHERE u.username = set_password.username;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no SMTP user "%"', username USING ERRCODE = 'no_data_found';
    END IF;
    PERFORM pgsasl.store_hashes(ARRAY[username], ARRAY[pgsasl.hash_password(password)], grace);
END
$$;

-- Returns the new password, this one time. It is in no statement and so in no statement log; only its hash is stored.
CREATE OR REPLACE FUNCTION pgsasl.rotate_password(username text, grace interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    password text := pgsasl.random_password();
BEGIN
    PERFORM pgsasl.set_password(username, password, grace);
    RETURN password;
END
$$;

-- The same for many users. It makes all hashes before it locks the first row: a SELECT that calls rotate_password() for
-- each row keeps the first users locked while it makes the hashes of all others.
CREATE OR REPLACE FUNCTION pgsasl.rotate_passwords(usernames text[], grace interval DEFAULT NULL)
RETURNS TABLE (username text, password text)
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    names text[] := ARRAY(SELECT DISTINCT n FROM unnest(usernames) AS n ORDER BY n);
    passwords text[] := '{}';
    hashes text[] := '{}';
    unknown text := (SELECT n FROM unnest(names) AS n
                     WHERE NOT EXISTS (SELECT FROM pgsasl.smtp_users u WHERE u.username = n) LIMIT 1);
BEGIN
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'there is no SMTP user "%"', unknown USING ERRCODE = 'no_data_found';
    END IF;
    FOR n IN 1 .. cardinality(names) LOOP
        passwords[n] := pgsasl.random_password();
        hashes[n] := pgsasl.hash_password(passwords[n]);
    END LOOP;
    PERFORM pgsasl.store_hashes(names, hashes, grace);
    FOR n IN 1 .. cardinality(names) LOOP
        username := names[n];
        password := passwords[n];
        RETURN NEXT;
    END LOOP;
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
