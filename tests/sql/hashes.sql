-- Which hashes may be stored, and the decoys made of them. Table and plugin agree on each of a hundred thousand hashes
-- that tests/unit/list_schemes makes from the plugin's list, with the plugin's verdict and decoy.
BEGIN;
SELECT * FROM no_plan();

SELECT pgsasl.add_user('app', 'a long password', pgsasl.add_account('shop')) AS app \gset

CREATE TEMPORARY TABLE corpus (hash text, decoy text, memory_kb bigint, work_ms bigint);
\set corpus `echo "$HASH_CORPUS"`
COPY corpus FROM :'corpus';
SELECT cmp_ok(count(decoy), '>=', 10000::bigint, 'there are hashes that the plugin can verify') FROM corpus;
SELECT cmp_ok(count(*) - count(decoy), '>=', 50000::bigint, 'there are hashes that it cannot') FROM corpus;
SELECT is_empty($$
    SELECT hash, c.decoy AS plugin, p.decoy AS here, fault FROM corpus c, pgsasl.parse_hash(hash) AS p
    WHERE p.decoy IS DISTINCT FROM c.decoy OR (fault IS NULL) <> (p.decoy IS NOT NULL)$$,
    'the table accepts what the plugin can verify, and nothing else, and both make the same decoys');
SELECT is_empty($$
    SELECT c.*, p.memory_kb AS memory_here, p.work_ms AS work_here FROM corpus c, pgsasl.parse_hash(hash) AS p
    WHERE (p.memory_kb, p.work_ms) IS DISTINCT FROM (c.memory_kb, c.work_ms)$$,
    'table and plugin agree on what each hash costs, so on all that a ceiling refuses');
