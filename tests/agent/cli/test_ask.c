#include "agent/cli/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cli/client.h"
#include "lib/base/compiler.h"
#include "proto/fallback.h"
#include "tests/agent/cli/fake_agent.h"
#include "tests/support/tmpdir.h"

struct fixture {
	struct tmpdir dir;
	struct fake_agent agents[2];
	char sockets[2][TMPDIR_PATH_MAX]; /* the machine's, the own */
	char fallbacks[2][TMPDIR_PATH_MAX];
	char env[TMPDIR_PATH_MAX]; /* a real prefix, "legacy" */
	struct arena arena;
};

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	tmpdir_make(&f.dir);
	assert_int_equal(chmod(f.dir.path, 0755), 0);
	tmpdir_mkdir(&f.dir, "base/envs/legacy");
	tmpdir_mkdir(&f.dir, "elsewhere/envs/other");
	tmpdir_path(&f.dir, "base/envs/legacy", f.env);
	for (int i = 0; i < 2; i++) {
		tmpdir_path(&f.dir, i == 0 ? "machine.sock" : "own.sock", f.sockets[i]);
		tmpdir_path(&f.dir, i == 0 ? "machine.fallback" : "own.fallback", f.fallbacks[i]);
	}
	arena_init(&f.arena, 1 << 20);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fake_agent_stop(&f->agents[0]);
	fake_agent_stop(&f->agents[1]);
	arena_deinit(&f->arena);
	tmpdir_remove(&f->dir);
	return 0;
}

static void write_fallback(struct fixture *f, int which, enum agent_down when)
{
	const struct fallback_entry entries[] = {
		{.path = f->env,
		 .action = ACTION_BLOCK,
		 .name = "legacy",
		 .case_code = "EW-1234",
		 .message = "Too old.",
		 .fix = "conda update --all"},
	};
	const struct fallback file = {.policy_version = 7,
				      .when_agent_down = when,
				      .contact = "it@example.org",
				      .entries = entries,
				      .n = 1};
	struct buf out;

	buf_init(&out, FALLBACK_MAX);
	assert_int_equal(fallback_encode(&file, &out, NULL), 0);
	tmpdir_write(&f->dir, which == 0 ? "machine.fallback" : "own.fallback", out.data, out.len);
	buf_deinit(&out);
}

static void ask_about(struct fixture *f, const char *typed, struct decision_reply *out)
{
	struct target_words words = {.env = typed};
	struct target target = {0};
	struct ask request = {
		.machine = {f->sockets[0], f->fallbacks[0]},
		.own = {f->sockets[1], f->fallbacks[1]},
		.target = &target,
	};
	char base[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, "base", base);
	words.base = base;
	assert_int_equal(target_init(&target, &words, NULL), 0);
	request.deadline_ms = client_deadline(150);
	arena_reset(&f->arena);
	ask(&request, &f->arena, out);
}

static void expect(struct fixture *f, const char *typed, enum action action, const char *source)
{
	struct decision_reply reply;

	ask_about(f, typed, &reply);
	assert_int_equal(reply.decision.action, action);
	assert_string_equal(reply.source, source);
	assert_string_equal(reply.name, typed);
}

static void start(struct fixture *f, int which)
{
	fake_agent_start(&f->agents[which], f->sockets[which], &(struct fake_options){0});
}

static void test_nobody(void **state)
{
	struct decision_reply reply;

	expect(*state, "legacy", ACTION_ALLOW, "default");
	ask_about(*state, "legacy", &reply);
	assert_string_equal(reply.notice, "no agent is installed or running here");
}

/* Either agent may make the answer stricter, neither laxer. */
static void test_stricter(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	expect(f, "legacy-etl", ACTION_BLOCK, "agent");
	expect(f, "fine", ACTION_ALLOW, "agent");
	fake_agent_stop(&f->agents[0]);
	start(f, 1);
	expect(f, "legacy-etl", ACTION_BLOCK, "agent");
	write_fallback(f, 0, AGENT_DOWN_BLOCK); /* the machine's says: nothing without a check */
	expect(f, "fine", ACTION_BLOCK, "fallback");
	start(f, 0);
	expect(f, "fine", ACTION_ALLOW, "agent");
	fake_agent_stop(&f->agents[1]);
	write_fallback(f, 1, AGENT_DOWN_LAST_DECISION);
	expect(f, "legacy", ACTION_BLOCK, "fallback"); /* the own one's last word */
	expect(f, "churn", ACTION_WARN, "agent");
}

