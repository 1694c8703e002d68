-- hashes.sql: which hashes can be stored, and the decoys made of them. Loaded by pgsasl.sql.
--
-- The plugin's list of schemes, plugin/hash/schemes.def, is written here as SQL by tests/lists/schemes.py. The tests
-- compare both on a hundred thousand hashes.

-- Parses a stored hash as the plugin does. fault: why the plugin cannot verify it, whatever its ceiling; NULL where it can.
-- decoy: then, a hash of the same scheme, cost and lengths that no password is known to match. memory_kb, work_ms: then,
-- what computing it once takes, in KiB and in milliseconds of a server processor.
--
-- Each look-up of a name that does not exist calls it. So it cuts words off the hash one by one, which is much faster
-- than a regular expression that captures them, and has no SET clause. It depends on no setting; callers who put
-- operators of their own before those of pg_catalog deceive only themselves.
CREATE OR REPLACE FUNCTION pgsasl.parse_hash(hash text, OUT fault text, OUT decoy text, OUT memory_kb bigint,
    OUT work_ms bigint)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    -- what words look like: canonical, so bits that belong to no byte are zero
    decimal     CONSTANT text := '^(0|[1-9][0-9]*)$';
    crypt64     CONSTANT text := '^[./0-9A-Za-z]*$';
    yescrypt    CONSTANT text := '^([./0-9A-Za-z]{4})*([./0-9A-Za-z][./01]|[./0-9A-Za-z]{2}[./0-9A-D])?$';
    shacrypt    CONSTANT text := '^[]["#%-)+-9<-Z^-~]*$';
    printable   CONSTANT text := '^[!-#%-~]*$';
    base64      CONSTANT text := '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$';
    base64_bare CONSTANT text := '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048])?$';
    base64_dot  CONSTANT text := '^([A-Za-z0-9./]{4})*([A-Za-z0-9./][AQgw]|[A-Za-z0-9./]{2}[AEIMQUYcgkosw048])?$';
    hex         CONSTANT text := '^([0-9A-Fa-f]{2})*$';
    digits64    CONSTANT text := './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    wrapping text[];    -- Dovecot's name and encoding, and what follows them
    encoding text;      -- BASE64, HEX
    content text;       -- what follows Dovecot's prefix, decoded
    plain text := hash; -- without Dovecot's prefix, or with it in capitals where the scheme has no form without it
    prefix text;
    rest text;
    word text;
    zero text;          -- the character that decoys are filled with
    formed boolean := true;
    bounded boolean := true;
    bounds text;        -- of the numbers, in words
    cost bigint; rounds bigint := 0; version bigint := 0; m bigint; t bigint; p bigint; ln bigint; r bigint;
