-- plugin.sql: the three functions that the plugin calls. Loaded by pgsasl.sql.

-- Whether a client is in one of the networks. An IPv4 address mapped into IPv6 is treated as the IPv4 address, and a
-- network of such addresses as an IPv4 network. Wider networks, such as ::/0, contain IPv6 addresses only.
CREATE OR REPLACE FUNCTION pgsasl.is_within(client inet, networks cidr[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    mapped CONSTANT inet := '::ffff:0.0.0.0/96';
    zero CONSTANT inet := '0.0.0.0';
    address inet := CASE WHEN client <<= mapped THEN zero + (host(client)::inet - host(mapped)::inet) ELSE client END;
BEGIN
    RETURN coalesce(address <<= ANY (networks), false) OR EXISTS (
        SELECT FROM unnest(networks) AS n (network)
        WHERE n.network <<= mapped AND
            address <<= set_masklen(zero + (host(n.network)::inet - host(mapped)::inet), masklen(n.network) - 96));
END
$$;

-- Everything that the plugin needs to know about a user name and a client. Returns one row for any name; for an unknown one
-- user_id and password_hash are NULL. It only reads, so it works on a hot standby.
--
-- The retired_ arrays have settings.retired_kept elements for any name, padded with NULL. The plugin computes a hash for
-- each element. An unknown name gets the decoys of one user's hashes, current and retired: those of the user that the name,
-- under a key, falls to. So unknown names cost what known ones do, as often as known ones do, and each of them always the
-- same: the time of a failure tells none from the other.
--
-- It has few expressions outside of queries and few settings of its own, because PL/pgSQL prepares each of them again at
-- each call. The settings that its plans need are set for the role. It sets row_security: where a policy would hide users from
-- it, that is an error, which the plugin treats as an outage, and no unknown user.
CREATE OR REPLACE FUNCTION pgsasl.find_user(username text, client inet)
RETURNS TABLE (user_id bigint, password_hash text, enabled boolean, account_standing text, expired boolean,
    deleted_at timestamptz, client_allowed boolean, throttled boolean, retired_hashes text[], retired_accepted boolean[],
    retired_at timestamptz[], retired_ids bigint[], decoy_hash text, local_part_known boolean, login_due boolean,
    decoy_key text, scram_iterations integer)
LANGUAGE plpgsql STABLE ROWS 1 SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET row_security = off
AS $$
DECLARE
    kept integer;
    span interval;
    user_limit integer;
    client_limit integer;
    networks cidr[];
    has_retired boolean;
    place bigint;  -- of an unknown name among the users
    model record;  -- the user that it is made like
    client_net cidr := pgsasl.client_net(client);
BEGIN
    SELECT s.retired_kept, s.throttle_window, s.throttle_user_client, s.throttle_client, s.decoy_key, s.scram_iterations,
           u.user_id, u.password_hash, u.enabled, pgsasl.worse_standing(u.account_standing, a.standing),
           coalesce(u.expires_at <= now(), false), u.allowed_networks,
           u.user_id IS NOT NULL AND coalesce(u.last_login_at <= now() - s.login_stamp_interval, true),
           coalesce(cardinality(u.allowed_networks), 0) = 0,
           EXISTS (SELECT FROM pgsasl.retired_passwords r WHERE r.user_id = u.user_id),
           array_fill(NULL::text, ARRAY[slots]), array_fill(NULL::boolean, ARRAY[slots]),
           array_fill(NULL::timestamptz, ARRAY[slots]), array_fill(NULL::bigint, ARRAY[slots]), false,
           -- If the network has fewer failures than the lower limit, so has each user name: usually one probe is enough.
           least(s.throttle_user_client, s.throttle_client) IS NOT NULL AND EXISTS (
               SELECT FROM pgsasl.recent_guesses g
               WHERE g.net = client_net
                   AND g.occurred_at > now() - s.throttle_window AND g.occurred_at < now() + s.throttle_window
               OFFSET least(s.throttle_user_client, s.throttle_client) - 1)
    INTO kept, span, user_limit, client_limit, find_user.decoy_key, find_user.scram_iterations,
         find_user.user_id, find_user.password_hash, find_user.enabled, find_user.account_standing, expired, networks,
         find_user.login_due, client_allowed, has_retired,
         find_user.retired_hashes, find_user.retired_accepted, find_user.retired_at, find_user.retired_ids,
         local_part_known, throttled
    FROM (SELECT) AS always LEFT JOIN pgsasl.settings s ON s.only_row
        LEFT JOIN pgsasl.smtp_users u ON u.username = find_user.username
        LEFT JOIN pgsasl.accounts a ON a.account_id = u.account_id, coalesce(s.retired_kept, 0) AS slots;
    IF user_id IS NOT NULL THEN
        IF NOT client_allowed THEN
            client_allowed := pgsasl.is_within(client, networks);
        END IF;
        IF has_retired THEN
            -- The rows, then the padding, cut to the size of the array.
            SELECT (array_agg(k.password_hash) || retired_hashes)[:kept],
                   (array_agg(k.accepted_until > now()) || retired_accepted)[:kept],
                   (array_agg(k.retired_at) || find_user.retired_at)[:kept], (array_agg(k.retired_id) || retired_ids)[:kept]
            INTO find_user.retired_hashes, find_user.retired_accepted, find_user.retired_at, find_user.retired_ids
            FROM (SELECT r.* FROM pgsasl.retired_passwords r WHERE r.user_id = find_user.user_id
                  ORDER BY r.accepted_until > now() DESC, r.retired_at DESC, r.retired_id DESC
                  LIMIT kept) AS k;
        END IF;
    ELSE
        client_allowed := NULL;
        SELECT d.deleted_at INTO find_user.deleted_at
        FROM pgsasl.deleted_users d WHERE d.username = find_user.username
        ORDER BY d.deleted_at DESC LIMIT 1;
        place := ('x' || left(encode(sha256(convert_to(concat(decoy_key, username), 'UTF8')), 'hex'), 16))::bit(64)::bigint;
        SELECT u.user_id, u.password_hash INTO model
        FROM pgsasl.smtp_users u WHERE hashint8extended(u.user_id, 0) >= place
        ORDER BY hashint8extended(u.user_id, 0) LIMIT 1;
        IF NOT FOUND THEN
            SELECT u.user_id, u.password_hash INTO model
            FROM pgsasl.smtp_users u ORDER BY hashint8extended(u.user_id, 0) LIMIT 1;
        END IF;
        decoy_hash := pgsasl.decoy_of(model.password_hash);
        SELECT (array_agg(pgsasl.decoy_of(k.password_hash)) || retired_hashes)[:kept] INTO find_user.retired_hashes
        FROM (SELECT r.password_hash FROM pgsasl.retired_passwords r WHERE r.user_id = model.user_id
              ORDER BY r.accepted_until > now() DESC, r.retired_at DESC, r.retired_id DESC
              LIMIT kept) AS k;
        IF strpos(username, '@') > 0 THEN
            local_part_known := EXISTS (
                SELECT FROM pgsasl.smtp_users u WHERE u.username = split_part(find_user.username, '@', 1));
        END IF;
    END IF;

    IF throttled THEN
        throttled := pgsasl.is_throttled(username, client_net, user_limit, client_limit, span);
    END IF;
    RETURN NEXT;
END
$$;

-- The value of a text, or NULL where it cannot be read.
CREATE OR REPLACE FUNCTION pgsasl.read_address(value text) RETURNS inet
LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
BEGIN
    RETURN value::inet;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION pgsasl.read_time(value text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
    RETURN value::timestamptz;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;

-- The row of auth_failures for an attempt, except for user_id, account_id and counts. An attempt_id or an occurred_at that
-- cannot be read is an error, because a row cannot be stored without them. Any other value that cannot be read is NULL, and
-- detail says so: no row is lost because the plugin is newer than the schema or has a fault.
CREATE OR REPLACE FUNCTION pgsasl.read_attempt(attempt jsonb) RETURNS pgsasl.auth_failures
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    failure pgsasl.auth_failures;
    given_reason text := left(attempt ->> 'reason', 64);
    checks jsonb := nullif(attempt -> 'failed_checks', 'null');
BEGIN
    -- Lengths are bounded, because somebody may have stolen the plugin's credential. The plugin's own values are shorter.
    failure.attempt_id := (attempt ->> 'attempt_id')::uuid;
    failure.occurred_at := (attempt ->> 'occurred_at')::timestamptz;
    IF failure.attempt_id IS NULL OR failure.occurred_at IS NULL THEN
        RAISE EXCEPTION 'record_failure needs an attempt_id and an occurred_at' USING ERRCODE = 'data_exception';
    END IF;
    failure.recorded_at := now();
    failure.attempts := 1;
    failure.counts := false;
    failure.mechanism := left(attempt ->> 'mechanism', 64);
    failure.service := left(attempt ->> 'service', 64);
    failure.server_host := left(attempt ->> 'server_host', 255);
    failure.detail := left(attempt ->> 'detail', 1000);

    SELECT r.reason INTO failure.reason FROM pgsasl.reasons r WHERE r.reason = given_reason;
    IF failure.reason IS NULL THEN
        failure.reason := 'backend_unavailable';
        failure.detail := concat_ws('; ', failure.detail, coalesce(
            'reason "' || given_reason || '" is not known to this schema; load the newer one', 'no reason was given'));
    END IF;

    IF jsonb_typeof(checks) = 'array' THEN
        failure.failed_checks := ARRAY(
            SELECT left(c, 64) FROM jsonb_array_elements_text(checks) AS c WHERE c IS NOT NULL LIMIT 32);
    ELSE
        failure.failed_checks := ARRAY[coalesce(given_reason, failure.reason)];
        IF checks IS NOT NULL THEN
            failure.detail := concat_ws('; ', failure.detail, 'failed_checks could not be read');
        END IF;
    END IF;

    failure.username := attempt ->> 'username';
    IF octet_length(failure.username) > 1100 THEN -- the plugin sends no more, and the size of an index entry is limited
        failure.username := left(failure.username, 275);
        failure.detail := concat_ws('; ', failure.detail, 'username was cut');
    END IF;

    failure.client_addr := pgsasl.read_address(attempt ->> 'client_addr');
    IF failure.client_addr IS NULL AND attempt ->> 'client_addr' IS NOT NULL THEN
        failure.detail := concat_ws('; ', failure.detail, 'client_addr could not be read');
    END IF;
    failure.server_addr := pgsasl.read_address(attempt ->> 'server_addr');
    IF failure.server_addr IS NULL AND attempt ->> 'server_addr' IS NOT NULL THEN
        failure.detail := concat_ws('; ', failure.detail, 'server_addr could not be read');
    END IF;
    IF attempt ->> 'client_port' ~ '^[0-9]{1,5}$' THEN
        failure.client_port := (attempt ->> 'client_port')::integer;
    END IF;
    IF failure.client_port NOT BETWEEN 1 AND 65535
        OR failure.client_port IS NULL AND attempt ->> 'client_port' IS NOT NULL THEN
        failure.client_port := NULL;
        failure.detail := concat_ws('; ', failure.detail, 'client_port could not be read');
    END IF;
    RETURN failure;
END
$$;

-- Stores one failed attempt; the same attempt again changes nothing. attempt is one object whose names are columns of
-- auth_failures. Unknown names are ignored, and a column whose name is absent is NULL.
--
-- user_id is a string, because a site's own table may have ids of another type. The row gets the account of the user of
-- that name; where the user of that name has another id, the id is from a site's own table, and the account is unknown.
CREATE OR REPLACE FUNCTION pgsasl.record_failure(attempt jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET DateStyle = ISO SET TimeZone = UTC SET row_security = off
AS $$
DECLARE
    failure pgsasl.auth_failures;
    given_id bigint := CASE WHEN attempt ->> 'user_id' ~ '^[0-9]{1,18}$' THEN attempt ->> 'user_id' END;
BEGIN
    failure := pgsasl.read_attempt(attempt);
    PERFORM pgsasl.note_relay(attempt, failure.occurred_at);
    SELECT u.user_id, u.account_id INTO failure.user_id, failure.account_id
    FROM pgsasl.smtp_users u
    WHERE u.username = failure.username AND (given_id IS NULL OR u.user_id = given_id);
    IF NOT FOUND THEN
        SELECT d.user_id, d.account_id INTO failure.user_id, failure.account_id
        FROM pgsasl.deleted_users d
        WHERE d.username = failure.username AND (given_id IS NULL OR d.user_id = given_id)
        ORDER BY d.deleted_at DESC LIMIT 1;
    END IF;
    failure.user_id := coalesce(given_id, failure.user_id);

    IF to_regclass('pgsasl.' || pgsasl.partition_name(now() + interval '168 hours')) IS NULL THEN
        PERFORM pgsasl.try_make_partitions();
    END IF;
    IF to_regclass('pgsasl.' || pgsasl.partition_name(failure.occurred_at)) IS NULL THEN
        -- The row goes to the default partition. Wait here while another session moves rows of that week out of it.
        LOCK TABLE ONLY pgsasl.auth_failures_default IN ROW EXCLUSIVE MODE;
    END IF;

    failure.counts := pgsasl.is_guess(failure);
    IF failure.client_addr IS NOT NULL AND (failure.reason = 'throttled'
            OR pgsasl.is_crowded(pgsasl.client_net(failure.client_addr), failure.occurred_at)) THEN
        PERFORM pgsasl.record_merged(failure);
    ELSE
        INSERT INTO pgsasl.auth_failures SELECT failure.* ON CONFLICT DO NOTHING;
    END IF;
    IF failure.counts AND random() < 0.05 THEN
        PERFORM pgsasl.delete_expired_guesses();
    END IF;
END
$$;

-- Records an accepted login: the user's last_login_at and last_login_from, and for a retired password its last_used_at and
-- last_used_from, each at most once per settings.login_stamp_interval. login is one object: user_id, client_addr,
-- occurred_at, and retired_id where the password was a retired one; other names are ignored. Losing a record is harmless,
-- so the function waits for no lock (on a row that is locked it skips the row; on a table, it ends) and for no disk, and a
-- value that cannot be read is no error. If the retired password
-- cannot be updated, the user is not updated either, because safe_to_revoke relies on last_login_at.
CREATE OR REPLACE FUNCTION pgsasl.note_login(login jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET lock_timeout = '1ms' SET row_security = off SET DateStyle = ISO SET TimeZone = UTC
AS $$
DECLARE
    id bigint := CASE WHEN login ->> 'user_id' ~ '^[0-9]{1,18}$' THEN login ->> 'user_id' END;
    retired bigint := CASE WHEN login ->> 'retired_id' ~ '^[0-9]{1,18}$' THEN login ->> 'retired_id' END;
    client inet := pgsasl.read_address(login ->> 'client_addr');
    -- A time in the future would suppress later records.
    moment timestamptz := least(pgsasl.read_time(login ->> 'occurred_at'), now());
    due_before timestamptz;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    BEGIN
        PERFORM pgsasl.note_relay(login, moment);
        SELECT moment - s.login_stamp_interval INTO due_before FROM pgsasl.settings s WHERE s.only_row;
        IF login ->> 'retired_id' IS NOT NULL THEN
            UPDATE pgsasl.retired_passwords SET last_used_at = moment, last_used_from = client
            FROM (SELECT r.retired_id FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u ON u.user_id = r.user_id
                  WHERE r.retired_id = retired AND r.user_id = id
                      AND (r.last_used_at IS NULL OR r.last_used_at <= due_before
                           OR u.last_login_at IS NULL OR u.last_login_at <= due_before)
                  FOR NO KEY UPDATE OF r SKIP LOCKED) AS due
            WHERE retired_passwords.retired_id = due.retired_id;
            IF NOT FOUND THEN
                RETURN;
            END IF;
        END IF;
        UPDATE pgsasl.smtp_users SET last_login_at = moment, last_login_from = client
        FROM (SELECT u.user_id FROM pgsasl.smtp_users u
              WHERE u.user_id = id AND (u.last_login_at IS NULL OR u.last_login_at <= due_before)
              FOR NO KEY UPDATE SKIP LOCKED) AS due
        WHERE smtp_users.user_id = due.user_id;
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;
END
$$;
