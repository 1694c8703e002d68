/*
 * entry.c: the two functions that libsasl looks for in the shared object, and the life of the
 * backend behind them.
 *
 * libsasl calls both in one sasl_server_init(3), and frees each registered plug in sasl_done(3);
 * the backend goes with the last of them. In a program without pgsasl_conninfo nothing is opened
 * and no mechanism registered. The auxprop half is there even so, doing nothing: libsasl would log
 * its absence as an error.
 *
 * A libsasl whose sasl_utils_t is not the one of our headers is refused before anything of it is
 * called: its functions would be at other places.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "sasl/auxprop.h"
#include "auth/backend.h"
#include "sasl/mechanisms.h"
#include "sasl/host_log.h"
#include "sasl/trap.h"

sasl_server_plug_init_t sasl_server_plug_init __attribute__((visibility("default")));
sasl_auxprop_init_t sasl_auxprop_plug_init __attribute__((visibility("default")));

#define MECHANISM_ADDRESS(plug) &plug,
static const sasl_server_plug_t *const mechanisms[] = {MECHANISMS(MECHANISM_ADDRESS)};

enum { MECHANISM_COUNT = sizeof mechanisms / sizeof *mechanisms };

static struct backend *shared;
static unsigned references; /* of the plugs to shared */
static const sasl_utils_t *host;
static sasl_server_plug_t plugs[MECHANISM_COUNT + TRAPS_MAX];
static sasl_auxprop_plug_t auxprop;

static const char *get_option(void *context, const char *name)
{
    const char *value = NULL;

    (void)context;
    if (host->getopt(host->getopt_context, NULL, name, &value, NULL) != SASL_OK)
        return NULL;
    return value;
}

static struct backend *backend_ref(const sasl_utils_t *utils)
{
    const struct options_source source = {get_option, NULL};

    if (references == 0) {
        const struct log_sink log = host_log_sink(utils);

        host = utils;
        shared = backend_new(&source, &log);
    }
    if (shared != NULL)
        references++;
    return shared;
}

/* False where a function of libsasl with another name begins at address. */
static bool may_be(void (*address)(void), const char *name)
{
    Dl_info found;
    void *begin;

    memcpy(&begin, &address, sizeof begin);
    return dladdr(begin, &found) == 0 || found.dli_sname == NULL || found.dli_saddr != begin ||
           strcmp(found.dli_sname, name) == 0;
}

/*
 * Whether sasl_utils_t is laid out as in our headers. Its member `version` cannot tell: libsasl
 * 2.1.28 never sets it. The next version of libsasl drops pointers from the middle, so what it has
 * where these two are here goes by other names.
 */
static bool is_known_layout(const sasl_utils_t *utils)
{
    return may_be((void (*)(void))utils->getprop, "sasl_getprop") &&
           may_be((void (*)(void))utils->seterror, "sasl_seterror");
}

static void release(void *glob_context, const sasl_utils_t *utils)
{
    (void)utils;
    if (glob_context == NULL || references == 0 || --references > 0)
        return;
    backend_free(shared);
    shared = NULL;
}

/* Whether mech_list, where there is one, names a mechanism: else libsasl never asks for it. */
static bool is_listed(const char *name)
{
    static const char blanks[] = " \t\r\n";
    const char *list = get_option(NULL, "mech_list");
    const size_t len = strlen(name);

    if (list == NULL)
        return true;
    for (; *list != '\0'; list += strcspn(list, blanks)) {
        list += strspn(list, blanks);
        if (strcspn(list, blanks) == len && strncasecmp(list, name, len) == 0)
            return true;
    }
    return false;
}

static void warn_of_idle_traps(const struct backend *backend, size_t first, size_t count)
{
    for (size_t i = first; i < count; i++)
        if (!is_listed(plugs[i].mech_name))
            log_line(&backend->log, LOG_PROBLEM,
                "pgsasl_trap_mechanisms: %s is not in mech_list, so no client reaches it",
                plugs[i].mech_name);
}

/* Fills plugs; returns how many. */
static size_t set_plugs(struct backend *backend)
{
    size_t count = MECHANISM_COUNT;

    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        memcpy(&plugs[i], mechanisms[i], sizeof plugs[i]);
        plugs[i].glob_context = backend;
    }
    count += trap_plugs(backend, plugs + MECHANISM_COUNT);
    for (size_t i = 0; i < count; i++)
        plugs[i].mech_free = release;
    return count;
}

int sasl_server_plug_init(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_server_plug_t **pluglist, int *plugcount)
{
    struct backend *backend;
    size_t count;

    if (!is_known_layout(utils) || max_version < SASL_SERVER_PLUG_VERSION)
        return SASL_BADVERS;
    backend = backend_ref(utils);
    if (backend == NULL)
        return SASL_NOMECH;
    count = set_plugs(backend);
    warn_of_idle_traps(backend, MECHANISM_COUNT, count);
    references += (unsigned)count - 1; /* libsasl frees the mechanisms one by one */
    *out_version = SASL_SERVER_PLUG_VERSION;
    *pluglist = plugs;
    *plugcount = (int)count;
    return SASL_OK;
}

int sasl_auxprop_plug_init(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_auxprop_plug_t **plug, const char *plugname)
{
    (void)plugname;
    if (!is_known_layout(utils) || max_version < SASL_AUXPROP_PLUG_VERSION)
        return SASL_BADVERS;
    memcpy(&auxprop, &auxprop_plug, sizeof auxprop);
    auxprop.glob_context = backend_ref(utils);
    auxprop.auxprop_free = release;
    *out_version = SASL_AUXPROP_PLUG_VERSION;
    *plug = &auxprop;
    return SASL_OK;
}
