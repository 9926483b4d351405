#include "proto/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/convert.h"
#include "proto/limits.h"
#include "tests/proto/golden.h"
#include "tests/proto/samples.h"
#include "tests/support/fault.h"

static int unpack_local(const void *data, size_t n, size_t memory, struct err *err)
{
	Envwarden__Local__Envelope *msg;
	struct arena arena;
	int rc;

	arena_init(&arena, memory);
	rc = codec_unpack_local(data, n, &arena, &msg, err);
	arena_deinit(&arena);
	return rc;
}

/* A status request with an id, framed. */
static void pack_status(struct buf *frame)
{
	Envwarden__Local__Envelope msg = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusRequest status = ENVWARDEN__LOCAL__STATUS_REQUEST__INIT;

	msg.id = 7;
	msg.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS;
	msg.status = &status;
	buf_init(frame, LIMIT_LOCAL_FRAME + 4);
	assert_int_equal(codec_pack_local(&msg, frame, NULL), 0);
}

static void test_frame(void **state)
{
	static const unsigned char want[] = {0, 0, 0, 4, 0x08, 7, 0x3a, 0};
	Envwarden__Local__Envelope *msg;
	struct arena arena;
	struct buf frame;

	(void)state;
	pack_status(&frame);
	assert_int_equal(frame.len, sizeof(want));
	assert_memory_equal(frame.data, want, sizeof(want));
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	assert_int_equal(codec_unpack_local(frame.data + 4, frame.len - 4, &arena, &msg, NULL), 0);
	assert_true(msg->id == 7);
	assert_int_equal(msg->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS);
	arena_deinit(&arena);
	buf_deinit(&frame);
}

static void test_bad_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int rc;
	} table[] = {
		{"", 0, 0},			    /* no kind: NOT_SET */
		{"\xff", 1, ERR_INVALID},	    /* a cut tag */
		{"\x3a\x05", 2, ERR_INVALID},	    /* longer than the message */
		{"\x3b\x3c", 2, ERR_INVALID},	    /* a group */
		{"\x00\x00", 2, ERR_INVALID},	    /* field 0 */
		{"\xfa\x7f\x01x", 4, 0},	    /* a field of a newer version */
		{"\x12\x02\x48\x01", 4, 0},	    /* a known kind with an unknown field */
		{"\x12\x04\x0a\x02\x10\x63", 6, 0}, /* an unknown enumeration value */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct err err = ERR_INIT;
		int rc = unpack_local(table[i].bytes, table[i].n, LIMIT_LOCAL_MEMORY, &err);

		if (rc != table[i].rc)
			fail_msg("line %zu: %s", i, err_name(rc));
		assert_int_equal(err.code, rc);
	}
}

static void test_unknown_kind(void **state)
{
	Envwarden__Local__Envelope *msg;
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	assert_int_equal(codec_unpack_local("\x08\x05\xfa\x7f\x01x", 6, &arena, &msg, NULL), 0);
	assert_true(msg->id == 5);
	assert_int_equal(msg->kind_case, ENVWARDEN__LOCAL__ENVELOPE__KIND__NOT_SET);
	arena_deinit(&arena);
}

static void test_size_capped(void **state)
{
	static unsigned char big[LIMIT_SYNC_FRAME + 1];
	Envwarden__Sync__Envelope *msg;
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	assert_int_equal(unpack_local(big, LIMIT_LOCAL_FRAME + 1, LIMIT_LOCAL_MEMORY, NULL),
			 ERR_LIMIT);
	assert_int_equal(codec_unpack_sync(big, sizeof(big), &arena, &msg, NULL), ERR_LIMIT);
	assert_int_equal(arena.used, 0);
	arena_deinit(&arena);
}

