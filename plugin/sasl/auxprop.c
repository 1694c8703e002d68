/*
 * auxprop.c: answers a host's look-up of *authPassword with the user's SCRAM verifier, and nothing
 * else.
 *
 * Never gives out userPassword. A user who may not log in is refused here, and recorded, as in our
 * own mechanisms; what stock libscram then finds wrong with a proof stays between it and the host.
 */
#include "sasl/auxprop.h"

#include <string.h>

#include "sasl/mech.h"
#include "sasl/host_log.h"
#include "sasl/saslcode.h"
#include "base/secret.h"

static const char property[] = "*authPassword";

/* True where the host asks for the property and has no value for it yet, or wants it anew. */
static bool is_wanted(const sasl_server_params_t *sparams, unsigned flags)
{
    const struct propval *value = sparams->utils->prop_get(sparams->propctx);

    for (; value != NULL && value->name != NULL; value++)
        if (strcmp(value->name, property) == 0)
            return value->values == NULL || (flags & SASL_AUXPROP_OVERRIDE) != 0;
    return false;
}

static const char *mechanism_of(const sasl_server_params_t *sparams)
{
    const void *name = NULL;

    if (sparams->utils->getprop(sparams->utils->conn, SASL_MECHNAME, &name) != SASL_OK ||
        name == NULL)
        return "auxprop";
    return name;
}

static int serve(
    struct backend *backend, sasl_server_params_t *sparams, const char *user, unsigned user_len)
{
    struct attempt attempt = mech_attempt(sparams, mechanism_of(sparams));
    struct credentials credentials;
    char verifier[AUTH_VERIFIER_MAX];
    enum reason reason;
    int result;

    memset(&credentials, 0, sizeof credentials);
    attempt.fault = wire_take_name(user, user_len, &credentials);
    attempt.credentials = &credentials;
    attempt.canon_ok = true;
    host_log_attach(sparams->utils);
    reason = auth_verifier(backend, &attempt, verifier, sizeof verifier);
    host_log_attach(NULL);
    result = saslcode_for_auxprop(reason);
    if (reason == REASON_ACCEPTED)
        result = sparams->utils->prop_set(
                     sparams->propctx, property, verifier, (int)strlen(verifier)) == SASL_OK
                     ? SASL_OK
                     : SASL_UNAVAIL;
    secret_wipe(verifier, sizeof verifier);
    credentials_wipe(&credentials);
    return result;
}

/* The name of the authorization identity has no properties here; that is no fault of it. */
static int lookup(void *glob_context, sasl_server_params_t *sparams, unsigned flags,
    const char *user, unsigned user_len)
{
    if (glob_context == NULL)
        return SASL_NOMECH;
    if (mech_in_canon_user())
        return SASL_NOUSER;
    if ((flags & SASL_AUXPROP_AUTHZID) != 0 || !is_wanted(sparams, flags))
        return SASL_OK;
    return serve(glob_context, sparams, user, user_len);
}

const sasl_auxprop_plug_t auxprop_plug = {.name = (char[]){"pgsasl"}, .auxprop_lookup = lookup};
