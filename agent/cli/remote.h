/*
 * What both status and doctor say of environments on file systems that tell of no changes.
 */
#ifndef ENVWARDEN_AGENT_CLI_REMOTE_H
#define ENVWARDEN_AGENT_CLI_REMOTE_H

#include "lib/base/buf.h"
#include "proto/local.pb-c.h"

/* How many, where, and how late a change is seen; not escaped. */
void remote_text(const Envwarden__Local__StatusReply *s, struct buf *out);

#endif
