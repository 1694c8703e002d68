-- pgsasl.sql: the tables, functions and roles that pgsasl reads and writes.
--
--   psql -d mail -f pgsasl.sql
--
-- Run it as the owner of the database; a superuser is not needed. It can be run again at any time: data stays, and
-- functions and grants are restored to what these files say. It is one transaction, which succeeds or fails as a whole. The
-- owner needs CREATEROLE for the three roles; without it everything else loads, and a notice says what an administrator
-- must run.
--
-- A database that has an older version of the schema is upgraded, and keeps its data: see migrations.sql.
--
-- This file loads the other files of its folder, so keep them together. docs/sql.md explains each table, column, function
-- and role.

\set ON_ERROR_STOP on

BEGIN;

SET LOCAL client_min_messages = warning; -- hides "already exists, skipping"
-- What the files rely on, whatever the database or the role has for a default.
SET LOCAL standard_conforming_strings = on;
SET LOCAL check_function_bodies = on;
SET LOCAL quote_all_identifiers = off;
SET LOCAL transform_null_equals = off;
SET LOCAL search_path = pg_catalog, public, pg_temp;
SET LOCAL row_security = off;
SET LOCAL lock_timeout = '10s';          -- on a live system: fail rather than make logins wait behind this

DO $$
BEGIN
    IF current_setting('server_version_num')::integer < 140000 THEN
        RAISE EXCEPTION 'pgsasl needs PostgreSQL 14 or newer; this is %', current_setting('server_version');
    END IF;
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'pgsasl needs a database with the encoding UTF8, as user names are in UTF-8; this one has %',
            current_setting('server_encoding');
    END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public; -- a trusted extension: the owner may create it
CREATE SCHEMA IF NOT EXISTS pgsasl;
REVOKE ALL ON SCHEMA pgsasl FROM PUBLIC;

\ir migrations.sql
\ir inventory.sql

-- The chapters do not change tables that exist. Where a column or a key differs, they would fail with a less clear error.
SELECT pgsasl.check_schema('column', 'primary key', 'unique constraint', 'foreign key') \g /dev/null

-- The chapters. Each may use what the ones before it define.
\ir types.sql
\ir hashes.sql
\ir tables.sql
\ir reasons.sql
\ir triggers.sql
\ir partitions.sql
\ir throttle.sql
\ir relays.sql
\ir plugin.sql
\ir people.sql
\ir desk.sql
\ir views.sql
\ir roles.sql

SELECT pgsasl.check_schema('table', 'column', 'primary key', 'unique constraint', 'foreign key', 'check', 'index',
    'trigger') \g /dev/null

COMMIT;
