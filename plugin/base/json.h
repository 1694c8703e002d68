/*
 * json.h: writes one JSON object (RFC 8259) into the caller's memory, in printable ASCII.
 *
 * Bytes that are not ASCII are written as \u escapes, so that the object fits into a log line
 * and into a database of any encoding. Nothing here allocates, blocks or logs.
 */
#ifndef PGSASL_BASE_JSON_H
#define PGSASL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json {
    char *out;
    size_t cap;
    size_t len; /* of the object so far, with the bytes that did not fit into cap */
    bool comma; /* the next member or item needs one before it */
};

/* Starts an object in out, which is borrowed until json_end(). */
void json_begin(struct json *json, char *out, size_t cap);

/*
 * Adds a member whose value is the first max bytes of text, or fewer, so that no character is cut
 * in half. Text that is not UTF-8 is escaped as text_escape() does. NULL and "" add nothing: an
 * absent member means unknown.
 */
void json_text(struct json *json, const char *name, const char *text, size_t max);

/* Adds a member whose value is a number. */
void json_number(struct json *json, const char *name, unsigned long number);

/* Adds a member whose value is a list of texts, item by item. */
void json_list(struct json *json, const char *name);
void json_list_item(struct json *json, const char *text);
void json_list_end(struct json *json);

/* Ends the object and adds a NUL. Returns its length, 0 when cap is too small for both. */
size_t json_end(struct json *json);

/*
 * Copies an object that this module wrote and adds a backslash to each \u escape: the database then
 * stores the escape itself, in ASCII, which every encoding has. Returns the length, 0 when cap is
 * too small.
 */
size_t json_spell_out(const char *object, char *out, size_t cap);

#endif
