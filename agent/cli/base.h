/*
 * One conda base on the disk: whether the pieces are in it, placing and removing them. A base
 * belongs to somebody: everything here is done with that account's rights (base_work runs in a
 * process that has become it), beneath the prefix, without following a link.
 *
 * A base is *unsafe* when others than its owner and root may change what its Python loads: then a
 * gate in it would be theirs, and nothing is placed. Groups may write where the group is the
 * owner's own.
 */
#ifndef ENVWARDEN_AGENT_CLI_BASE_H
#define ENVWARDEN_AGENT_CLI_BASE_H

#include <stdint.h>

#include "agent/cli/pieces.h"
#include "lib/base/err.h"

enum base_state {
	BASE_NONE, /* an environment, but no base of conda or mamba, or one without Python */
	BASE_PLACED,
	BASE_MISSING,
	BASE_OUTDATED,
	BASE_FOREIGN,
	BASE_UNSAFE,
	BASE_FAILED, /* could not be looked at or changed */
};

enum base_action {
	BASE_LOOK,
	BASE_PLACE,
	BASE_REMOVE,
};

#define BASE_TEXT_MAX 256

/* Plain data: it crosses a process border. */
struct base_report {
	enum base_state
		state; /* after the action; BASE_MISSING after removing is as it should be */
	char why[ERR_TEXT_MAX];	     /* "" = nothing to explain */
	char pythons[BASE_TEXT_MAX]; /* "3.11, 3.12" */
};

struct base_job {
	const char *prefix; /* absolute */
	uint32_t uid;	    /* who it must belong to */
	enum base_action action;
	const struct pieces *pieces;
};

const char *base_state_name(enum base_state state);

/* With the rights this process has. What goes wrong is in the report. */
void base_work(const struct base_job *job, struct base_report *report);

/* The same as the base's owner: as root in another process, ended after some seconds if the base is
 * on a file system that hangs; as anybody else only for bases of one's own. */
void base_work_as_owner(const struct base_job *job, struct base_report *report);

#endif
