#include "lib/policy/policy_check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/base/words.h"
#include "lib/policy/condition_text.h"
#include "lib/policy/condition_within.h"
#include "lib/policy/spec_surprise.h"
#include "lib/policy/template.h"

/* What may be spent on comparing conditions with each other: well under a second. */
#define STEPS_MAX 20000000

struct checking {
	const struct policy *policy;
	int64_t now_ms;
	struct arena *arena;
	struct problems *problems;
	size_t steps;	/* left */
	bool two_names; /* a rule was told to ask for two packages at once */
};

/* Where something stands; of rules, exceptions and conditions. */
struct where {
	unsigned line;
	unsigned column;
};
#define AT(x)                                                                                      \
	&(const struct where)                                                                      \
	{                                                                                          \
		(x)->line, (x)->column                                                             \
	}

static void tell(struct checking *c, enum problem_kind kind, const struct where *at,
		 const char *suggestion, const char *fmt, ...) EW_PRINTF(5, 6);

static void tell(struct checking *c, enum problem_kind kind, const struct where *at,
		 const char *suggestion, const char *fmt, ...)
{
	const struct problem_at place = {kind, at->line, at->column, suggestion};
	struct buf text;
	va_list ap;

	buf_init(&text, 4096);
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	problems_add(c->problems, &place, "%s", buf_cstr(&text));
	buf_deinit(&text);
}

/* --- ids --- */

struct named {
	const char *id;
	struct where where;
};

static int cmp_named(const void *a, const void *b)
{
	const struct named *p = a;
	const struct named *q = b;
	int c = strcmp(p->id, q->id);

	return c != 0 ? c : p->where.line < q->where.line ? -1 : p->where.line > q->where.line;
}

static void tell_doubles(struct checking *c, struct named *all, size_t n, const char *what)
{
	if (n > 1)
		qsort(all, n, sizeof(*all), cmp_named);
	for (size_t i = 1; i < n; i++)
		if (strcmp(all[i].id, all[i - 1].id) == 0)
			tell(c, PROBLEM_ERROR, &all[i].where, NULL,
			     "%s \"%s\" is there already, in line %u", what, all[i].id,
			     all[i - 1].where.line);
}

