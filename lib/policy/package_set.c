#include "lib/policy/package_set.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/wildcard.h"
#include "lib/conda/match_spec.h"
#include "lib/policy/universe.h"

/* --- sets --- */

static size_t words_of(const struct universe *u)
{
	return SET_WORDS(u->size);
}

static void set_add(set_word *set, size_t i)
{
	set[i / 64] |= (set_word)1 << (i % 64);
}

static void set_clear(const struct universe *u, set_word *set)
{
	memset(set, 0, words_of(u) * sizeof(*set));
}

/* All of them; bits beyond the last member stay zero. */
static void set_all(const struct universe *u, set_word *set)
{
	size_t tail = u->size % 64;

	memset(set, 0xff, words_of(u) * sizeof(*set));
	if (tail != 0)
		set[words_of(u) - 1] = ((set_word)1 << tail) - 1;
}

static void set_group(set_word *set, const struct group *group)
{
	for (size_t i = 0; i < group->n; i++)
		set_add(set, group->members[i]);
}

/* --- conditions about a package --- */

#define ASK_EVERY 64 /* packages: one with long texts may take a millisecond by itself */

/* Asked at every condition, and as often with a spec for many packages: some milliseconds apart at
 * most. */
static bool is_canceled(const struct universe *u)
{
	return u->canceled && atomic_load_explicit(u->canceled, memory_order_relaxed);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static const char *hex_of(struct arena *arena, const unsigned char *hash, size_t n)
{
	struct buf hex;
	const char *text;

	buf_init(&hex, 2 * SHA256_SIZE + 1);
	buf_add_hex(&hex, hash, n);
	text = arena_strdup(arena, buf_cstr(&hex));
	buf_deinit(&hex);
	return text;
}

static int make_subject(struct universe *u, const struct package *p, struct subject *s)
{
	const struct match_package package = {
		.name = p->name,
		.version = p->version,
		.build = p->build,
		.build_number = p->build_number,
		.channel = or_null(p->channel),
		.subdir = or_null(p->subdir),
		.license = or_null(p->license),
		.md5 = p->has_md5 ? hex_of(u->arena, p->md5, sizeof(p->md5)) : NULL,
		.sha256 = p->has_sha256 ? hex_of(u->arena, p->sha256, SHA256_SIZE) : NULL,
		.url = or_null(p->url),
	};
	int rc = match_subject_init(&s->match, &package, u->arena, NULL);

	if (rc == ERR_NOMEM)
		return rc;
	s->state = rc < 0 ? SUBJECT_ODD : SUBJECT_MADE;
	return 0;
}

/* *out is NULL for one that no spec can be about. */
static int subject_of(struct universe *u, size_t i, const struct match_subject **out)
{
	struct subject *s = &u->subjects[i];
	int rc = 0;

	if (s->state == SUBJECT_NEW)
		rc = make_subject(u, u->facts->packages[i].package, s);
	*out = s->state == SUBJECT_MADE ? &s->match : NULL;
	return rc;
}

static const struct group *find_group(const struct groups *groups, const char *value)
{
	size_t low = 0;
	size_t high = groups->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = strcmp(groups->items[middle].value, value);

		if (c == 0)
			return &groups->items[middle];
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int test_group(struct universe *u, const struct match_spec *spec, const struct group *group,
		      set_word *set)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct match_subject *subject;
		int rc;

		if (i % ASK_EVERY == ASK_EVERY - 1 && is_canceled(u))
			return ERR_CANCELED;
		if (set_has(set, group->members[i]))
			continue; /* by another spec */
		rc = subject_of(u, group->members[i], &subject);
		if (rc < 0)
			return rc;
		if (subject && match_spec_match(spec, subject) == 1)
			set_add(set, group->members[i]);
	}
	return 0;
}

/* A spec for packages of several names. */
static int test_names(struct universe *u, const struct match_spec *spec, set_word *set)
{
	int rc = is_canceled(u) ? ERR_CANCELED : spec->name_glob ? universe_gram_names(u) : 0;

	if (rc == 0 && spec->name_glob && !grams_may_match(u->names.grams, spec->name_glob))
		return 0;
	for (size_t i = 0; i < u->names.n && rc == 0; i++)
		rc = i % ASK_EVERY == ASK_EVERY - 1 && is_canceled(u)
			     ? ERR_CANCELED
			     : test_group(u, spec, &u->names.items[i], set);
	return rc;
}

static int eval_package(struct universe *u, const struct condition *c, set_word *set)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_specs && rc == 0; i++) {
		const struct match_spec *spec = &c->specs[i];
		const struct group *group = spec->name ? find_group(&u->names, spec->name) : NULL;

		if (group)
			rc = test_group(u, spec, group, set);
		else if (!spec->name)
			rc = test_names(u, spec, set);
	}
	return rc;
}

typedef bool (*text_matches)(const char *pattern, const char *value);

static bool manager_matches(const char *manager, const char *value)
{
	return strcmp(manager, value) == 0;
}

