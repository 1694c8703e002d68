-- views.sql: views for DBAs. They run with their owner's rights and show no hash. Each is a security barrier: without it, a
-- function in the WHERE clause of a query would be called for rows that the view does not show. Those about failures cover seven days,
-- except failures_in_words, which covers all. Loaded by pgsasl.sql.

CREATE OR REPLACE VIEW pgsasl.failures_in_words WITH (security_barrier) AS
SELECT f.occurred_at, f.username, f.client_addr, f.reason, r.what_failed,
       (SELECT string_agg(coalesce(each.what_failed, c.failed), '; ' ORDER BY c.n)
        FROM unnest(f.failed_checks) WITH ORDINALITY AS c (failed, n)
            LEFT JOIN pgsasl.reasons each ON each.reason = c.failed) AS all_checks,
       r.what_to_do, f.attempts, f.mechanism, f.server_host, f.detail, r.tell_customer
FROM pgsasl.auth_failures f LEFT JOIN pgsasl.reasons r ON r.reason = f.reason;

CREATE OR REPLACE VIEW pgsasl.failures_by_reason WITH (security_barrier) AS
SELECT date_trunc('hour', f.occurred_at) AS hour, f.reason, sum(f.attempts) AS attempts,
       count(DISTINCT f.username) AS usernames, count(DISTINCT pgsasl.client_net(f.client_addr)) AS clients
FROM pgsasl.auth_failures f WHERE f.occurred_at > now() - interval '7 days'
GROUP BY 1, 2
ORDER BY 1 DESC, 3 DESC;

CREATE OR REPLACE VIEW pgsasl.failures_by_client WITH (security_barrier) AS
SELECT pgsasl.client_net(f.client_addr) AS client, sum(f.attempts) AS attempts,
       coalesce(sum(f.attempts) FILTER (WHERE f.occurred_at > now() - interval '1 hour'), 0) AS last_hour,
       count(DISTINCT f.username) AS usernames, array_agg(DISTINCT f.reason) AS reasons,
       min(f.occurred_at) AS first_at, max(f.occurred_at) AS last_at
FROM pgsasl.auth_failures f WHERE f.occurred_at > now() - interval '7 days'
GROUP BY 1
ORDER BY 2 DESC;

CREATE OR REPLACE VIEW pgsasl.failures_by_account WITH (security_barrier) AS
SELECT f.account_id, a.name, a.standing, sum(f.attempts) AS attempts,
       coalesce(sum(f.attempts) FILTER (WHERE f.occurred_at > now() - interval '1 hour'), 0) AS last_hour,
       count(DISTINCT f.username) AS usernames, array_agg(DISTINCT f.reason) AS reasons,
       min(f.occurred_at) AS first_at, max(f.occurred_at) AS last_at
FROM pgsasl.auth_failures f LEFT JOIN pgsasl.accounts a ON a.account_id = f.account_id
WHERE f.occurred_at > now() - interval '7 days'
GROUP BY f.account_id, a.name, a.standing
ORDER BY 4 DESC;

-- Apps that still use a password from before a rotation, and fail.
CREATE OR REPLACE VIEW pgsasl.top_stale WITH (security_barrier) AS
SELECT f.username, u.app, a.name AS account, f.client_addr, sum(f.attempts) AS attempts, min(f.occurred_at) AS first_at,
       max(f.occurred_at) AS last_at, u.password_changed_at
FROM pgsasl.auth_failures f LEFT JOIN pgsasl.smtp_users u ON u.user_id = f.user_id
    LEFT JOIN pgsasl.accounts a ON a.account_id = f.account_id
WHERE f.occurred_at > now() - interval '7 days' AND f.failed_checks @> '{stale_password}'
GROUP BY f.username, u.app, a.name, f.client_addr, u.password_changed_at
ORDER BY 5 DESC;

-- Users that still log in by a retired password, from where, and for how long they still can.
CREATE OR REPLACE VIEW pgsasl.rotation_stragglers WITH (security_barrier) AS
SELECT u.username, u.app, a.name AS account, r.last_used_at, r.last_used_from, r.retired_at, r.accepted_until,
       r.accepted_until - now() AS time_left
FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u ON u.user_id = r.user_id
    LEFT JOIN pgsasl.accounts a ON a.account_id = u.account_id
WHERE r.last_used_at IS NOT NULL AND r.accepted_until > now()
ORDER BY r.accepted_until, r.last_used_at DESC;

-- Users whose grace can be ended: the current password has logged in since the last login by a retired one.
CREATE OR REPLACE VIEW pgsasl.safe_to_revoke WITH (security_barrier) AS
SELECT u.username, u.app, a.name AS account, count(*) AS accepted, max(r.accepted_until) AS accepted_until,
       max(r.last_used_at) AS last_used_at, now() - greatest(max(r.last_used_at), max(r.retired_at)) AS unused_for,
       u.last_login_at
FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u ON u.user_id = r.user_id
    LEFT JOIN pgsasl.accounts a ON a.account_id = u.account_id CROSS JOIN pgsasl.settings s
WHERE r.accepted_until > now()
GROUP BY u.user_id, a.account_id, s.only_row
HAVING u.last_login_at > max(r.retired_at)
    AND (max(r.last_used_at) IS NULL OR u.last_login_at > max(r.last_used_at) + s.login_stamp_interval)
ORDER BY 7 DESC;

-- Users that are enabled and not expired, and have not logged in for 30 days.
CREATE OR REPLACE VIEW pgsasl.idle_users WITH (security_barrier) AS
SELECT u.username, u.app, a.name AS account, pgsasl.worse_standing(u.account_standing, a.standing) AS account_standing,
       u.created_at, u.last_login_at, u.last_login_from,
       now() - coalesce(u.last_login_at, u.created_at) AS idle_for
FROM pgsasl.smtp_users u LEFT JOIN pgsasl.accounts a ON a.account_id = u.account_id
WHERE u.enabled AND coalesce(u.expires_at > now(), true)
    AND coalesce(u.last_login_at, u.created_at) < now() - interval '30 days'
ORDER BY 8 DESC;

-- Users whose hash costs more than settings allow. A plugin with the same ceiling answers them as it answers users with
-- an unusable hash. hash_max_memory_kb or hash_max_ms was lowered, or the hash was written by a role that runs no triggers.
CREATE OR REPLACE VIEW pgsasl.costly_hashes WITH (security_barrier) AS
SELECT u.username, u.app, h.memory_kb, h.work_ms
FROM pgsasl.smtp_users u CROSS JOIN pgsasl.settings s, pgsasl.parse_hash(u.password_hash) AS h
WHERE h.memory_kb > s.hash_max_memory_kb OR h.work_ms > s.hash_max_ms
ORDER BY h.memory_kb DESC, h.work_ms DESC;
