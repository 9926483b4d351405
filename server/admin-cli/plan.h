/* What a policy would change, as `policy plan` and `policy apply` tell it. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_PLAN_H
#define ENVWARDEN_SERVER_ADMIN_CLI_PLAN_H

#include <jansson.h>

#include "server/admin-cli/admin.h"

void plan_print(struct admin *a, const json_t *plan);

#endif
