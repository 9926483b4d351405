/* The rules of the policy in force, for whoever names one. */
#ifndef ENVWARDEN_SERVER_API_RULES_H
#define ENVWARDEN_SERVER_API_RULES_H

#include "server/api/request.h"

/*
 * 0 if the newest policy has the rule, or `rule` is "" (any). Else the request is refused, with
 * this HTTP status: which rules there are, and which one may have been meant. Reads the policy: for
 * readers of the store.
 */
int rules_expect(struct db_conn *conn, struct request *r, const char *rule, unsigned status);

#endif
