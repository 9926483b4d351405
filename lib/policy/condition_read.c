#include <stdlib.h>
#include <string.h>

#include "lib/policy/reading.h"

/* --- cve --- */

static const char *const severity_words[] = {"unknown", "none", "low",
					     "medium",	"high", "critical"};
static const char *const status_words[] = {"reported", "active", "cleared", "mitigated",
					   "disputed"};

static void take_ids(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct cve_condition *)into)->ids = reading_texts(r, v);
}

static void take_severity(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct cve_condition *cve = into;
	int word = reading_word(r, v, severity_words, ARRAY_SIZE(severity_words));

	if (word < 0)
		return;
	cve->has_severity = true;
	cve->severity_at_least = (enum severity)word;
}

static void take_or_unknown(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct cve_condition *)into)->or_unknown = reading_yes_no(r, v) == TERNARY_YES;
}

static void take_cvss(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct cve_condition *cve = into;
	const char *text = reading_some_text(r, v, 8);
	char *end = NULL;
	double score = strtod(text, &end);

	if (!*text)
		return;
	if (strspn(text, "0123456789.") != strlen(text) || *end || score > 10) {
		reading_error(r, v, NULL, "a score goes from 0 to 10, not \"%s\"", text);
		return;
	}
	cve->has_cvss = true;
	cve->cvss_at_least = score;
}

static void take_status(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct cve_condition *cve = into;
	const struct yaml_node *item = v->kind == YAML_LIST ? v->first : v;

	if (!item)
		reading_error(r, v, NULL, "a list of 1 to %d is expected here", POLICY_ITEMS_MAX);
	for (; item; item = item->next) {
		int word = reading_word(r, item, status_words, ARRAY_SIZE(status_words));

		if (word >= 0)
			cve->status |= 1u << word;
		if (v->kind != YAML_LIST)
			break;
	}
}

static void take_malicious(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct cve_condition *)into)->malicious = reading_yes_no(r, v);
}

static void take_kev(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct cve_condition *)into)->kev = reading_yes_no(r, v);
}

static void take_published(const struct reading *r, const struct yaml_node *v, void *into)
{
	int64_t ms = reading_duration(r, v);

	((struct cve_condition *)into)->published_before_ms = ms > 0 ? ms : 0;
}

static void take_first_seen(const struct reading *r, const struct yaml_node *v, void *into)
{
	int64_t ms = reading_duration(r, v);

	((struct cve_condition *)into)->first_seen_before_ms = ms > 0 ? ms : 0;
}

static const struct reading_field cve_fields[] = {
	{"ids", take_ids, false},
	{"severity_at_least", take_severity, false},
	{"or_unknown", take_or_unknown, false},
	{"cvss_at_least", take_cvss, false},
	{"status", take_status, false},
	{"malicious", take_malicious, false},
	{"kev", take_kev, false},
	{"published_before", take_published, false},
	{"first_seen_before", take_first_seen, false},
};

static void read_cve(const struct reading *r, const struct yaml_node *value, struct condition *out)
{
	struct cve_condition *cve = arena_calloc(r->arena, 1, sizeof(*cve));

	if (!cve) {
		r->problems->out_of_memory = true;
		return;
	}
	reading_map(r, value, "cve", cve_fields, ARRAY_SIZE(cve_fields), cve);
	if (cve->status == 0)
		cve->status = FINDING_ACTIVE;
	out->cve = cve;
}

/* --- packages --- */

static void read_specs(const struct reading *r, const struct yaml_node *value,
		       struct condition *out)
{
	struct texts_list texts = reading_texts(r, value);
	const struct yaml_node *item = value->kind == YAML_LIST ? value->first : value;
	struct match_spec *specs = arena_calloc(r->arena, texts.n + 1, sizeof(*specs));

	if (!specs) {
		r->problems->out_of_memory = true;
		return;
	}
	out->texts = texts; /* as written, for messages and the wire */
	out->specs = specs;
	for (size_t i = 0; i < texts.n; i++, item = item->next) {
		struct err err = ERR_INIT;
		int rc;

		if (!*texts.items[i])
			continue;
		rc = match_spec_parse(texts.items[i], strlen(texts.items[i]), r->arena,
				      &specs[out->n_specs], &err);
		if (rc == 0)
			out->n_specs++;
		else if (rc == ERR_NOMEM)
			r->problems->out_of_memory = true;
		else
			reading_error(r, item, NULL, "\"%.128s\": %s", texts.items[i], err.text);
	}
}

/* --- texts --- */

static void read_words(const struct reading *r, const struct yaml_node *value,
		       const char *const *words, size_t n, struct condition *out)
{
	const struct yaml_node *item = value->kind == YAML_LIST ? value->first : value;

	out->texts = reading_texts(r, value);
	for (size_t i = 0; i < out->texts.n; i++, item = item->next)
		if (*out->texts.items[i])
			(void)reading_word(r, item, words, n);
}

static void read_manager(const struct reading *r, const struct yaml_node *value,
			 struct condition *out)
{
	static const char *const managers[] = {"conda", "pypi"};

	read_words(r, value, managers, ARRAY_SIZE(managers), out);
}

static void read_tool(const struct reading *r, const struct yaml_node *value, struct condition *out)
{
	static const char *const tools[] = {"conda", "mamba", "micromamba", "pixi", "unknown"};

	read_words(r, value, tools, ARRAY_SIZE(tools), out);
}