static bool is_there(const struct named *sorted, size_t n, const char *id)
{
	const struct named key = {.id = id};
	size_t low = 0;
	size_t high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(sorted[middle].id, key.id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && strcmp(sorted[low].id, id) == 0;
}

/* --- conditions --- */

/* The one name a condition on packages asks for, NULL if it is not one. */
static const char *only_name(const struct condition *c)
{
	return c->kind == CONDITION_PACKAGE && c->n_specs == 1 ? c->specs[0].name : NULL;
}

static void check_all(struct checking *c, const struct condition *all)
{
	const char *name = NULL;

	for (size_t i = 0; i < all->n_children; i++) {
		const char *other = only_name(&all->children[i]);

		if (other && name && strcmp(name, other) != 0) {
			c->two_names = true;
			tell(c, PROBLEM_WARNING, AT(&all->children[i]),
			     "a rule is about one package at a time; use any:, or two rules",
			     "no package is both \"%s\" and \"%s\"", name, other);
			return;
		}
		if (other)
			name = other;
	}
}

/* Whether it asks something of the package other than that it is not something. */
static bool asks_for_package(const struct condition *c)
{
	if (c->kind == CONDITION_NOT)
		return false;
	if (c->n_children == 0)
		return condition_is_of_package(c);
	for (size_t i = 0; i < c->n_children; i++)
		if (asks_for_package(&c->children[i]))
			return true;
	return false;
}

static void check_specs(struct checking *c, const struct condition *condition)
{
	for (size_t i = 0; i < condition->n_specs; i++) {
		const char *text = condition->texts.items[i];
		const struct spec_surprise *surprise =
			spec_surprise(condition->specs[i].name, text);

		if (surprise)
			tell(c, PROBLEM_WARNING, AT(condition), surprise->instead, "\"%.128s\"%s",
			     text, surprise->what);
	}
}

static bool is_path(const char *text)
{
	return *text == '/' || *text == '*' || *text == '?' || text[1] == ':';
}

static void check_path(struct checking *c, const struct where *at, const char *text)
{
	if (!is_path(text))
		tell(c, PROBLEM_WARNING, at, "begin it with / or **, or on Windows with a drive",
		     "no path of an environment begins like \"%.128s\"", text);
	else if (text[1] != '\0' && text_ends(text, "/"))
		tell(c, PROBLEM_WARNING, at, "write it without, or with /** behind it",
		     "no path of an environment ends with /, as \"%.128s\" does", text);
}

static void check_name(struct checking *c, const struct where *at, const char *text)
{
	if (strchr(text, '/'))
		tell(c, PROBLEM_WARNING, at, "write it as env_path",
		     "no name of an environment has a / in it, as \"%.128s\" has", text);
}

static void check_texts(struct checking *c, const struct condition *condition)
{
	for (size_t i = 0; i < condition->texts.n; i++) {
		if (condition->kind == CONDITION_ENV_PATH)
			check_path(c, AT(condition), condition->texts.items[i]);
		if (condition->kind == CONDITION_ENV_NAME)
			check_name(c, AT(condition), condition->texts.items[i]);
	}
}

static void check_condition(struct checking *c, const struct condition *condition)
{
	if (condition->kind == CONDITION_ALL)
		check_all(c, condition);
	if (condition->kind == CONDITION_PACKAGE)
		check_specs(c, condition);
	check_texts(c, condition);
	for (size_t i = 0; i < condition->n_children; i++)
		check_condition(c, &condition->children[i]);
}

/* --- exceptions --- */

/* Whether a pattern leaves anything out. */
static bool narrows(const char *pattern)
{
	return pattern[strspn(pattern, "*/")] != '\0';
}

static void check_exception(struct checking *c, const struct exception *x)
{
	char day[CLOCK_TEXT_MAX];

	if (c->now_ms >= x->expires_ms) {
		clock_format(x->expires_ms, day);
		tell(c, PROBLEM_WARNING, AT(x), "remove it, or give it another date",
		     "exception \"%s\" has expired on %.10s", x->id, day);
	}
	if (uuid_is_zero(&x->environment) && !narrows(x->env_path) && !narrows(x->env_name) &&
	    !narrows(x->user) && !narrows(x->package))
		tell(c, PROBLEM_WARNING, AT(x),
		     "give it an env_path, env_name, user, package or environment",
		     "exception \"%s\" lifts rule \"%s\" for everybody", x->id, x->rule);
	if (*x->env_path)
		check_path(c, AT(x), x->env_path);
	check_name(c, AT(x), x->env_name);
	if (strpbrk(x->package, " <>=!~|[]"))
		tell(c, PROBLEM_WARNING, AT(x), "write the name alone",
		     "exception \"%s\": no package is called \"%.64s\"", x->id, x->package);
}

static int check_ids(struct checking *c)
{
	const struct policy *p = c->policy;
	size_t n = p->n_rules > p->n_exceptions ? p->n_rules : p->n_exceptions;
	struct named *rules = arena_calloc(c->arena, n + 1, sizeof(*rules));
	struct named *exceptions = arena_calloc(c->arena, n + 1, sizeof(*exceptions));

	if (!rules || !exceptions)
		return ERR_NOMEM;
	for (size_t i = 0; i < p->n_rules; i++)
		rules[i] = (struct named){p->rules[i].id, {p->rules[i].line, p->rules[i].column}};
	for (size_t i = 0; i < p->n_exceptions; i++)
		exceptions[i] = (struct named){p->exceptions[i].id,
					       {p->exceptions[i].line, p->exceptions[i].column}};
	tell_doubles(c, rules, p->n_rules, "a rule");
	tell_doubles(c, exceptions, p->n_exceptions, "an exception");
	for (size_t i = 0; i < p->n_exceptions; i++) {
		const struct exception *x = &p->exceptions[i];

		if (!is_there(rules, p->n_rules, x->rule))
			tell(c, PROBLEM_ERROR, AT(x), NULL,
			     "exception \"%s\" is from rule \"%s\", which there is not", x->id,
			     x->rule);
		check_exception(c, x);
	}
	return 0;
}

/* --- rules --- */

static void check_template(struct checking *c, const struct rule *rule, const char *what,
			   const char *text)
{
	size_t n;
	const char *unknown = template_unknown(text, &n);

	if (unknown)
		tell(c, PROBLEM_WARNING, AT(rule),
		     "known: {env} {prefix} {target} {tool} {package} {version} {user} {rule} "
		     "{contact}; a brace is written twice",
		     "rule \"%s\": %s has %.*s, which stands for nothing", rule->id, what,
		     (int)(n < 64 ? n : 64), unknown);
}

/* Source: conda's conda/base/constants.py, KNOWN_SUBDIRS. */
static const char *const platforms[] = {
	"emscripten-wasm32", "freebsd-64",    "linux-32",     "linux-64",
	"linux-aarch64",     "linux-armv6l",  "linux-armv7l", "linux-ppc64",
	"linux-ppc64le",     "linux-riscv64", "linux-s390x",  "osx-64",
	"osx-arm64",	     "wasi-wasm32",   "win-32",	      "win-64",
	"win-arm64",	     "zos-z",
};

static bool is_platform(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++)
		if (strcmp(platforms[i], text) == 0)
			return true;
	return false;
}

