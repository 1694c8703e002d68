-- What the tables refuse is refused in words that contain no value of the row, by a trigger; the constraint that it stands
-- for refuses it as well.
BEGIN;
SELECT * FROM no_plan();
SELECT pgsasl.add_user('app', 'a long password') AS app \gset
SELECT pgsasl.set_password('app', 'another password') \g /dev/null

-- Runs a statement; returns the SQLSTATE, the constraint or column, and the detail of its error.
CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    broken text; missing text; detail text; words text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME, missing = COLUMN_NAME, detail = PG_EXCEPTION_DETAIL,
        words = MESSAGE_TEXT;
    RETURN concat_ws(' ', SQLSTATE, nullif(broken, ''), nullif(missing, ''), nullif(detail, ''),
        CASE WHEN words ~ 'clear text|a@b|\$2' THEN words END);
END
$$;

CREATE TABLE refusals (change text, wanted text);
INSERT INTO refusals VALUES
    ('username = ''''', '23514 smtp_users_username_length'),
    ('username = repeat(''x'', 256)', '23514 smtp_users_username_length'),
    ('username = ''a@b''', '23514 smtp_users_username_no_at'),
    ('username = ''a b''', '23514 smtp_users_username_visible'),
    ('account_standing = ''bad''', '23514 smtp_users_account_standing_word'),
    ('rotation_grace = ''-1 s''', '23514 smtp_users_rotation_grace_check'),
    ('allowed_networks = ''{NULL}''', '23514 smtp_users_allowed_networks_set'),
    ('password_hash = ''clear text''', '23514 smtp_users_password_hash_scheme'),
    ('password_hash = ''$2b$17$'' || repeat(''x'', 53)', '23514 smtp_users_password_hash_scheme'),
    ('username = NULL', '23502 username'), ('password_hash = NULL', '23502 password_hash'),
    ('enabled = NULL', '23502 enabled'), ('account_standing = NULL', '23502 account_standing'),
    ('rotation_grace = NULL', '23502 rotation_grace'), ('created_at = NULL', '23502 created_at'),
    ('password_changed_at = NULL', '23502 password_changed_at');
SELECT is(outcome('UPDATE pgsasl.smtp_users SET ' || change), wanted, 'refused: ' || change) FROM refusals;
SELECT is(outcome(format('INSERT INTO pgsasl.smtp_users (username, password_hash) VALUES (%s)', given)), wanted,
    'an INSERT of ' || given)
FROM (VALUES ('''new'', ''clear text''', '23514 smtp_users_password_hash_scheme'),
    ('''a@b'', ''$2b$10$'' || repeat(''x'', 53)', '23514 smtp_users_username_no_at'),
    ('''new'', NULL', '23502 password_hash')) AS t (given, wanted);
SELECT is(outcome('INSERT INTO pgsasl.smtp_users (username, password_hash) VALUES (''app'', ''$2b$10$'' || repeat(''x'', 53))'),
    '23505 smtp_users_username_key Key (username)=(app) already exists.', 'a name that exists: no hash');
SELECT is(outcome('UPDATE pgsasl.retired_passwords SET ' || change || ' = NULL'), '23502 ' || change,
    'no NULL in retired_passwords: ' || change)
FROM unnest(ARRAY['user_id', 'password_hash', 'retired_at', 'accepted_until']) AS change;

-- nothing is missing above
SELECT set_eq($$SELECT substr(wanted, 7) FROM refusals WHERE wanted LIKE '23514%'$$,
    $$SELECT conname::text FROM pg_constraint WHERE conrelid = 'pgsasl.smtp_users'::regclass AND contype = 'c'$$,
    'each CHECK of smtp_users');
SELECT set_eq($$SELECT substr(wanted, 7) FROM refusals WHERE wanted LIKE '23502%' UNION VALUES ('user_id')$$,
    $$SELECT attname::text FROM pg_attribute WHERE attrelid = 'pgsasl.smtp_users'::regclass AND attnotnull AND attnum > 0$$,
    'each NOT NULL');

-- the trigger and the CHECK agree on each character
SELECT substring(pg_get_constraintdef(oid) FROM '''(.*)''::text') AS characters FROM pg_constraint
WHERE conname = 'smtp_users_username_visible' \gset
SELECT is_empty(format($$SELECT code FROM generate_series(1, x'e1000'::integer) AS code
    WHERE code NOT BETWEEN x'd800'::integer AND x'dfff'::integer AND chr(code) <> '@'
        AND (pgsasl.username_fault('a' || chr(code))).fault IS NULL = (chr(code) ~ %L)$$, :'characters'),
    'the same characters are refused by both');

-- without the triggers, the constraints refuse as much
ALTER TABLE pgsasl.smtp_users DISABLE TRIGGER user_refused;
SELECT is(left(outcome('UPDATE pgsasl.smtp_users SET ' || change), 5), left(wanted, 5), 'by the constraint: ' || change)
FROM refusals;

SELECT * FROM finish();
ROLLBACK;
