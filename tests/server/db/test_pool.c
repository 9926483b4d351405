#include "server/db/db_pool.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "server/db/db_admin.h"
#include "server/db/db_outbox.h"
#include "tests/server/db/store.h"

#define LOOPS 3
#define JOBS 200 /* a loop */

struct pool_test {
	struct tmpdir dir;
	char path[TMPDIR_PATH_MAX];
	struct db *db;
	struct db_pool *pool;
};

static int setup(void **state)
{
	struct pool_test *t = mem_calloc(1, sizeof(*t));
	struct db_pool_config config = {.readers = 2, .queue_max = 1000};

	assert_non_null(t);
	tmpdir_make(&t->dir);
	tmpdir_path(&t->dir, "store.db", t->path);
	assert_int_equal(db_open(t->path, &t->db, NULL), 0);
	assert_int_equal(db_pool_start(t->db, &config, &t->pool, NULL), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct pool_test *t = *state;

	db_pool_stop(t->pool);
	db_pool_free(t->pool);
	db_close(t->db);
	tmpdir_remove(&t->dir);
	mem_free(t);
	return 0;
}

static size_t audit_lines(const char *path, const char *who)
{
	struct arena arena;
	struct db *db;
	struct db_conn *conn;
	struct db_audit *list;
	struct db_audit_filter filter = {.who = who};
	struct db_cursor cursor = {.set = false};
	size_t n, lines = 0;

	arena_init(&arena, 64U << 20);
	assert_int_equal(db_open(path, &db, NULL), 0);
	assert_int_equal(db_conn_open(db, false, &conn, NULL), 0);
	do {
		assert_int_equal(
			db_audit_list(conn, &filter, &cursor, 1000, &arena, &list, &n, NULL), 0);
		lines += n;
		cursor = (struct db_cursor){.set = true, .id = n ? list[n - 1].id : 0};
	} while (n > 0);
	db_conn_close(conn);
	db_close(db);
	arena_deinit(&arena);
	return lines;
}

/* --- one loop that submits and counts --- */

struct side {
	uv_loop_t loop;
	struct db_port *port;
	struct db_pool *pool;
	const char *who;
	uv_thread_t thread;
	int done;
	int failed;
	int news;
	bool stopped;
};

struct note {
	struct db_job job;
	struct side *side;
	int number;
	size_t read;
};

/* Every fifth job writes and then fails: what it wrote may not stay. */
static int note_work(struct db_conn *conn, struct db_job *job)
{
	struct note *note = container_of(job, struct note, job);
	struct db_audit entry = {.at_ms = note->number,
				 .who = note->side->who,
				 .what = "note",
				 .target = "",
				 .detail = ""};
	struct uuid id = id_of(1);
	int rc = db_audit_append(conn, &entry, NULL);

	if (rc == 0)
		rc = db_outbox_add(conn, DB_OUTBOX_STATUS, &id, T0, NULL);
	return rc == 0 && note->number % 5 == 0 ? ERR_CONFLICT : rc;
}

static void note_done(struct db_job *job, int rc)
{
	struct note *note = container_of(job, struct note, job);
	struct side *side = note->side;

	assert_ptr_equal(job->port, side->port);
	assert_int_equal(rc, note->number % 5 == 0 ? ERR_CONFLICT : 0);
	side->done++;
	side->failed += rc < 0;
	mem_free(note);
}

static void submit(struct side *side, int number)
{
	struct note *note = mem_calloc(1, sizeof(*note));

	assert_non_null(note);
	note->job.work = note_work;
	note->job.done = note_done;
	note->side = side;
	note->number = number;
	assert_int_equal(db_pool_write(side->port, &note->job), 0);
}

static void on_news(void *ctx)
{
	((struct side *)ctx)->news++;
}

static void on_stopped(void *ctx)
{
	((struct side *)ctx)->stopped = true;
}

static void side_open(struct side *side, struct db_pool *pool, const char *who)
{
	*side = (struct side){.pool = pool, .who = who};
	assert_int_equal(uv_loop_init(&side->loop), 0);
	assert_int_equal(db_port_open(pool, &side->loop, on_news, side, &side->port, NULL), 0);
}

static void side_close(struct side *side)
{
	db_port_stop(side->port, on_stopped, side);
	assert_int_equal(uv_run(&side->loop, UV_RUN_DEFAULT), 0);
	assert_true(side->stopped);
	assert_int_equal(uv_loop_close(&side->loop), 0);
}

static void side_main(void *arg)
{
	struct side *side = arg;

	for (int i = 0; i < JOBS; i++) {
		submit(side, i);
		if (i % 16 == 0)
			(void)uv_run(&side->loop, UV_RUN_NOWAIT);
	}
	while (side->done < JOBS)
		(void)uv_run(&side->loop, UV_RUN_ONCE);
}

static void test_concurrent(void **state)
{
	static const char *const who[LOOPS] = {"one", "two", "three"};
	struct pool_test *t = *state;
	struct side sides[LOOPS];

	for (size_t i = 0; i < LOOPS; i++) {
		side_open(&sides[i], t->pool, who[i]);
		assert_int_equal(uv_thread_create(&sides[i].thread, side_main, &sides[i]), 0);
	}
	for (size_t i = 0; i < LOOPS; i++) {
		assert_int_equal(uv_thread_join(&sides[i].thread), 0);
		side_close(&sides[i]);
		assert_int_equal(sides[i].failed, JOBS / 5);
		assert_true(sides[i].news > 0);
		assert_int_equal(audit_lines(t->path, who[i]), JOBS - JOBS / 5);
	}
}

/* --- reading --- */

static int count_work(struct db_conn *conn, struct db_job *job)
{
	struct note *note = container_of(job, struct note, job);
	struct arena arena;
	struct db_audit *list;
	int rc;

	arena_init(&arena, 1U << 20);
	rc = db_audit_list(conn, &(struct db_audit_filter){0}, NULL, 1000, &arena, &list,
			   &note->read, NULL);
	arena_deinit(&arena);
	return rc;
}

static void count_done(struct db_job *job, int rc)
{
	assert_int_equal(rc, 0);
	container_of(job, struct note, job)->side->done++;
}

static int refused_work(struct db_conn *conn, struct db_job *job)
{
	struct db_audit entry = {.who = "", .what = "", .target = "", .detail = ""};

	(void)job;
	return db_audit_append(conn, &entry, NULL);
}

static void refused_done(struct db_job *job, int rc)
{
	assert_int_equal(rc, ERR_PERM);
	container_of(job, struct note, job)->side->done++;
}

static void test_read_sees_what_was_acked(void **state)
{
	struct pool_test *t = *state;
	struct side side;
	struct note note = {.job = {.work = count_work, .done = count_done}, .side = &side};
	struct note writer = {.job = {.work = refused_work, .done = refused_done}, .side = &side};

	side_open(&side, t->pool, "me");
	for (int i = 1; i <= 3; i++) {
		submit(&side, i);
		while (side.done < 1)
			(void)uv_run(&side.loop, UV_RUN_ONCE);
		assert_int_equal(db_pool_read(side.port, &note.job), 0);
		while (side.done < 2)
			(void)uv_run(&side.loop, UV_RUN_ONCE);
		assert_int_equal(note.read, i);
		side.done = 0;
	}
	assert_int_equal(db_pool_read(side.port, &writer.job), 0);
	side_close(&side); /* waits for it */
	assert_int_equal(side.done, 1);
}

/* --- bounds and ends --- */

static atomic_bool gate_open;
static int gate_work(struct db_conn *conn, struct db_job *job)
{
	(void)conn;
	(void)job;
	while (!atomic_load(&gate_open))
		uv_sleep(1);
	return 0;
}

static void test_bounded(void **state)
{
	struct pool_test *t = *state;
	struct side side;
	struct note gate = {.job = {.work = gate_work, .done = count_done}, .side = &side};
	struct note over = {.job = {.work = count_work, .done = count_done}, .side = &side};
	int n = 0, rc;

	atomic_store(&gate_open, false);
	side_open(&side, t->pool, "me");
	assert_int_equal(db_pool_write(side.port, &gate.job), 0);
	uv_sleep(20); /* the writer is inside it now, or the queue holds one less: both are bounded
		       */
	do {
		struct note *note = mem_calloc(1, sizeof(*note));

		assert_non_null(note);
		*note = (struct note){
			.job = {.work = note_work, .done = note_done}, .side = &side, .number = 1};
		rc = db_pool_write(side.port, &note->job);
		if (rc < 0)
			mem_free(note);
		else
			n++;
	} while (rc == 0);
	assert_int_equal(rc, ERR_BUSY);
	assert_in_range(n, 999, 1000);
	assert_int_equal(db_pool_read(side.port, &over.job), 0); /* readers are apart */
	atomic_store(&gate_open, true);
	side_close(&side);
	assert_int_equal(side.done, n + 2);
}

static void test_stop_drains(void **state)
{
	struct pool_test *t = *state;
	struct side side;
	struct note late = {.job = {.work = count_work, .done = count_done}, .side = &side};

	side_open(&side, t->pool, "me");
	for (int i = 0; i < 100; i++)
		submit(&side, i);
	db_pool_stop(t->pool);
	assert_int_equal(side.done, 0);
	assert_int_equal(db_pool_write(side.port, &late.job), ERR_CANCELED);
	side_close(&side);
	assert_int_equal(side.done, 100);
	assert_int_equal(audit_lines(t->path, "me"), 80);
}

static void test_bad_config(void **state)
{
	struct pool_test *t = *state;
	struct db_pool *pool;

	assert_int_equal(db_pool_start(t->db,
				       &(struct db_pool_config){.readers = 0, .queue_max = 1},
				       &pool, NULL),
			 ERR_INVALID);
	assert_int_equal(db_pool_start(t->db,
				       &(struct db_pool_config){.readers = DB_POOL_READERS_MAX + 1,
								.queue_max = 1},
				       &pool, NULL),
			 ERR_INVALID);
}

/* --- crash: what was told to be durable is there after a kill at any instant --- */

static int ack_fd;
static const char *self; /* this program: a fork with threads and an open store needs an exec */

static void ack_done(struct db_job *job, int rc)
{
	struct note *note = container_of(job, struct note, job);

	if (rc == 0 && write(ack_fd, "a", 1) != 1)
		_exit(3);
	mem_free(note);
}

/* Submits for ever, tells each acknowledgement through the pipe; killed from outside. */
static void child(const char *path)
{
	struct db_pool_config config = {.readers = 1, .queue_max = 64};
	struct db *db;
	struct db_pool *pool;
	struct side side;

	if (db_open(path, &db, NULL) < 0 || db_pool_start(db, &config, &pool, NULL) < 0)
		_exit(2);
	side_open(&side, pool, "crash");
	for (;;) {
		struct note *note = mem_calloc(1, sizeof(*note));

		if (!note)
			_exit(4);
		*note = (struct note){
			.job = {.work = note_work, .done = ack_done}, .side = &side, .number = 1};
		while (db_pool_write(side.port, &note->job) == ERR_BUSY)
			(void)uv_run(&side.loop, UV_RUN_ONCE);
		(void)uv_run(&side.loop, UV_RUN_NOWAIT);
	}
}

static void test_crash(void **state)
{
	struct pool_test *t = *state;
	size_t acked = 0, lines;

	for (unsigned round = 0; round < 4; round++) {
		char byte;
		int fds[2];
		size_t mine = 0;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)close(fds[0]);
			(void)dup2(fds[1], STDOUT_FILENO);
			(void)execl(self, self, "--crash", t->path, (char *)NULL);
			_exit(5);
		}
		(void)close(fds[1]);
		while (mine < 50 + round * 37 && read(fds[0], &byte, 1) == 1)
			mine++;
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(fds[0], &byte, 1) == 1)
			mine++;
		(void)close(fds[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_true(mine >= 50);
		acked += mine;
		lines = audit_lines(t->path, "crash");
		if (lines < acked)
			fail_msg("round %u: %zu of %zu acknowledged are there", round, lines,
				 acked);
		acked = lines; /* some were durable without having been told */
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_concurrent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_sees_what_was_acked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
	};

	self = argv[0];
	if (argc == 3 && strcmp(argv[1], "--crash") == 0) {
		ack_fd = STDOUT_FILENO;
		child(argv[2]);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
