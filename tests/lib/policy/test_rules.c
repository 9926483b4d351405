/* Policies as people write them, and what is decided by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/policy/condition_within.h"
#include "lib/policy/eval.h"
#include "lib/policy/policy_check.h"
#include "lib/policy/policy_read.h"
#include "tests/support/fault.h"

#define DAY_MS INT64_C(86400000)

static const struct package packages[] = {
	{.manager = "conda",
	 .name = "openssl",
	 .version = "1.1.1w",
	 .build = "h7f8727e_0",
	 .channel = "https://repo.anaconda.com/pkgs/main",
	 .subdir = "linux-64",
	 .license = "OpenSSL",
	 .url = "",
	 .built_ms = 995 * DAY_MS},
	{.manager = "conda",
	 .name = "python",
	 .version = "3.9.18",
	 .build = "h955ad1f_0",
	 .channel = "https://conda.anaconda.org/conda-forge",
	 .subdir = "linux-64",
	 .license = "Python-2.0",
	 .url = ""},
	{.manager = "conda",
	 .name = "ghostscript",
	 .version = "10.0",
	 .build = "0",
	 .channel = "https://mirror.example.org/tools",
	 .subdir = "linux-64",
	 .license = "AGPL-3.0-or-later",
	 .url = "",
	 .built_ms = 10 * DAY_MS},
	{.manager = "pypi",
	 .name = "pyyaml",
	 .version = "5.3.1",
	 .build = "",
	 .channel = "pypi",
	 .subdir = "",
	 .license = "MIT",
	 .url = ""},
};

static const struct finding findings[] = {
	{.id = "PYSEC-2021-142",
	 .aliases = {(const char *const[]){"CVE-2020-14343"}, 1},
	 .severity = SEVERITY_CRITICAL,
	 .cvss = 9.8,
	 .status = FINDING_ACTIVE,
	 .published_ms = 100 * DAY_MS,
	 .first_seen_ms = 990 * DAY_MS},
	{.id = "CVE-2020-1747",
	 .severity = SEVERITY_UNKNOWN,
	 .cvss = -1,
	 .status = FINDING_REPORTED,
	 .published_ms = 100 * DAY_MS},
};

#define NOW (1000 * DAY_MS)

static const struct policy_package installed[] = {
	{.package = &packages[0]},
	{.package = &packages[1]},
	{.package = &packages[2]},
	{.package = &packages[3], .findings = findings, .n_findings = 2},
};

static const struct policy_facts facts = {
	.environment = {{7}},
	.name = "prod-etl",
	.path = "/home/ana/envs/prod-etl",
	.user = "ana",
	.platform = "linux-64",
	.tool = "conda",
	.labels = {(const char *const[]){"finance", "emea"}, 2},
	.created_ms = 900 * DAY_MS,
	.packages = installed,
	.n_packages = 4,
};

struct world {
	struct arena arena;
	struct problems problems;
	struct policy policy;
	struct evaluation evaluation;
};

static int read_policy(struct world *w, const char *yaml)
{
	arena_init(&w->arena, POLICY_MEMORY_MAX);
	problems_init(&w->problems, &w->arena);
	return policy_read(yaml, strlen(yaml), &w->arena, &w->policy, &w->problems, NULL);
}

static int decide_with(struct world *w, const struct eval_input *more)
{
	struct eval_input in = more ? *more : (struct eval_input){0};
	struct rule_index *index = NULL;
	int rc = rule_index_new(&w->policy, &w->arena, &index);

	in.index = index;
	if (!in.facts)
		in.facts = &facts;
	if (in.now_ms == 0)
		in.now_ms = NOW;
	return rc == 0 ? policy_eval(&in, &w->arena, &w->evaluation) : rc;
}

static void decide(struct world *w, const char *rules)
{
	char yaml[4096];

	(void)snprintf(yaml, sizeof(yaml), "policy: 1\nrules:\n%s", rules);
	if (read_policy(w, yaml) < 0)
		fail_msg("%s: %s", rules, w->problems.n ? w->problems.items[0].text : "");
	assert_int_equal(decide_with(w, NULL), 0);
}

/* --- conditions --- */

struct condition_case {
	const char *when;
	const char *hits; /* names of the packages, "-" for the environment, "" nothing */
};

