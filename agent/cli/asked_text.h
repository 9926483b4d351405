/*
 * What a member reads about requests for exceptions. Pure: the agent's answer in, text out;
 * whatever members and administrators wrote is escaped and stands behind '|'.
 */
#ifndef ENVWARDEN_AGENT_CLI_ASKED_TEXT_H
#define ENVWARDEN_AGENT_CLI_ASKED_TEXT_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "proto/local.pb-c.h"

/* "queued" "open" "approved" "denied" "ended"; "unknown" for one of a newer agent. */
const char *asked_text_state(Envwarden__Local__AskedException__State state);

/* What came of asking; `typed`: what a command is told to find the environment by ("" = the active
 * one). */
void asked_text_made(struct buf *out, const Envwarden__Local__AskedReply *reply, const char *typed,
		     size_t width);
/* The requests there are, the newest first; or that there is none. */
void asked_text_states(struct buf *out, const Envwarden__Local__AskedReply *reply, size_t width);

#endif
