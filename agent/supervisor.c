#include "agent/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "agent/lease.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/fd_pass.h"
#include "platform/process.h"

#define ARGS_MAX 32
#define RESTART_FIRST_MS 100
#define RESTART_LAST_MS 30000
#define HEALTHY_MS 60000 /* a life this long makes the next restart quick again */
#define STOP_MS 10000	 /* how long children may take to end */
#define OVERDUE_MS 5000	 /* ... and the reader alone, which gives up on what hangs before that */
#define LEAVE_MS 1000	 /* ... and what was killed */

struct child {
	const char *role;
	int64_t pid; /* 0 = not running */
	int64_t started_ms;
	int64_t delay_ms; /* before the next start; the first one waits for nothing */
	uv_timer_t restart;
};

struct supervisor;

/* The reader's end of its link to the core, to see the core close the other one. */
struct witness {
	uv_poll_t poll;
	struct supervisor *s;
	int fd;
};

struct supervisor {
	uv_loop_t loop;
	uv_signal_t ended;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	uv_signal_t reload;
	uv_timer_t patience;
	uv_timer_t overdue;
	int64_t overdue_pid; /* the reader that should end */
	struct child core;
	struct child reader;
	struct witness *witness; /* NULL while no reader runs */
	int channel;		 /* to the core: descriptors of new readers */
	int argc;
	char **argv;
	int exit_code;
	bool stopping;
	bool killed;
};

static int spawn(struct supervisor *s, struct child *child, const int *fds, size_t n_fds)
{
	const char *args[ARGS_MAX + 6];
	char parent[32];
	size_t n = 0;
	struct err err = ERR_INIT;
	int rc;

	(void)snprintf(parent, sizeof parent, "%lld", (long long)process_id());
	for (int i = 0; i < s->argc && n < ARGS_MAX; i++)
		args[n++] = s->argv[i];
	args[n++] = "--role";
	args[n++] = child->role;
	args[n++] = "--parent";
	args[n++] = parent;
	if (n_fds > 1)
		args[n++] = "--lease";
	args[n] = NULL;
	rc = process_spawn_self(args, fds, n_fds, &child->pid, &err);
	if (rc < 0) {
		child->pid = 0;
		log_error("supervisor", "can't start a process", LOG_STR("role", child->role),
			  LOG_ERR(&err));
		return rc;
	}
	child->started_ms = (int64_t)uv_now(&s->loop);
	log_debug("supervisor", "started", LOG_STR("role", child->role),
		  LOG_INT("pid", child->pid));
	return 0;
}

static void expect_reader_end(struct supervisor *s);

static void on_witness_closed(uv_handle_t *handle)
{
	mem_free(container_of((uv_poll_t *)handle, struct witness, poll));
}

/* While this end is open the core does not see that the reader has ended. */
static void drop_witness(struct supervisor *s)
{
	struct witness *w = s->witness;

	if (w == NULL)
		return;
	s->witness = NULL;
	(void)uv_poll_stop(&w->poll);
	process_close(w->fd);
	uv_close((uv_handle_t *)&w->poll, on_witness_closed);
}

static void on_let_go(uv_poll_t *poll, int status, int events)
{
	struct witness *w = container_of(poll, struct witness, poll);

	(void)status;
	(void)events;
	(void)uv_poll_stop(poll);
	expect_reader_end(w->s);
}

/* Takes over the descriptor, on failure too. What the link carries is not read. */
static int watch_link(struct supervisor *s, int fd, struct err *err)
{
	struct witness *w = mem_calloc(1, sizeof *w);
	int rc = w != NULL ? uv_poll_init(&s->loop, &w->poll, fd) : UV_ENOMEM;

	if (rc < 0) {
		mem_free(w);
		process_close(fd);
		return err_set(err, ERR_IO, "watch the reader's link: %s", uv_strerror(rc));
	}
	w->s = s;
	w->fd = fd;
	s->witness = w;
	CHECK(uv_poll_start(&w->poll, UV_DISCONNECT, on_let_go) == 0);
	return 0;
}

