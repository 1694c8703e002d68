-- tables.sql: the tables and their indexes. Loaded by pgsasl.sql.

-- One row with one column per setting: UPDATE pgsasl.settings SET bcrypt_cost = 12.
CREATE TABLE IF NOT EXISTS pgsasl.settings (
    only_row             boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
    bcrypt_cost          smallint NOT NULL DEFAULT 10 CHECK (bcrypt_cost BETWEEN 10 AND 16),
    retired_kept         smallint NOT NULL DEFAULT 2 CHECK (retired_kept BETWEEN 0 AND 8),
    login_stamp_interval interval NOT NULL DEFAULT '5 minutes'
                                  CHECK (login_stamp_interval BETWEEN '0' AND '1 day'),
    throttle_window      interval NOT NULL DEFAULT '10 minutes'
                                  CHECK (throttle_window BETWEEN '1 second' AND '1 day'),
    throttle_user_client integer  DEFAULT 20 CHECK (throttle_user_client BETWEEN 1 AND 10000),
    throttle_client      integer  DEFAULT 500 CHECK (throttle_client BETWEEN 1 AND 10000),
    decoy_key            text     NOT NULL DEFAULT replace(gen_random_uuid()::text || gen_random_uuid(), '-', ''),
    scram_iterations     integer  NOT NULL DEFAULT 4096 CHECK (scram_iterations BETWEEN 1 AND 10000000),
    hash_max_memory_kb   integer  NOT NULL DEFAULT 262144 CHECK (hash_max_memory_kb BETWEEN 1024 AND 1048576),
    hash_max_ms          integer  NOT NULL DEFAULT 2000 CHECK (hash_max_ms BETWEEN 100 AND 20000)
);
COMMENT ON COLUMN pgsasl.settings.only_row IS 'always true: it limits the table to one row';
COMMENT ON COLUMN pgsasl.settings.bcrypt_cost IS 'cost of the hashes that add_user, set_password and rotate_password make';
COMMENT ON COLUMN pgsasl.settings.retired_kept IS
    'number of retired passwords kept per user; each makes a failed login compute one more hash';
COMMENT ON COLUMN pgsasl.settings.login_stamp_interval IS
    'minimum time between two updates of last_login_at or last_used_at';
COMMENT ON COLUMN pgsasl.settings.throttle_window IS 'how long a failure counts towards the throttle';
COMMENT ON COLUMN pgsasl.settings.throttle_user_client IS
    'number of failures within throttle_window after which a user name is throttled for a client network; NULL: never';
COMMENT ON COLUMN pgsasl.settings.throttle_client IS
    'number of failures within throttle_window after which a client network is throttled for all names; NULL: never';
COMMENT ON COLUMN pgsasl.settings.decoy_key IS
    'random; chooses for each unknown name the user whose hashes are its decoys, and makes the salts that SCRAM-SHA-256 '
    'shows for names without a verifier';
COMMENT ON COLUMN pgsasl.settings.scram_iterations IS
    'iteration count that SCRAM-SHA-256 shows for names without a verifier: keep the verifiers at this count';
COMMENT ON COLUMN pgsasl.settings.hash_max_memory_kb IS
    'memory in KiB that a hash that is stored may take; the plugin has a ceiling of its own';
COMMENT ON COLUMN pgsasl.settings.hash_max_ms IS
    'time that a hash that is stored may take, in milliseconds of a server processor; the plugin has a ceiling of its own';
