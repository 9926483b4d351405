#include "lib/policy/template.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/text.h"

static const char *const names[] = {"env",     "prefix", "target", "tool",   "package",
				    "version", "user",	 "rule",   "contact"};

/* The placeholder that begins at text ("{name}"), its length with the braces; 0 = none. */
static size_t at_placeholder(const char *text)
{
	const char *end = text[0] == '{' && text[1] != '{' ? strchr(text, '}') : NULL;

	return end ? (size_t)(end - text) + 1 : 0;
}

static bool is_name(const char *text, size_t n, const char *name)
{
	return strlen(name) == n && memcmp(text, name, n) == 0;
}

static bool is_known(const char *text, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (is_name(text, n, names[i]))
			return true;
	return false;
}

/* --- what an environment is to its tool --- */

/* The length of a workspace's path: WORKSPACE/.pixi/envs/NAME. 0: it is in none. */
static size_t workspace_of(const struct policy_facts *facts)
{
	static const char folder[] = "/.pixi/envs/";
	const char *slash = strrchr(facts->path, '/');
	size_t n = slash ? (size_t)(slash - facts->path) + 1 : 0;

	if (strcmp(facts->tool, "pixi") != 0 || n < sizeof(folder) ||
	    memcmp(facts->path + n - (sizeof(folder) - 1), folder, sizeof(folder) - 1) != 0)
		return 0;
	return n - (sizeof(folder) - 1);
}

bool template_is_pixi_default(const struct policy_facts *facts)
{
	return workspace_of(facts) > 0 && text_ends(facts->path, "/default");
}

/*
 * A name is looked up in folders of environments, so it stands only for a folder in one called
 * "envs".
 */
void template_add_target(struct buf *out, const struct policy_facts *facts)
{
	const char *slash = strrchr(facts->path, '/');
	size_t n = slash ? (size_t)(slash - facts->path) : 0;
	bool named = n >= 5 && memcmp(facts->path + n - 5, "/envs", 5) == 0 &&
		     strcmp(slash + 1, facts->name) == 0 && strcmp(facts->tool, "pixi") != 0;
	size_t workspace = workspace_of(facts);
	char folder[4096];

	if (workspace > 0 && workspace < sizeof(folder)) {
		memcpy(folder, facts->path, workspace);
		folder[workspace] = '\0';
		buf_adds(out, "--manifest-path ");
		text_shell_quote(out, folder);
		return;
	}
	buf_adds(out, named ? "-n " : "-p ");
	text_shell_quote(out, named ? facts->name : facts->path);
}

const char *template_tool(const struct policy_facts *facts)
{
	bool known = *facts->tool && strcmp(facts->tool, "unknown") != 0;

	return known ? facts->tool : "conda";
}

/* --- filling in --- */

static const char *value_of(const char *name, size_t n, const struct template_values *v)
{
	if (is_name(name, n, "env"))
		return v->facts->name;
	if (is_name(name, n, "prefix"))
		return v->facts->path;
	if (is_name(name, n, "tool"))
		return template_tool(v->facts);
	if (is_name(name, n, "package"))
		return v->package ? v->package->name : "";
	if (is_name(name, n, "version"))
		return v->package ? v->package->version : "";
	if (is_name(name, n, "user"))
		return v->facts->user;
	if (is_name(name, n, "rule"))
		return v->rule;
	return v->contact;
}

static void add_value(struct buf *out, const char *name, size_t n,
		      const struct template_values *values, bool quote)
{
	if (is_name(name, n, "target"))
		template_add_target(out, values->facts);
	else if (quote)
		text_shell_quote(out, value_of(name, n, values));
	else
		buf_adds(out, value_of(name, n, values));
}

static void fill(struct buf *out, const char *text, const struct template_values *values,
		 bool quote)
{
	while (*text) {
		size_t n = at_placeholder(text);

		if (n > 2 && is_known(text + 1, n - 2)) {
			add_value(out, text + 1, n - 2, values, quote);
			text += n;
		} else {
			buf_addc(out, *text);
			text += (text[0] == '{' || text[0] == '}') && text[1] == text[0] ? 2 : 1;
		}
	}
}

static int expand(const char *text, const struct template_values *values, bool quote, size_t room,
		  struct arena *arena, const char **out)
{
	struct buf filled;
	int rc;

	buf_init(&filled, room);
	fill(&filled, text, values, quote);
	rc = buf_rc(&filled);
	if (rc == 0) {
		*out = arena_strndup(arena, filled.data ? filled.data : "", filled.len);
		rc = *out ? 0 : ERR_NOMEM;
	}
	buf_deinit(&filled);
	return rc;
}

#define ROOM (1u << 20) /* every placeholder at its longest */

int template_message(const char *text, const struct template_values *values, size_t max,
		     struct arena *arena, const char **out)
{
	const char *filled = NULL;
	int rc = expand(text, values, false, ROOM, arena, &filled);

	if (rc < 0 || !filled)
		return rc;
	if (strlen(filled) > max) {
		while (max > 0 && ((unsigned char)filled[max] & 0xc0) == 0x80)
			max--;
		filled = arena_strndup(arena, filled, max);
	}
	*out = filled;
	return filled ? 0 : ERR_NOMEM;
}

int template_fix(const char *text, const struct template_values *values, size_t max,
		 struct arena *arena, const char **out)
{
	int rc = expand(text, values, true, max, arena, out);

	if (rc == ERR_LIMIT) {
		*out = "";
		rc = 0;
	}
	return rc;
}

const char *template_unknown(const char *text, size_t *n)
{
	for (; *text; text++) {
		size_t length = at_placeholder(text);

		if ((text[0] == '{' || text[0] == '}') && text[1] == text[0]) {
			text++;
		} else if (length > 0 && !is_known(text + 1, length - 2)) {
			*n = length;
			return text;
		}
	}
	return NULL;
}

bool template_has(const char *text, const char *name)
{
	for (; *text; text++) {
		size_t n = at_placeholder(text);

		if (n > 2 && is_name(text + 1, n - 2, name))
			return true;
	}
	return false;
}
