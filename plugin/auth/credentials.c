/*
 * credentials.c: wipes credentials.
 */
#include "auth/credentials.h"

#include "base/secret.h"

void credentials_wipe(struct credentials *credentials)
{
    secret_wipe(credentials, sizeof *credentials);
}
