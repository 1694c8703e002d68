/*
 * password.c: one hash for a right password; for any other the same number whoever it is.
 *
 * Every slot of retired hashes is worked through, with a decoy where a slot is empty, and none is
 * left out after a find: what a failure costs depends on the password and the table's settings,
 * never on the user. Only a real hash of a live user makes a result better than PASSWORD_WRONG.
 */
#include "auth/password.h"

#include "auth/cache.h"
#include "hash/hash.h"
#include "auth/store.h"
#include "base/text.h"

/* What stored is worked against when it can't be matched. */
static const char *work_for(const struct password_question *question, const char *stored)
{
    return question->live && hash_usable(stored) ? stored : question->decoy;
}

/* Notes what was verified and lets in. */
static enum password_result keep(
    const struct password_question *question, const char *stored, enum password_result result)
{
    cache_store(question->cache, question->cache_user, stored, question->password, question->len);
    return result;
}

static bool is_cached(const struct password_question *question, const char *stored)
{
    return hash_usable(stored) && cache_verified(question->cache, question->cache_user, stored,
                                      question->password, question->len);
}

/* What the cache knows to fit, before anything is hashed: also for who still has the old password.
 */
static enum password_result check_cache(
    const struct password_question *question, const struct retired **retired_r)
{
    const struct user *user = question->user;

    if (question->cache == NULL || !question->live || !hash_usable(user->password_hash))
        return PASSWORD_WRONG;
    if (is_cached(question, user->password_hash))
        return PASSWORD_RIGHT;
    for (size_t i = 0; i < user->retired_count; i++)
        if (user->retired[i].accepted && is_cached(question, user->retired[i].hash)) {
            *retired_r = &user->retired[i];
            return PASSWORD_RIGHT_RETIRED;
        }
    return PASSWORD_WRONG;
}

static enum password_result check_current(const struct password_question *question)
{
    const char *stored = question->user->password_hash;
    const char *work = work_for(question, stored);
    enum hash_result result = hash_verify(work, question->password, question->len);

    if (!question->live)
        return PASSWORD_WRONG;
    if (work != stored)
        return PASSWORD_UNUSABLE;
    if (result == HASH_MATCH)
        return keep(question, stored, PASSWORD_RIGHT);
    return result == HASH_MISMATCH ? PASSWORD_WRONG : PASSWORD_ERROR;
}

/* One retired hash, or the work of one. */
static enum password_result check_slot(
    const struct password_question *question, const struct retired *retired)
{
    const char *work = work_for(question, retired->hash);
    enum hash_result result = hash_verify(work, question->password, question->len);

    if (!question->live || work != retired->hash)
        return PASSWORD_WRONG;
    if (result == HASH_MATCH)
        return retired->accepted ? keep(question, retired->hash, PASSWORD_RIGHT_RETIRED)
                                 : PASSWORD_STALE;
    return retired->accepted && result == HASH_ERROR ? PASSWORD_ERROR : PASSWORD_WRONG;
}

/* The best that any slot says. Without diagnosis only those that can let somebody in are asked. */
static enum password_result check_retired(
    const struct password_question *question, const struct retired **retired_r)
{
    enum password_result best = PASSWORD_WRONG;

    for (size_t i = 0; i < question->user->retired_count; i++) {
        const struct retired *retired = &question->user->retired[i];
        enum password_result result = PASSWORD_WRONG;

        if (question->diagnose || retired->accepted)
            result = check_slot(question, retired);
        if (result == PASSWORD_RIGHT_RETIRED) {
            *retired_r = retired;
            return result;
        }
        if (result == PASSWORD_STALE && best == PASSWORD_WRONG) {
            *retired_r = retired;
            best = result;
        }
        if (result == PASSWORD_ERROR)
            best = result;
    }
    return best;
}

static enum password_result check_trimmed(const struct password_question *question)
{
    const char *stored = question->user->password_hash;
    const char *work = work_for(question, stored);
    const char *password = question->password;
    size_t len = question->len;

    if (!question->diagnose || !text_is_utf8(password, len) || !text_trim(&password, &len))
        return PASSWORD_WRONG;
    return hash_verify(work, password, len) == HASH_MATCH && question->live && work == stored
               ? PASSWORD_WHITESPACE
               : PASSWORD_WRONG;
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
    if (current == PASSWORD_RIGHT)
        return current;
    retired = check_retired(question, retired_r);
    if (retired == PASSWORD_RIGHT_RETIRED)
        return current == PASSWORD_UNUSABLE ? current : retired;
    trimmed = check_trimmed(question);
    if (current != PASSWORD_WRONG)
        return current;
    return retired != PASSWORD_WRONG ? retired : trimmed;
}
