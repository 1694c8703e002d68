-- relays.sql: which mail servers have failures that have not arrived here yet. Loaded by pgsasl.sql.

-- A mail server whose spool is not empty, as it said itself when it last stored a failure or a login. It is removed when the
-- server says that nothing waits any more, so the table is empty in the usual case.
CREATE TABLE IF NOT EXISTS pgsasl.relays (
    server_host   text        COLLATE "C" PRIMARY KEY,
    spool_waiting bigint      NOT NULL CHECK (spool_waiting > 0), -- bytes
    noted_at      timestamptz NOT NULL DEFAULT now()
);

-- Notes what a failure or a login says of its server's spool: bytes that wait, NULL for none. What comes out of a spool says
-- nothing: it is older than a minute, or written again soon. Waits for no lock, and writes at most every five seconds.
CREATE OR REPLACE FUNCTION pgsasl.note_relay(message jsonb, occurred_at timestamptz) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    host text := left(message ->> 'server_host', 255);
    waiting bigint := CASE WHEN message ->> 'spool_waiting' ~ '^[0-9]{1,15}$' THEN message ->> 'spool_waiting' END;
    noted timestamptz;
BEGIN
    IF host IS NULL OR occurred_at IS NULL OR occurred_at < now() - interval '1 minute' THEN
        RETURN;
    END IF;
    SELECT r.noted_at INTO noted FROM pgsasl.relays r WHERE r.server_host = host;
    IF noted IS NULL AND waiting > 0 THEN
        INSERT INTO pgsasl.relays VALUES (host, waiting) ON CONFLICT DO NOTHING;
    ELSIF noted IS NULL OR waiting > 0 AND noted > now() - interval '5 seconds' THEN
        RETURN;
    ELSE
        PERFORM FROM pgsasl.relays r WHERE r.server_host = host FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        IF waiting > 0 THEN
            UPDATE pgsasl.relays r SET spool_waiting = waiting, noted_at = now() WHERE r.server_host = host;
        ELSE
            DELETE FROM pgsasl.relays r WHERE r.server_host = host;
        END IF;
    END IF;
END
$$;

-- The same in words, one row a server.
CREATE OR REPLACE FUNCTION pgsasl.waiting_relays() RETURNS TABLE (server_host text, noted_at timestamptz, in_words text)
LANGUAGE sql STABLE
AS $$
    SELECT r.server_host::text, r.noted_at, format('%s had %s of failures in its spool at %s: they are still to arrive here',
        r.server_host, pg_catalog.pg_size_pretty(r.spool_waiting), date_trunc('second', r.noted_at))
    FROM pgsasl.relays r ORDER BY r.server_host
$$;
