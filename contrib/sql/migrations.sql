-- migrations.sql: brings a database with an older version of the schema to this one. Loaded by pgsasl.sql, before the
-- chapters.
--
-- To add version N: write migrations/000N-name.sql, add one line to the list below and one to dist_sqlmigrations_DATA in
-- Makefile.am. The number of the last line is the version of these files; it stands nowhere else. docs/sql.md says what
-- belongs in a migration.

-- The version of this database is the highest number. A new database has one row, with the version that it began with.
CREATE TABLE IF NOT EXISTS pgsasl.migrations (
    number        integer     PRIMARY KEY CHECK (number > 0), -- the version that it led to
    name          text        NOT NULL,
    applied_at    timestamptz NOT NULL DEFAULT now(),
    applied_by    text        NOT NULL DEFAULT session_user,
    breaks_plugin boolean     NOT NULL -- a plugin made for the version before cannot use this one
);

SELECT NOT EXISTS (SELECT FROM pgsasl.migrations) AS database_is_new,
       coalesce((SELECT max(m.number) FROM pgsasl.migrations m), 0) AS database_version
\gset

-- Oldest first. Version 1 has no file: it is where all databases begin.
\set migration 0001-first-release \set breaks_plugin no \ir migrate.sql

SELECT set_config('pgsasl.files_version', :'files_version', true) \g /dev/null
DO $$
DECLARE
    database_version integer := (SELECT max(m.number) FROM pgsasl.migrations m);
    files_version integer := current_setting('pgsasl.files_version');
BEGIN
    IF database_version > files_version THEN
        RAISE EXCEPTION 'this database has version % of the schema, and these files are version %', database_version,
            files_version USING HINT = 'Load the files of the newer version.';
    END IF;
    IF database_version IS NULL AND to_regclass('pgsasl.smtp_users') IS NOT NULL THEN
        RAISE EXCEPTION 'this database has tables of pgsasl but no rows in pgsasl.migrations'
            USING HINT = 'A version from before 0.1.0 made them, which no migration begins with. Load into a new database.';
    END IF;
    IF database_version IS NULL THEN
        INSERT INTO pgsasl.migrations (number, name, breaks_plugin) VALUES (files_version, 'new database', false);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.schema_version() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS 'SELECT max(m.number) FROM pgsasl.migrations m';
