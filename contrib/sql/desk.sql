-- desk.sql: functions for the support desk. They are SECURITY DEFINER, because they show more than their callers may read;
-- they show no hash. Times in their texts are in the time zone of the caller. Loaded by pgsasl.sql.

-- A name reduced to what was probably meant: in lower case, without white space, non-ASCII and escaped characters, and
-- without an @ and what follows it.
CREATE OR REPLACE FUNCTION pgsasl.simplified_name(username text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN nullif(lower(split_part(regexp_replace(username, '\\x[0-9A-Fa-f]{2}|[^!-~]', '', 'g'), '@', 1)), '');

-- A row of explain() for each mail server whose failures have not all arrived, last.
CREATE OR REPLACE FUNCTION pgsasl.still_to_come()
RETURNS TABLE (occurred_at timestamptz, client_addr inet, what_failed text, all_checks text, what_to_do text,
    attempts integer, mechanism text, server_host text, detail text, reason text, name_given text,
    tell_customer text)
LANGUAGE sql STABLE
AS $$
    SELECT w.noted_at, NULL::inet, w.in_words, NULL, 'look in the mail log of this server for "pgsasl: rejected"; the rows'
        ' arrive with its next logins', NULL::integer, NULL, w.server_host, NULL, NULL, NULL, NULL
    FROM pgsasl.waiting_relays() w
$$;

-- The failures of a name up to "within" before and after "at". If there are none, one row says so and what that can mean;
-- failures of similar names follow.
CREATE OR REPLACE FUNCTION pgsasl.explain(username text, at timestamptz DEFAULT now(), within interval DEFAULT '1 hour')
RETURNS TABLE (occurred_at timestamptz, client_addr inet, what_failed text, all_checks text, what_to_do text,
    attempts integer, mechanism text, server_host text, detail text, reason text, name_given text,
    tell_customer text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET DateStyle = ISO SET row_security = off
AS $$
DECLARE
    since timestamptz := explain.at - explain.within;
    until timestamptz := explain.at + explain.within;
BEGIN
    RETURN QUERY
    SELECT f.occurred_at, f.client_addr, f.what_failed, f.all_checks, f.what_to_do, f.attempts, f.mechanism,
           f.server_host, f.detail, f.reason, f.username::text, f.tell_customer
    FROM pgsasl.failures_in_words f
    WHERE f.username = explain.username AND f.occurred_at BETWEEN since AND until
    ORDER BY f.occurred_at;
    IF FOUND THEN
        RETURN QUERY SELECT * FROM pgsasl.still_to_come();
        RETURN;
    END IF;

    what_failed := format('between %s and %s the plugin rejected no attempt of "%s"',
        date_trunc('second', since), date_trunc('second', until), username);
    what_to_do := 'look in the mail log for an answer of the mail server itself: a mechanism that it does not offer, such'
        ' as CRAM-MD5; broken base64 in the line of AUTH; no TLS, so that AUTH was not offered. Or the client used another'
        ' host, port or user name'
        ' (similar names follow). Or the database was down: the log says "pgsasl: rejected", and the row arrives later';
    detail := coalesce(
        (SELECT coalesce('its last login was at ' || date_trunc('second', u.last_login_at), 'it has never logged in')
         FROM pgsasl.smtp_users u WHERE u.username = explain.username),
        (SELECT 'this user was deleted at ' || date_trunc('second', max(d.deleted_at))
         FROM pgsasl.deleted_users d WHERE d.username = explain.username),
        'there is no SMTP user of this name');
    RETURN NEXT;

    RETURN QUERY
    SELECT f.occurred_at, f.client_addr, f.what_failed, f.all_checks, f.what_to_do, f.attempts, f.mechanism,
           f.server_host, f.detail, f.reason, f.username::text, f.tell_customer
    FROM pgsasl.failures_in_words f
    WHERE pgsasl.simplified_name(f.username) = pgsasl.simplified_name(explain.username)
        AND f.occurred_at BETWEEN since AND until
    ORDER BY f.occurred_at DESC LIMIT 20;
    RETURN QUERY SELECT * FROM pgsasl.still_to_come();
END
$$;

-- The current state of each check, one per row. ok is NULL for what is information only.
CREATE OR REPLACE FUNCTION pgsasl.user_status(username text) RETURNS TABLE (item text, value text, ok boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET DateStyle = ISO
SET IntervalStyle = postgres SET row_security = off
AS $$
DECLARE
    u pgsasl.smtp_users;
    account pgsasl.accounts;
    standing text;
    throttled text;
    max_memory_kb integer;
    max_ms integer;
    fault text; -- of the stored hash
BEGIN
    SELECT * INTO u FROM pgsasl.smtp_users s WHERE s.username = user_status.username;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'user', coalesce(
            (SELECT format('deleted at %s by %s', d.deleted_at, d.deleted_by)
             FROM pgsasl.deleted_users d WHERE d.username = user_status.username ORDER BY d.deleted_at DESC LIMIT 1),
            'there is no SMTP user of this name'), false;
        RETURN;
    END IF;
    SELECT * INTO account FROM pgsasl.accounts a WHERE a.account_id = u.account_id;
    standing := pgsasl.worse_standing(u.account_standing, account.standing);
    SELECT s.hash_max_memory_kb, s.hash_max_ms INTO max_memory_kb, max_ms FROM pgsasl.settings s WHERE s.only_row;
    fault := pgsasl.hash_fault(u.password_hash, max_memory_kb, max_ms);
    SELECT string_agg(host(c), ', ') INTO throttled FROM pgsasl.throttled_clients(u.username) AS c;

    RETURN QUERY VALUES
        ('user', concat_ws(', ', 'user_id ' || u.user_id, u.app), true),
        ('enabled', CASE WHEN u.enabled THEN 'yes' ELSE 'no' END, u.enabled),
        ('account', coalesce(account.name || ': ' || replace(account.standing, '_', ' '), 'none'),
            account.standing = 'good'),
        ('standing', replace(standing, '_', ' ') || CASE WHEN standing = 'good' THEN ''
            WHEN standing = u.account_standing THEN ', set for this user' ELSE ', set for its account' END,
            standing = 'good'),
        ('expires', coalesce(date_trunc('second', u.expires_at)::text, 'never'), coalesce(u.expires_at > now(), true)),
        ('password', concat_ws(', ', substring(u.password_hash FROM '^\{[^}]+\}|^\$[^$]+\$|^SCRAM-SHA-256'),
            'set at ' || date_trunc('second', u.password_changed_at), fault), fault IS NULL),
        ('addresses', coalesce(nullif(array_to_string(u.allowed_networks, ', '), ''), 'anywhere'), NULL),
        ('throttled from', coalesce(throttled, 'nowhere'), throttled IS NULL),
        ('last login', coalesce(nullif(concat_ws(' from ', date_trunc('second', u.last_login_at), host(u.last_login_from)),
            ''), 'never'), NULL),
        ('rotation grace', u.rotation_grace::text, NULL);
    RETURN QUERY
    SELECT 'retired password', concat_ws(', ', 'retired at ' || date_trunc('second', r.retired_at),
        'accepted until ' || date_trunc('second', r.accepted_until),
        coalesce('last used at ' || date_trunc('second', r.last_used_at), 'not used since'),
        'from ' || host(r.last_used_from)), NULL::boolean
    FROM pgsasl.retired_passwords r WHERE r.user_id = u.user_id ORDER BY r.retired_at DESC, r.retired_id DESC;
    RETURN QUERY
    SELECT 'failure', concat_ws(', ', date_trunc('second', f.occurred_at), f.what_failed, 'from ' || host(f.client_addr),
                                nullif(f.attempts, 1) || ' times'), NULL::boolean
    FROM pgsasl.failures_in_words f WHERE f.username = u.username ORDER BY f.occurred_at DESC LIMIT 5;
    RETURN QUERY SELECT 'still to arrive', w.in_words, false FROM pgsasl.waiting_relays() w;
END
$$;