static bool matches_any(const struct texts_list *texts, text_matches matches, const char *value)
{
	for (size_t i = 0; i < texts->n; i++)
		if (matches(texts->items[i], value))
			return true;
	return false;
}

/* All of a group are in the set, or none. */
static bool has_group(const set_word *set, const struct group *group)
{
	return set_has(set, group->members[0]);
}

/* Patterns may be about the short name of a channel or about its URL. */
static void add_channels(const struct universe *u, const char *pattern, set_word *set)
{
	for (size_t i = 0; i < u->channels.n; i++) {
		const char *forms[UNIVERSE_CHANNEL_FORMS];

		if (has_group(set, &u->channels.items[i]))
			continue;
		universe_channel_forms(u, i, forms);
		for (size_t k = 0; k < UNIVERSE_CHANNEL_FORMS; k++)
			if (forms[k] && wildcard_match(pattern, forms[k]))
				set_group(set, &u->channels.items[i]);
	}
}

static int eval_channel(struct universe *u, const struct condition *c, set_word *set)
{
	int rc = universe_group_channels(u);

	for (size_t i = 0; rc == 0 && i < c->texts.n; i++)
		if (grams_may_match(u->channels.grams, c->texts.items[i]))
			add_channels(u, c->texts.items[i], set);
	return rc;
}

static void add_groups(const struct groups *groups, const char *pattern, text_matches matches,
		       set_word *set)
{
	for (size_t i = 0; i < groups->n; i++)
		if (!has_group(set, &groups->items[i]) && matches(pattern, groups->items[i].value))
			set_group(set, &groups->items[i]);
}

static int eval_license(struct universe *u, const struct condition *c, set_word *set)
{
	int rc = universe_group_licenses(u);

	for (size_t i = 0; rc == 0 && i < c->texts.n; i++)
		if (grams_may_match(u->licenses.grams, c->texts.items[i]))
			add_groups(&u->licenses, c->texts.items[i], wildcard_match_fold, set);
	return rc;
}

static int eval_manager(struct universe *u, const struct condition *c, set_word *set)
{
	int rc = universe_group_managers(u);

	for (size_t i = 0; rc == 0 && i < c->texts.n; i++)
		add_groups(&u->managers, c->texts.items[i], manager_matches, set);
	return rc;
}

static void lower_to(int64_t *until_ms, int64_t ms)
{
	if (ms < *until_ms)
		*until_ms = ms;
}

/* True once `ms` have passed since; until then the answer is good until that moment. No clock tells
 * what is told here: it may be any time. */
static bool has_passed(const struct universe *u, int64_t since_ms, int64_t ms, int64_t *until_ms)
{
	int64_t then_ms = since_ms > INT64_MAX - ms ? INT64_MAX : since_ms + ms;

	if (u->now_ms >= then_ms)
		return true;
	lower_to(until_ms, then_ms);
	return false;
}

static void eval_age(const struct universe *u, const struct condition *c, set_word *set,
		     int64_t *until_ms)
{
	for (size_t i = 0; i < u->facts->n_packages; i++) {
		int64_t built_ms = u->facts->packages[i].package->built_ms;

		/* One whose age is not known is not young: the others of its kind would all be. */
		if (built_ms > 0 && !has_passed(u, built_ms, c->duration_ms, until_ms))
			set_add(set, i);
	}
}

static bool finding_has_id(const struct finding *f, const struct texts_list *ids)
{
	if (ids->n == 0)
		return true;
	for (size_t i = 0; i < ids->n; i++) {
		if (wildcard_match_fold(ids->items[i], f->id))
			return true;
		for (size_t k = 0; k < f->aliases.n; k++)
			if (wildcard_match_fold(ids->items[i], f->aliases.items[k]))
				return true;
	}
	return false;
}

static bool is_severe(const struct cve_condition *cve, const struct finding *f)
{
	if (!cve->has_severity)
		return true;
	if (f->severity == SEVERITY_UNKNOWN)
		return cve->or_unknown || cve->severity_at_least == SEVERITY_UNKNOWN;
	return f->severity >= cve->severity_at_least;
}

static bool is_as_asked(enum ternary asked, bool is)
{
	return asked == TERNARY_ANY || (asked == TERNARY_YES) == is;
}

static bool finding_matches(const struct universe *u, const struct cve_condition *cve,
			    const struct finding *f, int64_t *until_ms)
{
	if (!finding_has_id(f, &cve->ids) || !is_severe(cve, f) || !(cve->status & f->status) ||
	    (cve->has_cvss && f->cvss < cve->cvss_at_least) ||
	    !is_as_asked(cve->malicious, f->malicious) || !is_as_asked(cve->kev, f->kev))
		return false;
	if (cve->published_before_ms > 0 &&
	    (f->published_ms == 0 ||
	     !has_passed(u, f->published_ms, cve->published_before_ms, until_ms)))
		return false;
	return cve->first_seen_before_ms == 0 ||
	       (f->first_seen_ms != 0 &&
		has_passed(u, f->first_seen_ms, cve->first_seen_before_ms, until_ms));
}

