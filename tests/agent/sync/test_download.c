/* Bundles and reports. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/limits.h"
#include "tests/agent/sync/world.h"

static struct world w;

static void assert_why(const char *part)
{
	if (!strstr(w.owner.why, part))
		fail_msg("\"%s\" is not in \"%s\"", part, w.owner.why);
}

static void begin(void)
{
	world_init(&w);
	w.server.timestamp = "T";
	w.owner.want = "policy";
	w.owner.want_version = 4;
	world_start(&w);
}

static void assert_bundle(const char *text)
{
	assert_int_equal(w.owner.bundle.len, strlen(text));
	assert_memory_equal(w.owner.bundle.data, text, strlen(text));
}

static void test_in_chunks(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	server_chunk(&w, "policy", 4, 0, 11, "hello ");
	server_chunk(&w, "policy", 4, 6, 11, "world");
	world_until(&w, "bundle:policy/4:11");
	assert_bundle("hello world");
	world_end(&w);
}

/* One after the other; asked for twice is asked for once. */
static void test_several(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	sync_want(w.sync, "status", 9);
	sync_want(w.sync, "policy", 4);
	sync_want(w.sync, "status", 9);
	world_run(&w, 30);
	assert_null(strstr(w.trace, ">want:status"));
	server_chunk(&w, "policy", 4, 0, 1, "p");
	world_until(&w, ">want:status/9@0");
	server_chunk(&w, "status", 9, 0, 1, "s");
	world_until(&w, "bundle:status/9:1");
	world_expect(&w, ">good >hello:0 welcome up timestamp:T read:0 >want:policy/4@0 "
			 "bundle:policy/4:1 >want:status/9@0 bundle:status/9:1");
	world_end(&w);
}

static void test_resumes(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	server_chunk(&w, "policy", 4, 0, 11, "hello ");
	world_run(&w, 30);
	server_drop(&w);
	world_until(&w, "down");
	sync_hurry(w.sync);
	world_until(&w, ">want:policy/4@6");
	server_chunk(&w, "policy", 4, 6, 11, "world");
	world_until(&w, "bundle:policy/4:11");
	assert_bundle("hello world");
	world_end(&w);
}

/* Another version by then: from its beginning. */
static void test_no_resume_of_another_version(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	server_chunk(&w, "policy", 4, 0, 11, "hello ");
	world_run(&w, 30);
	server_drop(&w);
	world_until(&w, "down");
	w.owner.want_version = 5;
	sync_hurry(w.sync);
	world_until(&w, ">want:policy/5@0");
	assert_null(strstr(w.trace, ">want:policy/4@6"));
	world_end(&w);
}

/* Superseded on the way: the rest of the old one is let pass. */
static void test_superseded(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	server_chunk(&w, "policy", 4, 0, 11, "hello ");
	world_run(&w, 30);
	sync_want(w.sync, "policy", 5);
	server_chunk(&w, "policy", 4, 6, 11, "world");
	world_until(&w, ">want:policy/5@0");
	server_chunk(&w, "policy", 5, 0, 3, "new");
	world_until(&w, "bundle:policy/5:3");
	assert_bundle("new");
	assert_null(strstr(w.trace, "bundle:policy/4"));
	world_end(&w);
}

static void test_bad_chunks(void **state)
{
	static const struct {
		const char *role;
		uint64_t version, offset, total;
		const char *data;
	} table[] = {
		{"policy", 4, 0, LIMIT_BUNDLE + UINT64_C(1), "x"},
		{"policy", 4, 0, UINT64_MAX, "x"},
		{"policy", 4, 0, 2, "xyz"},
		{"policy", 4, 1, 9, "x"},
		{"policy", 4, 0, 0, ""},
		{"policy", 4, 0, 9, ""},
		{"policy", 5, 0, 9, "x"},
		{"status", 4, 0, 9, "x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		begin();
		world_until(&w, ">want:policy/4@0");
		server_chunk(&w, table[i].role, table[i].version, table[i].offset, table[i].total,
			     table[i].data);
		world_until(&w, "down");
		assert_why("bundle policy 4");
		assert_null(strstr(w.trace, "bundle:"));
		world_end(&w);
	}
}

/* The second chunk, or the one behind the last, is not what must come: nothing of it counts, and
 * the bundle is fetched from its beginning. */
static void test_out_of_order(void **state)
{
	static const struct {
		const char *what;
		uint64_t offset, total;
		const char *data;
	} table[] = {
		{"repeated", 0, 11, "hello "},
		{"a gap", 7, 11, "orld"},
		{"back into it", 5, 11, "world"},
		{"beyond the end", 6, 11, "worlds"},
		{"larger than said", 6, 20, "world"},
		{"smaller than said", 6, 7, "w"},
		{"of nothing", 6, 11, ""},
		{"far out", UINT64_MAX, 11, "w"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		begin();
		world_until(&w, ">want:policy/4@0");
		server_chunk(&w, "policy", 4, 0, 11, "hello ");
		world_run(&w, 30);
		trace_clear(&w);
		server_chunk(&w, "policy", 4, table[i].offset, table[i].total, table[i].data);
		world_until(&w, "down");
		assert_why("bundle policy 4");
		assert_null(strstr(w.trace, "bundle:"));
		sync_hurry(w.sync);
		world_until(&w, ">want:policy/4@0");
		server_chunk(&w, "policy", 4, 0, 11, "hello world");
		world_until(&w, "bundle:policy/4:11");
		assert_bundle("hello world");
		world_end(&w);
	}
}

/* Behind the last chunk nothing is awaited: what was delivered stays. */
static void test_behind_the_end(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	server_chunk(&w, "policy", 4, 0, 2, "ok");
	world_until(&w, "bundle:policy/4:2");
	server_chunk(&w, "policy", 4, 2, 3, "!");
	world_until(&w, "down");
	assert_bundle("ok");
	world_end(&w);
}

/* The server has it no more: nothing is lost but the wish. */
static void test_not_there(void **state)
{
	(void)state;
	begin();
	world_until(&w, ">want:policy/4@0");
	server_error(&w, ERR_NOTFOUND, "this version is not here", 0);
	world_run(&w, 30);
	assert_true(w.owner.connected);
	w.owner.want_version = 5;
	server_push(&w, "T2");
	world_until(&w, ">want:policy/5@0");
	world_end(&w);
}

static void test_reports(void **state)
{
	char reason[3 * LIMIT_TEXT];

	(void)state;
	world_init(&w);
	world_start(&w);
	sync_report(w.sync, "policy", 3, false, "old news");
	sync_report(w.sync, "policy", 4, false, "not signed"); /* the newest of a role counts */
	sync_report(w.sync, "status", 1, true, "");
	world_until(&w, ">report:status/1+");
	assert_non_null(strstr(w.trace, ">report:policy/4-not signed >report:status/1+"));
	assert_null(strstr(w.trace, "old news"));
	trace_clear(&w);
	/* Too long, and the cut would fall into a character. */
	memset(reason, 'a', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	memcpy(reason + LIMIT_TEXT - 1, "\xc3\xa4", 2);
	sync_report(w.sync, "policy", 5, false, reason);
	world_until(&w, ">report:policy/5-aaa");
	assert_true(w.owner.connected);
	assert_int_equal(w.trace_n, strlen(">report:policy/5-") + LIMIT_TEXT - 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_chunks),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_resumes),
		cmocka_unit_test(test_no_resume_of_another_version),
		cmocka_unit_test(test_superseded),
		cmocka_unit_test(test_bad_chunks),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_behind_the_end),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_reports),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, pki_free);
}
