/*
 * row.c: the one place that names the keys of the rows that the plugin writes.
 *
 * An attempt's id and time are set before it is written anywhere, so a row that is written twice
 * counts once.
 */
#include "auth/row.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/secret.h"

/* Longer values are cut to so many bytes. */
enum { USER_ID_MAX = 64, MECHANISM_MAX = 32, SERVICE_MAX = 64, HOST_MAX = 255, TIME_MAX = 40 };

bool row_set_id(struct failure *failure)
{
    const struct timespec *at = &failure->occurred_at;
    uint64_t ms = (uint64_t)at->tv_sec * 1000 + (uint64_t)at->tv_nsec / 1000000;
    unsigned char id[16];

    if (!secret_random(id, sizeof id))
        return false;
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0f));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3f));
    snprintf(failure->attempt_id, sizeof failure->attempt_id,
        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1], id[2],
        id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14],
        id[15]);
    return true;
}

/* "2026-01-31T12:00:00.123456Z" (RFC 3339), which PostgreSQL reads alike with every DateStyle. */
static void add_time(struct json *json, const struct timespec *at)
{
    char text[TIME_MAX];
    struct tm utc = {0};
    size_t len;

    gmtime_r(&at->tv_sec, &utc);
    len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof text - len, ".%06ldZ", at->tv_nsec / 1000);
    json_text(json, "occurred_at", text, sizeof text);
}

static void add_attempt(struct json *json, const struct attempt *attempt)
{
    json_text(json, "mechanism", attempt->mechanism, MECHANISM_MAX);
    json_text(json, "client_addr", attempt->client.text, sizeof attempt->client.text);
    if (attempt->client.port != 0)
        json_number(json, "client_port", attempt->client.port);
    json_text(json, "server_addr", attempt->server.text, sizeof attempt->server.text);
    json_text(json, "service", attempt->service, SERVICE_MAX);
    json_text(json, "server_host", attempt->server_host, HOST_MAX);
}

static void add_checks(struct json *json, reason_set failed)
{
    json_list(json, "failed_checks");
    for (enum reason reason = verdict_next(failed, REASON_ACCEPTED); reason != REASON_ACCEPTED;
        reason = verdict_next(failed, reason))
        json_list_item(json, reason_name(reason));
    json_list_end(json);
}

static void add_waiting(struct json *json, size_t bytes)
{
    if (bytes > 0)
        json_number(json, "spool_waiting", bytes);
}

size_t row_of_failure(const struct failure *failure, char *out, size_t cap)
{
    struct json json;

    json_begin(&json, out, cap);
    json_text(&json, "attempt_id", failure->attempt_id, ROW_ID_MAX);
    add_time(&json, &failure->occurred_at);
    json_text(&json, "username", failure->attempt->credentials->display_name, DISPLAY_NAME_MAX);
    json_text(&json, "user_id", failure->user_id, USER_ID_MAX);
    json_text(&json, "reason", reason_name(failure->reason), SIZE_MAX - 1);
    add_checks(&json, failure->failed);
    add_attempt(&json, failure->attempt);
    json_text(&json, "detail", failure->detail, ROW_DETAIL_MAX);
    add_waiting(&json, failure->spool_waiting);
    return json_end(&json);
}

size_t row_of_login(const struct login *login, char *out, size_t cap)
{
    struct json json;

    json_begin(&json, out, cap);
    add_time(&json, &login->occurred_at);
    json_text(&json, "user_id", login->user_id, USER_ID_MAX);
    json_text(&json, "retired_id", login->retired_id, USER_ID_MAX);
    add_attempt(&json, login->attempt);
    add_waiting(&json, login->spool_waiting);
    return json_end(&json);
}