/* A frame of empty packages: two bytes each on the wire, hundreds in memory. */
static void test_memory_bounded(void **state)
{
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, LIMIT_LOCAL_FRAME);
	buf_add(&b, "\x92\x02\xc0\xb8\x02", 5); /* packages, 40000 bytes */
	for (size_t i = 0; i < 20000; i++)
		buf_add(&b, "\x0a\x00", 2);
	assert_int_equal(unpack_local(b.data, b.len, LIMIT_LOCAL_MEMORY, &err), ERR_LIMIT);
	assert_non_null(strstr(err.text, "memory"));
	assert_int_equal(unpack_local(b.data, b.len, 16 * LIMIT_LOCAL_MEMORY, NULL), 0);
	buf_deinit(&b);
}

/* The largest frames our own senders make must fit the memory a receiver gives. */
static void test_full_frames_fit(void **state)
{
	Envwarden__Sync__Envelope msg = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Packages packages = ENVWARDEN__SYNC__PACKAGES__INIT;
	struct package numpy = sample_numpy();
	Envwarden__Sync__Envelope *got;
	Envwarden__Package *one;
	Envwarden__Package *list[LIMIT_SYNC_CHUNK / 64];
	struct arena arena;
	struct buf frame;
	size_t n = 0;

	(void)state;
	numpy.url = numpy.license = "x";
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	assert_int_equal(package_to_wire(&numpy, &arena, &one), 0);
	for (size_t size = 0; size < LIMIT_SYNC_CHUNK; size += codec_size(&one->base))
		list[n++] = one;
	packages.packages = list;
	packages.n_packages = n;
	msg.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_PACKAGES;
	msg.packages = &packages;
	buf_init(&frame, LIMIT_SYNC_FRAME + 4);
	assert_int_equal(codec_pack_sync(&msg, &frame, NULL), 0);
	arena_reset(&arena);
	assert_int_equal(codec_unpack_sync(frame.data + 4, frame.len - 4, &arena, &got, NULL), 0);
	assert_int_equal(got->packages->n_packages, n);
	arena_deinit(&arena);
	buf_deinit(&frame);
}

static void test_pack_refuses(void **state)
{
	static char path[LIMIT_PATH + 2];
	Envwarden__Local__Envelope msg = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__CheckRequest check = ENVWARDEN__LOCAL__CHECK_REQUEST__INIT;
	Envwarden__Local__Target target = ENVWARDEN__LOCAL__TARGET__INIT;
	char *dirs[LIMIT_ENVS_DIRS];
	struct err err = ERR_INIT;
	struct buf frame;

	(void)state;
	msg.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHECK;
	msg.check = &check;
	check.target = &target;
	target.typed = path;
	buf_init(&frame, 2 * LIMIT_LOCAL_FRAME);
	buf_adds(&frame, "before");
	memset(path, 'x', LIMIT_PATH + 1);
	assert_int_equal(codec_pack_local(&msg, &frame, &err), ERR_LIMIT);
	assert_string_equal(err.text, "Target.typed: text too long");
	path[LIMIT_PATH] = '\0';
	assert_int_equal(codec_pack_local(&msg, &frame, NULL), 0);
	assert_true(frame.len > LIMIT_PATH);
	frame.len = 6;
	for (size_t i = 0; i < LIMIT_ENVS_DIRS; i++)
		dirs[i] = path;
	target.envs_dirs = dirs;
	target.n_envs_dirs = LIMIT_ENVS_DIRS;
	assert_int_equal(codec_pack_local(&msg, &frame, &err), ERR_LIMIT); /* the frame's */
	assert_int_equal(frame.len, 6);
	assert_int_equal(buf_rc(&frame), 0);
	buf_deinit(&frame);
	buf_init(&frame, 10);
	target.n_envs_dirs = 0;
	assert_int_equal(codec_pack_local(&msg, &frame, NULL), ERR_LIMIT); /* the buffer's */
	buf_deinit(&frame);
}

/* --- frames of the first release, byte by byte ------------------------------------------------ */

