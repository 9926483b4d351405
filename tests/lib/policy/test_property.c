/*
 * Random policies, environments and clocks: what is read from the YAML and evaluated must be what
 * a plain reading of docs/policy.md gives, written down here a second time without any of its
 * code. Conditions are chosen so that their truth is plain: a table says of which channel a pattern
 * is, versions are whole numbers, times are days.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/policy/eval.h"
#include "lib/policy/policy_read.h"

#define DAY INT64_C(86400000)
#define TODAY 1000 /* days since 1970 */
#define CASES 3000

/* --- chance --- */

static uint64_t chance = 1;

static unsigned draw(unsigned n)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)((chance >> 20) % n);
}

static bool once_in(unsigned n)
{
	return draw(n) == 0;
}

/* --- an environment --- */

#define PACKAGES 5

static const char *const names[] = {"openssl", "python", "numpy"};
static const char *const versions[] = {"1", "2", "3"};
static const char *const channels[] = {"https://conda.anaconda.org/conda-forge",
				       "https://mirror.example.org/tools", "pypi"};
static const char *const licenses[] = {"MIT", "AGPL-3.0-only", ""};
static const int built_days[] = {0, 990, 998};
static const char *const env_names[] = {"prod-etl", "test"};
static const char *const env_paths[] = {"/srv/envs/prod-etl", "/home/ana/test"};
static const char *const tools[] = {"conda", "pixi"};
static const char *const users[] = {"ana", "ci-7"};
static const char *const platforms[] = {"linux-64", "osx-arm64"};
static const char *const labels[] = {"finance", "dev"};

struct installed {
	unsigned name, version, channel, license, built;
	unsigned severity; /* of its finding; 0 none */
	int published;	   /* day */
};

struct place {
	struct installed packages[PACKAGES];
	size_t n;
	unsigned name, tool, user, platform;
	unsigned labels; /* bits */
	int used;	 /* day; 0 never */
	int created;
};

static struct place draw_place(void)
{
	struct place p = {.n = draw(PACKAGES + 1),
			  .name = draw(2),
			  .tool = draw(2),
			  .user = draw(2),
			  .platform = draw(2),
			  .labels = draw(4),
			  .used = once_in(2) ? 0 : 900 + (int)draw(101),
			  .created = once_in(4) ? 0 : 880 + (int)draw(20)};

	for (size_t i = 0; i < p.n; i++)
		p.packages[i] = (struct installed){
			.name = draw(3),
			.version = draw(3),
			.channel = draw(3),
			.license = draw(3),
			.built = draw(3),
			.severity = once_in(2) ? 0 : 1 + draw(2),
			.published = 960 + (int)draw(40),
		};
	return p;
}

/* --- conditions: how they are written, and when they hold --- */

struct choice {
	const char *text;
	unsigned holds; /* bits: of these values */
};

static const struct choice of_channel[] = {{"conda-forge", 1},
					   {"\"https://mirror.example.org/*\"", 2},
					   {"[pypi, conda-forge]", 5},
					   {"\"*\"", 7}};
static const struct choice of_license[] = {{"mit", 1}, {"\"agpl-*\"", 2}, {"[\"*-ONLY\", MIT]", 3}};
static const struct choice of_manager[] = {{"conda", 3}, {"pypi", 4}};
static const struct choice of_name[] = {{"\"prod-*\"", 1}, {"test", 2}, {"[test, \"*etl\"]", 3}};
static const struct choice of_path[] = {
	{"\"/srv/**\"", 1}, {"\"/home/*/test\"", 2}, {"\"/srv/*\"", 0}};
static const struct choice of_tool[] = {{"conda", 1}, {"[pixi, mamba]", 2}};
static const struct choice of_user[] = {{"ana", 1}, {"\"ci-*\"", 2}, {"[\"ci-*\", ana]", 3}};
static const struct choice of_platform[] = {{"linux-64", 1}, {"[osx-arm64, win-64]", 2}};
static const struct choice of_label[] = {
	{"finance", 1}, {"[dev, other]", 2}, {"[dev, finance]", 3}};

