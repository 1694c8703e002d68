-- pgsasl.sql: the tables, functions and roles that pgsasl reads and writes. Schema version 1.
--
--   psql -d mail -f pgsasl.sql
--
-- Run it as the owner of the database, which needs no superuser. It can be run again: nothing is lost, functions and
-- grants are put back as they stand here. It is one transaction: it happens as a whole or not at all. The owner needs
-- CREATEROLE for the three roles; without it the file loads and says what an administrator must run.
--
-- What each table, column, function and role means stands in docs/sql.md.

\set ON_ERROR_STOP on

BEGIN;

SET LOCAL client_min_messages = warning; -- "already exists, skipping" is no news
SET LOCAL lock_timeout = '10s';          -- on a live system: give up rather than make logins queue behind us

DO $$
BEGIN
    IF current_setting('server_version_num')::integer < 140000 THEN
        RAISE EXCEPTION 'pgsasl needs PostgreSQL 14 or newer; this is %', current_setting('server_version');
    END IF;
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'pgsasl needs a database in UTF8, for user names come in it; this one is in %',
            current_setting('server_encoding');
    END IF;
    IF to_regprocedure('pgsasl.schema_version()') IS NOT NULL THEN
        IF pgsasl.schema_version() <> 1 THEN
            RAISE EXCEPTION 'this database holds version % of the schema, and this file is version 1',
                pgsasl.schema_version();
        END IF;
    END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public; -- a trusted extension: the owner may
CREATE SCHEMA IF NOT EXISTS pgsasl;
REVOKE ALL ON SCHEMA pgsasl FROM PUBLIC;

CREATE OR REPLACE FUNCTION pgsasl.schema_version() RETURNS integer
LANGUAGE sql IMMUTABLE
AS 'SELECT 1';

-- ---------------------------------------------------------------------------------------------------------------------
-- Tables
-- ---------------------------------------------------------------------------------------------------------------------

-- One row, one column a setting: UPDATE pgsasl.settings SET bcrypt_cost = 12.
CREATE TABLE IF NOT EXISTS pgsasl.settings (
    only_row             boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
    bcrypt_cost          smallint NOT NULL DEFAULT 10 CHECK (bcrypt_cost BETWEEN 10 AND 16),
    retired_kept         smallint NOT NULL DEFAULT 2 CHECK (retired_kept BETWEEN 0 AND 8),
    login_stamp_interval interval NOT NULL DEFAULT '5 minutes'
                                  CHECK (login_stamp_interval BETWEEN '0' AND '1 day'),
    throttle_window      interval NOT NULL DEFAULT '10 minutes'
                                  CHECK (throttle_window BETWEEN '1 second' AND '1 day'),
    throttle_user_client integer  DEFAULT 20 CHECK (throttle_user_client BETWEEN 1 AND 10000),
    throttle_client      integer  DEFAULT 500 CHECK (throttle_client BETWEEN 1 AND 10000)
);
COMMENT ON COLUMN pgsasl.settings.only_row IS 'true: there is one row';
COMMENT ON COLUMN pgsasl.settings.bcrypt_cost IS 'cost of the hashes that add_user, set_password and rotate_password make';
COMMENT ON COLUMN pgsasl.settings.retired_kept IS
    'retired passwords kept for each user; each costs a failed login one more hash';
COMMENT ON COLUMN pgsasl.settings.login_stamp_interval IS
    'last_login_at and last_used_at are written no more often than this';
COMMENT ON COLUMN pgsasl.settings.throttle_window IS 'how far back failures count against a client';
COMMENT ON COLUMN pgsasl.settings.throttle_user_client IS
    'failures within the window after which one user name is throttled for one client network; NULL: never';
COMMENT ON COLUMN pgsasl.settings.throttle_client IS
    'failures within the window after which a client network is throttled for all names; NULL: never';