/* Whether it takes out all that it takes in. */
static bool concerns_nobody(struct checking *c, const struct scope *scope)
{
	struct scope in = *scope;

	in.except = NULL;
	return scope->except && scope_within(&in, scope->except, &c->steps);
}

static void check_scope(struct checking *c, const struct rule *rule, const struct scope *scope)
{
	if (concerns_nobody(c, scope))
		tell(c, PROBLEM_WARNING, AT(rule), "an empty not: {} takes out everybody",
		     "rule \"%s\" concerns nobody: its \"not\" takes out all that the scope takes "
		     "in",
		     rule->id);
	for (; scope; scope = scope->except)
		for (size_t i = 0; i < scope->platform.n; i++)
			if (!is_platform(scope->platform.items[i]))
				tell(c, PROBLEM_WARNING, AT(rule),
				     "write it as conda does: linux-64, osx-arm64, win-64 ...",
				     "rule \"%s\": \"%.64s\" is no platform that conda knows",
				     rule->id, scope->platform.items[i]);
}

/* conda's update takes names alone, for versions there is its install; mamba takes either. */
static bool updates_to_version(const char *fix)
{
	bool conda = text_starts(fix, "conda update ") || text_starts(fix, "{tool} update ");

	return conda && strpbrk(fix, "<>=") != NULL;
}

/* The commands envwarden fix knows; agent/cli/repair.c has what each may do. */
static bool is_known_tool(const char *word)
{
	static const char *const tools[] = {"conda", "mamba", "micromamba", "pixi",
					    "pip",   "pip3",  "python",	    "uv"};

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (strcmp(tools[i], word) == 0)
			return true;
	return text_ends(word, "/bin/python");
}

/* envwarden runs a fix without a shell; and pasted, an unquoted "openssl>=3" writes a file "=3". */
static void check_fix(struct checking *c, const struct rule *rule)
{
	static const struct policy_facts facts = {
		.name = "env", .path = "/env", .user = "user", .platform = "", .tool = ""};
	static const struct package package = {.name = "package", .version = "1"};
	const struct template_values values = {&facts, &package, rule->id, "contact"};
	struct err err = ERR_INIT;
	struct words words;
	const char *fix;
	int rc;

	rc = template_fix(rule->fix, &values, WORDS_TEXT_MAX, c->arena, &fix);
	if (rc == 0)
		rc = words_split(fix, c->arena, &words, &err);
	if (rc == 0 && words.n > 0 && !is_known_tool(words.items[0]))
		tell(c, PROBLEM_WARNING, AT(rule),
		     "begin it with {tool}, conda, mamba, micromamba, pixi, pip or uv",
		     "rule \"%s\": envwarden fix can't run the fix: it knows no \"%.64s\"",
		     rule->id, words.items[0]);
	if (rc == ERR_INVALID)
		tell(c, PROBLEM_WARNING, AT(rule),
		     "one command, its specs quoted: '{tool} install {target} \"openssl>=3\"'",
		     "rule \"%s\": envwarden fix can't run the fix: %s", rule->id, err.text);
	if (strstr(rule->fix, "-n {env}") || strstr(rule->fix, "-p {prefix}") ||
	    strstr(rule->fix, "--name {env}") || strstr(rule->fix, "--prefix {prefix}"))
		tell(c, PROBLEM_WARNING, AT(rule), "write {target}",
		     "rule \"%s\": the fix is wrong for environments without a name, or with one",
		     rule->id);
	if (updates_to_version(rule->fix))
		tell(c, PROBLEM_WARNING, AT(rule), "write install",
		     "rule \"%s\": conda update takes no version, as the fix has one", rule->id);
}

static void check_rule(struct checking *c, const struct rule *rule)
{
	if (rule->from_ms != 0 && rule->action != ACTION_BLOCK)
		tell(c, PROBLEM_ERROR, AT(rule), NULL,
		     "rule \"%s\": \"from\" says when a warning becomes a block, and this one "
		     "never blocks",
		     rule->id);
	if (condition_is_of_package(&rule->when) && !asks_for_package(&rule->when))
		tell(c, PROBLEM_WARNING, AT(rule),
		     "a rule is about one package at a time; say with all: which ones",
		     "rule \"%s\" holds for every package but a few", rule->id);
	c->two_names = false;
	check_condition(c, &rule->when);
	if (!c->two_names && condition_never(&rule->when, &c->steps))
		tell(c, PROBLEM_WARNING, AT(rule), "what it asks leaves no package",
		     "rule \"%s\" can never hold", rule->id);
	check_scope(c, rule, &rule->scope);
	check_template(c, rule, "message", rule->message);
	check_template(c, rule, "fix", rule->fix);
	check_fix(c, rule);
}

/* --- shadowed rules --- */

