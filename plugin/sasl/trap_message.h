/*
 * trap_message.h: the user name in a message of a mechanism that we do not offer.
 *
 * Nothing else of such a message is of interest, and nothing of it may be shown that could be a
 * password or a token: each function finds a name only where the message is of its form. Length
 * before bytes; nothing is allocated or logged.
 */
#ifndef PGSASL_SASL_TRAP_MESSAGE_H
#define PGSASL_SASL_TRAP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TRAP_MESSAGE_MAX = 12288, /* bytes of a message that is looked at; Postfix takes as many */
    TRAP_NAME_MAX = 255
};

/*
 * Finds the user name of a message and writes it to name_r without a NUL, its length to *len_r.
 * False: none can be seen.
 */
typedef bool trap_find_name(
    const char *message, size_t len, char name_r[TRAP_NAME_MAX], size_t *len_r);

trap_find_name trap_name_of_cram_md5;    /* RFC 2195: name, blank, 32 hex digits */
trap_find_name trap_name_of_digest_md5;  /* RFC 2831: username="..." */
trap_find_name trap_name_of_ntlm;        /* [MS-NLMP] 2.2.1.3, AUTHENTICATE_MESSAGE */
trap_find_name trap_name_of_xoauth2;     /* Google's: user=..., ^A */
trap_find_name trap_name_of_oauthbearer; /* RFC 7628: n,a=...,^A */
trap_find_name trap_name_of_scram;       /* RFC 5802: n,,n=... */

#endif
