/*
 * mech.c: hands an attempt from the host to auth.c and the verdict back.
 *
 * canon_user goes first: Exim answers a temporary failure as one only when it knows the user name.
 * A name that the host can't canonicalise is replaced for that purpose only, and is never accepted.
 */
#include "sasl/mech.h"

#include <string.h>

#include "sasl/host_log.h"
#include "sasl/saslcode.h"

static const unsigned canon_flags = SASL_CU_AUTHID | SASL_CU_AUTHZID | SASL_CU_EXTERNALLY_VERIFIED;

static _Thread_local bool inside;

bool mech_in_canon_user(void)
{
    return inside;
}

struct attempt mech_attempt(const sasl_server_params_t *sparams, const char *mechanism)
{
    struct attempt attempt = {0};

    attempt.mechanism = mechanism;
    attempt.service = sparams->service;
    attempt.server_host = sparams->serverFQDN;
    attempt.encrypted = sparams->external_ssf > 0;
    address_parse(sparams->ipremoteport, &attempt.client);
    address_parse(sparams->iplocalport, &attempt.server);
    return attempt;
}

static bool canonicalize_name(sasl_server_params_t *sparams, const struct credentials *credentials,
    sasl_out_params_t *oparams)
{
    int result = SASL_BADPROT;

    if (credentials->authcid_len > 0)
        result = sparams->canon_user(sparams->utils->conn, credentials->authcid,
            (unsigned)credentials->authcid_len, canon_flags, oparams);
    if (result != SASL_OK)
        sparams->canon_user(sparams->utils->conn, "-", 1, canon_flags, oparams);
    return result == SASL_OK;
}

int mech_answer(struct backend *backend, sasl_server_params_t *sparams,
    struct credentials *credentials, const char *fault, const char *mechanism,
    sasl_out_params_t *oparams)
{
    struct attempt attempt = mech_attempt(sparams, mechanism);
    enum reason reason;

    attempt.credentials = credentials;
    attempt.fault = fault;
    host_log_attach(sparams->utils);
    inside = true;
    attempt.canon_ok = canonicalize_name(sparams, credentials, oparams);
    inside = false;
    reason = auth_attempt(backend, &attempt);
    credentials_wipe(credentials);
    host_log_attach(NULL);
    if (reason == REASON_ACCEPTED) {
        oparams->doneflag = 1;
        oparams->mech_ssf = 0;
        oparams->maxoutbuf = 0;
        oparams->encode_context = NULL;
        oparams->encode = NULL;
        oparams->decode_context = NULL;
        oparams->decode = NULL;
        oparams->param_version = 0;
    }
    return saslcode_for(reason, sparams->appname);
}