static const struct condition_case condition_cases[] = {
	{"{package: \"openssl <3\"}", "openssl"},
	{"{package: openssl}", "openssl"},
	{"{package: OpenSSL}", "openssl"},
	{"{package: \"openssl <1.1.1\"}", "openssl"}, /* letters sort before */
	{"{package: \"openssl >=3\"}", ""},
	{"{package: [\"numpy\", \"pyyaml <5.4\"]}", "pyyaml"},
	{"{package: \"py*\"}", "python pyyaml"},
	{"{package: \"conda-forge::python\"}", "python"},
	{"{package: \"defaults::python\"}", ""},
	{"{package: \"defaults::openssl\"}", "openssl"},
	{"{package: \"*[license='agpl*']\"}", "ghostscript"},
	{"{channel: conda-forge}", "python"},
	{"{channel: defaults}", "openssl"},
	{"{channel: \"https://mirror.example.org/*\"}", "ghostscript"},
	{"{channel: \"https://conda.anaconda.org/conda-forge\"}", "python"},
	{"{channel: pypi}", "pyyaml"},
	{"{license: \"AGPL-*\"}", "ghostscript"},
	{"{license: [mit, openssl]}", "openssl pyyaml"},
	{"{manager: conda}", "openssl python ghostscript"},
	{"{manager: pypi}", "pyyaml"},
	{"{all: [{manager: conda}, {not: {channel: [conda-forge, "
	 "\"https://mirror.example.org/*\"]}}]}",
	 "openssl"},
	{"{manager: conda, license: \"AGPL-*\"}", "ghostscript"},
	{"{any: [{package: python}, {manager: pypi}]}", "python pyyaml"},
	{"{not: {manager: conda}}", "pyyaml"},
	{"{all: [{package: \"python <3.10\"}, {any: [{env_name: \"prod-*\"}, {env_path: "
	 "\"/srv/**\"}]}]}",
	 "python"},
	{"{all: [{package: \"python <3.10\"}, {env_path: \"/srv/**\"}]}", ""},
	{"{env_name: \"prod-*\"}", "-"},
	{"{env_path: \"/home/*/envs/*\"}", "-"},
	{"{env_path: \"/home/**\"}", "-"},
	{"{env_path: \"/home/*\"}", ""},
	{"{tool: [pixi, conda]}", "-"},
	{"{tool: pixi}", ""},
	{"{unused_for: 90d}", "-"},
	{"{unused_for: 101d}", ""},
	{"{all: [{package: openssl}, {unused_for: 90d}]}", "openssl"},
	{"{package_age_below: 7d}", "openssl"},
	{"{package_age_below: 5d}", ""},
	{"{cve: {severity_at_least: critical}}", "pyyaml"},
	{"{cve: {ids: CVE-2020-14343}}", "pyyaml"},
	{"{cve: {ids: PYSEC-2021-142}}", "pyyaml"},
	{"{cve: {ids: CVE-1999-1}}", ""},
	{"{cve: {ids: CVE-2020-1747}}", ""}, /* reported only */
	{"{cve: {ids: CVE-2020-1747, status: [reported, active]}}", "pyyaml"},
	{"{cve: {severity_at_least: high, status: reported}}", ""},
	{"{cve: {severity_at_least: high, or_unknown: true, status: reported}}", "pyyaml"},
	{"{cve: {severity_at_least: unknown, status: reported}}", "pyyaml"},
	{"{cve: {cvss_at_least: 9.8}}", "pyyaml"},
	{"{cve: {cvss_at_least: 9.9}}", ""},
	{"{cve: {malicious: true}}", ""},
	{"{cve: {malicious: false, kev: no}}", "pyyaml"},
	{"{cve: {published_before: 14d}}", "pyyaml"},
	{"{cve: {published_before: 1000d}}", ""},
	{"{cve: {first_seen_before: 10d}}", "pyyaml"},
	{"{cve: {first_seen_before: 11d}}", ""},
};

static void conditions_hold_as_they_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(condition_cases); i++) {
		const struct condition_case *c = &condition_cases[i];
		char rule[1024];
		char hits[256] = "";
		struct world w;
		size_t n = 0;

		(void)snprintf(rule, sizeof(rule), "  - {id: r, when: %s, action: block}\n",
			       c->when);
		decide(&w, rule);
		for (size_t k = 0; k < w.evaluation.decision.n_reasons; k++) {
			const struct package *p = w.evaluation.decision.reasons[k].package;

			n += (size_t)snprintf(hits + n, sizeof(hits) - n, "%s%s", k > 0 ? " " : "",
					      p ? p->name : "-");
		}
		if (strcmp(hits, c->hits) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", c->when, hits, c->hits);
		arena_deinit(&w.arena);
	}
}

/* --- who, when, in which order --- */

struct rule_case {
	const char *rules;
	const char *expected; /* action, then "kind id" of each reason */
	int64_t until_ms;     /* 0 = for ever */
};

#define SSL "when: {package: openssl}"

