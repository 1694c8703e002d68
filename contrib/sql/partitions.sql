-- partitions.sql: the partitions of auth_failures and their purge. There is one partition per week, Monday to Monday in
-- UTC, which record_failure() makes a week ahead. Loaded by pgsasl.sql.

CREATE OR REPLACE FUNCTION pgsasl.partition_name(occurred_at timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT 'auth_failures_' || to_char(date_trunc('week', occurred_at AT TIME ZONE 'UTC'), 'YYYY_MM_DD')
$$;

-- Makes the week's partition and moves rows of that week there from the default partition. Waits for no lock: while another
-- session holds a conflicting one (a dump, a long report), it raises lock_not_available, so that no queue can form behind
-- it. It writes times into statements, so it sets how they are written.
CREATE OR REPLACE FUNCTION pgsasl.make_partition(week timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET DateStyle = ISO SET TimeZone = UTC SET row_security = off
AS $$
DECLARE
    partition text := pgsasl.partition_name(week);
    first_moment timestamptz := date_trunc('week', week, 'UTC');
    next_moment timestamptz := date_trunc('week', week, 'UTC') + interval '168 hours';
BEGIN
    LOCK TABLE ONLY pgsasl.auth_failures IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    LOCK TABLE ONLY pgsasl.auth_failures_default IN ACCESS EXCLUSIVE MODE NOWAIT;
    IF to_regclass('pgsasl.' || partition) IS NOT NULL THEN
        RETURN; -- another session has made it
    END IF;
    -- CREATE TABLE ... PARTITION OF would lock all of auth_failures; ATTACH allows inserts and reports meanwhile.
    EXECUTE format('CREATE TABLE pgsasl.%I (LIKE pgsasl.auth_failures INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
        partition);
    EXECUTE format('WITH moved AS (DELETE FROM pgsasl.auth_failures_default'
                   ' WHERE occurred_at >= $1 AND occurred_at < $2 RETURNING *)'
                   ' INSERT INTO pgsasl.%I SELECT * FROM moved', partition)
        USING first_moment, next_moment;
    EXECUTE format('ALTER TABLE pgsasl.auth_failures ATTACH PARTITION pgsasl.%I FOR VALUES FROM (%L) TO (%L)',
        partition, first_moment, next_moment);
    -- The move fired the trigger for deleted rows, so the guesses among them are added again.
    INSERT INTO pgsasl.recent_guesses (occurred_at, attempt_id, username, net, stale)
    SELECT pgsasl.counted_at(f.occurred_at, f.recorded_at), f.attempt_id, f.username, pgsasl.client_net(f.client_addr),
           f.failed_checks @> '{stale_password}'
    FROM pgsasl.auth_failures f
    WHERE f.occurred_at >= first_moment AND f.occurred_at < next_moment AND f.counts
        AND f.recorded_at > now() - interval '1 day'
    ON CONFLICT DO NOTHING;
END
$$;

-- Whether the default partition is so large that no login can wait while ATTACH reads it.
CREATE OR REPLACE FUNCTION pgsasl.default_is_large() RETURNS boolean
LANGUAGE sql STABLE
RETURN pg_relation_size('pgsasl.auth_failures_default') > 8 * 1024 * 1024;

-- Writes the rows of the default partition into a new file, without the room that moved and deleted rows left: that alone
-- would keep it large. What this transaction itself has deleted, or another one still sees, is left to a later call. To
-- logical replication it is no change, as TRUNCATE and INSERT would be. Waits for no lock, as make_partition().
CREATE OR REPLACE FUNCTION pgsasl.shrink_default() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp SET row_security = off
AS $$
BEGIN
    LOCK TABLE ONLY pgsasl.auth_failures_default IN ACCESS EXCLUSIVE MODE NOWAIT;
    CLUSTER pgsasl.auth_failures_default USING auth_failures_default_pkey;
    ALTER TABLE pgsasl.auth_failures_default SET WITHOUT CLUSTER;
END
$$;

-- Makes the partitions of this week and the next, where they are missing, and shrinks the default partition if it is large.
CREATE OR REPLACE FUNCTION pgsasl.make_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    week timestamptz;
BEGIN
    FOREACH week IN ARRAY ARRAY[now(), now() + interval '168 hours'] LOOP
        IF to_regclass('pgsasl.' || pgsasl.partition_name(week)) IS NULL THEN
            PERFORM pgsasl.make_partition(week);
        END IF;
    END LOOP;
    IF pgsasl.default_is_large() THEN
        PERFORM pgsasl.shrink_default();
    END IF;
END
$$;

-- The same within the time of a login: does nothing, without an error, where it would take long. A row of a week without a
-- partition goes to the default one, and the next failure tries again. Where the default partition is large, it leaves the
-- partitions to purge_failures() or a person, and says so once for each connection.
CREATE OR REPLACE FUNCTION pgsasl.try_make_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    IF pgsasl.default_is_large() THEN
        IF current_setting('pgsasl.told_default_is_large', true) IS DISTINCT FROM 'yes' THEN
            PERFORM set_config('pgsasl.told_default_is_large', 'yes', false);
            RAISE LOG 'pgsasl: no partition of auth_failures is made, because the default one is large: '
                'call pgsasl.make_partitions() or pgsasl.purge_failures()';
        END IF;
        RETURN;
    END IF;
    PERFORM pgsasl.make_partitions();
EXCEPTION
    WHEN lock_not_available OR object_in_use THEN
        NULL;
    WHEN OTHERS THEN
        RAISE LOG 'pgsasl: cannot make a partition of auth_failures: %', SQLERRM;
END
$$;

-- What is wrong with the partitions, one row a fault; none where all is well.
CREATE OR REPLACE FUNCTION pgsasl.partition_faults() RETURNS TABLE (fault text, what_to_do text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    SELECT format('auth_failures has no partition %s', pgsasl.partition_name(week)),
           'call pgsasl.make_partitions(); until then, failures of that week go to the default partition'
    FROM unnest(ARRAY[now(), now() + interval '168 hours']) AS week
    WHERE to_regclass('pgsasl.' || pgsasl.partition_name(week)) IS NULL
    UNION ALL
    SELECT format('the default partition of auth_failures has %s, so record_failure() makes no partitions',
               pg_size_pretty(pg_relation_size('pgsasl.auth_failures_default'))),
           'call pgsasl.make_partitions(); if it stays as large, purge what is old, or find out which mail server has a'
           ' wrong clock (SELECT server_host, min(occurred_at), max(occurred_at), count(*) FROM'
           ' pgsasl.auth_failures_default GROUP BY 1), and call make_partitions() or purge_failures() each week'
    WHERE pgsasl.default_is_large()
$$;

-- Removes failures that are older: drops partitions that have nothing newer, and deletes rows from the default one. Returns
-- what it did. It makes missing partitions as well, where that waits for no lock. Dropping needs a lock behind which failures wait. The function waits for it only briefly, several times;
-- once granted, the lock lasts until the end of the transaction, so let this call be the only one in it.
CREATE OR REPLACE FUNCTION pgsasl.purge_failures(older_than interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    weeks text[];
    week text;
    deleted bigint;
BEGIN
    IF older_than IS NULL OR older_than < interval '1 hour' THEN
        RAISE EXCEPTION 'purge_failures cannot remove failures of the last hour' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM pgsasl.recent_guesses WHERE occurred_at < now() - older_than;
    DELETE FROM pgsasl.auth_failures_default
    WHERE occurred_at < now() - older_than OR recorded_at < now() - older_than; -- also where the row claims a time to come
    GET DIAGNOSTICS deleted = ROW_COUNT;
    BEGIN
        PERFORM pgsasl.make_partitions();
    EXCEPTION WHEN lock_not_available OR object_in_use THEN
        NULL; -- the next purge or failure tries again
    END;

    SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}') INTO weeks
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'pgsasl.auth_failures'::regclass AND c.relname ~ '^auth_failures_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
        AND (to_date(right(c.relname, 10), 'YYYY_MM_DD') + 7)::timestamp AT TIME ZONE 'UTC' <= now() - older_than;
    FOR tries_left IN REVERSE 9 .. 0 LOOP
        EXIT WHEN weeks = '{}';
        BEGIN
            LOCK TABLE ONLY pgsasl.auth_failures IN ACCESS EXCLUSIVE MODE;
            FOREACH week IN ARRAY weeks LOOP
                EXECUTE format('DROP TABLE pgsasl.%I', week);
            END LOOP;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN -- the locks and drops of this round are undone
            IF tries_left = 0 THEN
                RAISE EXCEPTION 'auth_failures is in use, for example by a report or a dump; try again later'
                    USING ERRCODE = 'lock_not_available';
            END IF;
            PERFORM pg_sleep(0.3);
        END;
    END LOOP;
    RETURN format('%s partitions dropped%s, %s rows deleted from the default one', cardinality(weeks),
        ' (' || nullif(array_to_string(weeks, ', '), '') || ')', deleted);
END
$$;

SELECT pgsasl.make_partitions() \g /dev/null
