/* Signed state on its way down: pushed when it changes, fetched in chunks, reported on. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/limits.h"
#include "server/db/db_bundle.h"
#include "server/db/db_machine.h"
#include "server/db/db_org.h"
#include "tests/server/session/world.h"

static void send_request(struct agent *a, const char *role, uint64_t version, uint64_t offset)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleRequest request = ENVWARDEN__SYNC__BUNDLE_REQUEST__INIT;

	request.role = wire_text(role);
	request.version = version;
	request.offset = offset;
	envelope.kind_case = KIND(BUNDLE_REQUEST);
	envelope.bundle_request = &request;
	agent_send(a, &envelope);
}

/* All chunks from an offset on. */
static void take_chunks(struct agent *a, struct buf *out)
{
	size_t total;

	do {
		const Envwarden__Sync__BundleChunk *chunk;

		agent_expect(a, KIND(BUNDLE_CHUNK));
		chunk = a->message->bundle_chunk;
		assert_int_equal(chunk->offset, out->len);
		total = (size_t)chunk->total;
		buf_add(out, chunk->data.data, chunk->data.len);
	} while (out->len < total);
	assert_int_equal(out->len, total);
}

/* The status bundle a timestamp names, fetched and verified. */
static Envwarden__Bundle__Status *fetch_status(struct agent *a, const struct agent_held *named,
					       struct arena *arena)
{
	struct signed_check check = {.keys = root_role(&a->world->root, ROLE_STATUS),
				     .now_ms = a->world->clock.wall_ms};
	unsigned char hash[SHA256_SIZE];
	Envwarden__Bundle__Body *body;
	struct buf data;

	buf_init(&data, LIMIT_BUNDLE);
	send_request(a, ROLE_STATUS, named->version, 0);
	take_chunks(a, &data);
	sha256(data.data, data.len, hash);
	assert_memory_equal(hash, named->hash, SHA256_SIZE);
	assert_int_equal(signed_verify(data.data, data.len, &check, arena, &body, NULL), 0);
	assert_int_equal(body->version, named->version);
	assert_memory_equal(body->status->machine.data, a->machine.b, UUID_SIZE);
	buf_deinit(&data);
	return body->status;
}

static int logging_on(struct db_conn *conn, void *ctx)
{
	return db_org_set(conn,
			  &(struct db_org){.name = "Test",
					   .logging = true,
					   .contact = "it@example.org",
					   .when_agent_down = "block"},
			  *(const int64_t *)ctx, NULL);
}

static int labels_set(struct db_conn *conn, void *ctx)
{
	static const char *const items[] = {"finance", "lab"};
	const struct agent *a = ctx;

	return db_machine_set_labels(conn, &a->machine, &(struct db_labels){items, 2},
				     a->world->clock.wall_ms, NULL);
}

static void test_push(void **state)
{
	Envwarden__Bundle__Status *status;
	struct agent_held first, named;
	struct arena arena;
	struct world w;
	struct agent a, other;

	(void)state;
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_make(&other, &w);
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &first);
	agent_welcome(&other);
	status = fetch_status(&a, &first, &arena);
	assert_false(status->logging);
	assert_int_equal(status->n_labels, 1);

	/* One machine's. */
	world_write(&w, labels_set, &a);
	agent_expect(&a, KIND(PUSH));
	agent_timestamp(&a, &a.message->push->timestamp, &named);
	assert_int_equal(named.version, first.version + 1);
	status = fetch_status(&a, &named, &arena);
	assert_int_equal(status->n_labels, 2);
	assert_string_equal(status->labels[0], "finance");
	assert_int_equal(other.frames.len, 0);

	/* Everybody's. */
	world_write(&w, logging_on, &w.clock.wall_ms);
	agent_expect(&other, KIND(PUSH));
	agent_expect(&a, KIND(PUSH));
	agent_timestamp(&a, &a.message->push->timestamp, &named);
	status = fetch_status(&a, &named, &arena);
	assert_true(status->logging);
	assert_string_equal(status->contact, "it@example.org");
	agent_deinit(&other);
	agent_deinit(&a);
	world_deinit(&w);
	arena_deinit(&arena);
}

/* What changed while the machine was away is in its next Welcome. */
static void test_changed_while_away(void **state)
{
	struct agent_held named;
	struct arena arena;
	struct world w;
	struct agent a;

	(void)state;
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	world_hub_stop(&w);
	world_write(&w, logging_on, &w.clock.wall_ms);
	world_hub_start(&w, 0); /* for which this is no news */
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &named);
	assert_int_equal(named.version, 2);
	assert_true(fetch_status(&a, &named, &arena)->logging);
	agent_deinit(&a);
	world_deinit(&w);
	arena_deinit(&arena);
}

#define BIG ((size_t)5 * 1024 * 1024 + 17)

static int big_put(struct db_conn *conn, void *ctx)
{
	return db_bundle_put(
		conn,
		&(struct db_bundle){
			.role = ROLE_POLICY, .version = 3, .data = ctx, .n = BIG, .created_ms = 1},
		NULL);
}

