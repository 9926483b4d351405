/*
 * Processes of the agent: the supervisor starts copies of its own program, each with one end of a
 * socket pair, and each copy gives up what it does not need.
 */
#ifndef ENVWARDEN_PLATFORM_PROCESS_H
#define ENVWARDEN_PLATFORM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define PROCESS_FDS_MAX 8
#define PROCESS_FD_FIRST 3 /* a child's first inherited descriptor */

/* Two connected stream sockets, both closed on exec; a child gets one through process_spawn_self.
 */
int process_pair(int fds[2], struct err *err);
void process_close(int fd); /* -1 is fine */

/*
 * Starts this same program (the file that runs now, even if it was replaced on disk) with args
 * (args[0] included, NULL-ended). fds[i] becomes the child's descriptor PROCESS_FD_FIRST + i;
 * nothing else but stdin, stdout and stderr is inherited. Signals start unblocked and at their
 * defaults. The caller keeps its own copies.
 */
int process_spawn_self(const char *const args[], const int *fds, size_t n, int64_t *pid,
		       struct err *err);

/*
 * Starts this same program so that nobody waits for it: a session of its own, nothing inherited
 * that a pipe's reader could wait for. Whoever started it can end at once.
 */
int process_spawn_detached(const char *const args[], struct err *err);

enum process_signal {
	PROCESS_TERMINATE,
	PROCESS_KILL,
	PROCESS_RELOAD
};
/* ERR_NOTFOUND: no such process any more. */
int process_signal(int64_t pid, enum process_signal signal, struct err *err);

/* How a child ended. */
struct process_end {
	int64_t pid;
	int exit_code; /* -1 when a signal ended it */
	int signal;    /* 0 when it exited */
};
/* Takes one ended child, without waiting: ERR_BUSY: none has ended; ERR_NOTFOUND: no children. */
int process_reap(struct process_end *out);

int64_t process_id(void);

/* The absolute path of the program that runs. ERR_NOTFOUND: its file was removed or replaced;
 * ERR_LIMIT: it does not fit. */
int process_own_path(char *out, size_t cap, struct err *err);

/* What process lists show; cut to what the system shows (15 bytes on Linux). */
void process_set_name(const char *name);

/* This process is killed when the one that started it ends. ERR_CANCELED: it has ended already.
 * parent: the pid that started us, as it told us. Call it after process_become, which undoes it. */
int process_end_with_parent(int64_t parent, struct err *err);

/*
 * Gives up every special right for good, also for programs started later (no_new_privs). With
 * keep_read_all the right to read every file stays, if this process has it. Call it before threads
 * start.
 */
int process_drop_rights(bool keep_read_all, struct err *err);

/* Whether this process may read every file (root, or CAP_DAC_READ_SEARCH). */
bool process_can_read_all(void);

/* Becomes another account for good (only root can), keeping the right to read all files if asked.
 * Ends in process_drop_rights. */
int process_become(uint32_t uid, uint32_t gid, bool keep_read_all, struct err *err);

/*
 * Does something as another account, in a copy of this process that is ended afterwards: what it
 * leaves in `result` (n bytes, plain data) is carried over. Only for programs of one thread.
 * Without being root only one's own account can be had. ERR_TIMEOUT: it was still at it, on a file
 * system that hangs, say, and was killed; *result is as it was after any error. run's own error is
 * passed on, without its text.
 */
struct process_task {
	uint32_t uid;
	uint32_t gid;
	int64_t timeout_ms;
	int (*run)(void *ctx, void *result);
	void *ctx;
	void *result;
	size_t n;
};
int process_run_as(const struct process_task *task, struct err *err);

/*
 * The calling thread answers somebody who waits, a little at a time: where processors are short it
 * is to run soon. Threads and processes it starts are not meant. Linux from 6.12 on; elsewhere it
 * stays as it is.
 */
void process_short_turns(void);

/* The calling thread does what nobody waits for: others go before it, where they want to run. */
void process_step_back(void);

/* From now on large pieces of memory go back to the system when they are freed, instead of being
 * kept for later ones: a process that is idle for days holds what it needs. */
void process_return_memory(void);

struct process_limits {
	uint64_t open_files; /* raised or lowered to this, at most the hard limit; 0 = leave */
	bool no_core;	     /* no core files: they would hold keys and members' data */
};
int process_set_limits(const struct process_limits *limits, struct err *err);

#endif
