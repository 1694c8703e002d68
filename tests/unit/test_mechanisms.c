/*
 * test_mechanisms.c: what the mechanisms promise of themselves, and what they hand on of a message
 * whose length the host has wrong.
 *
 * mech_answer() is a double that notes what it is given.
 */
#include "test.h"

#include <string.h>

#include "sasl/mech.h"
#include "sasl/mechanisms.h"

static struct {
    const char *fault;
    char name[DISPLAY_NAME_MAX];
    int calls;
} answered;

int mech_answer(struct backend *backend, sasl_server_params_t *sparams,
    struct credentials *credentials, const char *fault, const char *mechanism,
    sasl_out_params_t *oparams)
{
    (void)backend;
    (void)sparams;
    (void)mechanism;
    (void)oparams;
    answered.fault = fault;
    answered.calls++;
    strcpy(answered.name, credentials->display_name);
    return SASL_BADPROT;
}

#define MECHANISM_ADDRESS(plug) &plug,
static const sasl_server_plug_t *const plugs[] = {MECHANISMS(MECHANISM_ADDRESS)};

/* No user may act as another here, so that a host that needs this must not be offered it. */
TEST(no_mechanism_promises_to_act_as_another)
{
    for (size_t i = 0; i < ROWS(plugs); i++)
        assert_int_equal(plugs[i]->features & SASL_FEAT_ALLOWS_PROXY, 0);
}

static const unsigned wrong_length = 4294967293; /* of Cyrus SASL's own testsuite */

static int step(const sasl_server_plug_t *plug, void *context, sasl_server_params_t *params,
    const char *message, unsigned len)
{
    sasl_out_params_t oparams;
    const char *out;
    unsigned out_len;

    memset(&oparams, 0, sizeof oparams);
    return plug->mech_step(context, params, message, len, &out, &out_len, &oparams);
}

TEST(plain_bears_a_wrong_length)
{
    sasl_server_params_t params = {.service = "smtp"};

    memset(&answered, 0, sizeof answered);
    assert_int_equal(step(&mech_plain, NULL, &params, "\0user\0pw", wrong_length), SASL_BADPROT);
    assert_non_null(strstr(answered.fault, "message is longer than"));
    assert_string_equal(answered.name, "");
}

/* One exchange of LOGIN, in which one of the lengths may be wrong. */
static void log_in(unsigned name_len, unsigned password_len)
{
    const sasl_utils_t utils = {.malloc = malloc, .free = free};
    sasl_server_params_t params = {.service = "smtp", .utils = &utils};
    void *context = NULL;

    memset(&answered, 0, sizeof answered);
    assert_int_equal(mech_login.mech_new(NULL, &params, NULL, 0, &context), SASL_OK);
    assert_int_equal(step(&mech_login, context, &params, NULL, 0), SASL_CONTINUE);
    assert_int_equal(step(&mech_login, context, &params, "user", name_len), SASL_CONTINUE);
    assert_int_equal(step(&mech_login, context, &params, "pw", password_len), SASL_BADPROT);
    mech_login.mech_dispose(context, &utils);
}

TEST(login_bears_a_wrong_length)
{
    log_in(wrong_length, 2);
    assert_non_null(strstr(answered.fault, "message is longer than"));
    assert_string_equal(answered.name, "");
    log_in(4, wrong_length);
    assert_non_null(strstr(answered.fault, "message is longer than"));
    assert_string_equal(answered.name, "user");
    log_in(4, 2);
    assert_null(answered.fault);
}

RUN_TESTS(NULL, NULL)