static const struct rule_case rule_cases[] = {
	{"  - {id: a, " SSL ", action: warn}\n", "warn a", 0},
	{"  - {id: a, " SSL ", action: warn}\n  - {id: b, " SSL ", action: block}\n", "block b a",
	 0},
	{"  - {id: a, " SSL ", action: block, mode: monitor}\n", "allow (a)", 0},
	{"  - {id: a, " SSL ", action: block, scope: {labels: [finance]}}\n", "block a", 0},
	{"  - {id: a, " SSL ", action: block, scope: {labels: [hr]}}\n", "allow", 0},
	{"  - {id: a, " SSL ", action: block, scope: {platform: \"linux-*\", user: ana}}\n",
	 "block a", 0},
	{"  - {id: a, " SSL ", action: block, scope: {platform: win-64}}\n", "allow", 0},
	{"  - {id: a, " SSL ", action: block, scope: {not: {user: [\"ci-*\", ana]}}}\n", "allow",
	 0},
	{"  - {id: a, " SSL ", action: block, scope: {labels: emea, not: {user: \"ci-*\"}}}\n",
	 "block a", 0},
	/* 1972-09-27 is day 1000, 1972-10-01 day 1004 */
	{"  - {id: a, " SSL ", action: block, from: 1972-10-01}\n", "warn a", 1004 * DAY_MS},
	{"  - {id: a, " SSL ", action: block, from: 1972-09-27}\n", "block a", 0},
	{"  - {id: a, when: {unused_for: 101d}, action: warn}\n", "allow", 1001 * DAY_MS},
	{"  - {id: a, when: {package_age_below: 7d}, action: warn}\n", "warn a", 1002 * DAY_MS},
	{"  - {id: a, when: {cve: {first_seen_before: 12d}}, action: block}\n", "allow",
	 1002 * DAY_MS},
	{"  - {id: a, " SSL ", action: block}\n"
	 "exceptions:\n  - {id: x, rule: a, user: ana, expires: 1972-10-01}\n",
	 "allow", 1004 * DAY_MS},
	{"  - {id: a, " SSL ", action: block}\n"
	 "exceptions:\n  - {id: x, rule: a, user: ben, expires: 1972-10-01}\n",
	 "block a", 0},
	{"  - {id: a, " SSL ", action: block}\n"
	 "exceptions:\n  - {id: x, rule: a, env_path: \"/home/ana/**\", expires: 1972-09-27}\n",
	 "block a", 0},
	{"  - {id: a, when: {manager: conda}, action: block}\n"
	 "exceptions:\n  - {id: x, rule: a, package: \"[pg]*\", expires: 1972-10-01}\n"
	 "  - {id: y, rule: a, package: \"o*\", expires: 1972-10-02}\n",
	 "block a a", 1005 * DAY_MS},
};

static void describe(const struct evaluation *e, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%s", action_name(e->decision.action));

	for (size_t i = 0; i < e->decision.n_reasons; i++)
		n += (size_t)snprintf(out + n, cap - n, " %s", e->decision.reasons[i].id);
	for (size_t i = 0; i < e->n_monitored; i++)
		n += (size_t)snprintf(out + n, cap - n, " (%s)", e->monitored[i].id);
}

static void rules_decide_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rule_cases); i++) {
		const struct rule_case *c = &rule_cases[i];
		struct world w;
		char seen[256];

		decide(&w, c->rules);
		describe(&w.evaluation, seen, sizeof(seen));
		if (strcmp(seen, c->expected) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", c->rules, seen, c->expected);
		assert_int_equal(w.evaluation.decision.valid_until_ms,
				 c->until_ms ? c->until_ms : INT64_MAX);
		arena_deinit(&w.arena);
	}
}

/* An age that comes from a clock, or a machine, that tells nonsense. */
static void times_beyond_all_clocks(void **state)
{
	static const int64_t made[] = {INT64_MAX, INT64_MAX - DAY_MS, INT64_MIN, -1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		struct policy_facts odd = facts;
		struct world w;

		odd.created_ms = made[i];
		assert_int_equal(read_policy(&w, "policy: 1\nrules:\n  - {id: a, when: "
						 "{unused_for: 1000000w}, action: block}\n"),
				 0);
		assert_int_equal(decide_with(&w, &(struct eval_input){.facts = &odd}), 0);
		assert_int_equal(w.evaluation.decision.action, ACTION_ALLOW);
		assert_true(w.evaluation.decision.valid_until_ms > NOW);
		arena_deinit(&w.arena);
	}
}

static void an_explicit_status_comes_first(void **state)
{
	const struct status_entry block = {
		.environment = {{7}}, .action = ACTION_BLOCK, .message = "m", .until_ms = 0};
	const struct status_entry warn = {
		.environment = {{7}}, .action = ACTION_WARN, .message = "m", .until_ms = NOW + 5};
	const struct exception code = {.rule = "",
				       .env_path = "",
				       .env_name = "",
				       .user = "",
				       .package = "",
				       .environment = {{7}},
				       .expires_ms = NOW + 9,
				       .lifts_status = true};
	struct world w;
	char seen[64];

	(void)state;
	decide(&w, "  - {id: a, " SSL ", action: block}\n  - {id: b, " SSL ", action: warn}\n");
	assert_int_equal(decide_with(&w, &(struct eval_input){.status = &block}), 0);
	describe(&w.evaluation, seen, sizeof(seen));
	assert_string_equal(seen, "block  a b");
	assert_int_equal(decide_with(&w, &(struct eval_input){.status = &warn}), 0);
	describe(&w.evaluation, seen, sizeof(seen));
	assert_string_equal(seen, "block a  b");
	assert_int_equal(w.evaluation.decision.valid_until_ms, NOW + 5);
	assert_int_equal(decide_with(&w, &(struct eval_input){.status = &block,
							      .granted = &code,
							      .n_granted = 1}),
			 0);
	describe(&w.evaluation, seen, sizeof(seen));
	assert_string_equal(seen, "allow");
	assert_int_equal(w.evaluation.decision.valid_until_ms, NOW + 9);
	assert_int_equal(decide_with(&w, &(struct eval_input){.deferred_until_ms = NOW + DAY_MS}),
			 0);
	assert_int_equal(w.evaluation.decision.action, ACTION_WARN);
	assert_int_equal(w.evaluation.decision.reasons[0].block_from_ms, NOW + DAY_MS);
	arena_deinit(&w.arena);
}