static void test_fallback(void **state)
{
	struct fixture *f = *state;
	struct decision_reply reply;

	write_fallback(f, 0, AGENT_DOWN_LAST_DECISION);
	ask_about(f, "legacy", &reply);
	assert_int_equal(reply.decision.action, ACTION_BLOCK);
	assert_string_equal(reply.decision.case_code, "EW-1234");
	assert_string_equal(reply.decision.reasons[0].message, "Too old.");
	assert_string_equal(reply.decision.reasons[0].fix, "conda update --all");
	assert_string_equal(reply.contact, "it@example.org");
	assert_string_equal(reply.prefix, f->env);
	assert_int_equal(reply.policy_version, 7);
	expect(f, "unheard-of", ACTION_ALLOW, "fallback");
	write_fallback(f, 0, AGENT_DOWN_ALLOW);
	expect(f, "legacy", ACTION_ALLOW, "fallback");
	write_fallback(f, 0, AGENT_DOWN_BLOCK);
	expect(f, "unheard-of", ACTION_BLOCK, "fallback");
}

/* Names and paths find the same entry. */
static void test_resolving(void **state)
{
	struct fixture *f = *state;
	struct decision_reply reply;
	char link[TMPDIR_PATH_MAX], dirs[TMPDIR_PATH_MAX];

	write_fallback(f, 0, AGENT_DOWN_LAST_DECISION);
	tmpdir_path(&f->dir, "link", link);
	assert_int_equal(symlink(f->env, link), 0);
	ask_about(f, link, &reply);
	assert_int_equal(reply.decision.action, ACTION_BLOCK);
	ask_about(f, f->env, &reply);
	assert_int_equal(reply.decision.action, ACTION_BLOCK);
	assert_int_equal(chdir(f->dir.path), 0);
	ask_about(f, "base/envs/legacy", &reply);
	assert_int_equal(reply.decision.action, ACTION_BLOCK);
	ask_about(f, "./link", &reply);
	assert_int_equal(reply.decision.action, ACTION_BLOCK);
	/* An environments' folder that comes first hides it. */
	tmpdir_mkdir(&f->dir, "first/legacy");
	tmpdir_path(&f->dir, "first", dirs);
	assert_int_equal(setenv("CONDA_ENVS_DIRS", dirs, 1), 0);
	ask_about(f, "legacy", &reply);
	assert_int_equal(reply.decision.action, ACTION_ALLOW);
	assert_int_equal(unsetenv("CONDA_ENVS_DIRS"), 0);
	assert_int_equal(chdir("/"), 0);
}

static void test_bad_files(void **state)
{
	struct fixture *f = *state;

	tmpdir_write_text(&f->dir, "machine.fallback", "not such a file");
	expect(f, "legacy", ACTION_ALLOW, "default");
	write_fallback(f, 0, AGENT_DOWN_BLOCK);
	assert_int_equal(truncate(f->fallbacks[0], 40), 0);
	expect(f, "legacy", ACTION_ALLOW, "default");
	write_fallback(f, 0, AGENT_DOWN_BLOCK);
	expect(f, "legacy", ACTION_BLOCK, "fallback");
	if (geteuid() == 0) { /* a stranger's */
		assert_int_equal(chown(f->fallbacks[0], 65534, 65534), 0);
		expect(f, "legacy", ACTION_ALLOW, "default");
	}
	assert_int_equal(unlink(f->fallbacks[0]), 0);
	assert_int_equal(symlink(f->fallbacks[1], f->fallbacks[0]), 0);
	write_fallback(f, 1, AGENT_DOWN_ALLOW);
	expect(f, "legacy", ACTION_ALLOW, "fallback"); /* by its own name, not by the link */
}

/* One that hangs costs its time once, and the other's answer still counts. */
static void test_hung(void **state)
{
	struct fixture *f = *state;
	struct decision_reply reply;
	int64_t from = client_deadline(0);

	start(f, 0);
	start(f, 1);
	write_fallback(f, 0, AGENT_DOWN_LAST_DECISION);
	ask_about(f, "hang", &reply);
	assert_int_equal(reply.decision.action, ACTION_ALLOW);
	assert_string_equal(reply.source, "fallback");
	assert_non_null(strstr(reply.notice, "did not answer in time"));
	assert_in_range(client_deadline(0) - from, 140, 450);
}

/* A socket whose server is a stranger's process is not believed. */
static void test_stranger(void **state)
{
	struct fixture *f = *state;
	struct decision_reply reply;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->dir.path, 0777), 0);
	fake_agent_start(&f->agents[0], f->sockets[0], &(struct fake_options){.uid = 65534});
	ask_about(f, "legacy-etl", &reply);
	assert_int_equal(reply.decision.action, ACTION_ALLOW);
	assert_string_equal(reply.source, "default");
	assert_non_null(strstr(reply.notice, "not trusted"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_nobody),    CASE(test_stricter),  CASE(test_fallback),
		CASE(test_resolving), CASE(test_bad_files), CASE(test_hung),
		CASE(test_stranger),
	};

	(void)unsetenv("CONDA_ENVS_DIRS");
	(void)unsetenv("CONDA_ENVS_PATH");
	(void)unsetenv("CONDA_PREFIX");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
