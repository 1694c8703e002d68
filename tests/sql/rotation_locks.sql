-- A rotation locks rows for a moment, not while it makes hashes. What the other session, a dblink connection, sees is
-- committed, so this file ends in no ROLLBACK: its database is its own.
SELECT * FROM no_plan();
CREATE EXTENSION dblink;
SELECT pgsasl.add_account('shop') AS shop \gset
SELECT pgsasl.add_user('app' || n, 'a long password', :shop) FROM generate_series(1, 4) AS n \g /dev/null
SELECT dblink_connect('other', format('host=%s dbname=%s user=postgres',
    split_part(current_setting('unix_socket_directories'), ',', 1), current_database()));
SET lock_timeout = '300ms'; -- a statement that waits for the other session is an error

-- one UPDATE a change
CREATE TABLE updates (username text);
CREATE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.updates VALUES (NEW.username); RETURN NULL; END $$;
CREATE TRIGGER ours AFTER UPDATE ON pgsasl.smtp_users FOR EACH ROW EXECUTE FUNCTION count_update();
SELECT pgsasl.set_password('app1', 'another password', '1 day'), length(pgsasl.rotate_password('app2', '2 days'));
SELECT bag_eq('SELECT username FROM updates', $$VALUES ('app1'), ('app2')$$, 'one UPDATE a change, also with a grace');
SELECT is(accepted_until - retired_at, '2 days', 'the grace') FROM pgsasl.retired_passwords ORDER BY retired_id DESC LIMIT 1;
SELECT is(rotation_grace, '0', 'which stays with this change') FROM pgsasl.smtp_users WHERE username = 'app2';
UPDATE pgsasl.smtp_users SET password_hash = '$2b$10$' || repeat('y', 53) WHERE username = 'app2';
SELECT is(accepted_until - retired_at, '0', 'the next change has its own')
FROM pgsasl.retired_passwords ORDER BY retired_id DESC LIMIT 1;
DROP TRIGGER ours ON pgsasl.smtp_users;

-- many users: hashes first, then locks
SELECT results_eq($$SELECT username FROM pgsasl.rotate_passwords('{app2,app1,app2}', '1 day')$$, ARRAY['app1', 'app2'],
    'each user once');
SELECT throws_ok($$SELECT * FROM pgsasl.rotate_passwords('{app1,nobody}')$$, 'P0002', 'there is no SMTP user "nobody"',
    'an unknown user');
SELECT username, password FROM pgsasl.rotate_passwords('{app3}') \gset
SELECT is(password_hash, public.crypt(:'password', password_hash), 'the password is that user''s')
FROM pgsasl.smtp_users WHERE username = :'username';
UPDATE pgsasl.settings SET bcrypt_cost = 13;
SELECT is(dblink_send_query('other', $$SELECT username FROM pgsasl.rotate_passwords('{app1,app2,app3,app4}')$$), 1, 'sent');
SELECT pg_sleep(0.7);
SELECT lives_ok($$UPDATE pgsasl.smtp_users SET enabled = false WHERE username IN ('app1', 'app4')$$,
    'no user waits for a rotation of many');
SELECT lives_ok($$UPDATE pgsasl.accounts SET standing = 'suspended'$$, 'and no account');
SELECT is(dblink_is_busy('other'), 1, 'which was still making hashes');
SELECT count(*) FROM dblink_get_result('other') AS t (username text);
SELECT count(*) FROM dblink_get_result('other') AS t (username text);
UPDATE pgsasl.settings SET bcrypt_cost = 10;

-- a rotation in an open transaction, and an account
SELECT dblink_exec('other', 'BEGIN');
SELECT count(*) FROM dblink('other', $$SELECT pgsasl.rotate_password('app1', '1 day')$$) AS t (password text);
SELECT lives_ok($$UPDATE pgsasl.accounts SET standing = 'good'$$, 'an account''s standing waits for no rotation');
SELECT is(count(*), 1::bigint, 'nor does the rotation wait for it')
FROM dblink('other', $$SELECT pgsasl.rotate_password('app1', '2 days')$$) AS t (password text);
SELECT dblink_exec('other', 'COMMIT');
SELECT dblink_disconnect('other');
SELECT * FROM finish();