/* More than there is room for: blocks first, then as written; and one case, whatever blocks now. */
static void more_reasons_than_are_told(void **state)
{
	struct eval_input put_off = {.deferred_until_ms = NOW + DAY_MS};
	char yaml[8192] = "policy: 1\nrules:\n";
	const struct decision *d;
	char code[CASE_CODE_MAX];
	struct world w;
	size_t n = strlen(yaml);

	(void)state;
	for (size_t i = 0; i < 100; i++)
		n += (size_t)snprintf(yaml + n, sizeof(yaml) - n,
				      "  - {id: r%02zu, " SSL ", action: %s}\n", i,
				      i < 60 ? "warn" : "block");
	assert_int_equal(read_policy(&w, yaml), 0);
	assert_int_equal(decide_with(&w, NULL), 0);
	d = &w.evaluation.decision;
	assert_int_equal(d->action, ACTION_BLOCK);
	assert_int_equal(d->n_reasons, DECISION_REASONS_MAX);
	for (size_t i = 0; i < d->n_reasons; i++) {
		char id[32];

		(void)snprintf(id, sizeof(id), "r%02zu", i < 40 ? 60 + i : i - 40);
		assert_string_equal(d->reasons[i].id, id);
		assert_int_equal(d->reasons[i].action, i < 40 ? ACTION_BLOCK : ACTION_WARN);
	}
	memcpy(code, d->case_code, sizeof(code));
	/* A grace for this case counts, though other reasons are told while it lasts. */
	put_off.deferred_case = code;
	assert_int_equal(decide_with(&w, &put_off), 0);
	assert_int_equal(d->action, ACTION_WARN);
	assert_string_equal(d->reasons[0].id, "r00");
	assert_string_equal(d->case_code, code);
	put_off.deferred_case = "EW-OTHR";
	assert_int_equal(decide_with(&w, &put_off), 0);
	assert_int_equal(d->action, ACTION_BLOCK);
	assert_string_equal(d->case_code, code);
	arena_deinit(&w.arena);
}

static void texts_are_filled_in(void **state)
{
	struct world w;
	const struct reason *reason;

	(void)state;
	decide(&w, "  - id: a\n"
		   "    when: {package: openssl}\n"
		   "    action: block\n"
		   "    message: \"{package} {version} in {env} {{x}}\"\n"
		   "    fix: '{tool} update {target} \"openssl>=3\" # {user}'\n");
	reason = &w.evaluation.decision.reasons[0];
	assert_string_equal(reason->message, "openssl 1.1.1w in prod-etl {x}");
	assert_string_equal(reason->fix, "conda update -n prod-etl \"openssl>=3\" # ana");
	arena_deinit(&w.arena);
}

static void a_name_made_to_hurt_stays_one_word(void **state)
{
	struct policy_facts evil = facts;
	struct world w;

	(void)state;
	evil.name = "x; rm -rf ~";
	evil.path = "/tmp/$(id)'/x; rm -rf ~";
	decide(&w, "  - {id: a, " SSL ", action: block, fix: '{tool} update {target} {env}'}\n");
	assert_int_equal(decide_with(&w, &(struct eval_input){.facts = &evil}), 0);
	assert_string_equal(w.evaluation.decision.reasons[0].fix,
			    "conda update -p '/tmp/$(id)'\\''/x; rm -rf ~' 'x; rm -rf ~'");
	arena_deinit(&w.arena);
}

/* --- what is refused --- */

struct problem_case {
	const char *yaml;
	unsigned line;
	unsigned column;
	const char *text; /* what the first problem begins with */
};

#define P "policy: 1\n"
#define R P "rules:\n"

