/* The objects that several answers have in common (openapi.yaml), written as JSON. */
#ifndef ENVWARDEN_SERVER_API_DOCUMENTS_H
#define ENVWARDEN_SERVER_API_DOCUMENTS_H

#include "lib/base/json.h"
#include "lib/conda/package.h"
#include "server/db/db_decision.h"
#include "server/db/db_env.h"
#include "server/db/db_journal.h"
#include "server/db/db_machine.h"

/* connected: the machine has a session now. */
/* decision: what its machine reported; NULL = nothing */
void document_environment(struct json_writer *w, const struct db_env *env,
			  const struct db_decision *decision, bool connected);
void document_package(struct json_writer *w, const struct package *p, bool with_requested);
void document_change(struct json_writer *w, const struct db_change *change);
void document_machine(struct json_writer *w, const struct db_machine *machine, bool connected);
void document_id(struct json_writer *w, const char *key, const struct uuid *id);
void document_texts(struct json_writer *w, const char *key, const char *const *items, size_t n);

#endif