/* Specs by name (3: any) and the versions they take. */
static const struct {
	const char *text;
	unsigned names;
	unsigned versions;
} of_package[] = {
	{"openssl", 1, 7},
	{"\"openssl <2\"", 1, 1},
	{"\"python >=2\"", 2, 6},
	{"\"numpy >1,<3\"", 4, 2},
	{"\"python ==3|==1\"", 2, 5},
	{"\"*\"", 7, 7},
	{"\"*n* !=2\"", 7, 5}, /* all of them have an n */
	{"[\"numpy 1.*\", \"numpy 3\"]", 4, 5},
};

enum kind {
	PACKAGE,
	CHANNEL,
	LICENSE,
	MANAGER,
	CVE,
	AGE,
	NAME,
	PATH,
	TOOL,
	UNUSED,
	LEAVES,
	ALL = LEAVES,
	ANY,
	NOT
};

struct node {
	enum kind kind;
	unsigned pick;
	int days;
	struct node *children[3];
	size_t n;
};

static struct node nodes[64];
static size_t n_nodes;

static unsigned picks_of(enum kind kind)
{
	static const unsigned counts[LEAVES] = {[PACKAGE] = ARRAY_SIZE(of_package),
						[CHANNEL] = ARRAY_SIZE(of_channel),
						[LICENSE] = ARRAY_SIZE(of_license),
						[MANAGER] = ARRAY_SIZE(of_manager),
						[CVE] = 3,
						[AGE] = 1,
						[NAME] = ARRAY_SIZE(of_name),
						[PATH] = ARRAY_SIZE(of_path),
						[TOOL] = ARRAY_SIZE(of_tool),
						[UNUSED] = 1};

	return counts[kind];
}

static struct node *draw_node(unsigned depth)
{
	struct node *node = &nodes[n_nodes++];

	*node = (struct node){.kind = (enum kind)draw(LEAVES)};
	if (depth < 3 && once_in(2) && n_nodes < 50)
		node->kind = (enum kind)(ALL + draw(3));
	if (node->kind < LEAVES) {
		node->pick = draw(picks_of(node->kind));
		node->days = 1 + (int)draw(60);
		return node;
	}
	node->n = node->kind == NOT ? 1 : 1 + draw(3);
	for (size_t i = 0; i < node->n; i++)
		node->children[i] = draw_node(depth + 1);
	return node;
}

