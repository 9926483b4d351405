/* What statuses say and the rules in force: what they keep, and what is left when memory is
 * lacking. */
#include "agent/said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/rulebook.h"
#include "lib/base/compiler.h"
#include "proto/convert.h"
#include "proto/convert_policy.h"
#include "tests/support/fault.h"

#define TEXT(text) ((char *)(uintptr_t)(text))

static const struct uuid envs[] = {{{3}}, {{1}}, {{2}}};
static const unsigned char revoked[] = {0, 0, 0, 7, 0, 0, 1, 0};
static const unsigned char unlock_key[UNLOCK_KEY_SIZE] = {9};

/* One of everything, in memory that goes away with it. */
struct message {
	Envwarden__Bundle__Status status;
	Envwarden__Bundle__EnvironmentStatus entries[3], *entry_list[3];
	Envwarden__Bundle__RequestState request, *request_list[1];
	char *labels[2];
	char *specs[1];
	char text[16];
	struct arena arena;
};

static void message_make(struct message *m)
{
	const struct exception x = {.id = "EX-1",
				    .rule = "old",
				    .env_path = "/envs/*",
				    .env_name = "",
				    .user = "ana",
				    .package = "",
				    .owner = "ana",
				    .ticket = "T-1",
				    .reason = "why",
				    .expires_ms = 5};

	arena_init(&m->arena, 1 << 20);
	envwarden__bundle__status__init(&m->status);
	memcpy(m->text, "because", sizeof "because");
	m->specs[0] = m->labels[0] = m->labels[1] = m->text;
	for (size_t i = 0; i < ARRAY_SIZE(envs); i++) {
		envwarden__bundle__environment_status__init(&m->entries[i]);
		m->entries[i].environment = wire_uuid(&envs[i]);
		m->entries[i].action = ENVWARDEN__ACTION__ACTION_BLOCK;
		m->entries[i].message = m->text;
		m->entries[i].fixed_specs = m->specs;
		m->entries[i].n_fixed_specs = 1;
		m->entry_list[i] = &m->entries[i];
	}
	envwarden__bundle__request_state__init(&m->request);
	m->request.id = wire_uuid(&envs[0]);
	m->request.state = 2;
	m->request.message = m->text;
	m->request_list[0] = &m->request;
	m->status.logging = true;
	m->status.statuses = m->entry_list;
	m->status.n_statuses = ARRAY_SIZE(m->entry_list);
	m->status.labels = m->labels;
	m->status.n_labels = ARRAY_SIZE(m->labels);
	m->status.requests = m->request_list;
	m->status.n_requests = 1;
	m->status.contact = m->text;
	m->status.when_agent_down = TEXT("block");
	m->status.unlock_key = wire_bytes(unlock_key, sizeof unlock_key);
	m->status.revoked_unlocks = wire_bytes(revoked, sizeof revoked);
	m->status.n_exceptions = 1;
	assert_int_equal(exceptions_to_wire(&x, 1, &m->arena, &m->status.exceptions), 0);
}

static void message_forget(struct message *m)
{
	arena_deinit(&m->arena);
	memset(m, 0x5a, sizeof *m);
}

static void test_said_keeps(void **state)
{
	const struct uuid other = {{4}};
	struct said *said = NULL;
	struct message m;

	(void)state;
	message_make(&m);
	assert_int_equal(said_read(&m.status, &said, NULL), 0);
	message_forget(&m);
	for (size_t i = 0; i < ARRAY_SIZE(envs); i++) {
		const struct status_entry *status = said_status(said, &envs[i]);

		assert_non_null(status);
		assert_int_equal(status->action, ACTION_BLOCK);
		assert_string_equal(status->message, "because");
		assert_string_equal(status->fixed_specs[0], "because");
	}
	assert_null(said_status(said, &other));
	assert_null(said_status(NULL, &other));
	assert_true(said_revoked(said, 7) && said_revoked(said, 256) && !said_revoked(said, 1));
	assert_string_equal(said->exceptions[0].env_path, "/envs/*");
	assert_string_equal(said->exceptions[0].reason, "why");
	assert_string_equal(said->labels.items[1], "because");
	assert_string_equal(said->contact, "because");
	assert_string_equal(said->requests[0].message, "because");
	assert_int_equal(said->when_agent_down, AGENT_DOWN_BLOCK);
	assert_true(said->has_unlock_key && said->logging);
	assert_memory_equal(said->unlock_key, unlock_key, sizeof unlock_key);
	assert_ptr_equal(said_hold(said), said);
	said_drop(said);
	assert_string_equal(said->contact, "because"); /* the other reference's */
	said_drop(said);
	said_drop(said_hold(NULL));
}

