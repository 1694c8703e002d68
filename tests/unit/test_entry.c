/*
 * test_entry.c: the two entry points against a libsasl of another plugin interface.
 *
 * The next version of Cyrus SASL drops eight pointers from the middle of sasl_utils_t; the plug
 * versions stay, and the structure's own version is never set. The double ends the test when
 * anything of it is called.
 */
#include "test.h"

#include <string.h>

#include <sasl/prop.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>

sasl_server_plug_init_t sasl_server_plug_init;
sasl_auxprop_init_t sasl_auxprop_plug_init;

static void touched(void)
{
    fail_msg("a function of a foreign sasl_utils_t was called");
}

/* Every pointer leads to touched(), but those that libsasl exports. */
static sasl_utils_t utils_of_libsasl(void)
{
    void (*function)(void) = touched;
    sasl_utils_t utils;

    for (size_t at = 0; at + sizeof function <= sizeof utils; at += sizeof function)
        memcpy((char *)&utils + at, &function, sizeof function);
    utils.getprop = sasl_getprop;
    utils.setprop = sasl_setprop;
    utils.seterror = sasl_seterror;
    utils.prop_new = prop_new;
    utils.prop_dup = prop_dup;
    utils.prop_request = prop_request;
    utils.prop_get = prop_get;
    utils.prop_getnames = prop_getnames;
    utils.prop_clear = prop_clear;
    utils.prop_dispose = prop_dispose;
    utils.prop_format = prop_format;
    utils.prop_set = prop_set;
    utils.prop_setvals = prop_setvals;
    utils.prop_erase = prop_erase;
    return utils;
}

static void expect(const sasl_utils_t *utils, int server_version, int auxprop_version)
{
    sasl_server_plug_t *server_plugs = NULL;
    sasl_auxprop_plug_t *auxprop_plug = NULL;
    int version = 0;
    int count = 0;

    assert_int_equal(sasl_server_plug_init(utils, server_version, &version, &server_plugs, &count),
        SASL_BADVERS);
    assert_int_equal(
        sasl_auxprop_plug_init(utils, auxprop_version, &version, &auxprop_plug, "pgsasl"),
        SASL_BADVERS);
    assert_null(server_plugs);
    assert_null(auxprop_plug);
    assert_int_equal(version, 0);
    assert_int_equal(count, 0);
}

TEST(a_structure_without_the_md5_pointers_is_refused)
{
    enum {
        FIRST = offsetof(sasl_utils_t, MD5Init),
        BEHIND = offsetof(sasl_utils_t, mkchal),
    };
    const sasl_utils_t ours = utils_of_libsasl();
    /* In memory of just its size, for ASan. */
    char *foreign = malloc(sizeof ours - (BEHIND - FIRST));

    assert_int_equal(BEHIND - FIRST, 8 * sizeof(void *));
    memcpy(foreign, &ours, FIRST);
    memcpy(foreign + FIRST, (const char *)&ours + BEHIND, sizeof ours - BEHIND);
    expect(
        (const sasl_utils_t *)(void *)foreign, SASL_SERVER_PLUG_VERSION, SASL_AUXPROP_PLUG_VERSION);
    free(foreign);
}

TEST(an_older_plug_version_is_refused)
{
    const sasl_utils_t utils = utils_of_libsasl();

    expect(&utils, SASL_SERVER_PLUG_VERSION - 1, SASL_AUXPROP_PLUG_VERSION - 1);
}

static int get_no_option(
    void *context, const char *plugin, const char *name, const char **value_r, unsigned *len_r)
{
    (void)context;
    (void)plugin;
    (void)name;
    (void)value_r;
    (void)len_r;
    return SASL_FAIL;
}

/* libsasl 2.1.28 leaves the version as malloc(3) gave it. */
TEST(a_structure_of_any_version_is_taken)
{
    static const int versions[] = {0, SASL_UTILS_VERSION, SASL_UTILS_VERSION + 1, -1};

    for (size_t i = 0; i < ROWS(versions); i++) {
        sasl_utils_t utils = utils_of_libsasl();
        sasl_server_plug_t *server_plugs = NULL;
        int version = 0;
        int count = 0;

        utils.version = versions[i];
        utils.getopt = get_no_option;
        assert_int_equal(sasl_server_plug_init(
                             &utils, SASL_SERVER_PLUG_VERSION, &version, &server_plugs, &count),
            SASL_NOMECH);
    }
}

RUN_TESTS(NULL, NULL)
