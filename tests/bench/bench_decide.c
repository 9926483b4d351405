/*
 * How long a decision takes: one environment of 400 packages against policies of 1,000 and of
 * 100,000 rules of the usual kinds, and of 300,000 patterns, none of which is of a package there,
 * beside one pass over the packages' names and versions.
 *
 *   bench_decide                        nothing needed; medians
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/policy/eval.h"
#include "lib/policy/policy_read.h"
#include "tests/bench/measure.h"

#define N_PACKAGES 400
#define SAMPLES 201
#define NOW INT64_C(1790000000000)
#define PACKAGES_SHARE 4 /* every fourth name of a small policy's rules is installed */

struct world {
	struct arena arena;
	char texts[N_PACKAGES][3][64];
	struct package packages[N_PACKAGES];
	struct policy_package installed[N_PACKAGES];
	struct policy_facts facts;
	size_t sink;
};

static const char *const channels[] = {"https://conda.anaconda.org/conda-forge",
				       "https://repo.anaconda.com/pkgs/main", "pypi"};
static const char *const licenses[] = {"MIT",	   "BSD-3-Clause", "Apache-2.0",
				       "LGPL-2.1", "GPL-3.0-only", "Zlib"};

static void make_environment(struct world *w)
{
	for (size_t i = 0; i < N_PACKAGES; i++) {
		struct package *p = &w->packages[i];

		(void)snprintf(w->texts[i][0], 64, "package-%zu", i * PACKAGES_SHARE);
		(void)snprintf(w->texts[i][1], 64, "%zu.%zu.%zu", i % 7, i % 13, i % 5);
		(void)snprintf(w->texts[i][2], 64, "py312h%zu_0", i);
		*p = (struct package){.manager = i % 9 == 0 ? "pypi" : "conda",
				      .name = w->texts[i][0],
				      .version = w->texts[i][1],
				      .build = w->texts[i][2],
				      .channel = channels[i % ARRAY_SIZE(channels)],
				      .subdir = "linux-64",
				      .license = licenses[i % ARRAY_SIZE(licenses)],
				      .url = ""};
		w->installed[i] = (struct policy_package){.package = p};
	}
	w->facts = (struct policy_facts){.name = "work",
					 .path = "/home/ana/envs/work",
					 .user = "ana",
					 .platform = "linux-64",
					 .tool = "conda",
					 .packages = w->installed,
					 .n_packages = N_PACKAGES};
}

/* Nine in ten rules name a package; the others ask of channels, licences, paths. */
static void write_rule(struct buf *yaml, size_t i)
{
	buf_addf(yaml, "  - {id: r%zu, action: %s, ", i, i % 2 ? "warn" : "block");
	switch (i % 20) {
	case 0:
		buf_addf(yaml,
			 "when: {all: [{manager: conda}, {not: {channel: [conda-forge, "
			 "defaults]}}]}, scope: {labels: l%zu}}\n",
			 i);
		break;
	case 1:
		buf_addf(yaml, "when: {all: [{license: \"AGPL-%zu*\"}, {env_name: \"p-*\"}]}}\n",
			 i);
		break;
	default:
		buf_addf(yaml, "when: {package: \"package-%zu <%zu.%zu|>=9,<9.2\"}}\n", i, i % 3,
			 i % 11);
	}
}

#define PATTERNS_A_RULE 1000

static void write_patterns(struct buf *yaml, size_t i)
{
	buf_addf(yaml, "  - {id: r%zu, action: warn, when: {package: [", i);
	for (size_t k = 0; k < PATTERNS_A_RULE; k++)
		buf_addf(yaml, "%s\"*q%06zu*\"", k ? "," : "", i * PATTERNS_A_RULE + k);
	buf_adds(yaml, "]}}\n");
}

typedef void (*write_fn)(struct buf *yaml, size_t i);

static void read_rules(struct world *w, write_fn write, size_t n, struct rule_index **out)
{
	struct problems problems;
	struct policy *policy;
	struct buf yaml;

	arena_init(&w->arena, POLICY_MEMORY_MAX);
	policy = arena_calloc(&w->arena, 1, sizeof(*policy));
	buf_init(&yaml, POLICY_SOURCE_MAX);
	buf_adds(&yaml, "policy: 1\nrules:\n");
	for (size_t i = 0; i < n; i++)
		write(&yaml, i);
	problems_init(&problems, &w->arena);
	if (!policy || policy_read(yaml.data, yaml.len, &w->arena, policy, &problems, NULL) < 0)
		measure_fail(problems.n ? problems.items[0].text : "the policy can't be read");
	if (rule_index_new(policy, &w->arena, out) < 0)
		measure_fail("no index");
	buf_deinit(&yaml);
}

static double decide_us(struct world *w, const struct rule_index *index)
{
	const struct eval_input in = {.facts = &w->facts, .index = index, .now_ms = NOW};
	struct evaluation evaluation;
	struct arena arena;
	double begin = measure_now_us();
	double end;

	arena_init(&arena, 64u << 20);
	if (policy_eval(&in, &arena, &evaluation) < 0)
		measure_fail("no decision");
	w->sink += evaluation.decision.n_reasons;
	arena_deinit(&arena);
	end = measure_now_us();
	return end - begin;
}

static double pass_us(struct world *w)
{
	double begin = measure_now_us();

	for (size_t i = 0; i < N_PACKAGES; i++)
		w->sink += strlen(w->packages[i].name) + strlen(w->packages[i].version);
	return measure_now_us() - begin;
}

static void measure(struct world *w, const char *of, write_fn write, size_t n_rules,
		    double budget_us)
{
	double samples[SAMPLES];
	double passes[SAMPLES];
	char what[80];
	char budget[32];
	struct rule_index *index;
	double figure;

	read_rules(w, write, n_rules, &index);
	for (size_t i = 0; i < SAMPLES; i++) {
		samples[i] = decide_us(w, index);
		passes[i] = pass_us(w);
	}
	figure = measure_percentile(samples, SAMPLES, 0.5);
	(void)snprintf(what, sizeof(what), "decision, %d packages, %s", N_PACKAGES, of);
	(void)snprintf(budget, sizeof(budget), "%.0f ms", budget_us / 1000);
	measure_print(&(struct measure_row){.what = what,
					    .figure = figure,
					    .reference = measure_percentile(passes, SAMPLES, 0.5),
					    .unit = "us",
					    .budget = budget,
					    .ok = figure <= budget_us});
	arena_deinit(&w->arena);
}

int main(void)
{
	static struct world world;

	make_environment(&world);
	measure(&world, "1000 rules", write_rule, 1000, 1000);
	measure(&world, "100000 rules", write_rule, 100000, 5000);
	measure(&world, "300000 patterns", write_patterns, 300000 / PATTERNS_A_RULE, 100000);
	return world.sink == 0;
}
