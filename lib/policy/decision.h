/*
 * A decision: allow, warn or block for one environment, with all reasons. Pure data; strings are
 * never NULL and borrowed from whoever made the decision.
 */
#ifndef ENVWARDEN_LIB_POLICY_DECISION_H
#define ENVWARDEN_LIB_POLICY_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/uuid.h"
#include "lib/conda/package.h"

#define DECISION_MESSAGE_MAX 1024 /* bytes of an admin's message */
#define DECISION_REASONS_MAX 64
#define CASE_CODE_MAX 16
#define STATUS_SPECS_MAX 64
#define STATUS_SPEC_MAX 512 /* bytes of one */

/* Ordered by severity; values travel on the wire. */
enum action {
	ACTION_ALLOW,
	ACTION_WARN,
	ACTION_BLOCK
};

struct reason {
	const char *kind;	       /* "status", "rule", "cve", ... */
	const char *id;		       /* rule id, CVE id; "" for an explicit status */
	const char *message;	       /* the admin's words, shown behind '|' */
	const char *fix;	       /* one command to paste */
	const struct package *package; /* NULL = not about one package */
	enum action action;
	int64_t block_from_ms; /* a warning that becomes a block then; 0 = it stays one */
};

struct decision {
	enum action action;
	struct reason *reasons; /* the strongest first */
	size_t n_reasons;
	char case_code[CASE_CODE_MAX]; /* "EW-XXXX"; "" when there is no reason */
	int64_t valid_until_ms;	       /* trusted time; INT64_MAX = until something changes */
};

/* An explicit status as an admin set it on one environment. */
struct status_entry {
	struct uuid environment;
	enum action action;
	const char *message;
	int64_t until_ms; /* 0 = no end */
	/* It holds while a package fits any of the specs (conda's, for packages of every manager),
	 * and again if one comes back. At least one then. */
	bool until_fixed;
	const char *const *fixed_specs;
	size_t n_fixed_specs;
};

const char *action_name(enum action action);		     /* "allow" "warn" "block" */
const char *action_status_name(enum action action);	     /* "ok" "warn" "block" */
int action_parse_status(const char *text, enum action *out); /* ok|warn|block; ERR_INVALID */

#endif
