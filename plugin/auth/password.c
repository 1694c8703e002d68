/*
 * password.c: a login costs one hash; an attempt that is not accepted costs the same hashes for
 * every fault, and for a name that does not exist those of the user whose decoys it was given.
 *
 * Every slot of retired hashes is hashed, with a decoy where a slot is empty, and none is skipped
 * after a match. Only a real hash of a live user makes a result better than PASSWORD_WRONG.
 */
#include "auth/password.h"

#include "auth/cache.h"
#include "hash/hash.h"
#include "auth/user.h"
#include "base/text.h"

/* The hash to spend the time on: a decoy where hash cannot match. */
static const struct hash *work_for(
    const struct password_question *question, const struct hash *hash)
{
    return hash_is_usable(hash) ? hash : question->decoy;
}

/* Parses a retired hash the first time it is needed, which in most attempts is never. */
static const struct hash *retired_hash(
    const struct password_question *question, struct retired *retired)
{
    if (!retired->parsed && hash_parse(retired->stored, &retired->hash) &&
        hash_excess(&retired->hash, question->ceiling) != NULL)
        hash_wipe(&retired->hash);
    retired->parsed = true;
    return &retired->hash;
}

/* Caches a successful verification. */
static enum password_result keep(
    const struct password_question *question, const struct hash *hash, enum password_result result)
{
    cache_store(
        question->cache, question->cache_user, hash->text, question->password, question->len);
    return result;
}

static bool is_cached(const struct password_question *question, const struct hash *hash)
{
    return hash_is_usable(hash) && cache_verified(question->cache, question->cache_user, hash->text,
                                       question->password, question->len);
}

/* Asks the cache before anything is hashed, also for a user who still has the old password. */
static enum password_result check_cache(
    const struct password_question *question, const struct retired **retired_r)
{
    struct user *user = question->user;

    if (question->cache == NULL || !question->live || !hash_is_usable(&user->hash))
        return PASSWORD_WRONG;
    if (is_cached(question, &user->hash))
        return PASSWORD_RIGHT;
    for (size_t i = 0; i < user->retired_count; i++)
        if (user->retired[i].accepted &&
            is_cached(question, retired_hash(question, &user->retired[i]))) {
            *retired_r = &user->retired[i];
            return PASSWORD_RIGHT_RETIRED;
        }
    return PASSWORD_WRONG;
}

static enum password_result check_current(const struct password_question *question)
{
    const struct hash *hash = &question->user->hash;
    const struct hash *work = work_for(question, hash);
    enum hash_result result = hash_verify(work, question->password, question->len);

    if (!question->live)
        return PASSWORD_WRONG;
    if (work != hash)
        return PASSWORD_UNUSABLE;
    if (result == HASH_MATCH)
        return keep(question, hash, PASSWORD_RIGHT);
    return result == HASH_MISMATCH ? PASSWORD_WRONG : PASSWORD_ERROR;
}

/* One retired hash, or a decoy for it. */
static enum password_result check_slot(
    const struct password_question *question, struct retired *retired)
{
    const struct hash *work = work_for(question, retired_hash(question, retired));
    enum hash_result result = hash_verify(work, question->password, question->len);

    if (!question->live || work != &retired->hash)
        return PASSWORD_WRONG;
    if (result == HASH_MATCH)
        return retired->accepted ? keep(question, work, PASSWORD_RIGHT_RETIRED) : PASSWORD_STALE;
    return retired->accepted && result == HASH_ERROR ? PASSWORD_ERROR : PASSWORD_WRONG;
}

/*
 * The best result of any slot. All are hashed until one lets the client in: a rejected attempt costs
 * the same whatever matches. Without diagnosis a stale password is a wrong one.
 */
static enum password_result check_retired(const struct password_question *question,
    enum password_result current, const struct retired **retired_r)
{
    const bool may_enter = question->acceptable && current != PASSWORD_UNUSABLE;
    enum password_result best = PASSWORD_WRONG;

    for (size_t i = 0; i < question->user->retired_count; i++) {
        struct retired *retired = &question->user->retired[i];
        enum password_result result = check_slot(question, retired);

        if (result == PASSWORD_STALE && !question->diagnose)
            result = PASSWORD_WRONG;
        if (result == PASSWORD_RIGHT_RETIRED && best != PASSWORD_RIGHT_RETIRED) {
            *retired_r = retired;
            best = result;
        } else if (result == PASSWORD_STALE && best == PASSWORD_WRONG) {
            *retired_r = retired;
            best = result;
        } else if (result == PASSWORD_ERROR && best != PASSWORD_RIGHT_RETIRED) {
            best = result;
        }
        if (best == PASSWORD_RIGHT_RETIRED && may_enter)
            break;
    }
    return best;
}

static enum password_result check_trimmed(const struct password_question *question)
{
    const struct hash *hash = &question->user->hash;
    const struct hash *work = work_for(question, hash);
    const char *password = question->password;
    size_t len = question->len;

    if (!question->diagnose || !text_is_utf8(password, len) || !text_trim(&password, &len))
        return PASSWORD_WRONG;
    if (hash_verify(work, password, len) != HASH_MATCH || work != hash || !question->live)
        return PASSWORD_WRONG;
    return PASSWORD_WHITESPACE;
}

enum password_result password_check(
    const struct password_question *question, const struct retired **retired_r)
{
    enum password_result current, retired, trimmed;

    *retired_r = NULL;
    current = check_cache(question, retired_r);
    if (current != PASSWORD_WRONG)
        return current;
    current = check_current(question);
    if (current == PASSWORD_RIGHT && question->acceptable)
        return current;
    retired = check_retired(question, current, retired_r);
    if (retired == PASSWORD_RIGHT_RETIRED && current == PASSWORD_WRONG && question->acceptable)
        return retired;
    trimmed = check_trimmed(question);
    if (current == PASSWORD_RIGHT)
        *retired_r = NULL;
    if (current != PASSWORD_WRONG)
        return current;
    return retired != PASSWORD_WRONG ? retired : trimmed;
}