BEGIN
    IF hash IS NULL THEN
        fault := 'there is no hash';
        RETURN;
    -- BEGIN LIST length
    ELSIF octet_length(hash) > 639 THEN
        fault := 'the hash is longer than 639 bytes';
    -- END LIST length
        RETURN;
    ELSIF starts_with(hash, '{') THEN
        wrapping := regexp_match(hash, '^[{]([^.}]*)(?:[.]([^}]*))?[}](.*)$');
        encoding := CASE upper(wrapping[2] COLLATE "C")
            -- BEGIN LIST encodings
            WHEN 'B64' THEN 'BASE64'
            WHEN 'BASE64' THEN 'BASE64'
            WHEN 'HEX' THEN 'HEX'
            -- END LIST encodings
        END;
        content := CASE WHEN wrapping[2] IS NULL THEN wrapping[3]
            WHEN encoding = 'BASE64' AND wrapping[3] ~ base64 THEN encode(decode(wrapping[3], 'base64'), 'hex')
            WHEN encoding = 'HEX' AND wrapping[3] ~ hex THEN lower(wrapping[3] COLLATE "C") END;
        IF encoding IS NOT NULL THEN -- bytes that are not ASCII are no hash in text form
            content := CASE WHEN content ~ '^([2-7][0-9a-f])*$' THEN convert_from(decode(content, 'hex'), 'UTF8') END;
        END IF;
        plain := CASE WHEN wrapping[2] IS NULL OR encoding IS NOT NULL THEN CASE upper(wrapping[1] COLLATE "C")
            -- BEGIN LIST wrappings
            WHEN 'CRYPT' THEN
                substring(content FROM '^(?:[$]y[$]|[$]7[$]|[$]2a[$]|[$]2b[$]|[$]2y[$]|[$]6[$]|[$]5[$]).*')
            WHEN 'SHA256-CRYPT' THEN
                substring(content FROM '^(?:[$]y[$]|[$]7[$]|[$]2a[$]|[$]2b[$]|[$]2y[$]|[$]6[$]|[$]5[$]).*')
            WHEN 'SHA512-CRYPT' THEN
                substring(content FROM '^(?:[$]y[$]|[$]7[$]|[$]2a[$]|[$]2b[$]|[$]2y[$]|[$]6[$]|[$]5[$]).*')
            WHEN 'BLF-CRYPT' THEN
                substring(content FROM '^(?:[$]2a[$]|[$]2b[$]|[$]2y[$]).*')
            WHEN 'ARGON2I' THEN
                substring(content FROM '^(?:[$]argon2i[$]|[$]argon2id[$]).*')
            WHEN 'ARGON2ID' THEN
                substring(content FROM '^(?:[$]argon2id[$]|[$]argon2i[$]).*')
            WHEN 'PBKDF2' THEN
                '{PBKDF2}' || content
            WHEN 'SCRAM-SHA-256' THEN
                '{SCRAM-SHA-256}' || content
            WHEN 'SSHA256' THEN
                CASE encoding WHEN 'HEX' THEN '{SSHA256.HEX}' ELSE '{SSHA256}' END || wrapping[3]
            WHEN 'SSHA512' THEN
                CASE encoding WHEN 'HEX' THEN '{SSHA512.HEX}' ELSE '{SSHA512}' END || wrapping[3]
            -- END LIST wrappings
        END END;
    END IF;

    prefix := CASE
        -- BEGIN LIST prefixes
        WHEN starts_with(plain, '$y$') THEN '$y$'
        WHEN starts_with(plain, '$7$') THEN '$7$'
        WHEN starts_with(plain, '$2a$') THEN '$2a$'
        WHEN starts_with(plain, '$2b$') THEN '$2b$'
        WHEN starts_with(plain, '$2y$') THEN '$2y$'
        WHEN starts_with(plain, '$6$') THEN '$6$'
        WHEN starts_with(plain, '$5$') THEN '$5$'
        WHEN starts_with(plain, '$argon2id$') THEN '$argon2id$'
        WHEN starts_with(plain, '$argon2i$') THEN '$argon2i$'
        WHEN starts_with(plain, '$argon2d$') THEN '$argon2d$'
        WHEN starts_with(plain, 'SCRAM-SHA-256$') THEN 'SCRAM-SHA-256$'
        WHEN starts_with(plain, '{SCRAM-SHA-256}') THEN '{SCRAM-SHA-256}'
        WHEN starts_with(plain, '$pbkdf2-sha256$') THEN '$pbkdf2-sha256$'
        WHEN starts_with(plain, '$pbkdf2-sha512$') THEN '$pbkdf2-sha512$'
        WHEN starts_with(plain, '{PBKDF2}') THEN '{PBKDF2}'
        WHEN starts_with(plain, '$scrypt$') THEN '$scrypt$'
        WHEN starts_with(plain, '{SSHA256}') THEN '{SSHA256}'
        WHEN starts_with(plain, '{SSHA256.HEX}') THEN '{SSHA256.HEX}'
        WHEN starts_with(plain, '{SSHA512}') THEN '{SSHA512}'
        WHEN starts_with(plain, '{SSHA512.HEX}') THEN '{SSHA512.HEX}'
        -- END LIST prefixes
        END;
    rest := substr(plain, length(prefix) + 1);
    memory_kb := 0;
    work_ms := 0;
    -- BEGIN LIST schemes
    IF prefix = '$y$' THEN
        zero := '.';
        formed := formed AND starts_with(rest, 'j'); rest := substr(rest, 2);
        word := left(rest, 1); rest := substr(rest, 2);
        ln := nullif(strpos(digits64, word), 0) - 1;
        word := left(rest, 1); rest := substr(rest, 2);
        r := nullif(strpos(digits64, word), 0) - 1;
        formed := formed AND starts_with(rest, '$'); rest := substr(rest, 2);
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) BETWEEN 2 AND 86 AND word ~ yescrypt;
        decoy := decoy || repeat(zero, length(word)) || '$';
        word := left(rest, 43); rest := substr(rest, 44);
        formed := formed AND length(word) = 43 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND ln BETWEEN 1 AND 22
            AND r BETWEEN 0 AND 47
            AND ln + 1 < 16 * (r + 1) AND r + 1 <= (8388608 >> (ln + 1)::integer);
        memory_kb := CASE WHEN bounded THEN ((r + 1) << (ln + 1)::integer) / 8 END;
        work_ms := CASE WHEN bounded THEN ((r + 1) << (ln + 1)::integer) / 7000 END;
        bounds := 'ln 1 to 22, r 0 to 47';
    ELSIF prefix = '$7$' THEN
        zero := '.';
        word := left(rest, 1); rest := substr(rest, 2);
        ln := nullif(strpos(digits64, word), 0) - 1;
        word := left(rest, 5); rest := substr(rest, 6);
        r := (SELECT sum((strpos(digits64, substr(word, i, 1)) - 1) * (1::bigint << (6 * i - 6)))
            FROM generate_series(1, 5) AS i WHERE word ~ crypt64);
        word := left(rest, 5); rest := substr(rest, 6);
        p := (SELECT sum((strpos(digits64, substr(word, i, 1)) - 1) * (1::bigint << (6 * i - 6)))
            FROM generate_series(1, 5) AS i WHERE word ~ crypt64);
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) BETWEEN 1 AND 86 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word)) || '$';
        word := left(rest, 43); rest := substr(rest, 44);
        formed := formed AND length(word) = 43 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND ln BETWEEN 2 AND 23
            AND r BETWEEN 1 AND 2097152
            AND p BETWEEN 1 AND 2097152
            AND ln < 16 * r AND r * p <= (8388608 >> ln::integer);
        memory_kb := CASE WHEN bounded THEN ((r << ln::integer) + r * p) / 8 END;
        work_ms := CASE WHEN bounded THEN ((r * p) << ln::integer) / 4000 END;
        bounds := 'ln 2 to 23, r 1 to 2097152, p 1 to 2097152';
    ELSIF prefix IN ('$2a$', '$2b$', '$2y$') THEN
        zero := '.';
        word := left(rest, 2); rest := substr(rest, 3);
        cost := CASE WHEN word ~ '^[0-9][0-9]$' THEN word::bigint END;
        formed := formed AND starts_with(rest, '$'); rest := substr(rest, 2);
        decoy := left(plain, length(plain) - length(rest));
        word := left(rest, 22); rest := substr(rest, 23);
        formed := formed AND length(word) = 22 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word));
        word := left(rest, 31); rest := substr(rest, 32);
        formed := formed AND length(word) = 31 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND cost BETWEEN 4 AND 16;
        memory_kb := CASE WHEN bounded THEN 4 END;
        work_ms := CASE WHEN bounded THEN (1 << cost::integer) / 20 END;
        bounds := 'cost 4 to 16';
    ELSIF prefix = '$6$' THEN
        zero := '.';
        IF starts_with(rest, 'rounds=') THEN rest := substr(rest, 8);
            word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
            rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
            bounded := rounds BETWEEN 1000 AND 5000000;
        END IF;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) BETWEEN 0 AND 16 AND word ~ shacrypt;
        decoy := decoy || regexp_replace(word, '[^,=]', zero, 'g') || '$';
        word := left(rest, 86); rest := substr(rest, 87);
        formed := formed AND length(word) = 86 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word));
        work_ms := CASE WHEN bounded THEN rounds / 4000 END;
        bounds := 'rounds 1000 to 5000000';
    ELSIF prefix = '$5$' THEN
        zero := '.';
        IF starts_with(rest, 'rounds=') THEN rest := substr(rest, 8);
            word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
            rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
            bounded := rounds BETWEEN 1000 AND 5000000;
        END IF;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) BETWEEN 0 AND 16 AND word ~ shacrypt;
        decoy := decoy || regexp_replace(word, '[^,=]', zero, 'g') || '$';
        word := left(rest, 43); rest := substr(rest, 44);
        formed := formed AND length(word) = 43 AND word ~ crypt64;
        decoy := decoy || repeat(zero, length(word));
        work_ms := CASE WHEN bounded THEN rounds / 2500 END;
        bounds := 'rounds 1000 to 5000000';
    ELSIF prefix IN ('$argon2id$', '$argon2i$', '$argon2d$') THEN
        zero := 'A';
        IF starts_with(rest, 'v=') THEN rest := substr(rest, 3);
            word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
            version := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
            bounded := version BETWEEN 16 AND 19;
        END IF;
        formed := formed AND starts_with(rest, 'm='); rest := substr(rest, 3);
        word := split_part(rest, ',t=', 1); rest := substr(rest, length(word) + 4);
        m := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        word := split_part(rest, ',p=', 1); rest := substr(rest, length(word) + 4);
        t := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        p := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) * 3 / 4 BETWEEN 8 AND 96 AND word ~ base64_bare;
        decoy := decoy || repeat(zero, length(word)) || '$';
        word := rest; rest := '';
        formed := formed AND length(word) * 3 / 4 BETWEEN 16 AND 64 AND word ~ base64_bare;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND m BETWEEN 8 AND 1048576
            AND t BETWEEN 1 AND 2097152
            AND p BETWEEN 1 AND 131072
            AND version <> 17 AND version <> 18 AND 8 * p <= m AND t * m <= 16777216;
        memory_kb := CASE WHEN bounded THEN m END;
        work_ms := CASE WHEN bounded THEN t * m / 1000 END;
        bounds := 'version 16 to 19, m 8 to 1048576, t 1 to 2097152, p 1 to 131072';
    ELSIF prefix = 'SCRAM-SHA-256$' THEN
        zero := 'A';
        word := split_part(rest, ':', 1); rest := substr(rest, length(word) + 2);
        rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 BETWEEN 1 AND 96 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=') || '$';
        word := split_part(rest, ':', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 = 32 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=') || ':';
        word := rest; rest := '';
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 = 32 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=');
        bounded := bounded AND rounds BETWEEN 1 AND 10000000;
        work_ms := CASE WHEN bounded THEN rounds / 4000 END;
        bounds := 'rounds 1 to 10000000';
    ELSIF prefix = '{SCRAM-SHA-256}' THEN
        zero := 'A';
        word := split_part(rest, ',', 1); rest := substr(rest, length(word) + 2);
        rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, ',', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 BETWEEN 1 AND 96 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=') || ',';
        word := split_part(rest, ',', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 = 32 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=') || ',';
        word := rest; rest := '';
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 = 32 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=');
        bounded := bounded AND rounds BETWEEN 1 AND 10000000;
        work_ms := CASE WHEN bounded THEN rounds / 4000 END;
        bounds := 'rounds 1 to 10000000';
    ELSIF prefix = '$pbkdf2-sha256$' THEN
        zero := 'A';
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) * 3 / 4 BETWEEN 1 AND 96 AND word ~ base64_dot;
        decoy := decoy || repeat(zero, length(word)) || '$';
        word := rest; rest := '';
        formed := formed AND length(word) * 3 / 4 = 32 AND word ~ base64_dot;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND rounds BETWEEN 1 AND 10000000;
        work_ms := CASE WHEN bounded THEN rounds / 4000 END;
        bounds := 'rounds 1 to 10000000';
    ELSIF prefix = '$pbkdf2-sha512$' THEN
        zero := 'A';
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) * 3 / 4 BETWEEN 1 AND 96 AND word ~ base64_dot;
        decoy := decoy || repeat(zero, length(word)) || '$';
        word := rest; rest := '';
        formed := formed AND length(word) * 3 / 4 = 64 AND word ~ base64_dot;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND rounds BETWEEN 1 AND 10000000;
        work_ms := CASE WHEN bounded THEN rounds / 2000 END;
        bounds := 'rounds 1 to 10000000';
    ELSIF prefix = '{PBKDF2}' THEN
        zero := '0';
        formed := formed AND starts_with(rest, '$1$'); rest := substr(rest, 4);
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) BETWEEN 1 AND 96 AND word ~ printable;
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        rounds := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := rest; rest := '';
        formed := formed AND length(word) / 2 = 20 AND word ~ hex;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND rounds BETWEEN 1 AND 10000000;
        work_ms := CASE WHEN bounded THEN rounds / 4000 END;
        bounds := 'rounds 1 to 10000000';
    ELSIF prefix = '$scrypt$' THEN
        zero := 'A';
        formed := formed AND starts_with(rest, 'ln='); rest := substr(rest, 4);
        word := split_part(rest, ',r=', 1); rest := substr(rest, length(word) + 4);
        ln := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        word := split_part(rest, ',p=', 1); rest := substr(rest, length(word) + 4);
        r := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        p := CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END;
        decoy := left(plain, length(plain) - length(rest));
        word := split_part(rest, '$', 1); rest := substr(rest, length(word) + 2);
        formed := formed AND length(word) * 3 / 4 BETWEEN 1 AND 96 AND word ~ base64_bare;
        decoy := decoy || repeat(zero, length(word)) || '$';
        word := rest; rest := '';
        formed := formed AND length(word) * 3 / 4 = 32 AND word ~ base64_bare;
        decoy := decoy || repeat(zero, length(word));
        bounded := bounded AND ln BETWEEN 2 AND 23
            AND r BETWEEN 1 AND 2097152
            AND p BETWEEN 1 AND 2097152
            AND ln < 16 * r AND r * p <= (8388608 >> ln::integer);
        memory_kb := CASE WHEN bounded THEN ((r << ln::integer) + r * p) / 8 END;
        work_ms := CASE WHEN bounded THEN ((r * p) << ln::integer) / 3000 END;
        bounds := 'ln 2 to 23, r 1 to 2097152, p 1 to 2097152';
    ELSIF prefix = '{SSHA256}' THEN
        zero := 'A';
        decoy := left(plain, length(plain) - length(rest));
        word := rest; rest := '';
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 BETWEEN 33 AND 128 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=');
    ELSIF prefix = '{SSHA256.HEX}' THEN
        zero := '0';
        decoy := left(plain, length(plain) - length(rest));
        word := rest; rest := '';
        formed := formed AND length(word) / 2 BETWEEN 33 AND 128 AND word ~ hex;
        decoy := decoy || repeat(zero, length(word));
    ELSIF prefix = '{SSHA512}' THEN
        zero := 'A';
        decoy := left(plain, length(plain) - length(rest));
        word := rest; rest := '';
        formed := formed AND length(rtrim(word, '=')) * 3 / 4 BETWEEN 65 AND 160 AND word ~ base64;
        decoy := decoy || rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=');
    ELSIF prefix = '{SSHA512.HEX}' THEN
        zero := '0';
        decoy := left(plain, length(plain) - length(rest));
        word := rest; rest := '';
        formed := formed AND length(word) / 2 BETWEEN 65 AND 160 AND word ~ hex;
        decoy := decoy || repeat(zero, length(word));
    -- END LIST schemes
    ELSE
        fault := 'the hash is of no accepted scheme';
        memory_kb := NULL;
        work_ms := NULL;
        RETURN;
    END IF;
    IF NOT formed OR rest <> '' OR bounded IS NULL THEN -- a number that is none is NULL, and so are bounds of it
        fault := 'the hash is cut short or malformed';
    ELSIF NOT bounded THEN
        fault := 'the cost of the hash is out of bounds: ' || bounds;
    END IF;
    IF fault IS NOT NULL THEN
        decoy := NULL;
        memory_kb := NULL;
        work_ms := NULL;
    END IF;
END
$$;

-- Why the plugin cannot verify a stored hash, in a short sentence; NULL where it can.
CREATE OR REPLACE FUNCTION pgsasl.hash_fault(hash text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (pgsasl.parse_hash(hash)).fault;

-- The same, also where the hash costs more than a ceiling. No part of it is a query, whose plan a log might show.
CREATE OR REPLACE FUNCTION pgsasl.hash_fault(hash text, max_memory_kb bigint, max_ms bigint) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    parsed record := pgsasl.parse_hash(hash);
BEGIN
    RETURN CASE WHEN parsed.memory_kb > max_memory_kb THEN
            format('the hash takes %s KiB of memory, more than hash_max_memory_kb (%s)', parsed.memory_kb, max_memory_kb)
        WHEN parsed.work_ms > max_ms THEN
            format('the hash takes about %s ms, more than hash_max_ms (%s)', parsed.work_ms, max_ms)
        ELSE parsed.fault END;
END
$$;

-- The hash with its scheme and cost kept, and its salt and digest overwritten: it belongs to nobody and costs as much
-- to verify. NULL where the plugin cannot verify the hash.
CREATE OR REPLACE FUNCTION pgsasl.decoy_of(hash text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (pgsasl.parse_hash(hash)).decoy;
