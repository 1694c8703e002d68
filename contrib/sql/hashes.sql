-- hashes.sql: which hashes can be stored, and the decoys made of them. Loaded by pgsasl.sql.

-- Why the plugin cannot verify a stored hash; NULL where it can. One line a scheme. Clear text, '', '*', DES, MD5 and bare
-- digests match none of them.
CREATE OR REPLACE FUNCTION pgsasl.hash_fault(hash text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN hash IS NULL THEN 'there is no hash'
    WHEN octet_length(hash) > 1024 THEN 'the hash is longer than 1024 bytes'
    WHEN NOT (
        -- crypt(3): bcrypt, SHA-512, SHA-256, yescrypt, scrypt; with any of Dovecot's prefixes that mean crypt(3)
           hash ~ '^(\{((BLF|SHA256|SHA512)-)?CRYPT\})?\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$'
        OR hash ~ ('^(\{(SHA(256|512)-)?CRYPT\})?\$6\$(rounds=[1-9][0-9]{3,6}\$)?[./A-Za-z0-9]{1,16}'
                            '\$[./A-Za-z0-9]{86}$')
        OR hash ~ ('^(\{(SHA(256|512)-)?CRYPT\})?\$5\$(rounds=[1-9][0-9]{3,6}\$)?[./A-Za-z0-9]{1,16}'
                            '\$[./A-Za-z0-9]{43}$')
        OR hash ~ ('^(\{(SHA(256|512)-)?CRYPT\})?\$y\$j[./A-Za-z0-9]{2}\$[./A-Za-z0-9]{1,86}'
                            '\$[./A-Za-z0-9]{43}$')
        OR hash ~ '^(\{(SHA(256|512)-)?CRYPT\})?\$7\$[./A-Za-z0-9]{12,97}\$[./A-Za-z0-9]{43}$'
        -- Argon2, in the encoding of its reference implementation
        OR hash ~ ('^(\{ARGON2ID?\})?\$argon2(id|i|d)\$(v=(16|19)\$)?m=[1-9][0-9]{0,6},t=[1-9][0-9]{0,8},'
                            'p=[1-9][0-9]{0,7}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$')
        -- SCRAM verifiers: PostgreSQL's own, and Dovecot's
        OR hash ~ ('^SCRAM-SHA-256\$[1-9][0-9]{0,7}:[A-Za-z0-9+/]{2,128}={0,2}'
                            '\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$')
        OR hash ~ ('^\{SCRAM-SHA-256\}[1-9][0-9]{0,7},[A-Za-z0-9+/]{2,128}={0,2}'
                            ',[A-Za-z0-9+/]{43}=,[A-Za-z0-9+/]{43}=$')
        -- passlib; and Dovecot's own PBKDF2
        OR hash ~ '^\$pbkdf2-sha256\$[1-9][0-9]{0,7}\$[./A-Za-z0-9]{2,128}\$[./A-Za-z0-9]{43}$'
        OR hash ~ '^\$pbkdf2-sha512\$[1-9][0-9]{0,7}\$[./A-Za-z0-9]{2,128}\$[./A-Za-z0-9]{86}$'
        OR hash ~ ('^\$scrypt\$ln=[1-9][0-9]?,r=[1-9][0-9]{0,5},p=[1-9][0-9]{0,5}'
                            '\$[A-Za-z0-9+/]{2,128}\$[A-Za-z0-9+/]{43}$')
        OR hash ~ '^\{PBKDF2\}\$1\$[!-#%-~]{1,128}\$[1-9][0-9]{0,7}\$[0-9A-Fa-f]{40}$'
        -- Dovecot's salted digests: digest (32 or 64 octets) and salt (at least 2) together, in base64 or hex
        OR hash ~ ('^\{SSHA256(\.B64|\.BASE64)?\}([A-Za-z0-9+/]{4}){11,60}'
                            '([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$')
        OR hash ~ ('^\{SSHA512(\.B64|\.BASE64)?\}([A-Za-z0-9+/]{4}){22,60}'
                            '([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$')
        OR hash ~ '^\{SSHA256\.HEX\}([0-9A-Fa-f]{2}){34,160}$'
        OR hash ~ '^\{SSHA512\.HEX\}([0-9A-Fa-f]{2}){66,160}$'
        -- Dovecot's other schemes in an encoding: it must begin as theirs do, with '$' or, SCRAM, a digit
        OR hash ~ ('^\{(((BLF|SHA256|SHA512)-)?CRYPT|ARGON2ID?|PBKDF2)\.(B64|BASE64)\}'
                            'J[A-P][A-Za-z0-9+/]{70,}={0,2}$')
        OR hash ~ '^\{(((BLF|SHA256|SHA512)-)?CRYPT|ARGON2ID?|PBKDF2)\.HEX\}24([0-9A-Fa-f]{2}){54,}$'
        OR hash ~ '^\{SCRAM-SHA-256\.(B64|BASE64)\}[MNO][A-Za-z0-9+/]{120,}={0,2}$'
        OR hash ~ '^\{SCRAM-SHA-256\.HEX\}3[1-9]([0-9A-Fa-f]{2}){90,}$'
    ) THEN 'the hash is cut short, or of a scheme that is not accepted'
END;

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
