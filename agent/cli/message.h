/*
 * What a member reads when an activation is refused, warned about or not checked. Pure: a decision
 * in, text out. The first line says what happened; the administrators' words stand behind '|' so
 * that they can't pass for ours; then one thing to paste, one contact, one case code.
 */
#ifndef ENVWARDEN_AGENT_CLI_MESSAGE_H
#define ENVWARDEN_AGENT_CLI_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "proto/convert.h"

struct message_style {
	size_t width; /* columns at most; a command to paste is never cut, it may be longer */
	bool colour;
	bool one_line;	  /* nobody looks at a terminal: for logs */
	bool active;	  /* it is active already: a block comes after the fact */
	bool asked;	  /* somebody asks: nothing is being activated */
	bool unfound;	  /* ... about what was not found, without an agent */
	const char *env;  /* shell word that commands find the environment by; NULL = its name */
	const char *home; /* shown as ~; NULL = not */
};

/*
 * Appends the message; nothing if there is nothing to say (message_is_silent) and nobody asks.
 */
void message_decision(struct buf *out, const struct decision_reply *reply,
		      const struct message_style *style);

/* That there is no environment of this name, as it was typed, or at this path. */
void message_absent(struct buf *out, const char *typed, const struct message_style *style);

/* Whether there is nothing to say: allowed by an agent, without a notice. */
bool message_is_silent(const struct decision_reply *reply);

/* The part about a package that reasons and lists share: "openssl 1.0.2u (conda-forge)". */
void message_package(struct buf *out, const struct package *package);

/* Why, in one sentence without its full stop: `openssl 1.0.2u (conda-forge) breaks rule "x"`. */
void message_cause(struct buf *out, const struct reason *reason);

/* "BLOCKED from 2026-12-06", where a warning goes that way; else nothing. */
void message_block_from(struct buf *out, const struct decision *decision);

#endif
