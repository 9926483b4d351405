/* The program itself: init, serve, join-code, and what is left of it all after kill -9. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "tests/server/session/world.h"

#define OUTPUT_MAX 4096
#define ARGS_MAX 12
#define READY_MS 30000

/* A run of the program; its outputs go into files, which need no reading meanwhile. */
struct run {
	uv_process_t process;
	bool ended;
	int64_t exit_code;
	int signal;
};

struct stage {
	struct world world; /* what agents need of one */
	struct tmpdir dir;
	char state[TMPDIR_PATH_MAX];
	char out[TMPDIR_PATH_MAX];
	char ready[TMPDIR_PATH_MAX];
	char text[OUTPUT_MAX]; /* of the last command, both outputs */
	struct run server;
	struct address agent_address;
};

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
}

static void stage_init(struct stage *s)
{
	struct world *w = &s->world;

	memset(s, 0, sizeof(*s));
	tmpdir_make(&s->dir);
	tmpdir_path(&s->dir, "state", s->state);
	tmpdir_path(&s->dir, "out", s->out);
	tmpdir_path(&s->dir, "ready", s->ready);
	clock_fixed_init(&w->clock, clock_system()->wall_ms(clock_system()));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(uv_timer_init(&w->loop, &w->timer), 0);
	assert_int_equal(uv_timer_start(&w->timer, on_timer, 10, 10), 0);
}

static void stage_deinit(struct stage *s)
{
	ca_free(s->world.ca);
	uv_close((uv_handle_t *)&s->world.timer, NULL);
	uv_run(&s->world.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->world.loop), 0);
	tmpdir_remove(&s->dir);
}

static void on_exit_cb(uv_process_t *process, int64_t exit_code, int signal)
{
	struct run *run = process->data;

	run->ended = true;
	run->exit_code = exit_code;
	run->signal = signal;
	uv_close((uv_handle_t *)process, NULL);
}

static void start(struct stage *s, struct run *run, const char *const *args)
{
	FILE *out = fopen(s->out, "wb");
	uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
	char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t)EW_SERVER};
	uv_process_options_t options = {.file = EW_SERVER,
					.args = argv,
					.exit_cb = on_exit_cb,
					.stdio = stdio,
					.stdio_count = 3};

	assert_non_null(out);
	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	for (int i = 1; i < 3; i++) {
		stdio[i].flags = UV_INHERIT_FD;
		stdio[i].data.fd = fileno(out);
	}
	memset(run, 0, sizeof(*run));
	run->process.data = run;
	assert_int_equal(uv_spawn(&s->world.loop, &run->process, &options), 0);
	assert_int_equal(fclose(out), 0);
}

static void wait_end(struct stage *s, struct run *run)
{
	while (!run->ended)
		uv_run(&s->world.loop, UV_RUN_ONCE);
}

static void read_text(const char *path, char out[OUTPUT_MAX])
{
	struct buf text;

	buf_init(&text, OUTPUT_MAX);
	assert_int_equal(files_read_whole(path, OUTPUT_MAX - 1, &text, NULL), 0);
	(void)snprintf(out, OUTPUT_MAX, "%s", buf_cstr(&text));
	buf_deinit(&text);
}

/* To its end; what it printed is in s->text. */
static int command(struct stage *s, const char *const *args)
{
	struct run run;

	start(s, &run, args);
	wait_end(s, &run);
	assert_int_equal(run.signal, 0);
	read_text(s->out, s->text);
	return (int)run.exit_code;
}
#define COMMAND(s, ...) command(s, (const char *const[]){__VA_ARGS__, NULL})

static bool exists(const struct stage *s, const char *name)
{
	char path[TMPDIR_PATH_MAX];
	uv_fs_t req;
	int rc;

	tmpdir_path(&s->dir, name, path);
	rc = uv_fs_stat(NULL, &req, path, NULL);
	uv_fs_req_cleanup(&req);
	return rc == 0;
}

