/*
 * The placeholders of a rule's message and fix: {env} {prefix} {target} {tool} {package} {version}
 * {user} {rule} {contact}. In a fix every value is quoted for a POSIX shell, so that a name made to
 * hurt stays one word; {target} is -n NAME or -p PATH, whichever names the environment to its tool,
 * and
 * --manifest-path WORKSPACE for an environment in a workspace of pixi's.
 * "{{" and "}}" are braces. Unknown ones stay as they are: the check of the policy tells of them.
 */
#ifndef ENVWARDEN_LIB_POLICY_TEMPLATE_H
#define ENVWARDEN_LIB_POLICY_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/policy/facts.h"

struct template_values {
	const struct policy_facts *facts;
	const struct package *package; /* NULL: none */
	const char *rule;
	const char *contact;
};

/* The text in the arena, cut at max bytes (at a character). ERR_NOMEM. */
int template_message(const char *text, const struct template_values *values, size_t max,
		     struct arena *arena, const char **out);
/* "" when it does not fit: half a command is worse than none. */
int template_fix(const char *text, const struct template_values *values, size_t max,
		 struct arena *arena, const char **out);

/* The first placeholder that is none, its length in *n; NULL when all are known. */
const char *template_unknown(const char *text, size_t *n);

/* What {tool} and {target} stand for in a fix; "conda" where the tool is not known. */
const char *template_tool(const struct policy_facts *facts);
void template_add_target(struct buf *out, const struct policy_facts *facts);

/* Whether it is the environment "default" of a workspace of pixi's. */
bool template_is_pixi_default(const struct policy_facts *facts);

/* Whether {name} occurs in it. */
bool template_has(const char *text, const char *name);

#endif