static const struct problem_case problem_cases[] = {
	{"", 1, 1, "a policy must be a map"},
	{"rules: []", 1, 1, "a policy has no \"policy\""},
	{"policy: 2", 1, 9, "this version of the policy language"},
	{P "rulez: []", 2, 1, "unknown key \"rulez\" in a policy"},
	{P "policy: 1", 2, 1, "\"policy\" is given twice"},
	{P "rules: {a: b}", 2, 8, "a list is expected"},
	{P "rules: [*x]", 2, 9, "aliases are not supported"},
	{P "rules: &x [*x]", 2, 12, "aliases are not supported"},
	{P "rules: !!python/object [x]", 2, 8, "tags are not supported"},
	{P "---\npolicy: 1", 2, 1, "a second document"},
	{"policy: [1", 2, 1, "did not find expected"},
	{R "  - {id: a, when: {package: x}}", 3, 5, "a rule has no \"action\""},
	{R "  - {id: a b, when: {package: x}, action: warn}", 3, 10, "an id has letters"},
	{R "  - {id: a, when: {package: x}, action: allow}", 3, 41, "\"allow\" is not known here"},
	{R "  - {id: a, when: {}, action: warn}", 3, 19, "a condition is expected"},
	{R "  - {id: a, when: {pakage: x}, action: warn}", 3, 20, "unknown condition \"pakage\""},
	{R "  - {id: a, when: {package: \"x <>1\"}, action: warn}", 3, 29, "\"x <>1\": "},
	{R "  - {id: a, when: {all: {package: x}}, action: warn}", 3, 25,
	 "a list of conditions is expected"},
	{R "  - {id: a, when: {all: []}, action: warn}", 3, 25, "1 to 1000 conditions"},
	{R "  - {id: a, when: {unused_for: 3}, action: warn}", 3, 32,
	 "\"3\" is not a length of time"},
	{R "  - {id: a, when: {cve: {severity_at_least: bad}}, action: warn}", 3, 45,
	 "\"bad\" is not known here"},
	{R "  - {id: a, when: {cve: {cvss_at_least: 11}}, action: warn}", 3, 41,
	 "a score goes from 0 to 10"},
	{R "  - {id: a, when: {package: x}, action: block, from: soon}", 3, 54,
	 "\"soon\" is not a date"},
	{R "  - {id: a, when: {package: x}, action: warn, message: \"a\\eb\"}", 3, 56,
	 "has control or invisible characters"},
	{P "exceptions: [{id: x, rule: a}]", 2, 14, "an exception has no \"expires\""},
	/* What a template left empty must not come to mean everything, or nothing. */
	{R "  - {id: \"\", when: {package: x}, action: warn}", 3, 10, "an empty text"},
	{R "  - {id: a, when: {package: x}, action: \"\"}", 3, 41, "an empty text"},
	{R "  - {id: a, when: {package: \"\"}, action: warn}", 3, 29, "an empty text"},
	{R "  - {id: a, when: {package: x}, action: warn, mode: ''}", 3, 53, "an empty text"},
	{R "  - {id: a, when: {package: x}, action: block, from: ''}", 3, 54, "an empty text"},
	{R "  - {id: a, when: {unused_for: ''}, action: warn}", 3, 32, "an empty text"},
	{R "  - {id: a, when: {cve: {cvss_at_least: ''}}, action: warn}", 3, 41, "an empty text"},
	{R "  - {id: a, when: {cve: {kev: ''}}, action: warn}", 3, 31, "an empty text"},
	{R "  - {id: a, when: {cve: {status: []}}, action: warn}", 3, 34, "a list of 1 to"},
	{P "defaults: {on_timeout: ''}", 2, 24, "an empty text"},
	{P "defaults: {stale_after: ''}", 2, 25, "an empty text"},
	{P "exceptions: [{id: x, rule: a, user: '', expires: 2030-01-01}]", 2, 37, "an empty text"},
	{P "exceptions: [{id: x, rule: a, env_path: '', expires: 2030-01-01}]", 2, 41,
	 "an empty text"},
	{P "exceptions: [{id: x, rule: a, environment: '', expires: 2030-01-01}]", 2, 44,
	 "an empty text"},
	{P "exceptions: [{id: x, rule: a, user: u, expires: ''}]", 2, 49, "an empty text"},
};

static void what_is_wrong_is_named_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(problem_cases); i++) {
		const struct problem_case *c = &problem_cases[i];
		struct world w;

		assert_int_equal(read_policy(&w, c->yaml), ERR_INVALID);
		assert_true(w.problems.n > 0);
		problems_sort(&w.problems);
		if (w.problems.items[0].line != c->line ||
		    w.problems.items[0].column != c->column ||
		    strncmp(w.problems.items[0].text, c->text, strlen(c->text)) != 0)
			fail_msg("%s: %u:%u: %s", c->yaml, w.problems.items[0].line,
				 w.problems.items[0].column, w.problems.items[0].text);
		arena_deinit(&w.arena);
	}
}

