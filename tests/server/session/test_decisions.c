/* Policies on their way down, decisions and requests on their way up. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proto/convert.h"
#include "proto/limits.h"
#include "proto/signed.h"
#include "server/db/db_bundle.h"
#include "server/db/db_decision.h"
#include "server/db/db_exception.h"
#include "server/db/db_policy.h"
#include "server/db/db_request.h"
#include "tests/server/session/world.h"

#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

static int policy_put(struct db_conn *conn, void *ctx)
{
	struct world *w = ctx;
	struct db_policy policy = {.version = 1,
				   .source = "policy: 1",
				   .author = "ada",
				   .note = "",
				   .created_ms = w->clock.wall_ms};
	int rc = db_policy_put(conn, &policy, NULL);

	return rc < 0 ? rc
		      : db_bundle_put(conn,
				      &(struct db_bundle){.role = ROLE_POLICY,
							  .version = 1,
							  .data = (const unsigned char *)"signed",
							  .n = 6,
							  .created_ms = w->clock.wall_ms},
				      NULL);
}

/* What a timestamp names of a role; version 0 = nothing. */
static uint64_t named(struct agent *a, const ProtobufCBinaryData *timestamp, const char *role)
{
	struct signed_check check = {.keys = root_role(&a->world->root, ROLE_TIMESTAMP),
				     .now_ms = a->world->clock.wall_ms};
	Envwarden__Bundle__Body *body;

	assert_int_equal(
		signed_verify(timestamp->data, timestamp->len, &check, &a->arena, &body, NULL), 0);
	for (size_t i = 0; i < body->timestamp->n_roles; i++)
		if (strcmp(body->timestamp->roles[i]->role, role) == 0)
			return body->timestamp->roles[i]->version;
	return 0;
}

/* A new policy is everybody's news, and stays in every timestamp. */
static void test_policy(void **state)
{
	struct world w;
	struct agent a, other;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_make(&other, &w);
	agent_welcome(&a);
	assert_int_equal(named(&a, &a.message->welcome->timestamp, ROLE_POLICY), 0);
	agent_welcome(&other);
	world_write(&w, policy_put, &w);
	agent_expect(&a, KIND(PUSH));
	assert_int_equal(named(&a, &a.message->push->timestamp, ROLE_POLICY), 1);
	agent_expect(&other, KIND(PUSH));
	agent_drop(&a);
	agent_welcome(&a);
	assert_int_equal(named(&a, &a.message->welcome->timestamp, ROLE_POLICY), 1);
	agent_deinit(&other);
	agent_deinit(&a);
	world_deinit(&w);
}

static void send_report(struct agent *a, uint64_t number, uint64_t refusals)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__DecisionReport report = ENVWARDEN__SYNC__DECISION_REPORT__INIT;
	Envwarden__Sync__EnvironmentDecision decision = ENVWARDEN__SYNC__ENVIRONMENT_DECISION__INIT;
	Envwarden__Sync__EnvironmentDecision *decisions[] = {&decision};
	Envwarden__Reason reason = ENVWARDEN__REASON__INIT;
	Envwarden__Reason *reasons[] = {&reason};
	Envwarden__Package package = ENVWARDEN__PACKAGE__INIT;
	struct uuid env = {{7}};

	package.name = wire_text("openssl");
	package.version = wire_text("1.0.2u");
	reason.kind = wire_text("rule");
	reason.id = wire_text("old");
	reason.action = ENVWARDEN__ACTION__ACTION_BLOCK;
	reason.package = &package;
	decision.environment = wire_uuid(&env);
	decision.action = ENVWARDEN__ACTION__ACTION_BLOCK;
	decision.case_code = wire_text("EW-ABCD");
	decision.policy_version = 3;
	decision.refusals = refusals;
	decision.n_reasons = 1;
	decision.reasons = reasons;
	report.number = number;
	report.n_environments = 1;
	report.environments = decisions;
	envelope.kind_case = KIND(DECISION_REPORT);
	envelope.decision_report = &report;
	agent_send(a, &envelope);
}

