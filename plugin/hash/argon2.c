/*
 * argon2.c: Argon2id, Argon2i and Argon2d (RFC 9106).
 *
 * Uses libargon2's argon2_ctx(), never its argon2_verify(): that one starts a thread for each lane
 * that the stored hash names, and the host's process is not ours to start threads in. All lanes are
 * filled by the calling thread, with the same digest. Fails when there is no memory.
 */
#include "hash/scheme.h"

#include <argon2.h>

static enum derive_result derive(const struct hash *hash, argon2_type type, const char *password,
    size_t password_len, uint8_t *digest_r)
{
    argon2_context context = {
        .out = digest_r,
        .outlen = (uint32_t)hash->digest_len,
        /* The interface has no const; without ARGON2_FLAG_CLEAR_PASSWORD these are only read. */
        .pwd = (uint8_t *)(uintptr_t)password,
        .pwdlen = (uint32_t)password_len,
        .salt = (uint8_t *)(uintptr_t)hash->salt,
        .saltlen = (uint32_t)hash->salt_len,
        .t_cost = (uint32_t)hash->numbers.t,
        .m_cost = (uint32_t)hash->numbers.m,
        .lanes = (uint32_t)hash->numbers.p,
        .threads = 1,
        .version = hash->numbers.version == 0 ? ARGON2_VERSION_10 : (uint32_t)hash->numbers.version,
        .flags = ARGON2_DEFAULT_FLAGS,
    };

    return argon2_ctx(&context, type) == ARGON2_OK ? DERIVE_DONE : DERIVE_FAILED;
}

enum derive_result derive_argon2id(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    return derive(hash, Argon2_id, password, password_len, digest_r);
}

enum derive_result derive_argon2i(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    return derive(hash, Argon2_i, password, password_len, digest_r);
}

enum derive_result derive_argon2d(
    const struct hash *hash, const char *password, size_t password_len, uint8_t *digest_r)
{
    return derive(hash, Argon2_d, password, password_len, digest_r);
}