/* A slip of the fingers is told as one; what is far from everything is not guessed at. */
static void the_word_that_was_meant_is_named(void **state)
{
	static const struct {
		const char *yaml;
		const char *suggestion;
	} rows[] = {
		{P "rule: []",
		 "did you mean rules? known here: policy, defaults, rules, exceptions"},
		{P "defaults: {on_timout: warn}",
		 "did you mean on_timeout? known here: on_timeout,"},
		{R "  - {id: a, when: {pakage: x}, action: warn}",
		 "did you mean package? known here: package, channel,"},
		{R "  - {id: a, when: {package: x}, action: blok}",
		 "did you mean block? known here: warn, block"},
		{R "  - {id: a, when: {package: x}, action: deny}", "known here: warn, block"},
		{R "  - {id: a, when: {tool: uv}, action: warn}", "known here: conda, mamba,"},
		{R
		 "  - {id: a, when: {x0123456789012345678901234567890123456789: u}, action: warn}",
		 "known here: package,"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world w;

		assert_int_equal(read_policy(&w, rows[i].yaml), ERR_INVALID);
		if (strncmp(w.problems.items[0].suggestion, rows[i].suggestion,
			    strlen(rows[i].suggestion)) != 0)
			fail_msg("%s: %s", rows[i].yaml, w.problems.items[0].suggestion);
		arena_deinit(&w.arena);
	}
}

struct check_case {
	const char *yaml;
	enum problem_kind kind;
	unsigned line;
	const char *text; /* NULL: nothing is wrong */
};

#define C P "defaults: {contact: x@y}\n"
#define CR C "rules:\n"

static const struct check_case check_cases[] = {
	{CR "  - {id: a, when: {package: \"x <2\"}, action: warn}", PROBLEM_ERROR, 0, NULL},
	{"\xef\xbb\xbf" CR "  - {id: a, when: {package: \"x <2\"}, action: warn}\r\n",
	 PROBLEM_ERROR, 0, NULL},
	{R "  - {id: a, when: {package: x}, action: warn}", PROBLEM_WARNING, 0, "no contact"},
	{CR
	 "  - {id: a, when: {package: x}, action: warn}\n  - {id: a, when: {package: y}, action: "
	 "warn}",
	 PROBLEM_ERROR, 5, "a rule \"a\" is there already, in line 4"},
	{CR "  - {id: a, when: {package: x}, action: warn, from: 2030-01-01}", PROBLEM_ERROR, 4,
	 "rule \"a\": \"from\""},
	{C "exceptions: [{id: x, rule: a, user: u, expires: 2030-01-01}]", PROBLEM_ERROR, 3,
	 "exception \"x\" is from rule \"a\""},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "exceptions: [{id: x, rule: a, user: u, expires: 1971-01-01}]",
	 PROBLEM_WARNING, 5, "exception \"x\" has expired on 1971-01-01"},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "exceptions: [{id: x, rule: a, expires: 2030-01-01}]",
	 PROBLEM_WARNING, 5, "exception \"x\" lifts rule \"a\" for everybody"},
	{CR "  - {id: a, when: {all: [{package: x}, {package: y}]}, action: warn}", PROBLEM_WARNING,
	 4, "no package is both \"x\" and \"y\""},
	{CR "  - {id: a, when: {not: {package: x}}, action: warn}", PROBLEM_WARNING, 4,
	 "rule \"a\" holds for every package but"},
	{CR "  - {id: a, when: {all: [{manager: conda}, {not: {package: x}}]}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {package: \"openssl <1.1.1\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"openssl <1.1.1\": letters sort before"},
	{CR "  - {id: a, when: {package: \"openssl <3\"}, action: warn}", PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {package: \"openssl >=3,<3.0.14\"}, action: warn}", PROBLEM_ERROR, 0,
	 NULL},
	{CR "  - {id: a, when: {package: \"jpeg <9\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"jpeg <9\": letters sort before"},
	{CR "  - {id: a, when: {package: \"openssl <1.1.1zz\"}, action: warn}", PROBLEM_ERROR, 0,
	 NULL},
	{CR "  - {id: a, when: {package: \"numpy 1.26\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"numpy 1.26\" is that very version alone"},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: 'conda update -n {env} x'}",
	 PROBLEM_WARNING, 4, "rule \"a\": the fix is wrong"},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: '{tool} update {target} \"x>=3\"'}",
	 PROBLEM_WARNING, 4, "rule \"a\": conda update takes no version"},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: '{tool} update {target} x'}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: '{tool} install {target} x>=3'}",
	 PROBLEM_WARNING, 4,
	 "rule \"a\": envwarden fix can't run the fix: a shell would act on '>'"},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: '{tool} install \"x>=3'}",
	 PROBLEM_WARNING, 4, "rule \"a\": envwarden fix can't run the fix: a \" is not closed"},
	{CR "  - {id: a, when: {package: x}, action: warn, message: 'see {url}'}", PROBLEM_WARNING,
	 4, "rule \"a\": message has {url}"},
	{CR "  - {id: a, when: {package: x}, action: block}\n"
	    "  - {id: b, when: {package: x}, action: warn}",
	 PROBLEM_WARNING, 5, "rule \"b\" adds nothing to rule \"a\" in line 4"},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "  - {id: b, when: {package: x}, action: block}",
	 PROBLEM_WARNING, 4, "rule \"a\" adds nothing to rule \"b\" in line 5"},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "  - {id: b, when: {package: x}, action: block, scope: {user: u}}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {package: x}, action: block}\n"
	    "  - {id: b, when: {package: x}, action: block, scope: {user: u}}",
	 PROBLEM_WARNING, 5, "rule \"b\" holds only where rule \"a\" in line 4 does"},
	{CR "  - {id: a, when: {package: x}, action: block, scope: {not: {user: u}}}\n"
	    "  - {id: b, when: {package: x}, action: block, scope: {not: {user: [u, v]}}}",
	 PROBLEM_WARNING, 5, "rule \"b\" holds only where rule \"a\" in line 4 does"},
	{CR "  - {id: a, when: {package: \"x <2\"}, action: warn}\n"
	    "  - {id: b, when: {package: \"x <3\"}, action: block}",
	 PROBLEM_WARNING, 4, "rule \"a\" holds only where rule \"b\" in line 5 does"},
	{CR "  - {id: a, when: {package: \"x <2\"}, action: block}\n"
	    "  - {id: b, when: {package: \"x <3\"}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {any: [{license: [A, B]}, {unused_for: 9d}]}, action: warn}\n"
	    "  - {id: b, when: {all: [{license: B}, {channel: c}]}, action: warn}",
	 PROBLEM_WARNING, 5, "rule \"b\" holds only where rule \"a\" in line 4 does"},
	{CR "  - {id: a, when: {license: [A, B]}, action: warn, mode: monitor}\n"
	    "  - {id: b, when: {license: B}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {all: [{manager: conda}, {manager: pypi}]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{tool: [pixi, conda]}, {tool: conda}]}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {package: [\"x >2,<1\", \"y >=1,<1\"]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {package: [\"x >2,<1\", \"y >=1,<=1\"]}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {all: [{package: \"x <1\"}, {package: \"x >2\"}]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{package: x}, {package: [y, z]}]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{package: [\"x <1\", y]}, {package: [\"x >2\", z]}]}, "
	    "action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{package: [\"x <1\", y]}, {package: [\"x >2\", y]}]}, "
	    "action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {all: [{package: \"x <1\"}, {any: [{package: \"x >2\"}, {package: "
	    "y}]}]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{package: \"x <1\"}, {any: [{package: \"x >2\"}, {manager: "
	    "conda}]}]}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {all: [{package: \"x <1\"}, {all: [{manager: conda}, {package: \"x "
	    ">2\"}]}]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{any: [{package: a}, {package: b}]}, {any: [{package: c}, "
	    "{package: d}]}]}, action: warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {all: [{any: [{package: a}, {package: b}]}, {any: [{package: c}, "
	    "{package: b}]}]}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {all: [{package: \"x <1\"}, {not: {package: \"x >2\"}}]}, action: "
	    "warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {all: [{package: \"x <2\"}, {not: {package: \"x <3\"}}]}, action: "
	    "warn}",
	 PROBLEM_WARNING, 4, "rule \"a\" can never hold"},
	{CR "  - {id: a, when: {package: x}, action: warn, scope: {platform: [linux-65]}}",
	 PROBLEM_WARNING, 4, "rule \"a\": \"linux-65\" is no platform"},
	{CR "  - {id: a, when: {env_path: \"srv/**\"}, action: warn}", PROBLEM_WARNING, 4,
	 "no path of an environment begins like \"srv/**\""},
	{CR "  - {id: a, when: {env_path: [\"C:/envs/*\", \"**/x\", /srv]}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {env_path: /srv/env/}, action: warn}", PROBLEM_WARNING, 4,
	 "no path of an environment ends with /"},
	{CR "  - {id: a, when: {env_name: /srv/env}, action: warn}", PROBLEM_WARNING, 4,
	 "no name of an environment has a / in it"},
	/* Specs of which conda passes something over. */
	{CR "  - {id: a, when: {package: \"numpy[version<2]\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"numpy[version<2]\" is read as if"},
	{CR "  - {id: a, when: {package: \"numpy[version>=2]\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"numpy[version>=2]\" is read as if"},
	{CR "  - {id: a, when: {package: \"requests[security] <3\"}, action: warn}",
	 PROBLEM_WARNING, 4, "\"requests[security] <3\" is read as if"},
	{CR "  - {id: a, when: {package: \"openssl (<3)\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"openssl (<3)\" is read as if"},
	{CR
	 "  - {id: a, when: {package: \"numpy[version='(>=1,<2)|>3', build=py*]\"}, action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	{CR "  - {id: a, when: {package: \"numpy >1.26.*\"}, action: warn}", PROBLEM_WARNING, 4,
	 "\"numpy >1.26.*\": a .* behind"},
	{CR "  - {id: a, when: {package: \"numpy[version='<=1.*']\"}, action: warn}",
	 PROBLEM_WARNING, 4, "\"numpy[version='<=1.*']\": a .* behind"},
	{CR "  - {id: a, when: {package: [\"numpy >=1,<2\", \"numpy !=1.26.*\", \"x 1.*\"]}, "
	    "action: warn}",
	 PROBLEM_ERROR, 0, NULL},
	/* Scopes that take in nobody. */
	{CR "  - {id: a, when: {package: x}, action: warn, scope: {not: {}}}", PROBLEM_WARNING, 4,
	 "rule \"a\" concerns nobody"},
	{CR
	 "  - {id: a, when: {package: x}, action: warn, scope: {user: ci, not: {user: [ci, b]}}}",
	 PROBLEM_WARNING, 4, "rule \"a\" concerns nobody"},
	{CR "  - {id: a, when: {package: x}, action: warn, scope: {user: [a, b], not: {user: b}}}",
	 PROBLEM_ERROR, 0, NULL},
	/* Exceptions that are wider, or narrower, than they look. */
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "exceptions: [{id: x, rule: a, user: \"*\", expires: 2030-01-01}]",
	 PROBLEM_WARNING, 5, "exception \"x\" lifts rule \"a\" for everybody"},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "exceptions: [{id: x, rule: a, env_path: \"/**\", expires: 2030-01-01}]",
	 PROBLEM_WARNING, 5, "exception \"x\" lifts rule \"a\" for everybody"},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "exceptions: [{id: x, rule: a, env_path: \"~/envs/x\", expires: 2030-01-01}]",
	 PROBLEM_WARNING, 5, "no path of an environment begins like \"~/envs/x\""},
	{CR "  - {id: a, when: {package: x}, action: warn}\n"
	    "exceptions: [{id: x, rule: a, package: \"x <2\", expires: 2030-01-01}]",
	 PROBLEM_WARNING, 5, "exception \"x\": no package is called \"x <2\""},
	/* Fixes nobody can run, or for the wrong environment. */
	{CR "  - {id: a, when: {package: x}, action: warn, fix: 'sudo conda update {target} x'}",
	 PROBLEM_WARNING, 4, "rule \"a\": envwarden fix can't run the fix: it knows no \"sudo\""},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: 'conda update --name {env} x'}",
	 PROBLEM_WARNING, 4, "rule \"a\": the fix is wrong"},
	{CR "  - {id: a, when: {package: x}, action: warn, fix: 'uv pip install {package}'}",
	 PROBLEM_ERROR, 0, NULL},
	/* Minutes where months were meant. */
	{P "defaults: {contact: x@y, stale_after: 30m}\nrules: []", PROBLEM_WARNING, 0,
	 "stale_after is so short"},
	{P "defaults: {contact: x@y, stale_after: 0d}\nrules: []", PROBLEM_ERROR, 0, NULL},
};

