-- Suspending an account waits for no user's row, and holds at once. Another session has a row of smtp_users locked, and what
-- it sees is committed, so this file ends in no ROLLBACK: its database is its own.
SELECT * FROM no_plan();
CREATE EXTENSION dblink;
SELECT pgsasl.add_user('app', 'a long password', pgsasl.add_account('shop')) \g /dev/null
SELECT dblink_connect('other', format('host=%s dbname=%s user=postgres',
    split_part(current_setting('unix_socket_directories'), ',', 1), current_database()));
SELECT dblink_exec('other', 'BEGIN');
SELECT dblink_exec('other', $$UPDATE pgsasl.smtp_users SET username = 'renamed' WHERE username = 'app'$$);
SET lock_timeout = '1s';
SELECT lives_ok($$UPDATE pgsasl.accounts SET standing = 'suspended'$$, 'suspending an account waits for no user');
SELECT is((pgsasl.find_user('app', NULL)).account_standing, 'suspended', 'and holds at once');
SELECT dblink_exec('other', 'ROLLBACK');
SELECT dblink_disconnect('other');
SELECT * FROM finish();
