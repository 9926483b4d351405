/*
 * The pieces in one site-packages: what is there, placing and removing them. With the rights this
 * process has, beneath open directories, without following a link.
 */
#ifndef ENVWARDEN_AGENT_CLI_SITE_H
#define ENVWARDEN_AGENT_CLI_SITE_H

#include <stddef.h>

#include "agent/cli/pieces.h"
#include "lib/base/err.h"
#include "platform/safe_open.h"

struct site {
	const struct pieces *pieces;
	struct safe_dir *dir;
	struct safe_dir *folder; /* PIECES_FOLDER in it, NULL if there is none */
	int minor;		 /* of its Python 3 */
};

void site_close(struct site *site); /* both directories; also of a zeroed struct */

/* The worst state of a piece; why (of at least ERR_TEXT_MAX bytes): which one, "" all are placed.
 */
enum piece_state site_look(const struct site *site, char *why);

/* Places what is missing or outdated. Nobody else's file may be in the way (site_look). After a
 * failure what is there does not show as a distribution, and nothing is loaded that is not whole.
 */
int site_place(struct site *site, struct err *err);

/* Removes all that is ours: pieces, what Python has compiled of them, what a process that was
 * killed while it placed them has left. What is somebody else's stays. */
int site_take_away(struct site *site, struct err *err);

#endif