static void what_hardly_means_what_it_says_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(check_cases); i++) {
		const struct check_case *c = &check_cases[i];
		struct world w;

		assert_int_equal(read_policy(&w, c->yaml), 0);
		(void)policy_check(&w.policy, NOW, &w.arena, &w.problems, NULL);
		if (!c->text) {
			if (w.problems.n > 0)
				fail_msg("%s: %s", c->yaml, w.problems.items[0].text);
		} else if (w.problems.n != 1 || w.problems.items[0].kind != c->kind ||
			   w.problems.items[0].line != c->line ||
			   strncmp(w.problems.items[0].text, c->text, strlen(c->text)) != 0) {
			fail_msg("%s: %zu, %u: %s", c->yaml, w.problems.n, w.problems.items[0].line,
				 w.problems.items[0].text);
		}
		arena_deinit(&w.arena);
	}
}

static void what_is_told_stands_at_its_column(void **state)
{
	static const struct {
		const char *yaml;
		unsigned column;
	} rows[] = {
		{CR "  - {id: a, when: {package: \"x >2,<1\"}, action: warn}", 5},
		{CR "  - {id: a, when: {package: \"numpy 1.26\"}, action: warn}", 20},
		{CR "  - {id: a, when: {any: [{package: x}, {env_name: /a}]}, action: warn}", 41},
		{CR "  - {id: a, when: {package: x}, action: warn}\n"
		    "exceptions: [{id: x, rule: a, expires: 2030-01-01}]",
		 14},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world w;

		assert_int_equal(read_policy(&w, rows[i].yaml), 0);
		(void)policy_check(&w.policy, NOW, &w.arena, &w.problems, NULL);
		assert_int_equal(w.problems.n, 1);
		assert_int_equal(w.problems.items[0].column, rows[i].column);
		arena_deinit(&w.arena);
	}
}