struct shadow {
	const char *text; /* the condition and the scope */
	const struct rule *rule;
};

static int cmp_shadow(const void *a, const void *b)
{
	const struct shadow *p = a;
	const struct shadow *q = b;
	int c = strcmp(p->text, q->text);

	return c != 0 ? c : p->rule < q->rule ? -1 : p->rule > q->rule;
}

/* Whether the second adds nothing to what the first does. */
static bool is_shadowed(const struct rule *first, const struct rule *second)
{
	return first->mode == RULE_ENFORCE && first->action >= second->action &&
	       first->from_ms <= second->from_ms && second->mode == RULE_ENFORCE;
}

static int check_shadows(struct checking *c)
{
	const struct policy *p = c->policy;
	struct shadow *all = arena_calloc(c->arena, p->n_rules + 1, sizeof(*all));

	if (!all)
		return ERR_NOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		int rc = rule_text(&p->rules[i], c->arena, &all[i].text);

		if (rc < 0)
			return rc;
		all[i].rule = &p->rules[i];
	}
	if (p->n_rules > 1)
		qsort(all, p->n_rules, sizeof(*all), cmp_shadow);
	for (size_t i = 1; i < p->n_rules; i++) {
		const struct rule *a = all[i - 1].rule;
		const struct rule *b = all[i].rule;

		if (strcmp(all[i - 1].text, all[i].text) != 0)
			continue;
		if (is_shadowed(a, b))
			tell(c, PROBLEM_WARNING, AT(b), NULL,
			     "rule \"%s\" adds nothing to rule \"%s\" in line %u", b->id, a->id,
			     a->line);
		else if (is_shadowed(b, a))
			tell(c, PROBLEM_WARNING, AT(a), NULL,
			     "rule \"%s\" adds nothing to rule \"%s\" in line %u", a->id, b->id,
			     b->line);
	}
	return 0;
}

/* --- rules within others --- */

/* Whether it holds, and concerns somebody, only where the other one does. */
static bool is_within(struct checking *c, const struct rule *inner, const struct rule *outer)
{
	return scope_within(&inner->scope, &outer->scope, &c->steps) &&
	       condition_within(&inner->when, &outer->when, &c->steps);
}

/* The first rule that holds wherever this one does and is as strict, NULL none. */
static const struct rule *find_wider(struct checking *c, const struct rule *rule)
{
	const struct policy *p = c->policy;

	for (size_t i = 0; i < p->n_rules && c->steps > 0; i++, c->steps -= c->steps > 0) {
		const struct rule *other = &p->rules[i];

		/* Those that ask the same were told of as such. */
		if (other != rule && is_shadowed(other, rule) && is_within(c, rule, other) &&
		    !is_within(c, other, rule))
			return other;
	}
	return NULL;
}

static void check_narrower(struct checking *c)
{
	for (size_t i = 0; i < c->policy->n_rules && c->steps > 0; i++) {
		const struct rule *rule = &c->policy->rules[i];
		const struct rule *wider = find_wider(c, rule);

		if (wider)
			tell(c, PROBLEM_WARNING, AT(rule), NULL,
			     "rule \"%s\" holds only where rule \"%s\" in line %u does, which is "
			     "as strict",
			     rule->id, wider->id, wider->line);
	}
}

/* --- defaults --- */

#define DAY_MS INT64_C(86400000)

static void check_defaults(struct checking *c)
{
	static const struct where whole = {0, 1};
	const struct policy_defaults *d = &c->policy->defaults;

	if (c->policy->n_rules > 0 && !*d->contact)
		tell(c, PROBLEM_WARNING, &whole, "defaults: {contact: \"security@example.org\"}",
		     "no contact is given: members will not know whom to ask");
	if (d->stale_after_ms != 0 && d->stale_after_ms < DAY_MS)
		tell(c, PROBLEM_WARNING, &whole, "give it a day or more; m are minutes",
		     "stale_after is so short that machines in touch with the server are stale, "
		     "too: they have its word every 12 hours");
}

int policy_check(const struct policy *policy, int64_t now_ms, struct arena *arena,
		 struct problems *problems, struct err *err)
{
	struct checking c = {.policy = policy,
			     .now_ms = now_ms,
			     .arena = arena,
			     .problems = problems,
			     .steps = STEPS_MAX};
	int rc = check_ids(&c);

	for (size_t i = 0; i < policy->n_rules; i++)
		check_rule(&c, &policy->rules[i]);
	check_defaults(&c);
	if (rc == 0)
		rc = check_shadows(&c);
	check_narrower(&c);
	if (rc < 0 || problems->out_of_memory)
		return err_nomem(err);
	if (problems->n_errors > 0)
		return err_set(err, ERR_INVALID, "the policy has %zu errors", problems->n_errors);
	return 0;
}
