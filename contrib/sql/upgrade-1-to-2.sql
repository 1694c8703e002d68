-- upgrade-1-to-2.sql: brings schema version 1 to version 2 and loses nothing. Run it as the owner of the schema:
--
--   psql -d mail -f upgrade-1-to-2.sql
--
-- It is one transaction, which ends in that of pgsasl.sql beside it. Logins go on while it builds indexes on
-- auth_failures; failures meanwhile wait, past pgsasl_timeout_ms in the spool. Mail servers need not be told: where a
-- statement that the plugin has prepared no longer fits, it connects anew.

\set ON_ERROR_STOP on

BEGIN;

SET LOCAL client_min_messages = error; -- pgsasl.sql begins and ends a transaction of its own, which is this one
SET LOCAL lock_timeout = '10s';

DO $$
BEGIN
    IF to_regprocedure('pgsasl.schema_version()') IS NULL THEN
        RAISE EXCEPTION 'this database holds no pgsasl schema' USING HINT = 'Load pgsasl.sql.';
    END IF;
    IF pgsasl.schema_version() <> 1 THEN
        RAISE EXCEPTION 'this database holds version % of the schema, and this file upgrades version 1',
            pgsasl.schema_version();
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.schema_version() RETURNS integer
LANGUAGE sql IMMUTABLE
AS 'SELECT 2';

ALTER TABLE pgsasl.settings
    ADD COLUMN retired_kept         smallint NOT NULL DEFAULT 2 CHECK (retired_kept BETWEEN 0 AND 8),
    ADD COLUMN login_stamp_interval interval NOT NULL DEFAULT '5 minutes'
                                    CHECK (login_stamp_interval BETWEEN '0' AND '1 day'),
    ADD COLUMN throttle_window      interval NOT NULL DEFAULT '10 minutes'
                                    CHECK (throttle_window BETWEEN '1 second' AND '1 day'),
    ADD COLUMN throttle_user_client integer  DEFAULT 20 CHECK (throttle_user_client BETWEEN 1 AND 10000),
    ADD COLUMN throttle_client      integer  DEFAULT 500 CHECK (throttle_client BETWEEN 1 AND 10000);

ALTER TABLE pgsasl.auth_failures
    ADD COLUMN counts     boolean NOT NULL DEFAULT false,
    ADD COLUMN merged_ids uuid[];

DROP FUNCTION pgsasl.find_user(text, inet);         -- it returns more
DROP FUNCTION pgsasl.set_password(text, text);      -- it takes a grace as well

\ir pgsasl.sql
