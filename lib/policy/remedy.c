#include "lib/policy/remedy.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/text.h"
#include "lib/conda/match_spec.h"
#include "lib/policy/template.h"

#define VERSION_CHARS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._+!"

/* --- which spec it is --- */

/* The only spec of a list that is about the package by its name. */
static const struct match_spec *spec_about(const struct condition *c, const struct package *package)
{
	const struct match_spec *found = NULL;

	for (size_t i = 0; i < c->n_specs; i++) {
		const struct match_spec *spec = &c->specs[i];

		if (!spec->name)
			return NULL;
		if (strcmp(spec->name, package->name) != 0)
			continue;
		if (found)
			return NULL;
		found = spec;
	}
	return found;
}

/* Of "all", one that no longer holds is enough. Conditions are at most POLICY_DEPTH_MAX deep. */
static const struct match_spec *find_spec(const struct condition *c, const struct package *package)
{
	const struct match_spec *found = NULL;

	if (c->kind == CONDITION_PACKAGE)
		return spec_about(c, package);
	for (size_t i = 0; !found && c->kind == CONDITION_ALL && i < c->n_children; i++)
		found = find_spec(&c->children[i], package);
	return found;
}

/* --- its opposite --- */

struct piece {
	const char *p;
	size_t n;
};

static bool begins(struct piece atom, const char *op)
{
	return atom.n >= strlen(op) && memcmp(atom.p, op, strlen(op)) == 0;
}

/* An upper bound first: beyond it lies what is newer. */
static struct piece best_atom(const char *version)
{
	struct piece best = {version, strcspn(version, ",")};

	for (const char *p = version;; p += 1) {
		struct piece atom = {p, strcspn(p, ",")};

		if (begins(atom, "<"))
			return atom;
		p += atom.n;
		if (*p == '\0')
			return best;
	}
}

struct opposite {
	const char *op;
	const char *its;
	bool by_start; /* all versions that begin so */
};

/* Longer operators first. NULL its: there is none that every tool understands. */
static const struct opposite opposites[] = {
	{"<=", ">", false},  {">=", "<", false},  {"==", "!=", false},
	{"!=", "==", false}, {"~=", NULL, false}, {"<", ">=", false},
	{">", "<=", false},  {"=", "!=", true},	  {"", "!=", false},
};

static const struct opposite *opposite_of(struct piece atom)
{
	const struct opposite *o = opposites;

	while (!begins(atom, o->op))
		o++; /* the last one is every text's beginning */
	return o;
}

/* "<3" -> ">=3". False: not sure. */
static bool add_opposite(struct buf *out, struct piece atom)
{
	const struct opposite *o = opposite_of(atom);
	const char *version = atom.p + strlen(o->op);
	size_t n = atom.n - strlen(o->op);
	size_t bare = strspn(version, VERSION_CHARS);
	bool star = bare < n && version[bare] == '*' && bare + 1 == n;
	bool by_start = o->by_start || (star && strcmp(o->its ? o->its : "", "!=") == 0);

	bare = bare < n ? bare : n;
	if (!o->its || bare == 0 || (bare < n && !star))
		return false;
	if (star && strcmp(o->op, "!=") == 0)
		return false;
	if (star && version[bare - 1] == '.')
		bare--;
	buf_adds(out, o->its);
	buf_add(out, version, bare);
	if (by_start)
		buf_adds(out, ".*");
	return bare > 0;
}

enum remedy {
	REMEDY_NONE,
	REMEDY_INSTALL,
	REMEDY_REMOVE
};

/* Whether the spec says nothing but a name: then every version is meant. */
static bool is_name_only(const struct match_spec *spec)
{
	for (int f = 0; f < MATCH_FIELDS; f++) {
		const char *text = match_spec_field(spec, (enum match_field)f);

		if (text && f != MATCH_NAME && (f != MATCH_VERSION || strcmp(text, "*") != 0))
			return false;
	}
	return true;
}

/* What is to be installed goes to `wanted`, "openssl>=3". */
static enum remedy find_remedy(const struct match_spec *spec, const struct package *package,
			       struct buf *wanted)
{
	const char *version = match_spec_field(spec, MATCH_VERSION);

	buf_adds(wanted, package->name);
	if (is_name_only(spec))
		return REMEDY_REMOVE;
	if (!version || strpbrk(version, "|()^$") || !add_opposite(wanted, best_atom(version)))
		return REMEDY_NONE;
	return buf_rc(wanted) == 0 ? REMEDY_INSTALL : REMEDY_NONE;
}

/* --- the command --- */

static bool is_of_pip(const struct package *package)
{
	return strcmp(package->manager, "pypi") == 0;
}

static bool has_pip(const struct policy_facts *facts)
{
	for (size_t i = 0; i < facts->n_packages; i++)
		if (strcmp(facts->packages[i].package->name, "pip") == 0)
			return true;
	return false;
}

/* The prefix's own pip, so that neither PATH nor an activation matters. */
static void add_pip(struct buf *out, const struct policy_facts *facts, const char *verb)
{
	bool windows = text_starts(facts->platform, "win-");

	if (!has_pip(facts)) {
		buf_addf(out, "uv pip %s --python ", verb);
		text_shell_quote(out, facts->path);
		return;
	}
	text_shell_quote(out, facts->path);
	buf_adds(out, windows ? "/python.exe" : "/bin/python");
	buf_addf(out, " -m pip %s", verb);
}

/* False: it is not known how. */
static bool add_command(struct buf *out, const struct policy_facts *facts,
			const struct package *package, enum remedy remedy)
{
	bool install = remedy == REMEDY_INSTALL;
	const char *tool = template_tool(facts);

	if (strcmp(tool, "pixi") == 0) {
		if (!template_is_pixi_default(facts))
			return false;
		buf_adds(out, install ? "pixi add " : "pixi remove ");
		if (is_of_pip(package))
			buf_adds(out, "--pypi ");
		template_add_target(out, facts);
	} else if (is_of_pip(package)) {
		add_pip(out, facts, install ? "install" : "uninstall");
	} else {
		buf_addf(out, "%s %s ", tool, install ? "install" : "remove");
		template_add_target(out, facts);
	}
	buf_addc(out, ' ');
	return true;
}

int remedy_of_condition(const struct condition *when, const struct policy_facts *facts,
			const struct package *package, struct arena *arena, const char **out)
{
	const struct match_spec *spec = package ? find_spec(when, package) : NULL;
	const char *text = "";
	enum remedy remedy;
	struct buf command, wanted;

	*out = "";
	if (!spec)
		return 0;
	buf_init(&wanted, MATCH_SPEC_MAX + PACKAGE_NAME_MAX);
	buf_init(&command, DECISION_MESSAGE_MAX);
	remedy = find_remedy(spec, package, &wanted);
	if (remedy != REMEDY_NONE && add_command(&command, facts, package, remedy)) {
		text_shell_quote(&command, buf_cstr(&wanted));
		/* Half a command is worse than none. */
		if (buf_rc(&command) == 0)
			text = arena_strdup(arena, buf_cstr(&command));
	}
	if (buf_rc(&command) == ERR_NOMEM || buf_rc(&wanted) == ERR_NOMEM)
		text = NULL;
	buf_deinit(&wanted);
	buf_deinit(&command);
	if (!text)
		return ERR_NOMEM;
	*out = text;
	return 0;
}
