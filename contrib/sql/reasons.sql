-- reasons.sql: the reasons of a failure, in words. Loaded by pgsasl.sql.

-- What each reason means to a person. The texts stand here and nowhere else; loading this file puts them back.
CREATE TABLE IF NOT EXISTS pgsasl.reasons (
    reason      text COLLATE "C" PRIMARY KEY,
    what_failed text NOT NULL,
    what_to_do  text NOT NULL
);
INSERT INTO pgsasl.reasons (reason, what_failed, what_to_do) VALUES
    ('malformed_response', 'the client''s message is not PLAIN or LOGIN as the RFC says',
        'mend the client; detail says what is wrong with the message'),
    ('authzid_mismatch', 'the client asks to act as another user',
        'leave the authorization identity empty in the client'),
    ('tls_required', 'the connection is not encrypted',
        'use TLS in the client; under Postfix do not set pgsasl_require_tls'),
    ('throttled', 'too many failures of this user name or of all names from this client network',
        'wait; find the app there whose password is wrong'),
    ('deleted_user', 'the SMTP user was deleted',
        'use another user, or create a new one'),
    ('username_has_at', 'the user name is not known and has an @',
        'an e-mail address stands in the user name field: enter the user name'),
    ('username_whitespace', 'the user name is not known and has a blank or an invisible character at an end',
        'type the user name again by hand'),
    ('unknown_user', 'there is no SMTP user of this name',
        'check the name, letter by letter: upper and lower case differ'),
    ('account_closed', 'the account is closed', 'refer the customer to support'),
    ('account_suspended', 'the account is suspended', 'refer the customer to support'),
    ('account_past_due', 'the account is past due', 'refer the customer to billing'),
    ('disabled_user', 'the SMTP user is disabled', 'enable it'),
    ('unusable_hash', 'the stored password hash is empty, cut short or of a scheme that is not accepted',
        'set a new password'),
    ('stale_password', 'the password is one from before a rotation',
        'enter the new password in this app; detail says when it was rotated'),
    ('password_whitespace', 'the password is right but for a blank or an invisible character at an end',
        'type the password again by hand'),
    ('wrong_password', 'the password is wrong', 'enter it again, or set a new one'),
    ('ip_not_authorized', 'the password is right, but the address is not one that this user may come from',
        'add the address to allowed_networks, if it is the customer''s'),
    ('backend_unavailable', 'the database did not answer in time, or the configuration is faulty',
        'nothing for the customer, the client tries again; detail says what failed')
ON CONFLICT (reason) DO UPDATE SET what_failed = excluded.what_failed, what_to_do = excluded.what_to_do;

-- auth_failures takes these reasons and no others. The CHECK is replaced only where it differs from the list above, because
-- adding it reads the whole table.
DO $$
DECLARE
    wanted text[] := ARRAY(SELECT r.reason FROM pgsasl.reasons r ORDER BY 1);
    present text[] := ARRAY(
        SELECT w[1] COLLATE "C"
        FROM pg_catalog.pg_constraint c, regexp_matches(pg_get_constraintdef(c.oid), $re$'(\w+)'$re$, 'g') AS w
        WHERE c.conrelid = 'pgsasl.auth_failures'::regclass AND c.conname = 'auth_failures_reason_word'
        ORDER BY 1);
BEGIN
    IF present IS DISTINCT FROM wanted THEN
        ALTER TABLE pgsasl.auth_failures DROP CONSTRAINT IF EXISTS auth_failures_reason_word;
        EXECUTE format('ALTER TABLE pgsasl.auth_failures ADD CONSTRAINT auth_failures_reason_word CHECK (reason IN (%s))',
            (SELECT string_agg(quote_literal(w), ', ') FROM unnest(wanted) AS w));
    END IF;
END
$$;
