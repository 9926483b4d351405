/* A policy that was sent says what the one that was written says. */
#include "proto/convert_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/policy/condition_text.h"
#include "lib/policy/policy_read.h"
#include "tests/support/fault.h"

#define MEMORY_MAX (16u << 20)

static const char source[] =
	"policy: 1\n"
	"defaults: {on_timeout: warn, when_agent_down: block, stale_after: 7d, when_stale: block,\n"
	"  defer: 1d, contact: \"x@example.org\"}\n"
	"rules:\n"
	"  - {id: a, when: {all: [{package: [\"openssl <3\", numpy]}, {not: {any: [{channel: x},\n"
	"      {license: [a, b]}]}}, {env_name: p}]}, action: block, from: 2030-01-01, mode: "
	"monitor,\n"
	"      message: m, fix: f, scope: {labels: [l], platform: p, user: u, not: {user: [v, w],\n"
	"      labels: k, platform: q}}}\n"
	"  - {id: b, when: {cve: {ids: [i], severity_at_least: high, or_unknown: true,\n"
	"      cvss_at_least: 7.5, status: [active, reported], malicious: true, kev: false,\n"
	"      published_before: 2d, first_seen_before: 3d}}, action: warn}\n"
	"  - {id: c, when: {unused_for: 9w}, action: warn}\n"
	"exceptions:\n"
	"  - {id: x, rule: a, environment: 00010203-0405-0607-0809-0a0b0c0d0e0f, env_path: p,\n"
	"     env_name: n, user: u, package: k, owner: o, ticket: t, reason: r, expires: "
	"2031-01-01}\n";

struct trip {
	struct arena arena;
	struct policy written;
	struct policy received;
};

/* Over the wire and back, as bytes. */
static int travel(struct trip *t)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	Envwarden__Bundle__Body *back;
	struct problems problems;
	struct buf bytes;
	int rc;

	arena_init(&t->arena, MEMORY_MAX);
	problems_init(&problems, &t->arena);
	buf_init(&bytes, MEMORY_MAX);
	rc = policy_read(source, strlen(source), &t->arena, &t->written, &problems, NULL);
	if (rc == 0)
		rc = policy_to_wire(&t->written, &t->arena, &body.policy);
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY;
	if (rc == 0)
		rc = codec_pack_body(&body, &bytes, NULL);
	if (rc == 0)
		rc = codec_unpack_body(bytes.data, bytes.len, &t->arena, &back, NULL);
	if (rc == 0)
		rc = policy_from_wire(back->policy, &t->arena, &t->received, NULL);
	buf_deinit(&bytes);
	return rc;
}

static void same_rule(struct arena *arena, const struct rule *a, const struct rule *b)
{
	const char *texts[2];

	assert_int_equal(rule_text(a, arena, &texts[0]), 0);
	assert_int_equal(rule_text(b, arena, &texts[1]), 0);
	assert_string_equal(texts[0], texts[1]);
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->message, b->message);
	assert_string_equal(a->fix, b->fix);
	assert_int_equal(a->action, b->action);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->from_ms, b->from_ms);
	assert_int_equal(a->line, b->line);
}

static void a_policy_travels_whole(void **state)
{
	struct trip t;
	const struct exception *x;

	(void)state;
	assert_int_equal(travel(&t), 0);
	assert_int_equal(t.received.n_rules, 3);
	for (size_t i = 0; i < 3; i++)
		same_rule(&t.arena, &t.written.rules[i], &t.received.rules[i]);
	assert_int_equal(t.received.rules[0].when.children[0].n_specs, 2);
	assert_string_equal(t.received.rules[0].when.children[0].specs[1].name, "numpy");
	assert_int_equal(t.received.defaults.on_timeout, ACTION_WARN);
	assert_int_equal(t.received.defaults.when_stale, ACTION_BLOCK);
	assert_string_equal(t.received.defaults.when_agent_down, "block");
	assert_string_equal(t.received.defaults.contact, "x@example.org");
	assert_int_equal(t.received.defaults.stale_after_ms, t.written.defaults.stale_after_ms);
	assert_int_equal(t.received.defaults.defer_ms, t.written.defaults.defer_ms);
	assert_int_equal(t.received.n_exceptions, 1);
	x = &t.received.exceptions[0];
	assert_string_equal(x->id, "x");
	assert_string_equal(x->rule, "a");
	assert_int_equal(x->environment.b[15], 15);
	assert_string_equal(x->reason, "r");
	assert_int_equal(x->expires_ms, t.written.exceptions[0].expires_ms);
	arena_deinit(&t.arena);
}

