/* What was used although it was blocked, on the page of an environment. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_RAN_H
#define ENVWARDEN_SERVER_ADMIN_CLI_RAN_H

#include <jansson.h>

#include "server/admin-cli/admin.h"

/* The newest ones of an environment, as the API tells them (json_decref). */
enum admin_exit ran_get(struct admin *a, const json_t *env, json_t **out);
void ran_print(struct admin *a, json_t *list);

#endif
