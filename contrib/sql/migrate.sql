-- migrate.sql: applies one migration to a database that is older. migrations.sql includes this file once for each
-- migration, with the psql variables migration (the file's name without .sql) and breaks_plugin (yes or no).

SELECT left(:'migration', 4)::integer AS files_version,
       left(:'migration', 4)::integer > :database_version AND NOT :'database_is_new' AS migration_is_due
\gset
\if :migration_is_due
    \echo pgsasl: migration :migration
    \set migration_file migrations/ :migration .sql
    \ir :migration_file
    INSERT INTO pgsasl.migrations (number, name, breaks_plugin)
    VALUES (:files_version, substr(:'migration', 6), :'breaks_plugin');
\endif
