-- throttle.sql: which failures count as guesses, and which clients have made too many. Loaded by pgsasl.sql.

-- Changes to auth_failures are applied to recent_guesses, whatever statement makes them. What has expired is not added:
-- rows that one transaction adds and deletes again would make each later row of it slower.
CREATE OR REPLACE FUNCTION pgsasl.add_recent_guess() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET row_security = off
AS $$
BEGIN
    INSERT INTO pgsasl.recent_guesses (occurred_at, attempt_id, username, net, stale)
    SELECT pgsasl.counted_at(NEW.occurred_at, NEW.recorded_at), NEW.attempt_id, NEW.username,
           pgsasl.client_net(NEW.client_addr), NEW.failed_checks @> '{stale_password}'
    FROM pgsasl.settings s
    WHERE s.only_row -- by index: a scan of the table, where scans are switched off, looks so costly that it is compiled
        AND pgsasl.counted_at(NEW.occurred_at, NEW.recorded_at) > now() - s.throttle_window
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER guess_made AFTER INSERT OR UPDATE OF counts ON pgsasl.auth_failures
    FOR EACH ROW WHEN (NEW.counts AND NEW.recorded_at > now() - interval '1 day') -- throttle_window is a day at most
    EXECUTE FUNCTION pgsasl.add_recent_guess();

-- record_failure() calls it for one guess in twenty: it deletes up to 100 expired rows, which is more than were added
-- meanwhile. It is not done more often, because each time it must skip the dead rows that a long transaction keeps visible.
CREATE OR REPLACE FUNCTION pgsasl.delete_expired_guesses() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM pgsasl.recent_guesses
    WHERE (occurred_at, attempt_id) IN (
        SELECT g.occurred_at, g.attempt_id FROM pgsasl.recent_guesses g
        WHERE g.occurred_at < now() - (SELECT s.throttle_window FROM pgsasl.settings s WHERE s.only_row)
        ORDER BY g.occurred_at LIMIT 100 FOR UPDATE SKIP LOCKED);
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.remove_recent_guess() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET row_security = off
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM pgsasl.recent_guesses;
    ELSIF TG_OP = 'DELETE' OR NOT NEW.counts THEN
        DELETE FROM pgsasl.recent_guesses g
        WHERE g.occurred_at = pgsasl.counted_at(OLD.occurred_at, OLD.recorded_at) AND g.attempt_id = OLD.attempt_id;
        IF OLD.merged_ids IS NOT NULL THEN
            DELETE FROM pgsasl.recent_guesses g
            WHERE g.net = pgsasl.client_net(OLD.client_addr) AND g.attempt_id = ANY (OLD.merged_ids);
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER guess_gone AFTER DELETE OR UPDATE OF counts ON pgsasl.auth_failures
    FOR EACH ROW WHEN (OLD.counts) EXECUTE FUNCTION pgsasl.remove_recent_guess();
CREATE OR REPLACE TRIGGER guesses_gone AFTER TRUNCATE ON pgsasl.auth_failures
    FOR EACH STATEMENT EXECUTE FUNCTION pgsasl.remove_recent_guess();

-- Whether a client has failed too often. A limit of NULL is no limit.
CREATE OR REPLACE FUNCTION pgsasl.is_throttled(username text, net cidr, user_limit integer, client_limit integer,
    span interval) RETURNS boolean
LANGUAGE plpgsql STABLE -- PL/pgSQL, because it keeps its plan between calls
AS $$
BEGIN
    RETURN user_limit IS NOT NULL AND EXISTS (
            SELECT FROM pgsasl.recent_guesses g
            WHERE g.username = is_throttled.username AND g.net = is_throttled.net
                AND g.occurred_at > now() - span AND g.occurred_at < now() + span
            OFFSET user_limit - 1)
        OR client_limit IS NOT NULL AND EXISTS (
            SELECT FROM pgsasl.recent_guesses g
            WHERE g.net = is_throttled.net AND g.occurred_at > now() - span AND g.occurred_at < now() + span
            OFFSET client_limit - 1);
END
$$;

