-- types.sql: functions that tables and indexes are defined with. Loaded by pgsasl.sql.

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