static void test_decisions(void **state)
{
	struct uuid env = {{7}};
	struct db_decision d;
	struct arena arena;
	struct world w;
	struct agent a;

	(void)state;
	arena_init(&arena, 1 << 20);
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	send_report(&a, 1, 2);
	agent_expect(&a, KIND(DECISION_ACK));
	assert_int_equal(a.message->decision_ack->number, 1);
	assert_int_equal(db_decision_get(w.conn, &a.machine, &env, &arena, &d, NULL), 0);
	assert_int_equal(d.action, ACTION_BLOCK);
	assert_int_equal(d.n_reasons, 1);
	assert_string_equal(d.reasons[0].package, "openssl 1.0.2u");
	/* Sent again since the answer was lost: counted once. */
	send_report(&a, 1, 2);
	agent_expect(&a, KIND(DECISION_ACK));
	send_report(&a, 2, 5);
	agent_expect(&a, KIND(DECISION_ACK));
	assert_int_equal(db_decision_get(w.conn, &a.machine, &env, &arena, &d, NULL), 0);
	assert_int_equal(d.reasons[0].counters.refusals, 5);
	agent_deinit(&a);
	world_deinit(&w);
	arena_deinit(&arena);
}

static int exception_put(struct db_conn *conn, void *ctx)
{
	const struct agent *a = ctx;

	return db_exception_grant(
		conn,
		&(struct db_exception){.id = {{9}},
				       .machine = a->machine,
				       .rule = "old",
				       .package = "",
				       .owner = "",
				       .ticket = "",
				       .reason = "because",
				       .expires_ms = a->world->clock.wall_ms + 1000000,
				       .granted_by = "ada"},
		a->world->clock.wall_ms, NULL);
}

/* The status bundle of the last Push. */
static Envwarden__Bundle__Status *pushed_status(struct agent *a, struct arena *arena)
{
	struct signed_check check = {.keys = root_role(&a->world->root, ROLE_STATUS),
				     .now_ms = a->world->clock.wall_ms};
	Envwarden__Bundle__Body *body;
	struct db_bundle bundle;

	agent_expect(a, KIND(PUSH));
	assert_int_equal(
		db_bundle_get(a->world->conn, ROLE_STATUS, &a->machine, 0, arena, &bundle, NULL),
		0);
	assert_int_equal(named(a, &a->message->push->timestamp, ROLE_STATUS), bundle.version);
	assert_int_equal(signed_verify(bundle.data, bundle.n, &check, arena, &body, NULL), 0);
	return body->status;
}

/* A request comes back as open in the status bundle; exceptions and the unlock key are there. */
static void test_requests(void **state)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__ExceptionRequest request = ENVWARDEN__SYNC__EXCEPTION_REQUEST__INIT;
	Envwarden__Bundle__Status *status;
	struct uuid id = {{5}}, env = {{7}};
	struct arena arena;
	struct world w;
	struct agent a;

	(void)state;
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	request.id = wire_uuid(&id);
	request.environment = wire_uuid(&env);
	request.user = wire_text("ana");
	request.reason = wire_text("I need it");
	request.case_code = wire_text("EW-ABCD");
	envelope.kind_case = KIND(EXCEPTION_REQUEST);
	envelope.exception_request = &request;
	agent_send(&a, &envelope);
	status = pushed_status(&a, &arena);
	assert_int_equal(status->n_requests, 1);
	assert_int_equal(status->requests[0]->state, DB_REQUEST_OPEN);
	assert_memory_equal(status->requests[0]->id.data, id.b, UUID_SIZE);
	assert_int_equal(status->unlock_key.len, 32);
	assert_int_equal(status->n_exceptions, 0);
	world_write(&w, exception_put, &a);
	status = pushed_status(&a, &arena);
	assert_int_equal(status->n_exceptions, 1);
	assert_string_equal(status->exceptions[0]->rule, "old");
	agent_deinit(&a);
	world_deinit(&w);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