-- Whether a client network has so many rows, of failures of any kind, that further ones are merged: as many within
-- throttle_window as there may be guesses (throttle_client). Guesses are throttled then, but a client that sends what is no
-- guess, or that has a stolen credential of the plugin, could fill the table.
-- Where a lock on a partition would have to be waited for, no network is crowded.
CREATE OR REPLACE FUNCTION pgsasl.is_crowded(net cidr, at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE SET lock_timeout = '1ms'
AS $$
DECLARE
    span interval;
    rows_kept integer;
BEGIN
    SELECT s.throttle_window, s.throttle_client INTO span, rows_kept FROM pgsasl.settings s WHERE s.only_row;
    RETURN rows_kept IS NOT NULL AND EXISTS (
        SELECT FROM pgsasl.auth_failures f
        WHERE pgsasl.client_net(f.client_addr) = net AND f.occurred_at > is_crowded.at - span
            AND f.occurred_at <= is_crowded.at
        OFFSET rows_kept - 1);
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;

-- Counts a guess that has no row of its own, unless its client is throttled as it is.
CREATE OR REPLACE FUNCTION pgsasl.count_merged(attempt pgsasl.auth_failures, net cidr) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO pgsasl.recent_guesses (occurred_at, attempt_id, username, net, stale)
    SELECT attempt.recorded_at, attempt.attempt_id, attempt.username, count_merged.net,
           attempt.failed_checks @> '{stale_password}'
    FROM pgsasl.settings s
    WHERE s.only_row AND NOT pgsasl.is_throttled(attempt.username, count_merged.net, s.throttle_user_client, s.throttle_client,
        s.throttle_window)
    ON CONFLICT DO NOTHING;
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.record_merged(attempt pgsasl.auth_failures) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    net cidr := pgsasl.client_net(attempt.client_addr);
    minute timestamptz := date_trunc('minute', attempt.occurred_at);
    known boolean;
    named bigint;
    found_at timestamptz;
    found_id uuid;
BEGIN
    -- If the same attempt is being stored by another session, wait for that session.
    PERFORM pg_advisory_xact_lock(hashtextextended('pgsasl ' || attempt.attempt_id, 0));
    SELECT bool_or(f.attempt_id = attempt.attempt_id OR attempt.attempt_id = ANY (f.merged_ids)),
           count(*) FILTER (WHERE f.reason = attempt.reason AND f.username IS NOT NULL)
    INTO known, named
    FROM pgsasl.auth_failures f
    WHERE pgsasl.client_net(f.client_addr) = net
        AND f.occurred_at >= minute AND f.occurred_at < minute + interval '1 minute';
    IF known THEN
        RETURN;
    END IF;

    LOOP
        SELECT f.occurred_at, f.attempt_id INTO found_at, found_id
        FROM pgsasl.auth_failures f
        WHERE f.reason = attempt.reason AND pgsasl.client_net(f.client_addr) = net
            AND f.occurred_at >= minute AND f.occurred_at < minute + interval '1 minute'
            AND f.username IS NOT DISTINCT FROM attempt.username
        LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE pgsasl.auth_failures f
            SET attempts = f.attempts + 1,
                merged_ids = (f.merged_ids || attempt.attempt_id)[coalesce(cardinality(f.merged_ids), 0) - 62:]
            WHERE f.occurred_at = found_at AND f.attempt_id = found_id
                -- What follows changes no result: with it, a plan made for an empty table uses the index.
                AND pgsasl.client_net(f.client_addr) = net;
            IF attempt.counts THEN
                PERFORM pgsasl.count_merged(attempt, net);
            END IF;
            RETURN;
        END IF;
        EXIT WHEN attempt.username IS NULL OR named < 20;
        attempt.username := NULL;
        attempt.user_id := NULL;
        attempt.account_id := NULL;
        attempt.detail := 'further user names of this client';
    END LOOP;
    INSERT INTO pgsasl.auth_failures SELECT attempt.* ON CONFLICT DO NOTHING;
END
$$;

-- Whether a failure looks like guessing and therefore counts towards the throttle. An app that still has a retired password
-- does not guess: such failures count once per user and window. Of two that are stored at the same time, one counts. An exchange that
-- the client broke off counts; SCRAM with a user who has no verifier does not, because no password was looked at.
CREATE OR REPLACE FUNCTION pgsasl.is_guess(attempt pgsasl.auth_failures) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    span interval;
    counted timestamptz := pgsasl.counted_at(attempt.occurred_at, attempt.recorded_at);
BEGIN
    IF attempt.reason = 'throttled' THEN
        RETURN false;
    ELSIF attempt.failed_checks && ARRAY['wrong_password', 'password_whitespace', 'unknown_user', 'deleted_user',
                                         'username_has_at', 'username_whitespace', 'abandoned_exchange'] THEN
        RETURN true;
    ELSIF NOT attempt.failed_checks @> ARRAY['stale_password'] OR attempt.username IS NULL
        OR NOT pg_try_advisory_xact_lock(hashtextextended('pgsasl stale ' || attempt.username, 0)) THEN
        RETURN false;
    END IF;
    SELECT s.throttle_window INTO span FROM pgsasl.settings s WHERE s.only_row;
    RETURN NOT EXISTS (
        SELECT FROM pgsasl.recent_guesses g
        WHERE g.username = attempt.username AND g.stale
            AND g.occurred_at > counted - span AND g.occurred_at < counted + span);
END
$$;

-- The client networks from which a user name is throttled now.
CREATE OR REPLACE FUNCTION pgsasl.throttled_clients(username text) RETURNS SETOF cidr
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    SELECT g.net
    FROM pgsasl.recent_guesses g CROSS JOIN pgsasl.settings s
    WHERE g.occurred_at > now() - s.throttle_window AND g.occurred_at < now() + s.throttle_window
        AND g.net IN (
            SELECT n.net FROM pgsasl.recent_guesses n WHERE n.username = throttled_clients.username
            UNION ALL
            SELECT pgsasl.client_net(t.client_addr) FROM pgsasl.auth_failures t
            WHERE t.username = throttled_clients.username
                AND t.occurred_at > now() - s.throttle_window AND t.occurred_at < now() + s.throttle_window)
    GROUP BY 1, s.throttle_user_client, s.throttle_client
    HAVING count(*) >= s.throttle_client
        OR count(*) FILTER (WHERE g.username = throttled_clients.username) >= s.throttle_user_client
$$;