/* More than a connection's queue holds: sent as fast as it is taken, whole, and resumable. */
static void test_big_bundle(void **state)
{
	unsigned char *big = mem_alloc(BIG);
	struct buf data;
	struct world w;
	struct agent a;

	(void)state;
	crypto_random(big, BIG);
	buf_init(&data, BIG);
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	world_write(&w, big_put, big);
	agent_welcome(&a);
	send_request(&a, ROLE_POLICY, 3, 0);
	send_request(&a, ROLE_POLICY, 3, BIG - 1000); /* answered after the first */
	take_chunks(&a, &data);
	assert_memory_equal(data.data, big, BIG);
	agent_expect(&a, KIND(BUNDLE_CHUNK));
	assert_int_equal(a.message->bundle_chunk->offset, BIG - 1000);
	assert_memory_equal(a.message->bundle_chunk->data.data, big + BIG - 1000, 1000);

	send_request(&a, ROLE_POLICY, 2, 0); /* not here, and no reason to part */
	agent_expect_error(&a, ERR_NOTFOUND);
	send_request(&a, ROLE_POLICY, 0, BIG); /* the newest, from its end on */
	agent_expect(&a, KIND(BUNDLE_CHUNK));
	assert_int_equal(a.message->bundle_chunk->version, 3);
	assert_int_equal(a.message->bundle_chunk->data.len, 0);
	send_request(&a, ROLE_POLICY, 3, 0);
	agent_expect(&a, KIND(BUNDLE_CHUNK));
	agent_drop(&a); /* in the middle of it */
	agent_welcome(&a);
	send_request(&a, ROLE_POLICY, 3, BIG + 1);
	agent_expect_error(&a, ERR_INVALID);
	agent_expect_closed(&a);
	agent_deinit(&a);
	world_deinit(&w);
	buf_deinit(&data);
	mem_free(big);
}

static void test_report(void **state)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__BundleReport report = ENVWARDEN__SYNC__BUNDLE_REPORT__INIT;
	struct db_bundle_report *rows;
	struct arena arena;
	struct world w;
	struct agent a;
	size_t n;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	report.role = wire_text(ROLE_STATUS);
	report.version = 1;
	report.reason = wire_text("expired role");
	envelope.kind_case = KIND(BUNDLE_REPORT);
	envelope.bundle_report = &report;
	agent_send(&a, &envelope);
	send_request(&a, ROLE_STATUS, 1, 0); /* answered after it */
	agent_expect(&a, KIND(BUNDLE_CHUNK));
	arena_init(&arena, 1 << 20);
	assert_int_equal(db_bundle_report_list(w.conn, &a.machine, &arena, &rows, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].role, ROLE_STATUS);
	assert_string_equal(rows[0].reason, "expired role");
	assert_false(rows[0].active);
	arena_deinit(&arena);
	agent_deinit(&a);
	world_deinit(&w);
}

/* The version of the status bundle the machine is known to act on, 0 = none. */
static uint64_t reported(struct agent *a)
{
	struct db_bundle_report *rows;
	struct arena arena;
	uint64_t version;
	size_t n;

	arena_init(&arena, 1 << 20);
	assert_int_equal(
		db_bundle_report_list(a->world->conn, &a->machine, &arena, &rows, &n, NULL), 0);
	version = n == 1 && rows[0].active ? rows[0].version : 0;
	arena_deinit(&arena);
	return version;
}

/* A report that got lost: the next Hello tells the same. Bundles that are not ours say nothing. */
static void test_held_is_reported(void **state)
{
	struct world w;
	struct agent a;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_welcome(&a);
	agent_timestamp(&a, &a.message->welcome->timestamp, &a.held_status);
	assert_int_equal(reported(&a), 0);
	agent_drop(&a);
	a.held_status.hash[0] ^= 1;
	agent_welcome(&a);
	assert_int_equal(reported(&a), 0);
	agent_timestamp(&a, &a.message->welcome->timestamp, &a.held_status);
	agent_drop(&a);
	world_write(&w, labels_set, &a); /* something newer is wanted */
	agent_welcome(&a);
	assert_int_equal(reported(&a), a.held_status.version);
	agent_deinit(&a);
	world_deinit(&w);
}

static void test_connected(void **state)
{
	struct world w;
	struct agent a, other;

	(void)state;
	world_init(&w);
	world_hub_start(&w, 0);
	agent_make(&a, &w);
	agent_make(&other, &w);
	agent_connect(&a);
	assert_false(hub_connected(w.hub, &a.machine)); /* it said nothing yet */
	agent_drop(&a);
	agent_welcome(&a);
	assert_true(hub_connected(w.hub, &a.machine));
	assert_false(hub_connected(w.hub, &other.machine));
	agent_drop(&a);
	agent_welcome(&other); /* by now the end of the other has been seen */
	assert_false(hub_connected(w.hub, &a.machine));
	assert_true(hub_connected(w.hub, &other.machine));
	agent_deinit(&other);
	agent_deinit(&a);
	world_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_changed_while_away),
		cmocka_unit_test(test_big_bundle),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_held_is_reported),
		cmocka_unit_test(test_connected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