static void read_texts(const struct reading *r, const struct yaml_node *value,
		       struct condition *out)
{
	out->texts = reading_texts(r, value);
}

static void read_duration(const struct reading *r, const struct yaml_node *value,
			  struct condition *out)
{
	int64_t ms = reading_duration(r, value);

	if (ms == 0)
		reading_error(r, value, NULL, "a length of time above zero is expected");
	out->duration_ms = ms > 0 ? ms : 0;
}

static const struct {
	enum condition_kind kind;
	void (*read)(const struct reading *r, const struct yaml_node *value, struct condition *out);
} leaves[] = {
	{CONDITION_PACKAGE, read_specs},  {CONDITION_CHANNEL, read_texts},
	{CONDITION_LICENSE, read_texts},  {CONDITION_MANAGER, read_manager},
	{CONDITION_CVE, read_cve},	  {CONDITION_PACKAGE_AGE_BELOW, read_duration},
	{CONDITION_ENV_NAME, read_texts}, {CONDITION_ENV_PATH, read_texts},
	{CONDITION_TOOL, read_tool},	  {CONDITION_UNUSED_FOR, read_duration},
};

/* --- conditions of conditions --- */

static void read_entry(const struct reading *r, const struct yaml_node *value, unsigned depth,
		       struct condition *out);

static struct condition *new_children(const struct reading *r, const struct yaml_node *at, size_t n)
{
	struct condition *children;

	if (n == 0 || n > POLICY_ITEMS_MAX) {
		reading_error(r, at, NULL, "1 to %d conditions are expected here",
			      POLICY_ITEMS_MAX);
		return NULL;
	}
	children = arena_calloc(r->arena, n, sizeof(*children));
	if (!children)
		r->problems->out_of_memory = true;
	return children;
}

static void read_list(const struct reading *r, const struct yaml_node *value, unsigned depth,
		      struct condition *out)
{
	struct condition *children;
	size_t i = 0;

	if (value->kind != YAML_LIST) {
		reading_error(r, value, "write it like all: [{manager: conda}, {license: MIT}]",
			      "a list of conditions is expected here");
		return;
	}
	children = new_children(r, value, value->n);
	if (!children)
		return;
	for (const struct yaml_node *item = value->first; item; item = item->next)
		condition_read(r, item, depth + 1, &children[i++]);
	out->children = children;
	out->n_children = value->n;
}

static void read_not(const struct reading *r, const struct yaml_node *value, unsigned depth,
		     struct condition *out)
{
	struct condition *child = new_children(r, value, 1);

	if (!child)
		return;
	condition_read(r, value, depth + 1, child);
	out->children = child;
	out->n_children = 1;
}

static void unknown_condition(const struct reading *r, const struct yaml_node *key)
{
	static const char *const of_conditions[] = {"all", "any", "not"};
	const char *names[ARRAY_SIZE(leaves) + ARRAY_SIZE(of_conditions)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		names[n++] = condition_name(leaves[i].kind);
	for (size_t i = 0; i < ARRAY_SIZE(of_conditions); i++)
		names[n++] = of_conditions[i];
	reading_error(r, key, reading_suggestion(r, key->text, names, n),
		      "unknown condition \"%.64s\"", key->text);
}

static void read_entry(const struct reading *r, const struct yaml_node *value, unsigned depth,
		       struct condition *out)
{
	const char *key = value->key->text;

	out->line = value->key->line;
	out->column = value->key->column;
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		if (strcmp(condition_name(leaves[i].kind), key) != 0)
			continue;
		out->kind = leaves[i].kind;
		leaves[i].read(r, value, out);
		return;
	}
	if (strcmp(key, "all") == 0 || strcmp(key, "any") == 0) {
		out->kind = key[1] == 'l' ? CONDITION_ALL : CONDITION_ANY;
		read_list(r, value, depth, out);
	} else if (strcmp(key, "not") == 0) {
		out->kind = CONDITION_NOT;
		read_not(r, value, depth, out);
	} else {
		unknown_condition(r, value->key);
	}
}

void condition_read(const struct reading *r, const struct yaml_node *node, unsigned depth,
		    struct condition *out)
{
	struct condition *children;
	size_t i = 0;

	out->kind = CONDITION_ALL;
	out->line = node->line;
	out->column = node->column;
	if (node->kind != YAML_MAP || !node->first) {
		reading_error(r, node, "write it like {package: \"openssl <3\"}",
			      "a condition is expected here");
		return;
	}
	if (depth > POLICY_DEPTH_MAX) {
		reading_error(r, node, NULL, "conditions nested deeper than %d", POLICY_DEPTH_MAX);
		return;
	}
	if (node->n == 1) {
		read_entry(r, node->first, depth, out);
		return;
	}
	/* Several keys: all of them. */
	children = new_children(r, node, node->n);
	if (!children)
		return;
	for (const struct yaml_node *value = node->first; value; value = value->next) {
		for (const struct yaml_node *before = node->first; before != value;
		     before = before->next)
			if (strcmp(before->key->text, value->key->text) == 0)
				reading_error(r, value->key, "use all: with a list",
					      "\"%.64s\" is given twice", value->key->text);
		read_entry(r, value, depth, &children[i++]);
	}
	out->children = children;
	out->n_children = node->n;
}
