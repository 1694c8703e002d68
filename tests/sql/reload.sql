-- Loading the schema again, over data. The file commits, so this one ends in no ROLLBACK: its database is its own.
SELECT * FROM no_plan();
SELECT pgsasl.add_account('shop', 'past_due') AS shop \gset
SELECT pgsasl.add_user('app', 'a long password', :shop, allowed_networks => '{192.0.2.0/24}') AS app \gset
SELECT pgsasl.add_user('gone', 'a long password', :shop) AS gone \gset
DELETE FROM pgsasl.smtp_users WHERE username = 'gone';
SELECT failure('app');
SELECT failure('app', occurred_at => '2001-01-01');
UPDATE pgsasl.settings SET bcrypt_cost = 12;

CREATE FUNCTION everything() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT a::text FROM pgsasl.accounts a UNION ALL SELECT u::text FROM pgsasl.smtp_users u
    UNION ALL SELECT d::text FROM pgsasl.deleted_users d UNION ALL SELECT f::text FROM pgsasl.auth_failures f
    UNION ALL SELECT s::text FROM pgsasl.settings s UNION ALL SELECT m::text FROM pgsasl.migrations m
    UNION ALL SELECT oid::regclass || ' ' || relkind::text || coalesce(relacl::text, '') FROM pg_class
        WHERE relnamespace = 'pgsasl'::regnamespace
    UNION ALL SELECT oid::regprocedure || md5(prosrc) || coalesce(proacl::text, '') FROM pg_proc
        WHERE pronamespace = 'pgsasl'::regnamespace
    UNION ALL SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'pgsasl'::regnamespace
$$;
CREATE TABLE before AS SELECT everything() AS line;
SET SESSION AUTHORIZATION mail_owner;
\ir ../../contrib/sql/pgsasl.sql
RESET SESSION AUTHORIZATION;
SELECT bag_eq('SELECT everything()', 'TABLE before', 'nothing is lost, added or changed');

-- what somebody has changed by hand is put back
GRANT EXECUTE ON FUNCTION pgsasl.find_user(text, inet) TO PUBLIC;
SELECT current_database() AS here \gset
SELECT rolconfig AS settings FROM pg_roles WHERE rolname = 'pgsasl_plugin' \gset
SET SESSION AUTHORIZATION pgsasl_plugin; -- as somebody with its credential may
ALTER ROLE pgsasl_plugin SET default_transaction_read_only = on;
ALTER ROLE pgsasl_plugin IN DATABASE :here SET search_path = public;
RESET SESSION AUTHORIZATION;
CREATE OR REPLACE FUNCTION pgsasl.hash_password(password text) RETURNS text LANGUAGE sql AS 'SELECT password';
SET SESSION AUTHORIZATION mail_owner;
\ir ../../contrib/sql/pgsasl.sql
RESET SESSION AUTHORIZATION;
SELECT bag_eq('SELECT everything()', 'TABLE before', 'functions and grants are put back');
SELECT is(rolconfig::text, :'settings', 'so are the settings of pgsasl_plugin') FROM pg_roles WHERE rolname = 'pgsasl_plugin';
SELECT is_empty($$SELECT setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
    JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = 'pgsasl_plugin' AND datname = current_database()$$,
    'also those for this database');

-- as an older list of reasons left it: the CHECK takes the new one too, and the words are restored
ALTER TABLE pgsasl.auth_failures DROP CONSTRAINT auth_failures_reason_word,
    ADD CONSTRAINT auth_failures_reason_word CHECK (reason IN ('wrong_password', 'unknown_user'));
CREATE TABLE words AS SELECT r::text AS line FROM pgsasl.reasons r;
DELETE FROM pgsasl.reasons WHERE reason NOT IN ('wrong_password', 'unknown_user');
UPDATE pgsasl.reasons SET check_order = 1, what_failed = 'x', tell_customer = 'x', what_to_do = 'x';
SET SESSION AUTHORIZATION mail_owner;
\ir ../../contrib/sql/pgsasl.sql
RESET SESSION AUTHORIZATION;
SELECT bag_eq('SELECT everything()', 'TABLE before', 'a new reason is taken by the table');
SELECT bag_eq('SELECT r::text FROM pgsasl.reasons r', 'TABLE words', 'and has its words');

-- pgcrypto wherever it is
CREATE SCHEMA "Crypto Schema";
ALTER EXTENSION pgcrypto SET SCHEMA "Crypto Schema";
GRANT USAGE ON SCHEMA "Crypto Schema" TO mail_owner;
SET SESSION AUTHORIZATION mail_owner;
\ir ../../contrib/sql/pgsasl.sql
RESET SESSION AUTHORIZATION;
SELECT is(pgsasl.hash_password('a long password') ~ '^\$2a\$12\$', true, 'pgcrypto is found in the schema where it is');

SELECT * FROM finish();