/*
 * A socket pair: one end for the new reader, the other for the core that is running; and what they
 * need for leases. A system may have no queue left for these: the reader will find out about that.
 */
static int start_reader(struct supervisor *s)
{
	int fds[2];
	struct lease_ends lease;
	struct err err = ERR_INIT;
	int rc = process_pair(fds, &err);
	size_t n;

	if (rc < 0)
		goto out;
	n = lease_ends_new(&lease, NULL) == 0 ? 3 : 1;
	rc = watch_link(s, fds[1], &err);
	if (rc == 0)
		rc = fd_pass_send(s->channel, (int[]){fds[0], lease.word, lease.queue}, n, &err);
	if (rc == 0)
		rc = spawn(s, &s->reader, (int[]){fds[1], lease.word, lease.queue}, n);
	process_close(fds[0]);
	lease_ends_close(&lease);
	if (rc < 0)
		drop_witness(s);
out:
	if (err.code != 0)
		log_warn("supervisor", "no connection for the reader", LOG_ERR(&err));
	return rc;
}

static int start_core(struct supervisor *s)
{
	int fds[2];
	struct err err = ERR_INIT;
	int rc = process_pair(fds, &err);

	if (rc < 0) {
		log_error("supervisor", "no connection for the core", LOG_ERR(&err));
		return rc;
	}
	process_close(s->channel);
	s->channel = fds[0];
	rc = spawn(s, &s->core, &fds[1], 1);
	process_close(fds[1]);
	return rc;
}

static void schedule(struct child *child);

static void on_restart(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;
	struct child *child = container_of(timer, struct child, restart);
	int rc;

	if (s->stopping || child->pid != 0)
		return;
	if (child == &s->reader && s->core.pid == 0)
		return; /* comes with the core */
	rc = child == &s->core ? start_core(s) : start_reader(s);
	if (rc < 0) {
		schedule(child);
	} else if (child == &s->core && s->reader.pid == 0) {
		s->reader.delay_ms = 0; /* it ended for the core's sake */
		schedule(&s->reader);
	}
}

static void schedule(struct child *child)
{
	uv_timer_start(&child->restart, on_restart, (uint64_t)child->delay_ms, 0);
	child->delay_ms = child->delay_ms == 0 ? RESTART_FIRST_MS : child->delay_ms * 2;
	if (child->delay_ms > RESTART_LAST_MS)
		child->delay_ms = RESTART_LAST_MS;
}

static void close_all(struct supervisor *s)
{
	uv_handle_t *handles[] = {
		(uv_handle_t *)&s->ended,	 (uv_handle_t *)&s->terminate,
		(uv_handle_t *)&s->interrupt,	 (uv_handle_t *)&s->reload,
		(uv_handle_t *)&s->patience,	 (uv_handle_t *)&s->overdue,
		(uv_handle_t *)&s->core.restart, (uv_handle_t *)&s->reader.restart};

	for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
		if (!uv_is_closing(handles[i]))
			uv_close(handles[i], NULL);
	drop_witness(s);
}

static void maybe_end(struct supervisor *s)
{
	if (s->stopping && s->core.pid == 0 && s->reader.pid == 0)
		close_all(s);
}

static void signal_child(const struct child *child, enum process_signal signal)
{
	if (child->pid != 0)
		(void)process_signal(child->pid, signal, NULL);
}

/* Not even a kill ends a process that waits for a file system which does not answer. */
static void on_patience(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (s->killed) {
		log_warn("supervisor", "a process hangs in the system, ending without it",
			 LOG_NONE);
		close_all(s);
		return;
	}
	s->killed = true;
	signal_child(&s->core, PROCESS_KILL);
	signal_child(&s->reader, PROCESS_KILL);
	uv_timer_start(&s->patience, on_patience, LEAVE_MS, 0);
}

/* The reader should have ended by now. It is left behind, and another one takes its place. */
static void on_overdue(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (s->stopping || s->reader.pid == 0 || s->reader.pid != s->overdue_pid)
		return;
	log_warn("supervisor", "the reader hangs in the system, starting another one", LOG_NONE);
	signal_child(&s->reader, PROCESS_KILL);
	s->reader.pid = 0;
	drop_witness(s);
	schedule(&s->reader);
}