static void write_node(struct buf *out, const struct node *node)
{
	static const char *const keys[] = {"package", "channel",	   "license",  "manager",
					   "cve",     "package_age_below", "env_name", "env_path",
					   "tool",    "unused_for",	   "all",      "any",
					   "not"};
	static const struct choice *const tables[LEAVES] = {
		[CHANNEL] = of_channel, [LICENSE] = of_license, [MANAGER] = of_manager,
		[NAME] = of_name,	[PATH] = of_path,	[TOOL] = of_tool};

	buf_addf(out, "{%s: ", keys[node->kind]);
	if (node->kind == PACKAGE)
		buf_adds(out, of_package[node->pick].text);
	else if (node->kind == CVE && node->pick == 2)
		buf_addf(out, "{published_before: %dd}", node->days);
	else if (node->kind == CVE)
		buf_addf(out, "{severity_at_least: %s}", node->pick == 0 ? "medium" : "high");
	else if (node->kind == AGE || node->kind == UNUSED)
		buf_addf(out, "%dd", node->days);
	else if (node->kind < LEAVES)
		buf_adds(out, tables[node->kind][node->pick].text);
	else if (node->kind == NOT)
		write_node(out, node->children[0]);
	else {
		buf_addc(out, '[');
		for (size_t i = 0; i < node->n; i++) {
			buf_adds(out, i > 0 ? ", " : "");
			write_node(out, node->children[i]);
		}
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

static bool is_of_package(const struct node *node)
{
	for (size_t i = 0; i < node->n; i++)
		if (is_of_package(node->children[i]))
			return true;
	return node->kind < NAME;
}

static bool has(unsigned bits, unsigned value)
{
	return (bits >> value & 1) != 0;
}

/* now: ms. The package is NULL for a condition about the environment. */
static bool holds(const struct node *node, const struct place *env, const struct installed *p,
		  int64_t now)
{
	int used = env->used ? env->used : env->created;
	bool any = false;
	bool all = true;

	for (size_t i = 0; i < node->n; i++) {
		bool child = holds(node->children[i], env, p, now);

		any = any || child;
		all = all && child;
	}
	switch (node->kind) {
	case ALL:
		return all;
	case ANY:
		return any;
	case NOT:
		return !any;
	case PACKAGE:
		return has(of_package[node->pick].names, p->name) &&
		       has(of_package[node->pick].versions, p->version);
	case CHANNEL:
		return has(of_channel[node->pick].holds, p->channel);
	case LICENSE:
		return has(of_license[node->pick].holds, p->license);
	case MANAGER:
		return has(of_manager[node->pick].holds, p->channel);
	case CVE:
		if (node->pick == 2)
			return p->severity && now >= (p->published + node->days) * DAY;
		return p->severity > node->pick; /* 1 medium, 2 high */
	case AGE:
		return p->built && now < (built_days[p->built] + node->days) * DAY;
	case NAME:
		return has(of_name[node->pick].holds, env->name);
	case PATH:
		return has(of_path[node->pick].holds, env->name);
	case TOOL:
		return has(of_tool[node->pick].holds, env->tool);
	case UNUSED:
		return used && now >= (used + node->days) * DAY;
	default:
		return false;
	}
}

/* --- policies --- */

#define RULES 5
#define EXCEPTIONS 6

struct limits {
	int labels, platform, user; /* what of the tables, -1 nothing */
};

struct a_rule {
	struct node *when;
	bool blocks;
	int from; /* day, 0 at once */
	bool monitors;
	struct limits scope;
	bool has_except;
	struct limits except;
};

/* Of the policy, or granted on this machine. */
struct an_exception {
	unsigned rule; /* RULES: any */
	int name, user, package;
	int expires; /* day */
	bool lifts_status;
};

struct a_policy {
	struct a_rule rules[RULES];
	size_t n_rules;
	struct an_exception exceptions[EXCEPTIONS];
	size_t n_exceptions;
};

static int maybe(unsigned n)
{
	return once_in(3) ? (int)draw(n) : -1;
}

static struct limits draw_limits(void)
{
	return (struct limits){maybe(3), maybe(2), maybe(3)};
}

static struct an_exception draw_exception(size_t n_rules)
{
	return (struct an_exception){.rule = draw((unsigned)n_rules),
				     .name = maybe(3),
				     .user = maybe(2),
				     .package = maybe(3),
				     .expires = TODAY - 5 + (int)draw(15)};
}

static struct a_policy draw_policy(void)
{
	struct a_policy p = {.n_rules = 1 + draw(RULES), .n_exceptions = draw(EXCEPTIONS + 1)};

	n_nodes = 0;
	for (size_t i = 0; i < p.n_rules; i++) {
		p.rules[i] = (struct a_rule){.when = draw_node(n_nodes > 40 ? 9 : 0),
					     .blocks = once_in(2),
					     .monitors = once_in(6),
					     .scope = draw_limits(),
					     .has_except = once_in(4),
					     .except = draw_limits()};
		if (p.rules[i].blocks && once_in(2))
			p.rules[i].from = TODAY - 3 + (int)draw(10);
	}
	for (size_t i = 0; i < p.n_exceptions; i++)
		p.exceptions[i] = draw_exception(p.n_rules);
	return p;
}

static void write_day(struct buf *out, int day)
{
	char text[CLOCK_TEXT_MAX];

	clock_format(day * DAY, text);
	buf_addf(out, "%.10s", text);
}

static void write_limits(struct buf *out, const struct limits *l, const char *more)
{
	if (l->labels >= 0)
		buf_addf(out, "labels: %s, ", of_label[l->labels].text);
	if (l->platform >= 0)
		buf_addf(out, "platform: %s, ", of_platform[l->platform].text);
	if (l->user >= 0)
		buf_addf(out, "user: %s, ", of_user[l->user].text);
	buf_adds(out, more);
}

static void write_rule(struct buf *out, const struct a_rule *rule, size_t i)
{
	buf_addf(out, "  - {id: r%zu, action: %s, mode: %s, when: ", i,
		 rule->blocks ? "block" : "warn", rule->monitors ? "monitor" : "enforce");
	write_node(out, rule->when);
	if (rule->from) {
		buf_adds(out, ", from: ");
		write_day(out, rule->from);
	}
	buf_adds(out, ", scope: {");
	write_limits(out, &rule->scope, "");
	if (rule->has_except) {
		buf_adds(out, "not: {");
		write_limits(out, &rule->except, "}");
	}
	buf_adds(out, "}}\n");
}

static void write_exception(struct buf *out, const struct an_exception *x, size_t i)
{
	buf_addf(out, "  - {id: x%zu, rule: r%u, expires: ", i, x->rule);
	write_day(out, x->expires);
	if (x->name >= 0)
		buf_addf(out, ", env_name: %s", x->name == 2 ? "\"*\"" : env_names[x->name]);
	if (x->user >= 0)
		buf_addf(out, ", user: %s", users[x->user]);
	if (x->package >= 0)
		buf_addf(out, ", package: %s", names[x->package]);
	buf_adds(out, "}\n");
}

/* The rules in the order given, from the first one on and round. */
static void write_policy(struct buf *out, const struct a_policy *p, size_t first)
{
	buf_adds(out, "policy: 1\nrules:\n");
	for (size_t i = 0; i < p->n_rules; i++)
		write_rule(out, &p->rules[(first + i) % p->n_rules], (first + i) % p->n_rules);
	buf_adds(out, "exceptions:\n");
	for (size_t i = 0; i < p->n_exceptions; i++)
		write_exception(out, &p->exceptions[(first + i) % p->n_exceptions],
				(first + i) % p->n_exceptions);
}

/* --- the question --- */

struct a_status {
	enum action action; /* allow: none */
	int until;
	int fixed; /* spec, -1 none */
};

struct question {
	struct place env;
	struct a_policy policy;
	struct a_status status;
	struct an_exception granted[2];
	size_t n_granted;
	int deferred; /* day; 0 not */
};

static struct question draw_question(void)
{
	struct question q = {.env = draw_place(), .policy = draw_policy(), .n_granted = draw(3)};

	q.status.fixed = -1;
	if (once_in(3)) {
		q.status.action = once_in(2) ? ACTION_WARN : ACTION_BLOCK;
		q.status.until = once_in(2) ? 0 : TODAY - 2 + (int)draw(8);
		q.status.fixed = maybe(5); /* those without lists */
	}
	for (size_t i = 0; i < q.n_granted; i++) {
		q.granted[i] = draw_exception(q.policy.n_rules);
		q.granted[i].lifts_status = once_in(2);
		if (once_in(2))
			q.granted[i].rule = RULES;
	}
	if (once_in(4))
		q.deferred = TODAY - 2 + (int)draw(6);
	return q;
}

/* --- the plain reading --- */

struct said {
	enum action action;
	int rule;    /* -1: the status */
	int package; /* in the environment's order, -1 none */
	int64_t block_from;
};

struct verdict {
	struct said said[1 + RULES * PACKAGES];
	size_t n;
	struct said monitored[RULES * PACKAGES];
	size_t n_monitored;
};

static bool within(const struct limits *l, const struct place *env)
{
	return (l->labels < 0 || (of_label[l->labels].holds & env->labels)) &&
	       (l->platform < 0 || has(of_platform[l->platform].holds, env->platform)) &&
	       (l->user < 0 || has(of_user[l->user].holds, env->user));
}

static bool lifts(const struct an_exception *x, const struct place *env, const struct installed *p,
		  int64_t now)
{
	return now < x->expires * DAY &&
	       (x->name < 0 || x->name == 2 || x->name == (int)env->name) &&
	       (x->user < 0 || x->user == (int)env->user) &&
	       (x->package < 0 || (p && x->package == (int)p->name));
}

static bool is_lifted(const struct question *q, unsigned rule, const struct installed *p,
		      int64_t now)
{
	for (size_t i = 0; i < q->policy.n_exceptions; i++)
		if (q->policy.exceptions[i].rule == rule &&
		    lifts(&q->policy.exceptions[i], &q->env, p, now))
			return true;
	for (size_t i = 0; i < q->n_granted; i++)
		if ((q->granted[i].rule == rule || q->granted[i].rule == RULES) &&
		    lifts(&q->granted[i], &q->env, p, now))
			return true;
	return false;
}

static bool status_holds(const struct question *q, int64_t now)
{
	const struct a_status *s = &q->status;
	bool there = s->fixed < 0;

	if (s->action == ACTION_ALLOW || (s->until && now >= s->until * DAY))
		return false;
	for (size_t i = 0; i < q->env.n && s->fixed >= 0; i++)
		there = there || (has(of_package[s->fixed].names, q->env.packages[i].name) &&
				  has(of_package[s->fixed].versions, q->env.packages[i].version));
	for (size_t i = 0; i < q->n_granted; i++)
		if (q->granted[i].lifts_status && lifts(&q->granted[i], &q->env, NULL, now))
			return false;
	return there;
}

static struct said what_is_said(const struct question *q, const struct a_rule *rule, int number,
				int package, int64_t now)
{
	struct said said = {.action = rule->blocks ? ACTION_BLOCK : ACTION_WARN,
			    .rule = number,
			    .package = package};
	int64_t later = rule->from > q->deferred ? rule->from : q->deferred;

	if (rule->blocks && now < later * DAY) {
		said.action = ACTION_WARN;
		said.block_from = later * DAY;
	}
	return said;
}

static void add_of_strength(const struct question *q, enum action action, int64_t now,
			    struct verdict *v)
{
	if (q->status.action == action && status_holds(q, now))
		v->said[v->n++] = (struct said){action, -1, -1, 0};
	for (size_t r = 0; r < q->policy.n_rules; r++) {
		const struct a_rule *rule = &q->policy.rules[r];
		bool each = is_of_package(rule->when);

		if (!within(&rule->scope, &q->env) ||
		    (rule->has_except && within(&rule->except, &q->env)))
			continue;
		for (size_t i = 0; i < (each ? q->env.n : 1); i++) {
			const struct installed *p = each ? &q->env.packages[i] : NULL;
			struct said said = what_is_said(q, rule, (int)r, each ? (int)i : -1, now);

			if (!holds(rule->when, &q->env, p, now) ||
			    is_lifted(q, (unsigned)r, p, now))
				continue;
			if (rule->monitors && action == ACTION_BLOCK)
				v->monitored[v->n_monitored++] = said;
			else if (!rule->monitors && said.action == action)
				v->said[v->n++] = said;
		}
	}
}

static struct verdict plainly(const struct question *q, int64_t now)
{
	struct verdict v = {.n = 0};

	add_of_strength(q, ACTION_BLOCK, now, &v);
	add_of_strength(q, ACTION_WARN, now, &v);
	return v;
}

/* --- the real thing --- */

struct real {
	struct arena arena;
	struct policy policy;
	struct rule_index *index;
	struct package packages[PACKAGES];
	struct finding findings[PACKAGES];
	struct policy_package installed[PACKAGES];
	const char *labels[2];
	struct policy_facts facts;
	struct status_entry status;
	const char *spec;
	struct exception granted[2];
	struct evaluation out;
};

static void make_package(struct real *r, size_t at, const struct installed *p)
{
	r->packages[at] = (struct package){
		.manager = p->channel == 2 ? "pypi" : "conda",
		.name = names[p->name],
		.version = versions[p->version],
		.build = "0",
		.channel = channels[p->channel],
		.subdir = "linux-64",
		.license = licenses[p->license],
		.url = "",
		.built_ms = built_days[p->built] * DAY,
	};
	r->findings[at] =
		(struct finding){.id = "CVE-1",
				 .severity = p->severity == 1 ? SEVERITY_MEDIUM : SEVERITY_HIGH,
				 .cvss = -1,
				 .status = FINDING_ACTIVE,
				 .published_ms = p->published * DAY};
	r->installed[at] = (struct policy_package){.package = &r->packages[at],
						   .findings = &r->findings[at],
						   .n_findings = p->severity != 0};
}

static void make_facts(struct real *r, const struct place *env, size_t first)
{
	r->facts = (struct policy_facts){.environment = {{7}},
					 .name = env_names[env->name],
					 .path = env_paths[env->name],
					 .user = users[env->user],
					 .platform = platforms[env->platform],
					 .tool = tools[env->tool],
					 .labels = {.items = r->labels},
					 .created_ms = env->created * DAY,
					 .last_used_ms = env->used * DAY,
					 .packages = r->installed,
					 .n_packages = env->n};
	for (size_t i = 0; i < env->n; i++)
		make_package(r, i, &env->packages[(first + i) % env->n]);
	for (unsigned i = 0; i < 2; i++) {
		unsigned label = (unsigned)(first + i) % 2;

		if (has(env->labels, label))
			r->labels[r->facts.labels.n++] = labels[label];
	}
}

static void make_granted(struct real *r, const struct question *q, size_t first)
{
	static const char *const rules[] = {"r0", "r1", "r2", "r3", "r4", ""};

	for (size_t i = 0; i < q->n_granted; i++) {
		const struct an_exception *x = &q->granted[(first + i) % q->n_granted];

		r->granted[i] =
			(struct exception){.id = "g",
					   .rule = rules[x->rule],
					   .env_path = "",
					   .env_name = x->name < 0    ? ""
						       : x->name == 2 ? "*"
								      : env_names[x->name],
					   .user = x->user < 0 ? "" : users[x->user],
					   .package = x->package < 0 ? "" : names[x->package],
					   .owner = "",
					   .ticket = "",
					   .reason = "",
					   .expires_ms = x->expires * DAY,
					   .lifts_status = x->lifts_status};
	}
}

/* first: where each list begins. */
static void begin(struct real *r, const struct question *q, size_t first)
{
	static const char *const specs[] = {"openssl", "openssl <2", "python >=2", "numpy >1,<3",
					    "python ==3|==1"};
	struct problems problems;
	struct buf yaml;

	memset(r, 0, sizeof(*r));
	arena_init(&r->arena, POLICY_MEMORY_MAX);
	problems_init(&problems, &r->arena);
	buf_init(&yaml, 1 << 20);
	write_policy(&yaml, &q->policy, first);
	assert_int_equal(buf_rc(&yaml), 0);
	if (policy_read(yaml.data, yaml.len, &r->arena, &r->policy, &problems, NULL) < 0)
		fail_msg("%s\n%u:%u: %s", buf_cstr(&yaml), problems.items[0].line,
			 problems.items[0].column, problems.items[0].text);
	buf_deinit(&yaml);
	assert_int_equal(rule_index_new(&r->policy, &r->arena, &r->index), 0);
	make_facts(r, &q->env, first);
	make_granted(r, q, first);
	r->spec = q->status.fixed >= 0 ? specs[q->status.fixed] : NULL;
	r->status = (struct status_entry){.environment = {{7}},
					  .action = q->status.action,
					  .message = "",
					  .until_ms = q->status.until * DAY,
					  .until_fixed = q->status.fixed >= 0,
					  .fixed_specs = &r->spec,
					  .n_fixed_specs = q->status.fixed >= 0};
}

static void ask(struct real *r, const struct question *q, int64_t now)
{
	const struct eval_input in = {.facts = &r->facts,
				      .index = r->index,
				      .status =
					      q->status.action != ACTION_ALLOW ? &r->status : NULL,
				      .granted = r->granted,
				      .n_granted = q->n_granted,
				      .deferred_until_ms = q->deferred * DAY,
				      .now_ms = now};

	assert_int_equal(policy_eval(&in, &r->arena, &r->out), 0);
}

/* As the plain reading names it. */
static struct said named(const struct real *r, const struct reason *reason)
{
	struct said said = {reason->action, -1, -1, reason->block_from_ms};

	if (strcmp(reason->kind, "rule") == 0)
		said.rule = reason->id[1] - '0';
	for (size_t i = 0; reason->package && i < r->facts.n_packages; i++)
		if (reason->package == &r->packages[i])
			said.package = (int)i;
	return said;
}

/* --- what must be so --- */

static void show(const struct question *q, const char *what, int64_t now)
{
	struct buf yaml;

	buf_init(&yaml, 1 << 20);
	write_policy(&yaml, &q->policy, 0);
	fail_msg("%s at day %" PRId64 " + %" PRId64 " ms\n%s", what, now / DAY, now % DAY,
		 buf_cstr(&yaml));
}

static void compare(const struct question *q, const struct real *r, const struct said *said,
		    size_t n, const struct reason *reasons, size_t n_reasons, int64_t now)
{
	if (n != n_reasons)
		show(q, "other reasons", now);
	for (size_t i = 0; i < n; i++) {
		struct said other = named(r, &reasons[i]);

		if (memcmp(&said[i].action, &other.action, sizeof(other.action)) != 0 ||
		    said[i].rule != other.rule || said[i].package != other.package ||
		    said[i].block_from != other.block_from)
			show(q, "another reason", now);
	}
}

static bool same_verdict(const struct verdict *a, const struct verdict *b)
{
	if (a->n != b->n || a->n_monitored != b->n_monitored)
		return false;
	for (size_t i = 0; i < a->n + a->n_monitored; i++) {
		const struct said *x = i < a->n ? &a->said[i] : &a->monitored[i - a->n];
		const struct said *y = i < a->n ? &b->said[i] : &b->monitored[i - a->n];

		if (x->action != y->action || x->rule != y->rule || x->package != y->package)
			return false;
	}
	return true;
}

static void check_answer(const struct question *q, struct real *r, int64_t now)
{
	struct verdict v = plainly(q, now);
	const struct decision *d = &r->out.decision;

	ask(r, q, now);
	d = &r->out.decision;
	compare(q, r, v.said, v.n, d->reasons, d->n_reasons, now);
	compare(q, r, v.monitored, v.n_monitored, r->out.monitored, r->out.n_monitored, now);
	if (d->action != (v.n > 0 ? v.said[0].action : ACTION_ALLOW))
		show(q, "another action", now);
	if (d->valid_until_ms <= now)
		show(q, "valid until what is past", now);
}

/*
 * Until it says, nothing changes; everything here happens at the beginning of a day, so that
 * looking at each beginning and the moment before it is looking at all times. Returns whether
 * something does change when it says.
 */
static bool check_validity(const struct question *q, struct real *r, int64_t now)
{
	struct verdict v = plainly(q, now);
	int64_t until;

	ask(r, q, now);
	until = r->out.decision.valid_until_ms;
	if (until != INT64_MAX && until % DAY != 0)
		show(q, "valid until no time at which anything happens", now);
	for (int64_t t = now + DAY; t < now + 80 * DAY; t += DAY) {
		int64_t begins = t / DAY * DAY;
		struct verdict later = plainly(q, begins - 1);

		if (begins <= until && !same_verdict(&v, &later))
			show(q, "valid for too long", now);
		later = plainly(q, begins);
		if (begins < until && !same_verdict(&v, &later))
			show(q, "valid for too long", now);
	}
	if (until < INT64_MAX) {
		struct verdict then = plainly(q, until);

		return !same_verdict(&v, &then);
	}
	return false;
}

/* In whatever order lists stand: the same reasons, case and time. */
static void check_order(const struct question *q, struct real *r, int64_t now)
{
	static struct real turned;
	const struct decision *a = &r->out.decision;
	const struct decision *b = &turned.out.decision;

	ask(r, q, now);
	for (size_t first = 1; first < 4; first++) {
		begin(&turned, q, first);
		ask(&turned, q, now);
		if (a->action != b->action || a->n_reasons != b->n_reasons ||
		    strcmp(a->case_code, b->case_code) != 0)
			show(q, "the order of lists changes the decision", now);
		if (a->valid_until_ms != b->valid_until_ms)
			show(q, "the order of lists changes until when it is valid", now);
		arena_deinit(&turned.arena);
	}
}

static void as_plainly_read(void **state)
{
	static struct real r;
	size_t said = 0;
	size_t changes = 0;
	size_t ends = 0;

	(void)state;
	for (unsigned i = 1; i <= CASES; i++) {
		struct question q;
		int64_t now = TODAY * DAY;

		chance = UINT64_C(0x9E3779B97F4A7C15) * i;
		q = draw_question();
		begin(&r, &q, 0);
		for (int k = 0; k < 5; k++) {
			int64_t at = now + (int64_t)draw(8) * DAY - (int64_t)draw(2);

			check_answer(&q, &r, at);
			said += r.out.decision.n_reasons > 0;
		}
		changes += check_validity(&q, &r, now);
		ends += r.out.decision.valid_until_ms < INT64_MAX;
		check_order(&q, &r, now);
		arena_deinit(&r.arena);
	}
	/* The cases are worth something: much is said, and most ends are ends. */
	assert_true(said > CASES);
	assert_true(ends > CASES / 4);
	assert_true(changes > ends / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(as_plainly_read)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
