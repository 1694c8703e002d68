-- types.sql: functions that tables and indexes are defined with. Loaded by pgsasl.sql.

-- The standing that counts where a user and its account have one each: the worse. Either may be NULL.
CREATE OR REPLACE FUNCTION pgsasl.worse_standing(one text, other text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN one = other OR other IS NULL THEN one -- the usual case is the first, as each look-up comes here
    WHEN one = 'closed' OR other = 'closed' THEN 'closed'
    WHEN one = 'suspended' OR other = 'suspended' THEN 'suspended'
    WHEN one = 'past_due' OR other = 'past_due' THEN 'past_due'
    ELSE other
END;

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
