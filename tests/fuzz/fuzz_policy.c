#include <stdint.h>

#include "lib/base/compiler.h"
#include "lib/policy/eval.h"
#include "lib/policy/policy_check.h"
#include "lib/policy/policy_read.h"
#include "proto/convert_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_MAX (64u << 20)
#define NOW INT64_C(1790000000000)

static const struct package packages[] = {
	{.manager = "conda",
	 .name = "openssl",
	 .version = "1.1.1w",
	 .build = "h_0",
	 .channel = "https://conda.anaconda.org/conda-forge",
	 .subdir = "linux-64",
	 .license = "OpenSSL",
	 .url = ""},
	{.manager = "pypi",
	 .name = "pyyaml",
	 .version = "5.3.1",
	 .build = "",
	 .channel = "pypi",
	 .subdir = "",
	 .license = "MIT",
	 .url = ""},
};
static const struct policy_package installed[] = {{.package = &packages[0]},
						  {.package = &packages[1]}};
static const struct policy_facts facts = {
	.name = "e",
	.path = "/home/ana/envs/e",
	.user = "ana",
	.platform = "linux-64",
	.tool = "conda",
	.packages = installed,
	.n_packages = 2,
};

static void decide(const struct policy *policy, struct arena *arena, struct evaluation *out)
{
	const struct eval_input in = {.facts = &facts, .now_ms = NOW};
	struct eval_input with_index = in;
	struct rule_index *index;

	if (rule_index_new(policy, arena, &index) < 0)
		return;
	with_index.index = index;
	(void)policy_eval(&with_index, arena, out);
}

/* What was read can be checked, sent and received, and decides the same before and after. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct problems problems;
	struct policy policy;
	struct policy received;
	struct evaluation here = {0};
	struct evaluation there = {0};
	Envwarden__Bundle__Policy *wire;
	struct arena arena;

	arena_init(&arena, MEMORY_MAX);
	problems_init(&problems, &arena);
	if (policy_read((const char *)data, size, &arena, &policy, &problems, NULL) == 0) {
		(void)policy_check(&policy, NOW, &arena, &problems, NULL);
		decide(&policy, &arena, &here);
		if (policy_to_wire(&policy, &arena, &wire) == 0 &&
		    policy_from_wire(wire, &arena, &received, NULL) == 0) {
			decide(&received, &arena, &there);
			CHECK(here.decision.action == there.decision.action);
			CHECK(here.decision.n_reasons == there.decision.n_reasons);
			CHECK(here.decision.valid_until_ms == there.decision.valid_until_ms);
		}
	}
	arena_deinit(&arena);
	return 0;
}