/* The core has closed its link, whyever: the reader ends by that, unless it hangs. */
static void expect_reader_end(struct supervisor *s)
{
	s->overdue_pid = s->reader.pid;
	uv_timer_start(&s->overdue, on_overdue, OVERDUE_MS, 0);
}

static void stop(struct supervisor *s, int exit_code)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->exit_code = exit_code;
	/* The core first: it closes the link, and the reader ends by that. */
	signal_child(&s->core, PROCESS_TERMINATE);
	if (s->core.pid == 0)
		signal_child(&s->reader, PROCESS_TERMINATE);
	uv_timer_start(&s->patience, on_patience, STOP_MS, 0);
	maybe_end(s);
}

static void child_ended(struct supervisor *s, struct child *child, const struct process_end *end)
{
	child->pid = 0;
	if (child == &s->reader)
		drop_witness(s);
	if ((int64_t)uv_now(&s->loop) - child->started_ms > HEALTHY_MS)
		child->delay_ms = RESTART_FIRST_MS;
	if (s->stopping) {
		if (child == &s->core) {
			signal_child(&s->reader, PROCESS_TERMINATE);
			uv_timer_start(&s->patience, on_patience, OVERDUE_MS, 0);
		}
		return;
	}
	if (child == &s->core && end->exit_code == SUPERVISOR_EXIT_FINAL) {
		stop(s, 1); /* it has said why */
		signal_child(&s->reader, PROCESS_TERMINATE);
		return;
	}
	log_warn("supervisor", "a process ended, starting it again", LOG_STR("role", child->role),
		 LOG_INT("exit_code", end->exit_code), LOG_INT("signal", end->signal));
	if (child == &s->core)
		signal_child(&s->reader, PROCESS_KILL);
	schedule(child);
}

static void on_child_ended(uv_signal_t *handle, int signum)
{
	struct supervisor *s = handle->data;
	struct process_end end;

	(void)signum;
	while (process_reap(&end) == 0) {
		if (end.pid == s->core.pid)
			child_ended(s, &s->core, &end);
		else if (end.pid == s->reader.pid)
			child_ended(s, &s->reader, &end);
	}
	maybe_end(s);
}

static void on_stop_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	stop(handle->data, 0);
}

static void on_reload(uv_signal_t *handle, int signum)
{
	struct supervisor *s = handle->data;

	(void)signum;
	signal_child(&s->core, PROCESS_RELOAD);
}

static void watch_signal(struct supervisor *s, uv_signal_t *handle, uv_signal_cb cb, int signum)
{
	CHECK(uv_signal_init(&s->loop, handle) == 0);
	handle->data = s;
	CHECK(uv_signal_start(handle, cb, signum) == 0);
}

static void watch_timer(struct supervisor *s, uv_timer_t *timer)
{
	CHECK(uv_timer_init(&s->loop, timer) == 0);
	timer->data = s;
}

int supervisor_main(int argc, char **argv)
{
	struct supervisor s = {.core = {.role = "core"},
			       .reader = {.role = "reader"},
			       .channel = -1,
			       .argc = argc,
			       .argv = argv};

	if (argc > ARGS_MAX) {
		log_error("supervisor", "too many arguments", LOG_INT("max", ARGS_MAX));
		return 2;
	}
	CHECK(uv_loop_init(&s.loop) == 0);
	watch_signal(&s, &s.ended, on_child_ended, SIGCHLD);
	watch_signal(&s, &s.terminate, on_stop_signal, SIGTERM);
	watch_signal(&s, &s.interrupt, on_stop_signal, SIGINT);
	watch_signal(&s, &s.reload, on_reload, SIGHUP);
	watch_timer(&s, &s.patience);
	watch_timer(&s, &s.overdue);
	watch_timer(&s, &s.core.restart);
	watch_timer(&s, &s.reader.restart);
	schedule(&s.core);
	uv_run(&s.loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&s.loop) == 0);
	process_close(s.channel);
	return s.exit_code;
}