static bool ready(struct stage *s)
{
	char text[OUTPUT_MAX];
	char *end;

	if (!exists(s, "ready"))
		return false;
	read_text(s->ready, text);
	assert_true(text_starts(text, "agent="));
	end = strchr(text, '\n');
	assert_non_null(end);
	assert_true(text_starts(end, "\nadmin=127.0.0.1:"));
	*end = '\0';
	assert_int_equal(address_parse(text + strlen("agent="), 0, &s->agent_address, NULL), 0);
	return true;
}

static void serve(struct stage *s)
{
	char out[TMPDIR_PATH_MAX];
	uint64_t end = uv_hrtime() + READY_MS * UINT64_C(1000000);

	assert_int_equal(files_remove(s->ready, NULL), 0);
	memcpy(out, s->out, sizeof(out));
	tmpdir_path(&s->dir, "server.log", s->out);
	start(s, &s->server,
	      (const char *const[]){"serve", "--state-dir", s->state, "--ready-file", s->ready,
				    NULL});
	memcpy(s->out, out, sizeof(out));
	while (!ready(s)) {
		assert_false(s->server.ended);
		assert_true(uv_hrtime() < end);
		uv_run(&s->world.loop, UV_RUN_ONCE);
	}
	s->world.port = s->agent_address.port;
}

static void init(struct stage *s)
{
	assert_int_equal(COMMAND(s, "init", "--state-dir", s->state, "--organisation", "Test",
				 "--agent-address", "127.0.0.1:0", "--admin-address",
				 "127.0.0.1:0"),
			 0);
}

/* --- */

static size_t entries(const struct stage *s)
{
	uv_fs_t req;
	int n = uv_fs_scandir(NULL, &req, s->dir.path, 0, NULL);

	uv_fs_req_cleanup(&req);
	return (size_t)n;
}

static void test_init(void **state)
{
	char first[OUTPUT_MAX], again[OUTPUT_MAX], path[TMPDIR_PATH_MAX];
	struct stage s;

	(void)state;
	stage_init(&s);
	init(&s);
	assert_non_null(strstr(s.text, "password of user admin: "));
	assert_true(exists(&s, "state/ca.pem"));
	assert_int_equal(entries(&s), 2); /* state and out: nothing half made stays about */
	tmpdir_path(&s.dir, "state/ca.pem", path);
	read_text(path, first);
	assert_int_equal(COMMAND(&s, "init", "--state-dir", s.state, "--organisation", "Other"), 1);
	assert_non_null(strstr(s.text, "nothing was changed"));
	read_text(path, again);
	assert_string_equal(first, again);
	assert_int_equal(COMMAND(&s, "init", "--state-dir", s.state), 2);
	assert_int_equal(COMMAND(&s, "init", "--state-dir", "/proc/none/x", "--organisation", "x"),
			 1);
	assert_int_equal(COMMAND(&s, "nonsense"), 2);
	assert_int_equal(entries(&s), 2);
	stage_deinit(&s);
}

/* A name that no join code could carry, or that would steer a terminal. */
static void test_organisation_name(void **state)
{
	char long_name[JOIN_CODE_NAME_MAX + 2];
	const struct {
		const char *name;
		const char *words;
	} bad[] = {
		{"", "1 to 128 bytes"},
		{long_name, "1 to 128 bytes, not 129"},
		{"caf\xe9", "not UTF-8"},
		{"two\nlines", "invisible characters: two\\x0alines"},
		{"red\x1b[31m", "invisible characters"},
		{"c1\xc2\x9b", "invisible characters"},
		{"bidi\xe2\x80\xae", "invisible characters"},
	};
	struct stage s;

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	stage_init(&s);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			COMMAND(&s, "init", "--state-dir", s.state, "--organisation", bad[i].name),
			2);
		assert_non_null(strstr(s.text, bad[i].words));
		assert_false(exists(&s, "state"));
	}
	long_name[JOIN_CODE_NAME_MAX] = '\0';
	assert_int_equal(COMMAND(&s, "init", "--state-dir", s.state, "--organisation", long_name),
			 0);
	assert_int_equal(COMMAND(&s, "join-code", "create", "--state-dir", s.state), 0);
	stage_deinit(&s);
}