static void test_said_refuses(void **state)
{
	struct said *said = NULL;
	struct message m;

	(void)state;
	message_make(&m);
	m.entries[1].action = (Envwarden__Action)77;
	assert_true(said_read(&m.status, &said, NULL) < 0);
	assert_null(said);
	/* Words of a newer version fall back to the default; a key of another size is none. */
	m.entries[1].action = ENVWARDEN__ACTION__ACTION_WARN;
	m.status.when_agent_down = TEXT("panic");
	m.status.unlock_key.len--;
	m.status.revoked_unlocks.len--;
	assert_int_equal(said_read(&m.status, &said, NULL), 0);
	assert_int_equal(said->when_agent_down, AGENT_DOWN_LAST_DECISION);
	assert_false(said->has_unlock_key);
	assert_true(said_revoked(said, 7) && !said_revoked(said, 256));
	said_drop(said);
	message_forget(&m);
}

static int read_said(void *ctx)
{
	struct message *m = ctx;
	struct said *said = NULL;
	int rc = said_read(&m->status, &said, NULL);

	if (rc < 0)
		assert_null(said);
	said_drop(said);
	return rc;
}

static void test_said_without_memory(void **state)
{
	struct message m;

	(void)state;
	message_make(&m);
	fault_each_alloc(read_said, &m, 2);
	message_forget(&m);
}

/* --- rules --- */

/* Alone in memory, as they come from a bundle. */
static int policy_wire(struct arena *arena, Envwarden__Bundle__Policy **out)
{
	struct condition unused = {.kind = CONDITION_UNUSED_FOR, .duration_ms = 1000};
	struct rule rules[] = {
		{.id = "nobody-uses-it",
		 .message = "",
		 .fix = "",
		 .when = unused,
		 .action = ACTION_WARN},
		{.id = "not-that",
		 .message = "",
		 .fix = "",
		 .when = {.kind = CONDITION_NOT, .children = &unused, .n_children = 1},
		 .action = ACTION_WARN},
	};
	struct policy policy;

	policy_init(&policy);
	policy.rules = rules;
	policy.n_rules = ARRAY_SIZE(rules);
	policy.defaults.when_agent_down = "allow";
	return policy_to_wire(&policy, arena, out);
}

static int read_rules(void *ctx)
{
	Envwarden__Bundle__Policy *wire = NULL;
	struct rulebook *rules = NULL;
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 20);
	rc = policy_wire(&arena, &wire);
	if (rc == 0)
		rc = rulebook_read(wire, 3, &arena, &rules, NULL);
	if (rc == 0) {
		assert_int_equal(arena.used, 0); /* it is the rules' now */
		assert_int_equal(rules->version, 3);
		assert_int_equal(rules->unused_for_ms, 1000);
		assert_int_equal(rules->when_agent_down, AGENT_DOWN_ALLOW);
		assert_int_equal(rules->policy.n_rules, 2);
		assert_ptr_equal(rulebook_hold(rules), rules);
		rulebook_drop(rules);
		assert_string_equal(rules->policy.rules[1].id, "not-that");
	} else {
		assert_null(rules);
	}
	rulebook_drop(rules);
	arena_deinit(&arena); /* the caller's again, on failure */
	return rc;
}

static void test_rules(void **state)
{
	(void)state;
	fault_each_alloc(read_rules, NULL, 2);
	rulebook_drop(rulebook_hold(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_said_keeps),
		cmocka_unit_test(test_said_refuses),
		cmocka_unit_test(test_said_without_memory),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
