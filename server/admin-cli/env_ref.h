/* An environment as people name it: its id, its path, or its name. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_ENV_REF_H
#define ENVWARDEN_SERVER_ADMIN_CLI_ENV_REF_H

#include <jansson.h>

#include "server/admin-cli/admin.h"

/*
 * The one environment meant (json_decref). With `any` those deleted or archived count when no live
 * one fits. None and several are ADMIN_FAILED, with the several listed.
 */
enum admin_exit env_resolve(struct admin *a, const char *text, bool any, json_t **out);

#endif
