/* The parts that JSON documents of several commands share; docs/json.md describes them. */
#ifndef ENVWARDEN_AGENT_CLI_DOCUMENT_H
#define ENVWARDEN_AGENT_CLI_DOCUMENT_H

#include "lib/base/json.h"
#include "proto/convert.h"

void document_package(struct json_writer *w, const struct package *package);
/* What was used although it was blocked, as a member "ran_after_block" of the object begun. */
void document_runs(struct json_writer *w, Envwarden__RanAfterBlock *const *runs, size_t n);
/* What was granted on the spot, as a member of that name; NULL: nothing was, no member. */
void document_grace(struct json_writer *w, const char *key, const Envwarden__Grace *grace);
void document_environment(struct json_writer *w, const struct environment_info *environment);
void document_change(struct json_writer *w, const struct change *change);
/* The keys of a decision, into an object that is open. */
void document_decision(struct json_writer *w, const struct decision_reply *reply);
/* A UUID's text under a key; nothing for a zero one. */
void document_uuid(struct json_writer *w, const char *key, const struct uuid *uuid);

#endif
