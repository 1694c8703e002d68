/*
 * scram_attempt.c: the challenge and the proof of SCRAM-SHA-256.
 *
 * A name without a verifier gets a challenge that is made from the name and a key, and its proof is
 * checked against keys that nobody has. So neither the answer nor its time reveals which users
 * exist. run.c looks up, decides and records.
 */
#include "auth/scram_attempt.h"

#include <string.h>

#include "auth/backend.h"
#include "base/mac.h"
#include "base/secret.h"

/* As in PostgreSQL's verifiers. */
enum { DECOY_SALT_BYTES = 16, DECOY_ITERATIONS = 4096 };

/* ---- the challenge ---- */

static bool hmac(
    const void *key, size_t key_len, const struct credentials *name, uint8_t out_r[MAC_BYTES])
{
    struct mac *mac = mac_new(key, key_len);

    if (mac == NULL || !mac_add(mac, name->authcid, name->authcid_len)) {
        mac_free(mac);
        return false;
    }
    return mac_finish(mac, out_r);
}

/* Without a key in the row, one is derived from the connection string, which all relays share. */
static bool make_decoy_salt(const struct auth_run *run, uint8_t salt_r[MAC_BYTES])
{
    const struct credentials *name = run->attempt->credentials;
    const char *text = run->user.decoy_key;
    uint8_t key[SCRAM_KEY_BYTES];
    bool made;

    if (text != NULL)
        return hmac(text, strlen(text), name, salt_r);
    text = run->backend->options.conninfo;
    made = text != NULL && scram_stretch(text, key) && hmac(key, sizeof key, name, salt_r);
    secret_wipe(key, sizeof key);
    return made;
}

static bool make_challenge(struct scram_attempt *scram)
{
    const struct user *user = &scram->run.user;
    uint8_t decoy[MAC_BYTES];
    bool made;

    mac_mark();
    made = make_decoy_salt(&scram->run, decoy); /* for every name, so that the time is equal */
    mac_forget_errors();
    memcpy(scram->salt, decoy, DECOY_SALT_BYTES);
    scram->salt_len = DECOY_SALT_BYTES;
    scram->iterations = user->scram_iterations != 0 ? user->scram_iterations : DECOY_ITERATIONS;
    if (scram->run.live && scram_is_verifier(&user->hash)) {
        memcpy(scram->salt, user->hash.salt, user->hash.salt_len);
        scram->salt_len = user->hash.salt_len;
        scram->iterations = (unsigned)user->hash.numbers.rounds;
    }
    return made;
}

bool scram_begin(
    struct scram_attempt *scram, struct backend *backend, const struct attempt *attempt)
{
    struct auth_run *run = &scram->run;

    run_begin(run, backend, attempt);
    run_look_up(run);
    if (!run->known || run->user.throttled)
        return false;
    if (make_challenge(scram))
        return true;
    run_fail(run, REASON_BACKEND_UNAVAILABLE, "the SCRAM challenge could not be computed");
    return false;
}

/* ---- the proof ---- */

/* A client's proof, and the signature that it gets back for a right one. */
struct proof {
    const char *message;
    size_t len;
    const uint8_t *bytes;
    uint8_t *signature; /* set by the verifier that accepts the proof */
};

/* Checks the proof; accepted: a match lets the client in. */
static enum hash_result check(const struct proof *proof, const struct hash *verifier, bool accepted)
{
    uint8_t signature[SCRAM_KEY_BYTES];
    enum hash_result result =
        scram_check_proof(verifier, proof->message, proof->len, proof->bytes, signature);

    if (result == HASH_MATCH && accepted)
        memcpy(proof->signature, signature, sizeof signature);
    secret_wipe(signature, sizeof signature);
    return result;
}

/* True: the proof was checked against the user's current hash. False: why not is a failed check. */
static bool check_current(struct auth_run *run, const struct proof *proof)
{
    const struct hash *hash = &run->user.hash;
    const bool verifier = run->live && scram_is_verifier(hash);
    enum hash_result result = check(proof, verifier ? hash : NULL, true);

    run->verified = result == HASH_MATCH;
    if (verifier && result != HASH_ERROR)
        return true;
    if (!run->live)
        return false;
    if (verifier)
        run_fail(run, REASON_BACKEND_UNAVAILABLE, "the proof could not be checked");
    else if (hash_is_usable(hash))
        run_fail(run, REASON_NO_SCRAM_VERIFIER, NULL);
    else
        run_fail(run, REASON_UNUSABLE_HASH, run->user.hash_fault);
    return false;
}

/* The retired verifier if it has the same challenge as the current one, else NULL. */
static const struct hash *retired_verifier(const struct auth_run *run, struct retired *retired)
{
    if (!run->live)
        return NULL;
    if (!retired->parsed)
        (void)hash_parse(retired->stored, &retired->hash);
    retired->parsed = true;
    return scram_same_challenge(&run->user.hash, &retired->hash) ? &retired->hash : NULL;
}

/*
 * Every slot is checked, so that the work does not reveal who has a retired verifier. Returns the
 * first one that matches and is no longer accepted.
 */
static const struct retired *check_retired(struct auth_run *run, const struct proof *proof)
{
    const struct retired *stale = NULL;

    for (size_t i = 0; i < run->user.retired_count; i++) {
        struct retired *retired = &run->user.retired[i];
        const struct hash *verifier = retired_verifier(run, retired);
        const bool accepted = retired->accepted && !run->verified;

        if (check(proof, verifier, accepted) != HASH_MATCH)
            continue;
        if (accepted) {
            run->verified = true;
            run->retired = retired;
        } else if (!retired->accepted && stale == NULL) {
            stale = retired;
        }
    }
    return stale;
}

bool scram_prove(struct scram_attempt *scram, const char *message, size_t len,
    const uint8_t proof[SCRAM_KEY_BYTES], uint8_t signature_r[SCRAM_KEY_BYTES])
{
    const struct proof given = {message, len, proof, signature_r};
    struct auth_run *run = &scram->run;
    const bool checked = check_current(run, &given);
    const struct retired *stale = check_retired(run, &given);

    if (checked && !run->verified && stale != NULL && run->backend->options.diagnose)
        run_fail_stale(run, stale);
    else if (checked && !run->verified)
        run_fail(run, REASON_WRONG_PASSWORD, NULL);
    run_check_canon(run);
    return run->failed == 0 && run->verified;
}

/* ---- the end ---- */

enum reason scram_finish(struct scram_attempt *scram)
{
    enum reason reason = run_finish(&scram->run);

    secret_wipe(scram, sizeof *scram);
    return reason;
}

enum reason scram_refuse(struct scram_attempt *scram, enum reason reason, const char *detail)
{
    run_fail(&scram->run, reason, detail);
    return scram_finish(scram);
}