/* With too few steps nothing is claimed, whatever the outcome of those that were made. */
static void what_was_not_compared_is_not_told(void **state)
{
	static const char yaml[] =
		CR "  - {id: a, when: {all: [{manager: pypi}, {manager: conda}]}, action: warn}";
	struct world w;
	size_t enough = 100;

	(void)state;
	assert_int_equal(read_policy(&w, yaml), 0);
	assert_true(condition_never(&w.policy.rules[0].when, &enough));
	for (size_t steps = 0; steps <= 100 - enough; steps++) {
		size_t left = steps;

		assert_false(condition_never(&w.policy.rules[0].when, &left));
	}
	arena_deinit(&w.arena);
}

static int read_and_decide(void *ctx)
{
	static const char yaml[] =
		CR "  - {id: a, when: {all: [{package: \"openssl <3\"}, {not: {channel: x}}]}, "
		   "action: "
		   "block, message: \"{package}\", scope: {not: {user: u}}}\n"
		   "exceptions: [{id: x, rule: a, user: u, expires: 2030-01-01}]\n";
	struct world w;
	int rc = read_policy(&w, yaml);

	(void)ctx;
	if (rc == 0)
		rc = policy_check(&w.policy, NOW, &w.arena, &w.problems, NULL);
	if (rc == 0)
		rc = decide_with(&w, NULL);
	arena_deinit(&w.arena);
	return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
	(void)state;
	fault_each_alloc(read_and_decide, NULL, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions_hold_as_they_read),
		cmocka_unit_test(rules_decide_in_order),
		cmocka_unit_test(times_beyond_all_clocks),
		cmocka_unit_test(more_reasons_than_are_told),
		cmocka_unit_test(an_explicit_status_comes_first),
		cmocka_unit_test(texts_are_filled_in),
		cmocka_unit_test(a_name_made_to_hurt_stays_one_word),
		cmocka_unit_test(what_is_wrong_is_named_with_its_place),
		cmocka_unit_test(what_hardly_means_what_it_says_is_told),
		cmocka_unit_test(what_is_told_stands_at_its_column),
		cmocka_unit_test(what_was_not_compared_is_not_told),
		cmocka_unit_test(the_word_that_was_meant_is_named),
		cmocka_unit_test(running_out_of_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
