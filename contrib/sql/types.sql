-- types.sql: functions that tables and indexes are defined with. Loaded by pgsasl.sql.

-- The worse of two standings, which is the one that counts for a user with an account. Either may be NULL.
CREATE OR REPLACE FUNCTION pgsasl.worse_standing(one text, other text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN one = other OR other IS NULL THEN one -- the most frequent case first: each look-up evaluates this
    WHEN one = 'closed' OR other = 'closed' THEN 'closed'
    WHEN one = 'suspended' OR other = 'suspended' THEN 'suspended'
    WHEN one = 'past_due' OR other = 'past_due' THEN 'past_due'
    ELSE other
END;

-- The client network that the throttle counts by: one IPv4 address (also one mapped into IPv6) or a /64 of IPv6. Indexes
-- use it, so its body is parsed when it is created and does not depend on the caller's search_path.
CREATE OR REPLACE FUNCTION pgsasl.client_net(address inet) RETURNS cidr
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN family(address) = 4 THEN network(set_masklen(address, 32))
    WHEN address <<= '::ffff:0.0.0.0/96'::inet
        THEN network(set_masklen('0.0.0.0'::inet + (address - '::ffff:0.0.0.0'::inet), 32))
    ELSE network(set_masklen(address, 64))
END;

-- The time from which a failure counts: the mail server's, where it is at most a minute before the database's. Otherwise the
-- time when the row arrived, because that clock is off, or the row was spooled or forged: no row counts for longer than
-- throttle_window after it arrived.
CREATE OR REPLACE FUNCTION pgsasl.counted_at(occurred_at timestamptz, recorded_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN occurred_at BETWEEN recorded_at - interval '1 minute' AND recorded_at THEN occurred_at ELSE recorded_at END;