static int body_of_faults(void *ctx)
{
	struct trip t;
	int rc = travel(&t);

	(void)ctx;
	arena_deinit(&t.arena);
	return rc;
}

static void running_out_of_memory_is_an_error(void **state)
{
	(void)state;
	fault_each_alloc(body_of_faults, NULL, 3);
}

/* --- what a forged message may hold --- */

struct forged {
	uint32_t kinds[4]; /* conditions one after the other, ended by 0 */
	uint32_t children[4];
	size_t texts;
	int rc;
};

static const struct forged forgeries[] = {
	{{CONDITION_MANAGER}, {0}, 1, 0},
	{{CONDITION_MANAGER}, {0}, 0, ERR_INVALID},
	{{CONDITION_MANAGER, CONDITION_TOOL}, {0}, 1, ERR_INVALID}, /* one too many */
	{{CONDITION_MANAGER}, {1}, 1, ERR_INVALID},
	{{CONDITION_MANAGER, CONDITION_TOOL}, {1, 0}, 1, ERR_INVALID},
	{{CONDITION_ALL}, {0}, 0, ERR_INVALID},
	{{CONDITION_ALL, CONDITION_TOOL}, {2, 0}, 1, ERR_INVALID},
	{{CONDITION_ALL, CONDITION_TOOL}, {UINT32_MAX, 0}, 1, ERR_INVALID},
	{{CONDITION_NOT, CONDITION_TOOL, CONDITION_TOOL}, {2, 0, 0}, 1, ERR_INVALID},
	{{CONDITION_CVE}, {0}, 0, ERR_INVALID},
	{{CONDITION_UNUSED_FOR}, {0}, 0, ERR_INVALID},
	{{99}, {0}, 1, ERR_UNSUPPORTED},
	{{0}, {0}, 0, ERR_INVALID},
};

static void a_forged_rule_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forgeries); i++) {
		const struct forged *f = &forgeries[i];
		Envwarden__Bundle__Policy policy = ENVWARDEN__BUNDLE__POLICY__INIT;
		Envwarden__Bundle__Rule rule = ENVWARDEN__BUNDLE__RULE__INIT;
		Envwarden__Bundle__Rule *rules[] = {&rule};
		Envwarden__Bundle__Condition room[4];
		Envwarden__Bundle__Condition *list[4];
		char *texts[] = {(char *)"x"};
		struct policy out;
		struct arena arena;

		policy.rules = rules;
		policy.n_rules = 1;
		rule.id = (char *)"r";
		rule.action = ENVWARDEN__ACTION__ACTION_WARN;
		rule.when = list;
		while (rule.n_when < 4 && f->kinds[rule.n_when] != 0) {
			Envwarden__Bundle__Condition *c = &room[rule.n_when];

			envwarden__bundle__condition__init(c);
			c->kind = f->kinds[rule.n_when];
			c->children = f->children[rule.n_when];
			c->texts = texts;
			c->n_texts = f->texts;
			list[rule.n_when++] = c;
		}
		arena_init(&arena, MEMORY_MAX);
		assert_int_equal(policy_from_wire(&policy, &arena, &out, NULL), f->rc);
		arena_deinit(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_travels_whole),
		cmocka_unit_test(running_out_of_memory_is_an_error),
		cmocka_unit_test(a_forged_rule_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
