/*
 * argon2.c: Argon2id, Argon2i and Argon2d (RFC 9106) in the encoded form of the reference
 * implementation.
 *
 * Uses libargon2's argon2_ctx(), never its argon2_verify(): that one starts a thread for each lane
 * that the stored hash names, and the host's process is not ours to start threads in. All lanes are
 * filled by the calling thread, with the same digest. The optional keyid and data fields are
 * refused. Fails with HASH_ERROR when there is no memory.
 */
#include "hash/scheme.h"

#include <argon2.h>
#include <string.h>

#include "hash/scan.h"
#include "base/secret.h"

enum {
    ARGON2_M_KIB_MAX = 1 << 20,
    ARGON2_DIGEST_MIN = 16, /* libargon2 would take 4 octets, which is guessed too soon */
    ARGON2_DIGEST_MAX = 64,
    ARGON2_SALT_MAX = 64
};

_Static_assert(
    (uint64_t)ARGON2_M_KIB_MAX * 1024 == HASH_MEMORY_MAX, "the bound in KiB is that in octets");

struct fields {
    argon2_type type;
    uint32_t version, m_kib, passes, lanes;
    size_t params_len; /* octets before the salt */
    uint8_t salt_data[ARGON2_SALT_MAX], digest_data[ARGON2_DIGEST_MAX];
    struct scan_bytes salt, digest;
};

static bool scan_type(const char **at_io, argon2_type *type_r)
{
    static const struct {
        const char *prefix;
        argon2_type type;
    } types[] = {{"$argon2id$", Argon2_id}, {"$argon2i$", Argon2_i}, {"$argon2d$", Argon2_d}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (scan_text(at_io, types[i].prefix)) {
            *type_r = types[i].type;
            return true;
        }
    }
    return false;
}

/* Hashes of version 1.0 were written without a version. */
static bool scan_version(const char **at_io, uint32_t *version_r)
{
    *version_r = ARGON2_VERSION_10;
    if (!scan_text(at_io, "v="))
        return true;
    return scan_number(at_io, 1, UINT32_MAX, version_r) && scan_text(at_io, "$") &&
           (*version_r == ARGON2_VERSION_10 || *version_r == ARGON2_VERSION_13);
}

static bool scan_costs(const char **at_io, struct fields *fields_io)
{
    struct fields *f = fields_io;

    return scan_text(at_io, "m=") &&
           scan_number(at_io, ARGON2_MIN_MEMORY, ARGON2_M_KIB_MAX, &f->m_kib) &&
           scan_text(at_io, ",t=") && scan_number(at_io, ARGON2_MIN_TIME, UINT32_MAX, &f->passes) &&
           scan_text(at_io, ",p=") &&
           scan_number(at_io, ARGON2_MIN_LANES, ARGON2_MAX_LANES, &f->lanes) &&
           scan_text(at_io, "$") && f->m_kib / f->lanes >= 2 * ARGON2_SYNC_POINTS &&
           f->passes <= HASH_TRAFFIC_MAX / 1024 / f->m_kib;
}

static bool parse(const char *stored, struct fields *fields_r)
{
    struct fields *f = fields_r;
    const char *at = stored;

    *f = (struct fields){0};
    f->salt = (struct scan_bytes){f->salt_data, sizeof(f->salt_data), 0};
    f->digest = (struct scan_bytes){f->digest_data, sizeof(f->digest_data), 0};
    if (!scan_type(&at, &f->type) || !scan_version(&at, &f->version) || !scan_costs(&at, f))
        return false;
    f->params_len = (size_t)(at - stored);
    return scan_bytes(&at, SCAN_BASE64_BARE, '$', &f->salt) &&
           f->salt.len >= ARGON2_MIN_SALT_LENGTH &&
           scan_bytes(&at, SCAN_BASE64_BARE, '\0', &f->digest) &&
           f->digest.len >= ARGON2_DIGEST_MIN;
}

size_t hash_argon2_check(const char *stored)
{
    struct fields fields;
    size_t params_len = parse(stored, &fields) ? fields.params_len : 0;

    secret_wipe(&fields, sizeof(fields));
    return params_len;
}

enum hash_result hash_argon2_verify(const char *stored, const char *password, size_t password_len)
{
    struct fields fields;
    uint8_t made[ARGON2_DIGEST_MAX];
    enum hash_result result = HASH_UNUSABLE;
    argon2_context context = {0};

    if (!parse(stored, &fields) || password_len > ARGON2_MAX_PWD_LENGTH)
        goto out;
    context.out = made;
    context.outlen = (uint32_t)fields.digest.len;
    /* The interface has no const; without ARGON2_FLAG_CLEAR_PASSWORD the password is only read. */
    context.pwd = (uint8_t *)(uintptr_t)password;
    context.pwdlen = (uint32_t)password_len;
    context.salt = fields.salt.data;
    context.saltlen = (uint32_t)fields.salt.len;
    context.t_cost = fields.passes;
    context.m_cost = fields.m_kib;
    context.lanes = fields.lanes;
    context.threads = 1;
    context.version = fields.version;
    context.flags = ARGON2_DEFAULT_FLAGS;
    result = HASH_ERROR;
    if (argon2_ctx(&context, fields.type) == ARGON2_OK)
        result =
            secret_equal(made, fields.digest.data, fields.digest.len) ? HASH_MATCH : HASH_MISMATCH;
out:
    secret_wipe(made, sizeof(made));
    secret_wipe(&fields, sizeof(fields));
    return result;
}