SELECT cmp_ok(count(*) FILTER (WHERE work_ms > 2000), '>=', 20::bigint, 'there are hashes above the default of hash_max_ms')
FROM corpus;
SELECT cmp_ok(count(*) FILTER (WHERE memory_kb > 262144), '>=', 20::bigint, 'there are hashes above that of hash_max_memory_kb')
FROM corpus;
SELECT is_empty('SELECT decoy, pgsasl.hash_fault(decoy) FROM corpus WHERE pgsasl.hash_fault(decoy) IS NOT NULL
    AND decoy IS NOT NULL', 'each decoy is a hash that can be verified');

-- what they once disagreed on
SELECT is(pgsasl.hash_fault(hash), fault, left(hash, 60))
FROM (VALUES
    ('$6$rounds=9000000$salt$' || repeat('x', 86), 'the cost of the hash is out of bounds: rounds 1000 to 5000000'),
    ('$argon2id$v=19$m=4194304,t=3,p=4$' || repeat('A', 22) || '$' || repeat('A', 43),
        'the cost of the hash is out of bounds: version 16 to 19, m 8 to 1048576, t 1 to 2097152, p 1 to 131072'),
    ('$6$a-b_c$' || repeat('x', 86), NULL),
    ('{blf-crypt}$2y$10$' || repeat('x', 53), NULL),
    ('{ssha512}' || repeat('A', 88), NULL),
    ('{Argon2id}$argon2id$v=19$m=65536,t=3,p=4$' || repeat('A', 22) || '$' || repeat('A', 43), NULL),
    ('{ARGON2}$argon2id$v=19$m=65536,t=3,p=4$' || repeat('A', 22) || '$' || repeat('A', 43),
        'the hash is of no accepted scheme'),
    ('{sha512-crypt.b64}' || translate(encode(('$6$salt$' || repeat('x', 86))::bytea, 'base64'), E'\n', ''), NULL))
    AS t (hash, fault);
-- the other faults
SELECT is(pgsasl.hash_fault(hash), fault, fault)
FROM (VALUES (NULL, 'there is no hash'), ('', 'the hash is of no accepted scheme'),
    ('$2b$10$short', 'the hash is cut short or malformed'),
    ('$2b$17$' || repeat('x', 53), 'the cost of the hash is out of bounds: cost 4 to 16'),
    (repeat('x', 640), 'the hash is longer than 639 bytes')) AS t (hash, fault);

-- what a ceiling refuses
SELECT is(pgsasl.hash_fault(hash, 262144, 2000), fault, coalesce(fault, 'within the ceiling: ' || hash))
FROM (VALUES
    ('$2b$15$' || repeat('x', 53), NULL),
    ('$2b$16$' || repeat('x', 53), 'the hash takes about 3276 ms, more than hash_max_ms (2000)'),
    ('$argon2id$v=19$m=262144,t=3,p=1$c2FsdHNhbHQ$' || repeat('A', 43), NULL),
    ('$argon2id$v=19$m=262145,t=3,p=1$c2FsdHNhbHQ$' || repeat('A', 43),
        'the hash takes 262145 KiB of memory, more than hash_max_memory_kb (262144)'),
    ('$argon2id$v=19$m=1048576,t=3,p=4$c2FsdHNhbHQ$' || repeat('A', 43),
        'the hash takes 1048576 KiB of memory, more than hash_max_memory_kb (262144)'),
    ('$argon2id$v=19$m=262144,t=8,p=1$c2FsdHNhbHQ$' || repeat('A', 43),
        'the hash takes about 2097 ms, more than hash_max_ms (2000)'),
    ('$2b$10$short', 'the hash is cut short or malformed')) AS t (hash, fault);

-- settings' ceiling is refused when a hash is written, and at no other change of the row
SELECT throws_ok(format('UPDATE pgsasl.smtp_users SET password_hash = %L', hash), '23514', message, 'refused: ' || message)
FROM (VALUES ('$2b$16$' || repeat('x', 53), 'the hash takes about 3276 ms, more than hash_max_ms (2000)'),
    ('$argon2id$v=19$m=1048576,t=3,p=4$c2FsdHNhbHQ$' || repeat('A', 43),
        'the hash takes 1048576 KiB of memory, more than hash_max_memory_kb (262144)')) AS t (hash, message);
SELECT throws_ok(format($$INSERT INTO pgsasl.smtp_users (username, password_hash) VALUES ('new', %L)$$,
    '$2b$16$' || repeat('x', 53)), '23514', NULL, 'refused in an INSERT as well');
UPDATE pgsasl.settings SET hash_max_ms = 4000, hash_max_memory_kb = 1048576;
SELECT lives_ok(format('UPDATE pgsasl.smtp_users SET password_hash = %L', hash), 'a higher ceiling: ' || left(hash, 30))
FROM (VALUES ('$argon2id$v=19$m=1048576,t=3,p=4$c2FsdHNhbHQ$' || repeat('A', 43)), ('$2b$16$' || repeat('x', 53))) AS t (hash);
UPDATE pgsasl.settings SET hash_max_ms = 2000, hash_max_memory_kb = 262144;
SELECT results_eq('SELECT username, memory_kb, work_ms FROM pgsasl.costly_hashes',
    $$VALUES ('app' COLLATE "C", 4::bigint, 3276::bigint)$$, 'costly_hashes names who is above a ceiling that was lowered');
SELECT lives_ok('UPDATE pgsasl.smtp_users SET enabled = false', 'and they can be disabled all the same');
UPDATE pgsasl.smtp_users SET enabled = true, password_hash = pgsasl.hash_password('a long password');
SELECT is_empty('SELECT * FROM pgsasl.costly_hashes', 'none is above it');
SELECT throws_ok('UPDATE pgsasl.settings SET ' || setting, '23514', NULL, 'no such ceiling: ' || setting)
FROM unnest(ARRAY['hash_max_ms = 99', 'hash_max_ms = 20001', 'hash_max_memory_kb = 1023', 'hash_max_memory_kb = 1048577'])
    AS setting;
UPDATE pgsasl.settings SET hash_max_ms = 20000, hash_max_memory_kb = 1048576; -- for what follows

-- the CHECK of smtp_users is the plugin's own bounds
CREATE TEMPORARY TABLE accepted (hash text);
\set vectors `sed -n 's/^     "\(.*\)"},$/\1/p' "$HASH_VECTORS"`
INSERT INTO accepted SELECT unnest(string_to_array(:'vectors', E'\n'));
SELECT cmp_ok(count(*), '>=', 60::bigint, 'there are hashes of other programs') FROM accepted;
SELECT lives_ok(format('UPDATE pgsasl.smtp_users SET password_hash = %L', hash), 'accepted: ' || hash) FROM accepted;
SELECT lives_ok(format('UPDATE pgsasl.smtp_users SET password_hash = %L', pgsasl.decoy_of(hash)),
    'its decoy is a hash: ' || hash)
FROM accepted;
SELECT is(pgsasl.decoy_of(hash), decoy, 'scheme, cost and lengths are kept: ' || hash)
FROM (VALUES
    ('$2b$10$' || repeat('x', 53), '$2b$10$' || repeat('.', 53)),
    ('{Blf-Crypt}$2b$10$' || repeat('x', 53), '$2b$10$' || repeat('.', 53)),
    ('$6$rounds=5000$salt$' || repeat('x', 86), '$6$rounds=5000$....$' || repeat('.', 86)),
    ('$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$' || repeat('A', 43),
        '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAA$' || repeat('A', 43)),
    ('SCRAM-SHA-256$4096:c2FsdA==$' || repeat('A', 43) || '=:' || repeat('A', 43) || '=',
        'SCRAM-SHA-256$4096:AAAAAA==$' || repeat('A', 43) || '=:' || repeat('A', 43) || '='),
    ('{SSHA256}' || repeat('x', 48), '{SSHA256}' || repeat('A', 48)),
    ('', NULL), ('*', NULL), ('$6$', NULL), ('secret', NULL), ('{CRYPT.B64}%', NULL), (NULL, NULL)) AS t (hash, decoy);

CREATE TEMPORARY TABLE others (hash text);
\set vectors `sed -n 's/^    {".*", "\(.*\)"},$/\1/p' "$HASH_VECTORS"`
INSERT INTO others SELECT unnest(string_to_array(:'vectors', E'\n'));
SELECT cmp_ok(count(*), '>=', 40::bigint, 'there are hashes to refuse') FROM others;
SELECT throws_ok(format('UPDATE pgsasl.smtp_users SET password_hash = %L', hash), '23514', NULL, 'refused: ' || hash)
FROM others;
SELECT throws_ok(format('UPDATE pgsasl.smtp_users SET password_hash = %L', hash), '23514', NULL, 'refused: ' || what)
FROM (VALUES
    ('', 'empty'), (' ', 'blank'), ('*', 'locked'), ('!', 'locked'), ('*0', 'crypt(3)''s failure'),
    ('secret', 'clear text'), ('correct horse battery staple', 'clear text'), ('{PLAIN}secret', 'Dovecot''s clear text'),
    ('{CLEARTEXT}secret', 'Dovecot''s clear text'), ('{PLAIN.B64}c2VjcmV0', 'clear text in base64'),
    ('abJnggxhB/yWI', 'DES'), ('{DES-CRYPT}abJnggxhB/yWI', 'Dovecot''s DES'), ('{CRYPT}abJnggxhB/yWI', 'DES by CRYPT'),
    ('_J9..rasmBYk8r9AiWNc', 'extended DES'),
    ('$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81', 'MD5-crypt'), ('$apr1$rzx2Tpxz$lT.nTTbnEZI6Vo5NPLG2N.', 'Apache''s MD5'),
    ('{MD5-CRYPT}$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81', 'Dovecot''s MD5-crypt'),
    ('{CRYPT}$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81', 'MD5-crypt by CRYPT'),
    ('5ebe2294ecd0e0f08eab7690d2a6ee69', 'a bare MD5'), ('md55ebe2294ecd0e0f08eab7690d2a6ee69', 'PostgreSQL''s MD5'),
    ('2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b', 'a bare SHA-256'),
    ('{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=', 'Dovecot''s unsalted SHA-256'),
    ('{SSHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=', 'SSHA256 without a salt'),
    ('{SSHA}uhMZiYY2IdiZLpNjOSRsIcuXYRh2/E6X', 'salted SHA-1'),
    ('$2b$10$short', 'bcrypt, cut'), ('$2b$10$' || repeat('x', 52), 'bcrypt, a character short'),
    ('$2b$10$' || repeat('x', 54), 'bcrypt, one too many'), ('$2b$03$' || repeat('x', 53), 'bcrypt, too cheap'),
    ('$2b$31$' || repeat('x', 53), 'bcrypt, for ever'), ('$2x$10$' || repeat('x', 53), 'bcrypt of the broken kind'),
    ('$2b$10$' || repeat('x', 53) || E'\n', 'a newline after'), (' $2b$10$' || repeat('x', 53), 'a blank before'),
    ('!$2b$10$' || repeat('x', 53), 'locked in the way of passwd'),
    ('$6$', 'a prefix alone'), ('$6$salt$', 'no digest'), ('$6$salt$' || repeat('x', 43), 'a digest of the other length'),
    ('$5$salt$' || repeat('x', 86), 'a digest of the other length'),
    ('$6$rounds=1$salt$' || repeat('x', 86), 'too few rounds'), ('$y$j9T$$' || repeat('x', 43), 'yescrypt without a salt'),
    ('$gy$j9T$salt$' || repeat('x', 43), 'gost-yescrypt'),
    ('$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$', 'Argon2 without a digest'),
    ('$argon2x$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$' || repeat('x', 43), 'Argon2 of no kind'),
    ('SCRAM-SHA-256$4096:c2FsdA==$' || repeat('x', 43) || '=', 'SCRAM, half'),
    ('SCRAM-SHA-1$4096:c2FsdA==$' || repeat('x', 27) || '=:' || repeat('y', 27) || '=', 'SCRAM with SHA-1'),
    ('$pbkdf2$1000$c2FsdHNhbHQ$' || repeat('x', 27), 'PBKDF2 with SHA-1'),
    ('$pbkdf2-sha512$1000$c2FsdHNhbHQ$' || repeat('x', 43), 'PBKDF2, the other digest'),
    ('{PBKDF2}$1$' || repeat('s', 97) || '$1000$' || repeat('a', 40), 'a salt of 97 bytes')) AS t (hash, what);

SELECT is(pgsasl.hash_password('a long password') ~ '^\$2a\$10\$', true, 'hash_password makes bcrypt of cost 10');
UPDATE pgsasl.settings SET bcrypt_cost = 11;
SELECT is(pgsasl.hash_password('a long password') ~ '^\$2a\$11\$', true, 'or as settings say');
SELECT throws_ok('UPDATE pgsasl.settings SET bcrypt_cost = ' || cost, '23514', NULL, 'no bcrypt_cost: ' || cost)
FROM (VALUES (9), (17)) AS t (cost);
SELECT throws_ok('INSERT INTO pgsasl.settings VALUES (false)', '23514', NULL, 'settings is one row');

SELECT * FROM finish();
ROLLBACK;