static void test_one_at_a_time(void **state)
{
	char taken[ADDRESS_TEXT_MAX], other[TMPDIR_PATH_MAX];
	struct stage s;

	(void)state;
	stage_init(&s);
	assert_int_equal(COMMAND(&s, "serve", "--state-dir", s.state), 1);
	assert_non_null(strstr(s.text, "envwarden-server init"));
	init(&s);
	serve(&s);
	assert_int_equal(COMMAND(&s, "serve", "--state-dir", s.state), 1);
	assert_non_null(strstr(s.text, "already running"));
	/* Another one on its port. */
	address_format(&s.agent_address, taken);
	tmpdir_path(&s.dir, "other", other);
	assert_int_equal(COMMAND(&s, "init", "--state-dir", other, "--organisation", "Other",
				 "--agent-address", taken),
			 0);
	assert_int_equal(COMMAND(&s, "serve", "--state-dir", other), 1);
	assert_non_null(strstr(s.text, "address already in use"));
	assert_non_null(strstr(s.text, "choose another with --agent-address"));
	assert_int_equal(uv_process_kill(&s.server.process, SIGTERM), 0);
	wait_end(&s, &s.server);
	assert_int_equal(s.server.exit_code, 0);
	assert_int_equal(s.server.signal, 0);
	assert_false(exists(&s, "state/listening"));
	stage_deinit(&s);
}

/* A code made while the server runs; it says where that listens. */
static void code_make(struct stage *s, struct join_code *code)
{
	char address[ADDRESS_TEXT_MAX];

	assert_int_equal(COMMAND(s, "join-code", "create", "--state-dir", s->state, "--labels",
				 "a,b", "--expires", "2h"),
			 0);
	assert_int_equal(join_code_parse(s->text, strlen(s->text), code, NULL), 0);
	assert_string_equal(code->name, "Test");
	assert_int_equal(code->n_addresses, 1);
	address_format(&s->agent_address, address);
	assert_string_equal(code->addresses[0], address);
}

static void test_kill(void **state)
{
	struct join_code code, unused;
	unsigned char spki[SHA256_SIZE];
	struct agent a;
	struct stage s;

	(void)state;
	stage_init(&s);
	init(&s);
	serve(&s);
	code_make(&s, &code);
	code_make(&s, &unused);
	s.world.org = code.organisation;
	assert_int_equal(ca_load(s.state, &s.world.ca, NULL), 0);
	ca_root_spki_hash(s.world.ca, spki);
	assert_memory_equal(code.root_hash, spki, sizeof(spki));
	agent_init(&a, &s.world);
	agent_connect(&a);
	agent_enrol(&a, code.secret);
	agent_expect(&a, KIND(ENROL_REPLY));
	agent_enrolled(&a);
	agent_welcome(&a);
	agent_changes(&a, 1, 3, NULL, false);
	agent_expect_ack(&a, 3);
	agent_changes(&a, 4, 4, NULL, false); /* under way, whatever becomes of it */
	assert_int_equal(uv_process_kill(&s.server.process, SIGKILL), 0);
	wait_end(&s, &s.server);
	agent_drop(&a);

	serve(&s);
	agent_welcome(&a); /* the machine, its certificate, its ticket, its token */
	assert_false(a.message->welcome->new_epoch);
	assert_in_range(a.message->welcome->acked, 3, 4);
	agent_drop(&a);
	agent_deinit(&a);
	agent_init(&a, &s.world);
	agent_connect(&a);
	agent_enrol(&a, unused.secret); /* and the other code */
	agent_expect(&a, KIND(ENROL_REPLY));
	assert_int_equal(uv_process_kill(&s.server.process, SIGINT), 0);
	wait_end(&s, &s.server);
	assert_int_equal(s.server.exit_code, 0);
	agent_deinit(&a);
	stage_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_organisation_name),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
