-- reasons.sql: the reasons of a failure, in words. Loaded by pgsasl.sql.

-- What each reason means to a person, in the order of the checks. The rows come from the plugin's list of reasons; loading
-- this file restores them. A reason that the list no longer has keeps its row: old failures may have it.
CREATE TABLE IF NOT EXISTS pgsasl.reasons (
    reason        text    COLLATE "C" PRIMARY KEY,
    check_order   integer NOT NULL,
    what_failed   text    NOT NULL,
    tell_customer text    NOT NULL,
    what_to_do    text    NOT NULL
);
INSERT INTO pgsasl.reasons (reason, check_order, what_failed, tell_customer, what_to_do) VALUES
    -- BEGIN LIST reasons: from plugin/auth/reasons.def, by tests/lists/reasons.py --write
    ('malformed_response', 1,
        'the client sent a message that does not follow the RFC of its mechanism',
        'Your mail program or device sent a login message that our server could not read. Please enter the user name '
        'and the password again. If that does not help, please update the program or the device.',
        'have the client fixed; detail says what is wrong with the message'),
    ('authzid_mismatch', 2,
        'the client asked to act as another user',
        'Your mail program asks to act as another user. Our server does not allow that. Please leave the field for '
        'the authorization identity (also called authzid) empty.',
        'have the authorization identity left empty in the client'),
    ('tls_required', 3,
        'the connection was not encrypted',
        'Your mail program or device connected without encryption. Please turn on TLS (also called SSL or STARTTLS) '
        'in its settings for outgoing mail.',
        'have TLS turned on in the client; under Postfix, which reports no TLS, remove pgsasl_require_tls'),
    ('mechanism_not_offered', 4,
        'the client insists on a login method that our server does not offer',
        'Your mail program or device uses a login method that our server does not offer. Please choose the method '
        'PLAIN or LOGIN (some programs call it normal password) with TLS in its settings for outgoing mail.',
        'have the client switched to PLAIN or LOGIN over TLS; mechanism says what it insists on'),
    ('abandoned_exchange', 5,
        'the client began a login and did not finish it: it cancelled, hung up or sent broken base64',
        'Your mail program or device began to log in, but broke off before it had sent everything. Please try again. '
        'If that does not help, please update the program or the device, and check the network connection.',
        'have the client fixed, or the network between it and the server checked'),
    ('throttled', 6,
        'too many attempts from this client network failed lately, with this user name or with any',
        'There were too many failed logins from your network. For a while our server does not check logins from '
        'there. Please find the program or device that has a wrong password, and correct it. Then please wait a while '
        'and try again.',
        'find the app in that network that has a wrong password; the throttle ends by itself'),
    ('backend_unavailable', 7,
        'the database did not answer in time, or the configuration is faulty',
        'Our server could not check the login because of a temporary fault on our side. You need not change anything. '
        'Please try again in a few minutes.',
        'fix what detail names; clients try again'),
    ('deleted_user', 8,
        'the SMTP user was deleted',
        'This user name no longer exists. Please use another one, or ask us for a new one.',
        'have another user name entered, or create a new user'),
    ('username_has_at', 9,
        'the user name is unknown and contains an @',
        'We do not know the user name in your mail program. It looks like an e-mail address. Please replace it with '
        'the user name that we gave you.',
        'an e-mail address was entered as the user name: have the user name entered'),
    ('username_whitespace', 10,
        'the user name is unknown and begins or ends with white space or an invisible character',
        'The user name in your mail program begins or ends with a space or an invisible character. Please delete the '
        'user name there and type it again by hand.',
        'have the user name typed again by hand, not pasted'),
    ('unknown_user', 11,
        'there is no SMTP user of this name',
        'We do not know the user name in your mail program. Please check it letter by letter. Upper case and lower '
        'case make a difference.',
        'check the name letter by letter; upper case and lower case differ'),
    ('account_closed', 12,
        'the account is closed',
        'The account of this user name is closed. Please contact our support team.',
        'refer the customer to support'),
    ('account_suspended', 13,
        'the account is suspended',
        'The account of this user name is suspended. Please contact our support team.',
        'refer the customer to support'),
    ('account_past_due', 14,
        'the account is past due',
        'A payment for the account of this user name is overdue. Please contact our billing team.',
        'refer the customer to billing'),
    ('disabled_user', 15,
        'the SMTP user is disabled',
        'This user name is disabled. Please tell us if you would like to use it again.',
        'if the user should log in again, set enabled to true in pgsasl.smtp_users'),
    ('expired_user', 16,
        'the SMTP user has expired',
        'This user name was valid for a limited time, which is over. Please tell us if you would like to go on using '
        'it.',
        'if the user should log in again, set a later expires_at in pgsasl.smtp_users; or create a new user'),
    ('unusable_hash', 17,
        'the stored password hash is empty, cut short or of a scheme that is not accepted',
        'Our server cannot check the password of this user name because of a fault on our side. You will get a new '
        'password from us. We are sorry for the trouble.',
        'set a new password with pgsasl.set_password()'),
    ('no_scram_verifier', 18,
        'the client uses SCRAM-SHA-256, and the stored hash of this user is no SCRAM verifier',
        'Your mail program or device uses the login method SCRAM-SHA-256, which does not work for this user name. '
        'Please choose the method PLAIN or LOGIN (some programs call it normal password) with TLS in its settings for '
        'outgoing mail.',
        'have the client switched to PLAIN or LOGIN over TLS, or store a SCRAM verifier for the user; no password was '
        'looked at'),
    ('stale_password', 19,
        'the password is one from before a rotation',
        'This program or device still has an old password, which was replaced. Please enter the new password in it.',
        'have the new password entered in this app; detail says when the old one was rotated'),
    ('password_whitespace', 20,
        'the password is right except for white space or invisible characters at its beginning or end',
        'The password in your mail program begins or ends with a space or an invisible character. Please delete the '
        'password there and type it again by hand.',
        'have the password typed again by hand, not pasted'),
    ('wrong_password', 21,
        'the password is wrong',
        'The password in your mail program is wrong. Please enter it again. If that does not help, please ask us for '
        'a new one.',
        'have the password entered again, or set a new one with pgsasl.set_password()'),
    ('ip_not_authorized', 22,
        'the password is right, but the user may not log in from this address',
        'This user name may log in only from certain network addresses. The address of your mail program or device is '
        'not one of them. If it should be, please tell us the address.',
        'if the address is the customer''s, add it to allowed_networks in pgsasl.smtp_users')
    -- END LIST reasons
ON CONFLICT (reason) DO UPDATE SET check_order = excluded.check_order, what_failed = excluded.what_failed,
    tell_customer = excluded.tell_customer, what_to_do = excluded.what_to_do;

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