static int pack_changes(struct arena *arena, struct buf *frame)
{
	Envwarden__Sync__Envelope msg = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Changes changes = ENVWARDEN__SYNC__CHANGES__INIT;
	Envwarden__Sync__JournalChange *list[1];
	unsigned char zeroes[SHA256_SIZE] = {0};
	unsigned char hash[SHA256_SIZE];
	struct change update;
	int rc;

	sample_update(&update);
	change_chain(zeroes, &update, hash);
	rc = journal_change_to_wire(&update, hash, arena, &list[0]);
	if (rc < 0)
		goto out;
	changes.epoch = wire_uuid(&update.epoch);
	changes.previous_hash = wire_bytes(zeroes, sizeof(zeroes));
	changes.changes = list;
	changes.n_changes = 1;
	msg.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_CHANGES;
	msg.changes = &changes;
	rc = codec_pack_sync(&msg, frame, NULL);
out:
	change_deinit(&update);
	return rc;
}

static int pack_decision(struct arena *arena, struct buf *frame)
{
	Envwarden__Local__Envelope msg = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct package openssl = sample_openssl();
	struct reason reason = {.kind = "status",
				.id = "",
				.message = "OpenSSL 1.x gets no security fixes any more.",
				.fix = "conda update -n churn \"openssl>=3\"",
				.package = &openssl,
				.action = ACTION_BLOCK};
	struct decision_reply reply;
	int rc;

	decision_reply_init(&reply);
	reply.decision.action = ACTION_BLOCK;
	reply.decision.reasons = &reason;
	reply.decision.n_reasons = 1;
	memcpy(reply.decision.case_code, "EW-91C0", 8);
	reply.prefix = "/home/ana/envs/churn";
	reply.name = "churn";
	reply.environment = sample_uuid(0x20);
	reply.policy_version = 41;
	reply.source = "agent";
	reply.contact = "security@example.org";
	msg.id = 3;
	msg.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	rc = decision_to_wire(&reply, arena, &msg.decision);
	return rc < 0 ? rc : codec_pack_local(&msg, frame, NULL);
}

static void test_golden_frames(void **state)
{
	struct arena arena;
	struct buf frame;

	(void)state;
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	buf_init(&frame, LIMIT_SYNC_FRAME + 4);
	assert_int_equal(pack_changes(&arena, &frame), 0);
	golden_check("frame_sync_changes", frame.data, frame.len);
	buf_clear(&frame);
	assert_int_equal(pack_decision(&arena, &frame), 0);
	golden_check("frame_local_decision", frame.data, frame.len);
	buf_deinit(&frame);
	arena_deinit(&arena);
}

/* --- failing memory ----------------------------------------------------------------------------
 */

static int unpack_body_once(void *ctx)
{
	const struct buf *frame = ctx;
	Envwarden__Local__Envelope *msg;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	rc = codec_unpack_local(frame->data + 4, frame->len - 4, &arena, &msg, NULL);
	arena_deinit(&arena);
	return rc;
}

static int pack_once(void *ctx)
{
	struct arena arena;
	struct buf frame;
	int rc;

	(void)ctx;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	buf_init(&frame, LIMIT_LOCAL_FRAME + 4);
	rc = pack_decision(&arena, &frame);
	buf_deinit(&frame);
	arena_deinit(&arena);
	return rc;
}

static void test_no_memory(void **state)
{
	struct arena arena;
	struct buf frame;

	(void)state;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	buf_init(&frame, LIMIT_LOCAL_FRAME + 4);
	assert_int_equal(pack_decision(&arena, &frame), 0);
	fault_each_alloc(unpack_body_once, &frame, 1);
	fault_each_alloc(pack_once, NULL, 2);
	buf_deinit(&frame);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),	       cmocka_unit_test(test_bad_bytes),
		cmocka_unit_test(test_unknown_kind),   cmocka_unit_test(test_size_capped),
		cmocka_unit_test(test_memory_bounded), cmocka_unit_test(test_full_frames_fit),
		cmocka_unit_test(test_pack_refuses),   cmocka_unit_test(test_golden_frames),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