INSERT INTO pgsasl.settings DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS pgsasl.accounts (
    account_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL UNIQUE CHECK (name ~ '\S'),
    standing   text        NOT NULL DEFAULT 'good'
                           CONSTRAINT accounts_standing_word
                           CHECK (standing IN ('good', 'past_due', 'suspended', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- account_standing is the user's own standing. Where the user has an account, the worse of the two counts. Each look-up
-- reads both, so suspending an account changes one row. No index contains account_standing, last_login_at or
-- last_login_from, so updates of them stay cheap (heap-only updates, for which fillfactor leaves room).
CREATE TABLE IF NOT EXISTS pgsasl.smtp_users (
    user_id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username            text        COLLATE "C" NOT NULL UNIQUE,
    password_hash       text        COLLATE "C" NOT NULL,
    enabled             boolean     NOT NULL DEFAULT true,
    account_id          bigint      REFERENCES pgsasl.accounts (account_id), -- NULL: a user without an account
    account_standing    text        NOT NULL DEFAULT 'good'
                                    CONSTRAINT smtp_users_account_standing_word
                                    CHECK (account_standing IN ('good', 'past_due', 'suspended', 'closed')),
    expires_at          timestamptz,          -- NULL: never
    allowed_networks    cidr[],               -- NULL or empty: anywhere
    app                 text,                 -- the app that logs in with it: one SMTP user per app
    note                text,
    rotation_grace      interval    NOT NULL DEFAULT '0' CHECK (rotation_grace >= '0'),
    created_at          timestamptz NOT NULL DEFAULT now(),
    password_changed_at timestamptz NOT NULL DEFAULT now(), -- set by trigger
    last_login_at       timestamptz,
    last_login_from     inet,

    CONSTRAINT smtp_users_username_length CHECK (octet_length(username) BETWEEN 1 AND 255),
    CONSTRAINT smtp_users_username_no_at CHECK (strpos(username, '@') = 0),
    -- White space, control characters and invisible characters (Unicode 15): everything that the plugin's diagnosis
    -- removes from the ends of a name, and the variation selectors.
    CONSTRAINT smtp_users_username_visible CHECK (username !~ (
        '[\u0001-\u0020\u007F-\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F\u2000-\u200F'
        '\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF9-\uFFFB'
        '\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]')),
    CONSTRAINT smtp_users_allowed_networks_set CHECK (array_position(allowed_networks, NULL) IS NULL),

    CONSTRAINT smtp_users_password_hash_scheme CHECK (pgsasl.hash_fault(password_hash) IS NULL)
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS smtp_users_account_id_idx ON pgsasl.smtp_users (account_id);
-- The users in a ring, in an order that is fixed and even: an unknown name gets the decoys of the next user. Another user
-- changes the decoys of few names, and gaps between ids change nothing.
CREATE INDEX IF NOT EXISTS smtp_users_ring_idx ON pgsasl.smtp_users (hashint8extended(user_id, 0));

-- Previous passwords of a user, inserted by trigger. The newest settings.retired_kept of each user are kept.
CREATE TABLE IF NOT EXISTS pgsasl.retired_passwords (
    retired_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        bigint      NOT NULL REFERENCES pgsasl.smtp_users (user_id) ON DELETE CASCADE,
    password_hash  text        COLLATE "C" NOT NULL,
    retired_at     timestamptz NOT NULL DEFAULT now(),
    accepted_until timestamptz NOT NULL, -- still logs in until then
    last_used_at   timestamptz,          -- since it was retired
    last_used_from inet
) WITH (fillfactor = 90);
CREATE INDEX IF NOT EXISTS retired_passwords_user_id_idx ON pgsasl.retired_passwords (user_id);

-- Tombstones: one row each time that a user name was deleted or renamed, inserted by trigger.
CREATE TABLE IF NOT EXISTS pgsasl.deleted_users (
    deletion_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username    text        COLLATE "C" NOT NULL,
    user_id     bigint      NOT NULL,
    account_id  bigint,
    deleted_at  timestamptz NOT NULL DEFAULT now(),
    deleted_by  text        NOT NULL DEFAULT session_user
);
CREATE INDEX IF NOT EXISTS deleted_users_username_idx ON pgsasl.deleted_users (username, deleted_at DESC);

-- One row per rejected attempt; throttled attempts share rows, and so do attempts of a client that fails very often. There are no foreign keys, because the row outlives the
-- user. The primary key makes a repeated insert count once. It begins with the time so that queries for a span of time can
-- use it.
CREATE TABLE IF NOT EXISTS pgsasl.auth_failures (
    attempt_id    uuid        NOT NULL,
    occurred_at   timestamptz NOT NULL, -- by the clock of the mail server
    recorded_at   timestamptz NOT NULL DEFAULT now(), -- much later than occurred_at where the row was spooled
    username      text        COLLATE "C",
    user_id       bigint,
    account_id    bigint,
    reason        text        NOT NULL, -- one of pgsasl.reasons: reasons.sql adds the CHECK
    failed_checks text[]      NOT NULL,
    mechanism     text,
    client_addr   inet,
    client_port   integer     CHECK (client_port BETWEEN 1 AND 65535),
    server_addr   inet,
    service       text,
    server_host   text,
    attempts      integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    detail        text,
    counts        boolean     NOT NULL DEFAULT false, -- whether it counts towards the throttle
    merged_ids    uuid[], -- the last 64 further attempts that this row stands for

    PRIMARY KEY (occurred_at, attempt_id)
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
CREATE INDEX IF NOT EXISTS auth_failures_net_idx
    ON pgsasl.auth_failures (pgsasl.client_net(client_addr), occurred_at DESC);

-- The recent failures that count towards the throttle, maintained by trigger. A login reads this small table and never
-- auth_failures: the first look-up of a connection would load the metadata of every partition, and each one would lock
-- them.
CREATE TABLE IF NOT EXISTS pgsasl.recent_guesses (
    occurred_at timestamptz NOT NULL,
    attempt_id  uuid        NOT NULL,
    username    text        COLLATE "C",
    net         cidr, -- client_net() of the client's address
    stale       boolean     NOT NULL,
    PRIMARY KEY (occurred_at, attempt_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX IF NOT EXISTS recent_guesses_net_idx ON pgsasl.recent_guesses (net, occurred_at DESC);
CREATE INDEX IF NOT EXISTS recent_guesses_user_idx ON pgsasl.recent_guesses (username, net, occurred_at DESC);
CREATE INDEX IF NOT EXISTS recent_guesses_stale_idx ON pgsasl.recent_guesses (username, occurred_at DESC) WHERE stale;
