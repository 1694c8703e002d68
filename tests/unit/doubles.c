/*
 * doubles.c: a look-up and an audit in memory.
 */
#include "doubles.h"

#include <stdio.h>
#include <string.h>

#include "auth/audit.h"

struct double_lookup double_lookup;
struct double_audit double_audit;

void doubles_reset(void)
{
    memset(&double_lookup, 0, sizeof double_lookup);
    memset(&double_audit, 0, sizeof double_audit);
    double_lookup.result = LOOKUP_DONE;
}

void doubles_find_user(const char *stored)
{
    static char id[] = "7";

    double_lookup.row = (struct user){
        .found = true, .enabled = true, .client_allowed = true, .user_id = id, .login_due = true};
    snprintf(double_lookup.row.hash.text, HASH_MAX, "%s", stored);
}

struct backend *double_backend(void)
{
    static char conninfo[] = "host=db.example password=x";
    static struct backend backend;

    memset(&backend, 0, sizeof backend);
    backend.options.timeout_ms = 1000;
    backend.options.diagnose = true;
    backend.options.conninfo = conninfo;
    backend.ceiling = (struct hash_cost){.memory_kib = 262144, .work_ms = 2000};
    backend.lookup = (struct lookup *)&backend; /* never looked into: lookup_user() is a double */
    return &backend;
}

enum lookup_result lookup_user(struct lookup *lookup, const char *username,
    const struct address *client, struct deadline deadline, struct user *user_r,
    char why_r[LOOKUP_WHY_MAX])
{
    (void)lookup;
    (void)username;
    (void)client;
    (void)deadline;
    double_lookup.calls++;
    *user_r = double_lookup.row;
    if (!double_lookup.as_is) {
        hash_parse(
            double_lookup.row.hash_fault == NULL ? double_lookup.row.hash.text : "", &user_r->hash);
        hash_decoy(&user_r->hash, &user_r->decoy);
    }
    why_r[0] = '\0';
    return double_lookup.result;
}

void user_free(struct user *user)
{
    memset(user, 0, sizeof *user);
}

static void put(char *to, size_t cap, const char *text)
{
    snprintf(to, cap, "%s", text == NULL ? "" : text);
}

enum audit_result audit_record(struct audit *audit, const struct failure *failure,
    bool lookup_failed, struct deadline deadline)
{
    const struct attempt *attempt = failure->attempt;

    (void)audit;
    (void)lookup_failed;
    (void)deadline;
    double_audit.failure = *failure;
    double_audit.client = attempt->client;
    put(double_audit.detail, sizeof double_audit.detail, failure->detail);
    put(double_audit.username, sizeof double_audit.username, attempt->credentials->display_name);
    put(double_audit.mechanism, sizeof double_audit.mechanism, attempt->mechanism);
    put(double_audit.service, sizeof double_audit.service, attempt->service);
    put(double_audit.server_host, sizeof double_audit.server_host, attempt->server_host);
    put(double_audit.user_id, sizeof double_audit.user_id, failure->user_id);
    double_audit.failures++;
    return AUDIT_STORED;
}

bool audit_wants_login(const struct audit *audit)
{
    (void)audit;
    return false;
}

void audit_login(struct audit *audit, const struct login *login, struct deadline deadline)
{
    (void)audit;
    (void)deadline;
    put(double_audit.login_retired_id, sizeof double_audit.login_retired_id, login->retired_id);
    double_audit.logins++;
}

void audit_drain(struct audit *audit, struct deadline deadline)
{
    (void)audit;
    (void)deadline;
    double_audit.drains++;
}