static void eval_cve(const struct universe *u, const struct condition *c, set_word *set,
		     int64_t *until_ms)
{
	for (size_t i = 0; i < u->facts->n_packages; i++) {
		const struct policy_package *p = &u->facts->packages[i];

		for (size_t k = 0; k < p->n_findings; k++)
			if (finding_matches(u, c->cve, &p->findings[k], until_ms))
				set_add(set, i);
	}
}

/* --- conditions about the environment --- */

static bool eval_environment(const struct universe *u, const struct condition *c, int64_t *until_ms)
{
	const struct policy_facts *facts = u->facts;
	int64_t used_ms = facts->last_used_ms;

	switch (c->kind) {
	case CONDITION_ENV_NAME:
		return matches_any(&c->texts, wildcard_match, facts->name);
	case CONDITION_ENV_PATH:
		return matches_any(&c->texts, wildcard_match_path, facts->path);
	case CONDITION_TOOL:
		return matches_any(&c->texts, manager_matches, facts->tool);
	default:
		if (used_ms == 0)
			used_ms = facts->created_ms;
		return used_ms > 0 && has_passed(u, used_ms, c->duration_ms, until_ms);
	}
}

/* --- conditions of conditions --- */

/* Takes one more condition into a set. */
static set_word combine(const struct universe *u, set_word *set, const set_word *more, bool all)
{
	set_word left = 0;

	for (size_t w = 0; w < words_of(u); w++) {
		set[w] = all ? set[w] & more[w] : set[w] | more[w];
		left |= set[w];
	}
	return left;
}

static bool is_of_environment(const struct condition *c)
{
	return c->n_children == 0 && !condition_is_of_package(c);
}

/* What is about the environment is asked first: it is one question, and settles most rules. */
static bool fails_at_once(const struct universe *u, const struct condition *all, int64_t *until_ms)
{
	for (size_t i = 0; i < all->n_children; i++)
		if (is_of_environment(&all->children[i]) &&
		    !eval_environment(u, &all->children[i], until_ms))
			return true;
	return false;
}

static int eval_children(struct universe *u, const struct condition *c, set_word *set,
			 int64_t *until_ms)
{
	set_word *child = u->scratch + u->depth * words_of(u);
	bool all = c->kind == CONDITION_ALL;
	int rc = 0;

	CHECK(u->depth < UNIVERSE_LEVELS);
	if (all && fails_at_once(u, c, until_ms))
		return 0;
	u->depth++;
	if (all)
		set_all(u, set);
	for (size_t i = 0; rc == 0 && i < c->n_children; i++) {
		rc = condition_eval(u, &c->children[i], child, until_ms);
		if (rc == 0 && combine(u, set, child, all) == 0 && all)
			break;
	}
	u->depth--;
	return rc;
}

static int eval_not(struct universe *u, const struct condition *c, set_word *set, int64_t *until_ms)
{
	set_word *child = u->scratch + u->depth * words_of(u);
	int rc;

	CHECK(u->depth < UNIVERSE_LEVELS);
	u->depth++;
	rc = condition_eval(u, c->children, child, until_ms);
	u->depth--;
	set_all(u, set);
	for (size_t w = 0; w < words_of(u); w++)
		set[w] &= ~child[w];
	return rc;
}

int condition_eval(struct universe *u, const struct condition *c, set_word *set, int64_t *until_ms)
{
	set_clear(u, set);
	if (is_canceled(u))
		return ERR_CANCELED;
	switch (c->kind) {
	case CONDITION_ALL:
	case CONDITION_ANY:
		return eval_children(u, c, set, until_ms);
	case CONDITION_NOT:
		return eval_not(u, c, set, until_ms);
	case CONDITION_PACKAGE:
		return eval_package(u, c, set);
	case CONDITION_CHANNEL:
		return eval_channel(u, c, set);
	case CONDITION_LICENSE:
		return eval_license(u, c, set);
	case CONDITION_MANAGER:
		return eval_manager(u, c, set);
	case CONDITION_CVE:
		eval_cve(u, c, set, until_ms);
		return 0;
	case CONDITION_PACKAGE_AGE_BELOW:
		eval_age(u, c, set, until_ms);
		return 0;
	default:
		if (eval_environment(u, c, until_ms))
			set_all(u, set);
		return 0;
	}
}

/* --- scopes --- */

static bool has_label(const struct texts_list *wanted, const struct texts_list *labels)
{
	for (size_t i = 0; i < labels->n; i++)
		if (matches_any(wanted, wildcard_match, labels->items[i]))
			return true;
	return wanted->n == 0;
}

bool scope_holds(const struct scope *scope, const struct policy_facts *facts)
{
	if (!has_label(&scope->labels, &facts->labels))
		return false;
	if (scope->platform.n > 0 &&
	    !matches_any(&scope->platform, wildcard_match, facts->platform))
		return false;
	if (scope->user.n > 0 && !matches_any(&scope->user, wildcard_match, facts->user))
		return false;
	return !scope->except || !scope_holds(scope->except, facts);
}