INSERT INTO pgsasl.settings DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS pgsasl.accounts (
    account_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE CHECK (name ~ '\S'),
    standing   text        NOT NULL DEFAULT 'good'
                           CONSTRAINT accounts_standing_word
                           CHECK (standing IN ('good', 'past_due', 'suspended', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, standing) -- for the foreign key of smtp_users
);

-- The look-up reads this table alone: account_standing is the account's own, kept so by the foreign key. It stands in
-- no index, and neither do the login stamps, so that changing them stays cheap (heap-only updates; hence the
-- fillfactor).
CREATE TABLE IF NOT EXISTS pgsasl.smtp_users (
    user_id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username            text        COLLATE "C" NOT NULL UNIQUE,
    password_hash       text        COLLATE "C" NOT NULL,
    enabled             boolean     NOT NULL DEFAULT true,
    account_id          bigint      NOT NULL,
    account_standing    text        NOT NULL, -- filled from the account by trigger
    allowed_networks    cidr[],               -- NULL or empty: anywhere
    app                 text,                 -- the app that logs in with it: one SMTP user per app
    note                text,
    rotation_grace      interval    NOT NULL DEFAULT '0' CHECK (rotation_grace >= '0'),
    created_at          timestamptz NOT NULL DEFAULT now(),
    password_changed_at timestamptz NOT NULL DEFAULT now(), -- kept by trigger
    last_login_at       timestamptz,
    last_login_from     inet,

    CONSTRAINT smtp_users_account_fkey FOREIGN KEY (account_id, account_standing)
        REFERENCES pgsasl.accounts (account_id, standing) ON UPDATE CASCADE,

    CONSTRAINT smtp_users_username_length CHECK (octet_length(username) BETWEEN 1 AND 255),
    CONSTRAINT smtp_users_username_no_at CHECK (strpos(username, '@') = 0),
    -- White space, controls, and characters that leave no mark on a screen (Unicode 15): all that the plugin's
    -- diagnosis trims off, and the variation selectors.
    CONSTRAINT smtp_users_username_visible CHECK (username !~ (
        '[\u0001-\u0020\u007F-\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F'
        '\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF9-\uFFFB'
        '\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]')),
    CONSTRAINT smtp_users_allowed_networks_set CHECK (array_position(allowed_networks, NULL) IS NULL),

    -- What pgsasl can verify, one line a scheme. Clear text, '', '*', DES, MD5 and bare digests match none of them.
    CONSTRAINT smtp_users_password_hash_scheme CHECK (octet_length(password_hash) <= 1024 AND (
        -- crypt(3): bcrypt, SHA-512, SHA-256, yescrypt, scrypt; with any of Dovecot's prefixes that mean crypt(3)
           password_hash ~ '^(\{((BLF|SHA256|SHA512)-)?CRYPT\})?\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$'
        OR password_hash ~ ('^(\{(SHA(256|512)-)?CRYPT\})?\$6\$(rounds=[1-9][0-9]{3,6}\$)?[./A-Za-z0-9]{1,16}'
                            '\$[./A-Za-z0-9]{86}$')
        OR password_hash ~ ('^(\{(SHA(256|512)-)?CRYPT\})?\$5\$(rounds=[1-9][0-9]{3,6}\$)?[./A-Za-z0-9]{1,16}'
                            '\$[./A-Za-z0-9]{43}$')
        OR password_hash ~ ('^(\{(SHA(256|512)-)?CRYPT\})?\$y\$j[./A-Za-z0-9]{2}\$[./A-Za-z0-9]{1,86}'
                            '\$[./A-Za-z0-9]{43}$')
        OR password_hash ~ '^(\{(SHA(256|512)-)?CRYPT\})?\$7\$[./A-Za-z0-9]{12,97}\$[./A-Za-z0-9]{43}$'
        -- Argon2, in the encoding of its reference implementation
        OR password_hash ~ ('^(\{ARGON2ID?\})?\$argon2(id|i|d)\$(v=(16|19)\$)?m=[1-9][0-9]{0,6},t=[1-9][0-9]{0,8},'
                            'p=[1-9][0-9]{0,7}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$')
        -- SCRAM verifiers: PostgreSQL's own, and Dovecot's
        OR password_hash ~ ('^SCRAM-SHA-256\$[1-9][0-9]{0,7}:[A-Za-z0-9+/]{2,128}={0,2}'
                            '\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$')
        OR password_hash ~ ('^\{SCRAM-SHA-256\}[1-9][0-9]{0,7},[A-Za-z0-9+/]{2,128}={0,2}'
                            ',[A-Za-z0-9+/]{43}=,[A-Za-z0-9+/]{43}=$')
        -- passlib; and Dovecot's own PBKDF2
        OR password_hash ~ '^\$pbkdf2-sha256\$[1-9][0-9]{0,7}\$[./A-Za-z0-9]{2,128}\$[./A-Za-z0-9]{43}$'
        OR password_hash ~ '^\$pbkdf2-sha512\$[1-9][0-9]{0,7}\$[./A-Za-z0-9]{2,128}\$[./A-Za-z0-9]{86}$'
        OR password_hash ~ ('^\$scrypt\$ln=[1-9][0-9]?,r=[1-9][0-9]{0,5},p=[1-9][0-9]{0,5}'
                            '\$[A-Za-z0-9+/]{2,128}\$[A-Za-z0-9+/]{43}$')
        OR password_hash ~ '^\{PBKDF2\}\$1\$[!-#%-~]{1,128}\$[1-9][0-9]{0,7}\$[0-9A-Fa-f]{40}$'
        -- Dovecot's salted digests: digest (32 or 64 octets) and salt (at least 2) together, in base64 or hex
        OR password_hash ~ ('^\{SSHA256(\.B64|\.BASE64)?\}([A-Za-z0-9+/]{4}){11,60}'
                            '([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$')
        OR password_hash ~ ('^\{SSHA512(\.B64|\.BASE64)?\}([A-Za-z0-9+/]{4}){22,60}'
                            '([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$')
        OR password_hash ~ '^\{SSHA256\.HEX\}([0-9A-Fa-f]{2}){34,160}$'
        OR password_hash ~ '^\{SSHA512\.HEX\}([0-9A-Fa-f]{2}){66,160}$'
        -- Dovecot's other schemes in an encoding: it must begin as theirs do, with '$' or, SCRAM, a digit
        OR password_hash ~ ('^\{(((BLF|SHA256|SHA512)-)?CRYPT|ARGON2ID?|PBKDF2)\.(B64|BASE64)\}'
                            'J[A-P][A-Za-z0-9+/]{70,}={0,2}$')
        OR password_hash ~ '^\{(((BLF|SHA256|SHA512)-)?CRYPT|ARGON2ID?|PBKDF2)\.HEX\}24([0-9A-Fa-f]{2}){54,}$'
        OR password_hash ~ '^\{SCRAM-SHA-256\.(B64|BASE64)\}[MNO][A-Za-z0-9+/]{120,}={0,2}$'
        OR password_hash ~ '^\{SCRAM-SHA-256\.HEX\}3[1-9]([0-9A-Fa-f]{2}){90,}$'
    ))
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS smtp_users_account_id_idx ON pgsasl.smtp_users (account_id);

-- The passwords before the present one, by trigger; the newest of them, settings.retired_kept to a user.
CREATE TABLE IF NOT EXISTS pgsasl.retired_passwords (
    retired_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        bigint      NOT NULL REFERENCES pgsasl.smtp_users (user_id) ON DELETE CASCADE,
    password_hash  text        COLLATE "C" NOT NULL,
    retired_at     timestamptz NOT NULL DEFAULT now(),
    accepted_until timestamptz NOT NULL, -- logs in until then
    last_used_at   timestamptz,          -- since it was retired
    last_used_from inet
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS retired_passwords_user_id_idx ON pgsasl.retired_passwords (user_id);

-- Tombstones, one for each time that a name ceased to be: by DELETE, or by a rename.
CREATE TABLE IF NOT EXISTS pgsasl.deleted_users (
    deletion_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username    text        COLLATE "C" NOT NULL,
    user_id     bigint      NOT NULL,
    account_id  bigint      NOT NULL,
    deleted_at  timestamptz NOT NULL DEFAULT now(),
    deleted_by  text        NOT NULL DEFAULT session_user
);
CREATE INDEX IF NOT EXISTS deleted_users_username_idx ON pgsasl.deleted_users (username, deleted_at DESC);

-- What the throttle takes for one client: an IPv4 address, also one mapped into IPv6, or a /64 of IPv6. It stands in
-- indexes. Its body is bound here and now, whatever the caller's search_path says.
CREATE OR REPLACE FUNCTION pgsasl.client_net(address inet) RETURNS cidr
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN family(address) = 4 THEN network(set_masklen(address, 32))
    WHEN address <<= '::ffff:0.0.0.0/96'::inet
        THEN network(set_masklen('0.0.0.0'::inet + (address - '::ffff:0.0.0.0'::inet), 32))
    ELSE network(set_masklen(address, 64))
END;

-- One row for each attempt that was not accepted; of throttled ones a row holds many. No foreign keys: the row outlives
-- the user. The primary key is what makes a repeated insert count once, and it begins with the time so that it serves
-- questions about a span of time.
CREATE TABLE IF NOT EXISTS pgsasl.auth_failures (
    attempt_id    uuid        NOT NULL,
    occurred_at   timestamptz NOT NULL, -- by the clock of the mail server
    recorded_at   timestamptz NOT NULL DEFAULT now(), -- much later than occurred_at: it came from a spool file
    username      text        COLLATE "C",
    user_id       bigint,
    account_id    bigint,
    reason        text        NOT NULL,
    failed_checks text[]      NOT NULL,
    mechanism     text,
    client_addr   inet,
    client_port   integer     CHECK (client_port BETWEEN 1 AND 65535),
    server_addr   inet,
    service       text,
    server_host   text,
    attempts      integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    detail        text,
    counts        boolean     NOT NULL DEFAULT false, -- towards the throttle
    merged_ids    uuid[], -- the last 64 of the attempts that a throttled row has taken in beside its own

    PRIMARY KEY (occurred_at, attempt_id),
    CONSTRAINT auth_failures_reason_word CHECK (reason IN (
        'unknown_user', 'deleted_user', 'disabled_user', 'username_has_at', 'username_whitespace',
        'wrong_password', 'stale_password', 'password_whitespace',
        'account_past_due', 'account_suspended', 'account_closed',
        'ip_not_authorized', 'throttled', 'authzid_mismatch', 'tls_required', 'malformed_response',
        'unusable_hash', 'backend_unavailable'))
) PARTITION BY RANGE (occurred_at);
CREATE TABLE IF NOT EXISTS pgsasl.auth_failures_default PARTITION OF pgsasl.auth_failures DEFAULT;

CREATE INDEX IF NOT EXISTS auth_failures_username_idx
    ON pgsasl.auth_failures (username, occurred_at DESC);
CREATE INDEX IF NOT EXISTS auth_failures_client_idx
    ON pgsasl.auth_failures (client_addr, occurred_at DESC);
CREATE INDEX IF NOT EXISTS auth_failures_user_id_idx
    ON pgsasl.auth_failures (user_id, occurred_at DESC) WHERE user_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS auth_failures_account_id_idx
    ON pgsasl.auth_failures (account_id, occurred_at DESC) WHERE account_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS auth_failures_throttled_idx
    ON pgsasl.auth_failures (pgsasl.client_net(client_addr), occurred_at DESC) WHERE reason = 'throttled';

-- The failures of the last while that count towards the throttle, by trigger. A login reads this small table and never
-- auth_failures: the first look-up of a connection would pay for each of its partitions, and each one for their locks.
CREATE TABLE IF NOT EXISTS pgsasl.recent_guesses (
    occurred_at timestamptz NOT NULL,
    attempt_id  uuid        NOT NULL,
    username    text        COLLATE "C",
    net         cidr, -- the client's, by client_net()
    stale       boolean     NOT NULL,
    PRIMARY KEY (occurred_at, attempt_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS recent_guesses_net_idx ON pgsasl.recent_guesses (net, occurred_at DESC);
CREATE INDEX IF NOT EXISTS recent_guesses_user_idx ON pgsasl.recent_guesses (username, net, occurred_at DESC);
CREATE INDEX IF NOT EXISTS recent_guesses_stale_idx ON pgsasl.recent_guesses (username, occurred_at DESC) WHERE stale;

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

-- ---------------------------------------------------------------------------------------------------------------------
-- Triggers: plain INSERT, UPDATE and DELETE do the right thing
-- ---------------------------------------------------------------------------------------------------------------------

-- The lock makes an INSERT wait for an account that is just being suspended, where the foreign key would refuse it.
CREATE OR REPLACE FUNCTION pgsasl.take_account_standing() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    SELECT a.standing INTO NEW.account_standing
    FROM pgsasl.accounts a WHERE a.account_id = NEW.account_id
    FOR KEY SHARE;
    IF NOT FOUND AND NEW.account_id IS NOT NULL THEN
        RAISE EXCEPTION 'there is no account %', NEW.account_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER account_standing_on_insert BEFORE INSERT ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.account_standing IS NULL)
    EXECUTE FUNCTION pgsasl.take_account_standing();
CREATE OR REPLACE TRIGGER account_standing_on_move BEFORE UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.account_id IS DISTINCT FROM OLD.account_id
                       AND NEW.account_standing IS NOT DISTINCT FROM OLD.account_standing)
    EXECUTE FUNCTION pgsasl.take_account_standing();

CREATE OR REPLACE FUNCTION pgsasl.stamp_password_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    NEW.password_changed_at := now();
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER password_changed BEFORE UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash)
    EXECUTE FUNCTION pgsasl.stamp_password_change();

-- Keeps the old hash, and of the retired ones the newest few. One that still logs in is not dropped before one that does
-- not, whatever their age: a grace that was promised holds as long as there is room. What could never log in is not kept.
CREATE OR REPLACE FUNCTION pgsasl.retire_password() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    DELETE FROM pgsasl.retired_passwords r -- set back: it is retired no more
    WHERE r.user_id = NEW.user_id AND r.password_hash = NEW.password_hash;
    IF pgsasl.decoy_of(OLD.password_hash) IS NOT NULL THEN
        INSERT INTO pgsasl.retired_passwords (user_id, password_hash, accepted_until)
        VALUES (NEW.user_id, OLD.password_hash, now() + NEW.rotation_grace);
    END IF;
    DELETE FROM pgsasl.retired_passwords r
    WHERE r.user_id = NEW.user_id AND r.retired_id NOT IN (
        SELECT k.retired_id FROM pgsasl.retired_passwords k WHERE k.user_id = NEW.user_id
        ORDER BY k.accepted_until > now() DESC, k.retired_at DESC, k.retired_id DESC
        LIMIT (SELECT s.retired_kept FROM pgsasl.settings s));
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER password_retired AFTER UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash)
    EXECUTE FUNCTION pgsasl.retire_password();

CREATE OR REPLACE FUNCTION pgsasl.bury_username() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    INSERT INTO pgsasl.deleted_users (username, user_id, account_id)
    VALUES (OLD.username, OLD.user_id, OLD.account_id);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER user_deleted AFTER DELETE ON pgsasl.smtp_users
    FOR EACH ROW EXECUTE FUNCTION pgsasl.bury_username();
CREATE OR REPLACE TRIGGER user_renamed AFTER UPDATE ON pgsasl.smtp_users
    FOR EACH ROW WHEN (NEW.username IS DISTINCT FROM OLD.username)
    EXECUTE FUNCTION pgsasl.bury_username();

CREATE OR REPLACE FUNCTION pgsasl.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of %.% would leave no tombstones', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING HINT = 'Use DELETE.';
END
$$;
CREATE OR REPLACE TRIGGER no_truncate BEFORE TRUNCATE ON pgsasl.smtp_users
    FOR EACH STATEMENT EXECUTE FUNCTION pgsasl.refuse_truncate();

-- recent_guesses follows auth_failures, whoever changes that. Of each twenty failures one clears away what is past, more
-- than came meanwhile: so rarely because rows that a long transaction keeps alive are passed over each time.
CREATE OR REPLACE FUNCTION pgsasl.remember_guess() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    INSERT INTO pgsasl.recent_guesses (occurred_at, attempt_id, username, net, stale)
    VALUES (NEW.occurred_at, NEW.attempt_id, NEW.username, pgsasl.client_net(NEW.client_addr),
            NEW.failed_checks @> '{stale_password}')
    ON CONFLICT DO NOTHING;
    IF random() < 0.05 THEN
        DELETE FROM pgsasl.recent_guesses
        WHERE (occurred_at, attempt_id) IN (
            SELECT g.occurred_at, g.attempt_id FROM pgsasl.recent_guesses g
            WHERE g.occurred_at < now() - (SELECT s.throttle_window FROM pgsasl.settings s WHERE s.only_row)
            ORDER BY g.occurred_at LIMIT 100 FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER guess_made AFTER INSERT OR UPDATE OF counts ON pgsasl.auth_failures
    FOR EACH ROW WHEN (NEW.counts -- and no window is longer than a day
                       AND NEW.occurred_at > now() - interval '1 day' AND NEW.occurred_at < now() + interval '1 day')
    EXECUTE FUNCTION pgsasl.remember_guess();

CREATE OR REPLACE FUNCTION pgsasl.forget_guess() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM pgsasl.recent_guesses;
    ELSIF TG_OP = 'DELETE' OR NOT NEW.counts THEN
        DELETE FROM pgsasl.recent_guesses g WHERE g.occurred_at = OLD.occurred_at AND g.attempt_id = OLD.attempt_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER guess_gone AFTER DELETE OR UPDATE OF counts ON pgsasl.auth_failures
    FOR EACH ROW WHEN (OLD.counts) EXECUTE FUNCTION pgsasl.forget_guess();
CREATE OR REPLACE TRIGGER guesses_gone AFTER TRUNCATE ON pgsasl.auth_failures
    FOR EACH STATEMENT EXECUTE FUNCTION pgsasl.forget_guess();

-- ---------------------------------------------------------------------------------------------------------------------
-- Partitions of auth_failures: one a week, Monday to Monday in UTC, made by record_failure() a week ahead of need
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION pgsasl.partition_of(occurred_at timestamptz) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT 'auth_failures_' || to_char(date_trunc('week', occurred_at AT TIME ZONE 'UTC'), 'YYYY_MM_DD')
$$;

-- Makes the week's partition, moving in what the default partition holds of that week. Waits for no lock: while another
-- session has one (a dump, a long report), it raises lock_not_available, so that no queue can form behind it.
CREATE OR REPLACE FUNCTION pgsasl.make_partition(week timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    partition text := pgsasl.partition_of(week);
    first_moment timestamptz := date_trunc('week', week, 'UTC');
    next_moment timestamptz := date_trunc('week', week, 'UTC') + interval '168 hours';
BEGIN
    LOCK TABLE ONLY pgsasl.auth_failures IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    LOCK TABLE ONLY pgsasl.auth_failures_default IN ACCESS EXCLUSIVE MODE NOWAIT;
    IF to_regclass('pgsasl.' || partition) IS NOT NULL THEN
        RETURN; -- another session was first
    END IF;
    -- CREATE TABLE ... PARTITION OF would lock the whole audit table; ATTACH lets inserts and reports go on.
    EXECUTE format('CREATE TABLE pgsasl.%I (LIKE pgsasl.auth_failures INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
        partition);
    EXECUTE format('WITH moved AS (DELETE FROM pgsasl.auth_failures_default'
                   ' WHERE occurred_at >= $1 AND occurred_at < $2 RETURNING *)'
                   ' INSERT INTO pgsasl.%I SELECT * FROM moved', partition)
        USING first_moment, next_moment;
    EXECUTE format('ALTER TABLE pgsasl.auth_failures ATTACH PARTITION pgsasl.%I FOR VALUES FROM (%L) TO (%L)',
        partition, first_moment, next_moment);
    -- To the trigger, what moved out was deleted.
    INSERT INTO pgsasl.recent_guesses (occurred_at, attempt_id, username, net, stale)
    SELECT f.occurred_at, f.attempt_id, f.username, pgsasl.client_net(f.client_addr), f.failed_checks @> '{stale_password}'
    FROM pgsasl.auth_failures f
    WHERE f.occurred_at >= first_moment AND f.occurred_at < next_moment AND f.counts
        AND f.occurred_at > now() - interval '1 day' AND f.occurred_at < now() + interval '1 day';
END
$$;

-- Makes this week's and next week's partition where they are missing.
CREATE OR REPLACE FUNCTION pgsasl.make_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    week timestamptz;
BEGIN
    FOREACH week IN ARRAY ARRAY[now(), now() + interval '168 hours'] LOOP
        IF to_regclass('pgsasl.' || pgsasl.partition_of(week)) IS NULL THEN
            PERFORM pgsasl.make_partition(week);
        END IF;
    END LOOP;
END
$$;

-- The same inside a login's time: gives up at once, and quietly, where it can't be had cheaply. A row of a week
-- without a partition goes to the default one, and the next failure tries again.
CREATE OR REPLACE FUNCTION pgsasl.try_make_partitions() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    IF pg_relation_size('pgsasl.auth_failures_default') > 8 * 1024 * 1024 THEN
        RETURN; -- ATTACH reads all of the default partition: leave that to a person and make_partitions()
    END IF;
    PERFORM pgsasl.make_partitions();
EXCEPTION
    WHEN lock_not_available OR object_in_use THEN
        NULL;
    WHEN OTHERS THEN
        RAISE LOG 'pgsasl: no new partition of auth_failures: %', SQLERRM;
END
$$;

SELECT pgsasl.make_partitions() \g /dev/null

-- ---------------------------------------------------------------------------------------------------------------------
-- For the plugin
-- ---------------------------------------------------------------------------------------------------------------------

-- The hash with its scheme, cost and salt kept and its digest overwritten: nobody's, and as much work to verify.
CREATE OR REPLACE FUNCTION pgsasl.decoy_of(hash text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
    start integer := strpos(hash, '}') + 1; -- behind Dovecot's prefix
    prefix text := left(hash, start - 1);
    id text := split_part(substr(hash, start), '$', 2);
    last_part text;
BEGIN
    IF prefix LIKE '%.%' AND prefix NOT LIKE '{SSHA%' THEN -- a hash in text form, encoded: the decoy need not be
        BEGIN
            RETURN pgsasl.decoy_of(split_part(prefix, '.', 1) || '}' || convert_from(
                decode(substr(hash, start), CASE WHEN prefix LIKE '%.HEX}' THEN 'hex' ELSE 'base64' END), 'UTF8'));
        EXCEPTION WHEN OTHERS THEN
            RETURN NULL; -- broken: the plugin then makes a decoy of its own
        END;
    ELSIF id IN ('2a', '2b', '2y') THEN
        RETURN left(hash, -31) || repeat('.', 31);
    ELSIF prefix = '{PBKDF2}' THEN
        RETURN left(hash, -40) || repeat('0', 40);
    ELSIF hash LIKE '%SCRAM-SHA-256%' THEN -- two keys of 44 characters
        RETURN left(hash, -89) || repeat('A', 43) || '=' || left(right(hash, 45), 1) || repeat('A', 43) || '=';
    ELSIF id <> '' THEN
        last_part := substring(hash FROM '[^$]+$');
        RETURN left(hash, -length(last_part))
            || repeat(CASE WHEN id IN ('5', '6', '7', 'y') THEN '.' ELSE 'A' END, length(last_part));
    END IF;
    RETURN CASE -- digest and salt in one: what holds nothing of the salt
        WHEN prefix = '{SSHA256.HEX}' THEN overlay(hash PLACING repeat('0', 64) FROM start)
        WHEN prefix = '{SSHA512.HEX}' THEN overlay(hash PLACING repeat('0', 128) FROM start)
        WHEN prefix LIKE '{SSHA256%' THEN overlay(hash PLACING repeat('A', 42) FROM start)
        WHEN prefix LIKE '{SSHA512%' THEN overlay(hash PLACING repeat('A', 85) FROM start)
    END;
END
$$;

-- Whether a client is in one of the networks. An IPv4 address mapped into IPv6 is the IPv4 address, and a network of such
-- addresses is one of IPv4; ::/0 and the like stay what they are.
CREATE OR REPLACE FUNCTION pgsasl.is_within(client inet, networks cidr[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    mapped CONSTANT inet := '::ffff:0.0.0.0/96';
    zero CONSTANT inet := '0.0.0.0';
    address inet := CASE WHEN client <<= mapped THEN zero + (host(client)::inet - host(mapped)::inet) ELSE client END;
BEGIN
    RETURN coalesce(address <<= ANY (networks), false) OR EXISTS (
        SELECT FROM unnest(networks) AS n (network)
        WHERE n.network <<= mapped AND
            address <<= set_masklen(zero + (host(n.network)::inet - host(mapped)::inet), masklen(n.network) - 96));
END
$$;

-- Whether a client has failed too often, by the limits that are not NULL. Bounded above as below, for mail servers whose
-- clock is ahead.
CREATE OR REPLACE FUNCTION pgsasl.is_throttled(username text, net cidr, user_limit integer, client_limit integer,
    span interval) RETURNS boolean
LANGUAGE plpgsql STABLE -- which keeps its plan from call to call
AS $$
BEGIN
    RETURN user_limit IS NOT NULL AND EXISTS (
            SELECT FROM pgsasl.recent_guesses g
            WHERE g.username = is_throttled.username AND g.net = is_throttled.net
                AND g.occurred_at > now() - span AND g.occurred_at < now() + span
            OFFSET user_limit - 1)
        OR client_limit IS NOT NULL AND EXISTS (
            SELECT FROM pgsasl.recent_guesses g
            WHERE g.net = is_throttled.net AND g.occurred_at > now() - span AND g.occurred_at < now() + span
            OFFSET client_limit - 1);
END
$$;

-- Always one row. An unknown user is one without user_id and password_hash. Reads only, so a hot standby can run it.
--
-- The retired_ arrays have settings.retired_kept elements whoever is asked for, NULL where there is nothing, and the plugin
-- works through each: its work after a failure does not tell a user with retired passwords from one without, or from
-- nobody.
--
-- Few expressions outside of queries, and few settings of its own: PL/pgSQL makes each one ready anew at each call. What
-- the plans need is set for the role.
CREATE OR REPLACE FUNCTION pgsasl.find_user(username text, client inet)
RETURNS TABLE (user_id bigint, password_hash text, enabled boolean, account_standing text, deleted_at timestamptz,
    client_allowed boolean, throttled boolean, retired_hashes text[], retired_until timestamptz[],
    retired_at timestamptz[], retired_ids bigint[], decoy_hash text, local_part_known boolean, login_due boolean)
LANGUAGE plpgsql STABLE ROWS 1 SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    kept integer;
    span interval;
    user_limit integer;
    client_limit integer;
    networks cidr[];
    has_retired boolean;
    client_net cidr := pgsasl.client_net(client);
BEGIN
    SELECT s.retired_kept, s.throttle_window, s.throttle_user_client, s.throttle_client,
           u.user_id, u.password_hash, u.enabled, u.account_standing, u.allowed_networks,
           u.user_id IS NOT NULL AND coalesce(u.last_login_at <= now() - s.login_stamp_interval, true),
           coalesce(cardinality(u.allowed_networks), 0) = 0,
           EXISTS (SELECT FROM pgsasl.retired_passwords r WHERE r.user_id = u.user_id),
           array_fill(NULL::text, ARRAY[slots]), array_fill(NULL::timestamptz, ARRAY[slots]),
           array_fill(NULL::timestamptz, ARRAY[slots]), array_fill(NULL::bigint, ARRAY[slots]), false,
           -- Where a network has not as many failures as the lower limit, no user name has: the usual case, and one probe.
           least(s.throttle_user_client, s.throttle_client) IS NOT NULL AND EXISTS (
               SELECT FROM pgsasl.recent_guesses g
               WHERE g.net = client_net
                   AND g.occurred_at > now() - s.throttle_window AND g.occurred_at < now() + s.throttle_window
               OFFSET least(s.throttle_user_client, s.throttle_client) - 1)
    INTO kept, span, user_limit, client_limit,
         find_user.user_id, find_user.password_hash, find_user.enabled, find_user.account_standing, networks,
         find_user.login_due, client_allowed, has_retired,
         find_user.retired_hashes, find_user.retired_until, find_user.retired_at, find_user.retired_ids, local_part_known,
         throttled
    FROM (SELECT) AS always LEFT JOIN pgsasl.settings s ON s.only_row
        LEFT JOIN pgsasl.smtp_users u ON u.username = find_user.username, coalesce(s.retired_kept, 0) AS slots;
    IF user_id IS NOT NULL THEN
        IF NOT client_allowed THEN
            client_allowed := pgsasl.is_within(client, networks);
        END IF;
        IF has_retired THEN
            -- In front of the empty slots, of which as many are cut off.
            SELECT (array_agg(k.password_hash) || retired_hashes)[:kept], (array_agg(k.accepted_until) || retired_until)[:kept],
                   (array_agg(k.retired_at) || find_user.retired_at)[:kept], (array_agg(k.retired_id) || retired_ids)[:kept]
            INTO find_user.retired_hashes, find_user.retired_until, find_user.retired_at, find_user.retired_ids
            FROM (SELECT r.* FROM pgsasl.retired_passwords r WHERE r.user_id = find_user.user_id
                  ORDER BY r.accepted_until > now() DESC, r.retired_at DESC, r.retired_id DESC
                  LIMIT kept) AS k;
        END IF;
    ELSE
        client_allowed := NULL;
        SELECT d.deleted_at INTO find_user.deleted_at
        FROM pgsasl.deleted_users d WHERE d.username = find_user.username
        ORDER BY d.deleted_at DESC LIMIT 1;
        SELECT pgsasl.decoy_of(newest.password_hash) INTO find_user.decoy_hash
        FROM (SELECT u.password_hash FROM pgsasl.smtp_users u ORDER BY u.user_id DESC LIMIT 1) AS newest;
        IF strpos(username, '@') > 0 THEN
            local_part_known := EXISTS (
                SELECT FROM pgsasl.smtp_users u WHERE u.username = split_part(find_user.username, '@', 1));
        END IF;
    END IF;

    IF throttled THEN
        throttled := pgsasl.is_throttled(username, client_net, user_limit, client_limit, span);
    END IF;
    RETURN NEXT;
END
$$;

-- One throttled attempt more. In sequence there is one row for each user name, client network and minute. Nobody waits:
-- a row that another session is just adding to is passed over, so that concurrent attempts make a few rows. Past 20 rows
-- of a network in a minute all further names share one, with no name in it. A row remembers the last attempts that it took
-- in, so that one that is sent again counts once.
CREATE OR REPLACE FUNCTION pgsasl.record_throttled(attempt pgsasl.auth_failures) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    net cidr := pgsasl.client_net(attempt.client_addr);
    minute timestamptz := date_trunc('minute', attempt.occurred_at);
    known boolean;
    named bigint;
    found_at timestamptz;
    found_id uuid;
BEGIN
    -- The same attempt sent again, while its first sending is still under way, waits here for the end of that.
    PERFORM pg_advisory_xact_lock(hashtextextended('pgsasl ' || attempt.attempt_id, 0));
    SELECT bool_or(f.attempt_id = attempt.attempt_id OR attempt.attempt_id = ANY (f.merged_ids)),
           count(*) FILTER (WHERE f.username IS NOT NULL)
    INTO known, named
    FROM pgsasl.auth_failures f
    WHERE f.reason = 'throttled' AND pgsasl.client_net(f.client_addr) = net
        AND f.occurred_at >= minute AND f.occurred_at < minute + interval '1 minute';
    IF known THEN
        RETURN;
    END IF;

    LOOP
        SELECT f.occurred_at, f.attempt_id INTO found_at, found_id
        FROM pgsasl.auth_failures f
        WHERE f.reason = 'throttled' AND pgsasl.client_net(f.client_addr) = net
            AND f.occurred_at >= minute AND f.occurred_at < minute + interval '1 minute'
            AND f.username IS NOT DISTINCT FROM attempt.username
        LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE pgsasl.auth_failures f
            SET attempts = f.attempts + 1,
                merged_ids = (f.merged_ids || attempt.attempt_id)[coalesce(cardinality(f.merged_ids), 0) - 62:]
            WHERE f.occurred_at = found_at AND f.attempt_id = found_id -- enough, but for a plan of when there was no row
                AND f.reason = 'throttled' AND pgsasl.client_net(f.client_addr) = net;
            RETURN;
        END IF;
        EXIT WHEN attempt.username IS NULL OR named < 20;
        attempt.username := NULL;
        attempt.user_id := NULL;
        attempt.account_id := NULL;
        attempt.detail := 'further user names of this client';
    END LOOP;
    INSERT INTO pgsasl.auth_failures SELECT attempt.* ON CONFLICT DO NOTHING;
END
$$;

-- Whether a failure looks like guessing, and so counts towards the throttle. An app that still has the password from
-- before a rotation is none who guesses: it counts once for a user in a window. Of two at the same time one counts.
CREATE OR REPLACE FUNCTION pgsasl.is_guess(attempt pgsasl.auth_failures) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    span interval;
BEGIN
    IF attempt.reason = 'throttled' THEN
        RETURN false;
    ELSIF attempt.failed_checks && ARRAY['wrong_password', 'password_whitespace', 'unknown_user', 'deleted_user',
                                         'username_has_at', 'username_whitespace'] THEN
        RETURN true;
    ELSIF NOT attempt.failed_checks @> ARRAY['stale_password'] OR attempt.username IS NULL
        OR NOT pg_try_advisory_xact_lock(hashtextextended('pgsasl stale ' || attempt.username, 0)) THEN
        RETURN false;
    END IF;
    SELECT s.throttle_window INTO span FROM pgsasl.settings s WHERE s.only_row;
    RETURN NOT EXISTS (
        SELECT FROM pgsasl.recent_guesses g
        WHERE g.username = attempt.username AND g.stale
            AND g.occurred_at > attempt.occurred_at - span AND g.occurred_at < attempt.occurred_at + span);
END
$$;

-- Stores one failed attempt; the same attempt again changes nothing. Whom it was about is found out here: user_id comes
-- as text because a site's own table may have ids of another kind, and such a site's ids are no business of smtp_users.
CREATE OR REPLACE FUNCTION pgsasl.record_failure(attempt_id uuid, occurred_at timestamptz, username text, user_id text,
    reason text, failed_checks text[], mechanism text, client_addr inet, client_port integer, server_addr inet,
    service text, server_host text, detail text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    -- An index entry has its limit; the plugin sends at most 1,100 octets.
    shown text := CASE WHEN octet_length(username) > 1100 THEN left(username, 275) ELSE username END;
    given_id bigint := CASE WHEN user_id ~ '^[0-9]{1,18}$' THEN user_id::bigint END;
    attempt pgsasl.auth_failures;
BEGIN
    SELECT u.user_id, u.account_id INTO attempt.user_id, attempt.account_id
    FROM pgsasl.smtp_users u
    WHERE u.username = shown AND (given_id IS NULL OR u.user_id = given_id);
    IF NOT FOUND THEN
        SELECT d.user_id, d.account_id INTO attempt.user_id, attempt.account_id
        FROM pgsasl.deleted_users d
        WHERE d.username = shown AND (given_id IS NULL OR d.user_id = given_id)
        ORDER BY d.deleted_at DESC LIMIT 1;
    END IF;

    IF to_regclass('pgsasl.' || pgsasl.partition_of(now() + interval '168 hours')) IS NULL THEN
        PERFORM pgsasl.try_make_partitions();
    END IF;
    IF to_regclass('pgsasl.' || pgsasl.partition_of(occurred_at)) IS NULL THEN
        -- The row goes to the default partition: not while another session takes rows of that week out of it.
        LOCK TABLE ONLY pgsasl.auth_failures_default IN ROW EXCLUSIVE MODE;
    END IF;

    attempt.attempt_id := attempt_id;
    attempt.occurred_at := occurred_at;
    attempt.recorded_at := now();
    attempt.username := shown;
    attempt.user_id := coalesce(given_id, attempt.user_id);
    attempt.reason := reason;
    attempt.failed_checks := coalesce(failed_checks, ARRAY[reason]);
    attempt.mechanism := mechanism;
    attempt.client_addr := client_addr;
    attempt.client_port := CASE WHEN client_port BETWEEN 1 AND 65535 THEN client_port END;
    attempt.server_addr := server_addr;
    attempt.service := service;
    attempt.server_host := server_host;
    attempt.attempts := 1;
    attempt.detail := detail;
    attempt.counts := pgsasl.is_guess(attempt);
    IF reason = 'throttled' AND client_addr IS NOT NULL THEN
        PERFORM pgsasl.record_throttled(attempt);
    ELSE
        INSERT INTO pgsasl.auth_failures SELECT attempt.* ON CONFLICT DO NOTHING;
    END IF;
END
$$;

-- Stamps a login that was accepted: last_login_ of the user and, by a retired password, last_used_ of that, each at most
-- once in settings.login_stamp_interval. It can be lost without harm: it waits for no lock and for no disk, and odd
-- values are no error. A user is never stamped for a retired password that is not, so that safe_to_revoke can trust
-- last_login_at.
CREATE OR REPLACE FUNCTION pgsasl.note_login(user_id text, client inet, occurred_at timestamptz, retired_id bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pgsasl, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    id bigint := CASE WHEN user_id ~ '^[0-9]{1,18}$' THEN user_id::bigint END;
    moment timestamptz := least(occurred_at, now()); -- a clock that is ahead must not stop the stamps to come
    due_before timestamptz;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT moment - s.login_stamp_interval INTO due_before FROM pgsasl.settings s WHERE s.only_row;
    IF retired_id IS NOT NULL THEN
        UPDATE pgsasl.retired_passwords SET last_used_at = moment, last_used_from = client
        FROM (SELECT r.retired_id FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u ON u.user_id = r.user_id
              WHERE r.retired_id = note_login.retired_id AND r.user_id = id
                  AND (r.last_used_at IS NULL OR r.last_used_at <= due_before
                       OR u.last_login_at IS NULL OR u.last_login_at <= due_before)
              FOR NO KEY UPDATE OF r SKIP LOCKED) AS due
        WHERE retired_passwords.retired_id = due.retired_id;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    UPDATE pgsasl.smtp_users SET last_login_at = moment, last_login_from = client
    FROM (SELECT u.user_id FROM pgsasl.smtp_users u
          WHERE u.user_id = id AND (u.last_login_at IS NULL OR u.last_login_at <= due_before)
          FOR NO KEY UPDATE SKIP LOCKED) AS due
    WHERE smtp_users.user_id = due.user_id;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- For people. Without SECURITY DEFINER: each does what its caller's grants allow, row-level security included.
-- ---------------------------------------------------------------------------------------------------------------------

-- bcrypt by pgcrypto, in whatever schema the extension really is.
SELECT format($function$
    CREATE OR REPLACE FUNCTION pgsasl.bcrypt(password text, cost integer) RETURNS text
    LANGUAGE sql
    AS $body$ SELECT %1$I.crypt(password, %1$I.gen_salt('bf'::text, cost)) $body$
    $function$, n.nspname)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pgcrypto'
\gexec

-- 32 characters, each one of 32: 160 bits. Lower case without l and o, digits without 0 and 1: nothing that an eye takes
-- for something else, a double click leaves behind or a telephone capitalises.
SELECT format($function$
    CREATE OR REPLACE FUNCTION pgsasl.random_password() RETURNS text
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
    AS $body$
        SELECT string_agg(substr('abcdefghijkmnpqrstuvwxyz23456789', (get_byte(random.bytes, n) & 31) + 1, 1), '')
        FROM (SELECT %1$I.gen_random_bytes(32) AS bytes) AS random, generate_series(0, 31) AS n
    $body$
    $function$, n.nspname)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pgcrypto'
\gexec

-- The hash to store for a password. Touches no user, so it may be SECURITY DEFINER: it reads settings.
CREATE OR REPLACE FUNCTION pgsasl.hash_password(password text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
BEGIN
    IF password IS NULL OR octet_length(password) < 12 THEN
        RAISE EXCEPTION 'the password is too short: % octets, at least 12 are needed',
            coalesce(octet_length(password), 0) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(password) > 72 THEN
        RAISE EXCEPTION 'the password is too long: % octets, bcrypt takes at most 72', octet_length(password)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN pgsasl.bcrypt(password, (SELECT s.bcrypt_cost FROM pgsasl.settings s));
END
$$;

CREATE OR REPLACE FUNCTION pgsasl.add_account(name text, standing text DEFAULT 'good') RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    INSERT INTO pgsasl.accounts (name, standing) VALUES (add_account.name, add_account.standing) RETURNING account_id
$$;

CREATE OR REPLACE FUNCTION pgsasl.add_user(username text, password text, account_id bigint,
    enabled boolean DEFAULT true, allowed_networks cidr[] DEFAULT NULL, app text DEFAULT NULL, note text DEFAULT NULL)
RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    INSERT INTO pgsasl.smtp_users (username, password_hash, account_id, enabled, allowed_networks, app, note)
    VALUES (add_user.username, pgsasl.hash_password(password), add_user.account_id, add_user.enabled,
            add_user.allowed_networks, add_user.app, add_user.note)
    RETURNING user_id
$$;

-- With a grace, the old password logs in for that much longer; without one, as long as the user's rotation_grace says.
CREATE OR REPLACE FUNCTION pgsasl.set_password(username text, password text, grace interval DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    usual interval;
BEGIN
    SELECT u.rotation_grace INTO usual FROM pgsasl.smtp_users u WHERE u.username = set_password.username FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no SMTP user "%"', username USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE pgsasl.smtp_users u
    SET password_hash = pgsasl.hash_password(password), rotation_grace = coalesce(grace, usual)
    WHERE u.username = set_password.username;
    IF grace <> usual THEN
        UPDATE pgsasl.smtp_users u SET rotation_grace = usual WHERE u.username = set_password.username;
    END IF;
END
$$;

-- The new password is in the answer and nowhere else: no statement log has it, only its hash is stored.
CREATE OR REPLACE FUNCTION pgsasl.rotate_password(username text, grace interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    password text := pgsasl.random_password();
BEGIN
    PERFORM pgsasl.set_password(username, password, grace);
    RETURN password;
END
$$;

-- From now on the present password alone logs in. Returns how many others did until now.
CREATE OR REPLACE FUNCTION pgsasl.end_rotation(username text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    id bigint;
    ended integer;
BEGIN
    SELECT u.user_id INTO id FROM pgsasl.smtp_users u WHERE u.username = end_rotation.username;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no SMTP user "%"', username USING ERRCODE = 'no_data_found';
    END IF;
    UPDATE pgsasl.retired_passwords r SET accepted_until = now() WHERE r.user_id = id AND r.accepted_until > now();
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Views for DBAs. They are read with their owner's rights, and show no hash. Those about failures look back seven days.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW pgsasl.failures_in_words AS
SELECT f.occurred_at, f.username, f.client_addr, f.reason, r.what_failed,
       (SELECT string_agg(each.what_failed, '; ' ORDER BY c.n)
        FROM unnest(f.failed_checks) WITH ORDINALITY AS c (failed, n)
            JOIN pgsasl.reasons each ON each.reason = c.failed) AS all_checks,
       r.what_to_do, f.attempts, f.mechanism, f.server_host, f.detail
FROM pgsasl.auth_failures f LEFT JOIN pgsasl.reasons r ON r.reason = f.reason;

CREATE OR REPLACE VIEW pgsasl.failures_by_reason AS
SELECT date_trunc('hour', f.occurred_at) AS hour, f.reason, sum(f.attempts) AS attempts,
       count(DISTINCT f.username) AS usernames, count(DISTINCT pgsasl.client_net(f.client_addr)) AS clients
FROM pgsasl.auth_failures f WHERE f.occurred_at > now() - interval '7 days'
GROUP BY 1, 2
ORDER BY 1 DESC, 3 DESC;

CREATE OR REPLACE VIEW pgsasl.failures_by_client AS
SELECT pgsasl.client_net(f.client_addr) AS client, sum(f.attempts) AS attempts,
       coalesce(sum(f.attempts) FILTER (WHERE f.occurred_at > now() - interval '1 hour'), 0) AS last_hour,
       count(DISTINCT f.username) AS usernames, array_agg(DISTINCT f.reason) AS reasons,
       min(f.occurred_at) AS first_at, max(f.occurred_at) AS last_at
FROM pgsasl.auth_failures f WHERE f.occurred_at > now() - interval '7 days'
GROUP BY 1
ORDER BY 2 DESC;

CREATE OR REPLACE VIEW pgsasl.failures_by_account AS
SELECT f.account_id, a.name, a.standing, sum(f.attempts) AS attempts,
       coalesce(sum(f.attempts) FILTER (WHERE f.occurred_at > now() - interval '1 hour'), 0) AS last_hour,
       count(DISTINCT f.username) AS usernames, array_agg(DISTINCT f.reason) AS reasons,
       min(f.occurred_at) AS first_at, max(f.occurred_at) AS last_at
FROM pgsasl.auth_failures f LEFT JOIN pgsasl.accounts a ON a.account_id = f.account_id
WHERE f.occurred_at > now() - interval '7 days'
GROUP BY f.account_id, a.name, a.standing
ORDER BY 4 DESC;

-- Apps that were not told of a rotation, and now fail.
CREATE OR REPLACE VIEW pgsasl.top_stale AS
SELECT f.username, u.app, a.name AS account, f.client_addr, sum(f.attempts) AS attempts, min(f.occurred_at) AS first_at,
       max(f.occurred_at) AS last_at, u.password_changed_at
FROM pgsasl.auth_failures f LEFT JOIN pgsasl.smtp_users u ON u.user_id = f.user_id
    LEFT JOIN pgsasl.accounts a ON a.account_id = f.account_id
WHERE f.occurred_at > now() - interval '7 days' AND f.failed_checks @> '{stale_password}'
GROUP BY f.username, u.app, a.name, f.client_addr, u.password_changed_at
ORDER BY 5 DESC;

-- Who still logs in by a retired password, from where, and how long that will go well.
CREATE OR REPLACE VIEW pgsasl.rotation_stragglers AS
SELECT u.username, u.app, a.name AS account, r.last_used_at, r.last_used_from, r.retired_at, r.accepted_until,
       r.accepted_until - now() AS time_left
FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u ON u.user_id = r.user_id
    JOIN pgsasl.accounts a ON a.account_id = u.account_id
WHERE r.last_used_at IS NOT NULL AND r.accepted_until > now()
ORDER BY r.accepted_until, r.last_used_at DESC;

-- Whose retired passwords can be ended: the present one has logged in since the last login by any of them.
CREATE OR REPLACE VIEW pgsasl.safe_to_revoke AS
SELECT u.username, u.app, a.name AS account, count(*) AS accepted, max(r.accepted_until) AS accepted_until,
       max(r.last_used_at) AS last_used_at, now() - greatest(max(r.last_used_at), max(r.retired_at)) AS unused_for,
       u.last_login_at
FROM pgsasl.retired_passwords r JOIN pgsasl.smtp_users u ON u.user_id = r.user_id
    JOIN pgsasl.accounts a ON a.account_id = u.account_id CROSS JOIN pgsasl.settings s
WHERE r.accepted_until > now()
GROUP BY u.user_id, a.account_id, s.only_row
HAVING u.last_login_at > max(r.retired_at)
    AND (max(r.last_used_at) IS NULL OR u.last_login_at > max(r.last_used_at) + s.login_stamp_interval)
ORDER BY 7 DESC;

-- Users that may log in and have not for 30 days.
CREATE OR REPLACE VIEW pgsasl.idle_users AS
SELECT u.username, u.app, a.name AS account, u.account_standing, u.created_at, u.last_login_at, u.last_login_from,
       now() - coalesce(u.last_login_at, u.created_at) AS idle_for
FROM pgsasl.smtp_users u JOIN pgsasl.accounts a ON a.account_id = u.account_id
WHERE u.enabled AND coalesce(u.last_login_at, u.created_at) < now() - interval '30 days'
ORDER BY 8 DESC;

-- ---------------------------------------------------------------------------------------------------------------------
-- For the support desk. SECURITY DEFINER: they show more than their callers may read, and no hash.
-- ---------------------------------------------------------------------------------------------------------------------

-- A name as somebody may have meant it: without case, blanks, what is not ASCII or escaped, and what follows an @.
CREATE OR REPLACE FUNCTION pgsasl.plain_name(username text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT nullif(lower(split_part(regexp_replace(username, '\\x[0-9A-Fa-f]{2}|[^!-~]', '', 'g'), '@', 1)), '')
$$;

-- The failures of a name up to "within" before and after "at". Where there is none, one row that says so and what that
-- means, then the failures of names that are nearly this one.
CREATE OR REPLACE FUNCTION pgsasl.explain(username text, at timestamptz DEFAULT now(), within interval DEFAULT '1 hour')
RETURNS TABLE (occurred_at timestamptz, client_addr inet, what_failed text, all_checks text, what_to_do text,
    attempts integer, mechanism text, server_host text, detail text, reason text, name_given text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    since timestamptz := explain.at - explain.within;
    until timestamptz := explain.at + explain.within;
BEGIN
    RETURN QUERY
    SELECT f.occurred_at, f.client_addr, f.what_failed, f.all_checks, f.what_to_do, f.attempts, f.mechanism,
           f.server_host, f.detail, f.reason, f.username::text
    FROM pgsasl.failures_in_words f
    WHERE f.username = explain.username AND f.occurred_at BETWEEN since AND until
    ORDER BY f.occurred_at;
    IF FOUND THEN
        RETURN;
    END IF;

    what_failed := format('between %s and %s no attempt of "%s" failed in the plugin',
        date_trunc('second', since), date_trunc('second', until), username);
    what_to_do := 'look in the mail log for what the server said by itself: a mechanism that is not offered, such as'
        ' CRAM-MD5; broken base64; no TLS, so that AUTH was not offered. Or the client used another host, port or user name'
        ' (near names follow here). Or the database was out: look for "pgsasl: rejected", the row is still to come';
    detail := coalesce(
        (SELECT coalesce('its last login was at ' || date_trunc('second', u.last_login_at), 'it has never logged in')
         FROM pgsasl.smtp_users u WHERE u.username = explain.username),
        (SELECT 'this user was deleted at ' || date_trunc('second', max(d.deleted_at))
         FROM pgsasl.deleted_users d WHERE d.username = explain.username),
        'there is no SMTP user of this name');
    RETURN NEXT;

    RETURN QUERY
    SELECT f.occurred_at, f.client_addr, f.what_failed, f.all_checks, f.what_to_do, f.attempts, f.mechanism,
           f.server_host, f.detail, f.reason, f.username::text
    FROM pgsasl.failures_in_words f
    WHERE pgsasl.plain_name(f.username) = pgsasl.plain_name(explain.username) AND f.occurred_at BETWEEN since AND until
    ORDER BY f.occurred_at DESC LIMIT 20;
END
$$;

-- The client networks from which a name is throttled now.
CREATE OR REPLACE FUNCTION pgsasl.throttled_clients(username text) RETURNS SETOF cidr
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
    SELECT g.net
    FROM pgsasl.recent_guesses g CROSS JOIN pgsasl.settings s
    WHERE g.occurred_at > now() - s.throttle_window AND g.occurred_at < now() + s.throttle_window
        AND g.net IN (
            SELECT pgsasl.client_net(t.client_addr) FROM pgsasl.auth_failures t
            WHERE t.username = throttled_clients.username
                AND t.occurred_at > now() - s.throttle_window AND t.occurred_at < now() + s.throttle_window)
    GROUP BY 1, s.throttle_user_client, s.throttle_client
    HAVING count(*) >= s.throttle_client
        OR count(*) FILTER (WHERE g.username = throttled_clients.username) >= s.throttle_user_client
$$;

-- Each check as it stands now, one a row; ok is NULL where there is nothing to be well or not.
CREATE OR REPLACE FUNCTION pgsasl.user_status(username text) RETURNS TABLE (item text, value text, ok boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp
AS $$
DECLARE
    u pgsasl.smtp_users;
    account text;
    throttled text;
BEGIN
    SELECT * INTO u FROM pgsasl.smtp_users s WHERE s.username = user_status.username;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'user', coalesce(
            (SELECT format('deleted at %s by %s', d.deleted_at, d.deleted_by)
             FROM pgsasl.deleted_users d WHERE d.username = user_status.username ORDER BY d.deleted_at DESC LIMIT 1),
            'there is no SMTP user of this name'), false;
        RETURN;
    END IF;
    SELECT a.name INTO account FROM pgsasl.accounts a WHERE a.account_id = u.account_id;
    SELECT string_agg(host(c), ', ') INTO throttled FROM pgsasl.throttled_clients(u.username) AS c;

    RETURN QUERY VALUES
        ('user', concat_ws(', ', 'user_id ' || u.user_id, u.app), true),
        ('enabled', CASE WHEN u.enabled THEN 'yes' ELSE 'no' END, u.enabled),
        ('account', account || ': ' || replace(u.account_standing, '_', ' '), u.account_standing = 'good'),
        ('password', concat_ws(', ', substring(u.password_hash FROM '^\{[^}]+\}|^\$[^$]+\$|^SCRAM-SHA-256'),
            'set at ' || date_trunc('second', u.password_changed_at)), pgsasl.decoy_of(u.password_hash) IS NOT NULL),
        ('addresses', coalesce(nullif(array_to_string(u.allowed_networks, ', '), ''), 'anywhere'), NULL),
        ('throttled from', coalesce(throttled, 'nowhere'), throttled IS NULL),
        ('last login', coalesce(nullif(concat_ws(' from ', date_trunc('second', u.last_login_at), host(u.last_login_from)),
            ''), 'never'), NULL),
        ('rotation grace', u.rotation_grace::text, NULL);
    RETURN QUERY
    SELECT 'retired password', concat_ws(', ', 'retired at ' || date_trunc('second', r.retired_at),
        'accepted until ' || date_trunc('second', r.accepted_until),
        coalesce('last used at ' || date_trunc('second', r.last_used_at), 'not used since'),
        'from ' || host(r.last_used_from)), NULL::boolean
    FROM pgsasl.retired_passwords r WHERE r.user_id = u.user_id ORDER BY r.retired_at DESC, r.retired_id DESC;
    RETURN QUERY
    SELECT 'failure', concat_ws(', ', date_trunc('second', f.occurred_at), f.what_failed, 'from ' || host(f.client_addr),
                                nullif(f.attempts, 1) || ' times'), NULL::boolean
    FROM pgsasl.failures_in_words f WHERE f.username = u.username ORDER BY f.occurred_at DESC LIMIT 5;
END
$$;

-- Forgets what is older: deletes from the default partition, drops those that hold nothing newer. Returns what it did.
-- Dropping takes a lock behind which failures queue up: it is asked for a moment at a time, and held to the end of the
-- transaction, so let this call be all of it.
CREATE OR REPLACE FUNCTION pgsasl.purge_failures(older_than interval) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pgsasl, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    weeks text[];
    week text;
    deleted bigint;
BEGIN
    IF older_than IS NULL OR older_than < interval '1 hour' THEN
        RAISE EXCEPTION 'purge_failures keeps the last hour at least' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM pgsasl.recent_guesses WHERE occurred_at < now() - older_than;
    DELETE FROM pgsasl.auth_failures_default WHERE occurred_at < now() - older_than;
    GET DIAGNOSTICS deleted = ROW_COUNT;

    SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}') INTO weeks
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'pgsasl.auth_failures'::regclass AND c.relname ~ '^auth_failures_\d{4}_\d\d_\d\d$'
        AND (to_date(right(c.relname, 10), 'YYYY_MM_DD') + 7)::timestamp AT TIME ZONE 'UTC' <= now() - older_than;
    FOR tries_left IN REVERSE 9 .. 0 LOOP
        EXIT WHEN weeks = '{}';
        BEGIN
            LOCK TABLE ONLY pgsasl.auth_failures IN ACCESS EXCLUSIVE MODE;
            FOREACH week IN ARRAY weeks LOOP
                EXECUTE format('DROP TABLE pgsasl.%I', week);
            END LOOP;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN -- what was locked and dropped is as before
            IF tries_left = 0 THEN
                RAISE EXCEPTION 'auth_failures is in use, by a report or a dump: try again later'
                    USING ERRCODE = 'lock_not_available';
            END IF;
            PERFORM pg_sleep(0.3);
        END;
    END LOOP;
    RETURN format('%s partitions dropped%s, %s rows deleted from the default one', cardinality(weeks),
        ' (' || nullif(array_to_string(weeks, ', '), '') || ')', deleted);
END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Roles and grants
-- ---------------------------------------------------------------------------------------------------------------------

SET LOCAL client_min_messages = notice;

DO $$
DECLARE
    wanted record;
    may_create boolean := (SELECT r.rolsuper OR r.rolcreaterole FROM pg_catalog.pg_roles r
                           WHERE r.rolname = current_user);
    to_do text := '';
BEGIN
    FOR wanted IN
        SELECT w.name, w.attribute
        FROM (VALUES ('pgsasl_plugin', 'LOGIN'), ('pgsasl_operator', 'NOLOGIN'), ('pgsasl_auditor', 'NOLOGIN'))
             AS w (name, attribute)
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w.name)
    LOOP
        IF may_create THEN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attribute);
        ELSE
            to_do := to_do || format(E'\n    CREATE ROLE %I %s;', wanted.name, wanted.attribute);
        END IF;
    END LOOP;
    IF to_do <> '' THEN
        RAISE NOTICE 'pgsasl: role "%" may not create roles. Let an administrator run this, then load the file again:%',
            current_user, to_do;
    END IF;
END
$$;

-- Generic plans by index: none is made for one login alone, and none of when a table was small is kept for the life of a
-- connection. And the server's own end to what the
-- plugin has given up: a statement past every deadline, a client that has gone.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_plugin') THEN
        ALTER ROLE pgsasl_plugin SET plan_cache_mode = 'force_generic_plan';
        ALTER ROLE pgsasl_plugin SET enable_seqscan = off;
        ALTER ROLE pgsasl_plugin SET statement_timeout = '5s';
        ALTER ROLE pgsasl_plugin SET client_connection_check_interval = '1s';
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE E'pgsasl: role "%" may not alter pgsasl_plugin. Let an administrator run:%', current_user,
            E'\n    ALTER ROLE pgsasl_plugin SET plan_cache_mode = ''force_generic_plan'';'
            '\n    ALTER ROLE pgsasl_plugin SET enable_seqscan = off;'
            '\n    ALTER ROLE pgsasl_plugin SET statement_timeout = ''5s'';'
            '\n    ALTER ROLE pgsasl_plugin SET client_connection_check_interval = ''1s'';';
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA pgsasl FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA pgsasl FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgsasl FROM PUBLIC;

-- The plugin: three functions and nothing else.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_plugin') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgsasl_plugin', current_database());
    GRANT USAGE ON SCHEMA pgsasl TO pgsasl_plugin;
    GRANT EXECUTE ON FUNCTION pgsasl.find_user(text, inet) TO pgsasl_plugin;
    GRANT EXECUTE ON FUNCTION pgsasl.record_failure(uuid, timestamptz, text, text, text, text[], text, inet, integer,
        inet, text, text, text) TO pgsasl_plugin;
    GRANT EXECUTE ON FUNCTION pgsasl.note_login(text, inet, timestamptz, bigint) TO pgsasl_plugin;
END
$$;

-- Operators write hashes and never read them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_operator') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgsasl_operator', current_database());
    GRANT USAGE ON SCHEMA pgsasl TO pgsasl_operator;
    GRANT SELECT, DELETE, INSERT (name, standing), UPDATE (name, standing) ON pgsasl.accounts TO pgsasl_operator;
    GRANT DELETE,
        SELECT (user_id, username, enabled, account_id, account_standing, allowed_networks, app, note, rotation_grace,
            created_at, password_changed_at, last_login_at, last_login_from),
        INSERT (username, password_hash, enabled, account_id, allowed_networks, app, note, rotation_grace),
        UPDATE (username, password_hash, enabled, account_id, allowed_networks, app, note, rotation_grace)
        ON pgsasl.smtp_users TO pgsasl_operator;
    GRANT SELECT ON pgsasl.deleted_users, pgsasl.settings, pgsasl.reasons, pgsasl.rotation_stragglers,
        pgsasl.safe_to_revoke, pgsasl.idle_users TO pgsasl_operator;
    GRANT EXECUTE ON FUNCTION pgsasl.schema_version(), pgsasl.hash_password(text), pgsasl.add_account(text, text),
        pgsasl.add_user(text, text, bigint, boolean, cidr[], text, text), pgsasl.random_password(),
        pgsasl.set_password(text, text, interval), pgsasl.rotate_password(text, interval), pgsasl.end_rotation(text)
        TO pgsasl_operator;
    GRANT SELECT (retired_id, user_id, retired_at, accepted_until, last_used_at, last_used_from), UPDATE (accepted_until)
        ON pgsasl.retired_passwords TO pgsasl_operator;
END
$$;

-- Auditors read what happened.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgsasl_auditor') THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO pgsasl_auditor', current_database());
    GRANT USAGE ON SCHEMA pgsasl TO pgsasl_auditor;
    GRANT SELECT ON pgsasl.auth_failures, pgsasl.deleted_users, pgsasl.settings, pgsasl.reasons,
        pgsasl.failures_in_words, pgsasl.failures_by_reason, pgsasl.failures_by_client, pgsasl.failures_by_account,
        pgsasl.top_stale, pgsasl.rotation_stragglers, pgsasl.safe_to_revoke, pgsasl.idle_users TO pgsasl_auditor;
    GRANT EXECUTE ON FUNCTION pgsasl.schema_version(), pgsasl.client_net(inet),
        pgsasl.explain(text, timestamptz, interval), pgsasl.user_status(text) TO pgsasl_auditor;
END
$$;

COMMIT;
