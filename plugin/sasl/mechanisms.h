/*
 * mechanisms.h: the table of the server mechanisms that entry.c registers.
 *
 * A mechanism is a row here, a file with its plug, an item of pgsasl.5 and a test.
 */
#ifndef PGSASL_SASL_MECHANISMS_H
#define PGSASL_SASL_MECHANISMS_H

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/*
 * security_flags that sort our mechanisms ahead of the stock ones of the same name, whatever the
 * load order: those of stock PLAIN and LOGIN have no hash strength, that of SCRAM-SHA-256 has 256.
 * Nothing else in libsasl minds these bits.
 */
#define PASSWORD_MECHANISM_FLAGS \
    (SASL_SEC_NOANONYMOUS | SASL_SEC_PASS_CREDENTIALS | SASL_SET_HASH_STRENGTH_BITS(256))
#define SCRAM_MECHANISM_FLAGS                                                                 \
    (SASL_SEC_NOPLAINTEXT | SASL_SEC_NOACTIVE | SASL_SEC_NOANONYMOUS | SASL_SEC_MUTUAL_AUTH | \
        SASL_SET_HASH_STRENGTH_BITS(512))

/* One line a mechanism: the name of its plug. */
#define MECHANISMS(X) \
    X(mech_plain)     \
    X(mech_login)     \
    X(mech_scram)

/* Their glob_context, which entry.c fills in, is the backend. */
#define MECHANISM_DECLARED(plug) extern const sasl_server_plug_t plug;
MECHANISMS(MECHANISM_DECLARED)
#undef MECHANISM_DECLARED

#endif
