/*
 * credentials.h: user name and password of a client, as the mechanism read them.
 */
#ifndef PGSASL_AUTH_CREDENTIALS_H
#define PGSASL_AUTH_CREDENTIALS_H

#include <stddef.h>

enum {
    AUTHCID_MAX = 255,       /* bytes of a user name; RFC 4616 asks a server to accept as many */
    PASSWORD_MAX = 1024,     /* bytes */
    DISPLAY_NAME_MAX = 1100, /* bytes of display_name: a name fits with every byte escaped */
};

/*
 * Contains a clear-text password: a function that declares one calls credentials_wipe() on every
 * exit. All strings are NUL-terminated. When a parser reports a fault, authzid, authcid and
 * password are empty; display_name is what could be read of the name.
 */
struct credentials {
    char authzid[AUTHCID_MAX + 1];
    size_t authzid_len;
    char authcid[AUTHCID_MAX + 1];
    size_t authcid_len;
    char password[PASSWORD_MAX + 1];
    size_t password_len;
    /*
     * The user name for the audit row: as sent when it is UTF-8 of at most AUTHCID_MAX bytes,
     * escaped and cut otherwise (text_escape); never bytes that may be a password.
     */
    char display_name[DISPLAY_NAME_MAX];
    const char *fault; /* what the parser last returned, a constant; NULL: no fault */
};

/* Wipes all of *credentials by its capacity. NULL is tolerated. */
void credentials_wipe(struct credentials *credentials);

#endif
