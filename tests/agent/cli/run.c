#include "tests/agent/cli/run.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 16

const char *run_command_path(void)
{
	return EW_COMMAND;
}

static long now_ms(void)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Only in the child: what fails here ends it. */
static void become(const struct run_options *options, const char *const *args)
{
	char variables[8][600];
	char *env[9] = {NULL};
	size_t n = 0;

	if (options->variable) /* the first of two of a name counts */
		snprintf(variables[n++], 600, "%s", options->variable);
	snprintf(variables[n++], 600, "HOME=%s", options->home);
	snprintf(variables[n++], 600, "XDG_CACHE_HOME=%s/cache", options->home);
	snprintf(variables[n++], 600, "PATH=/usr/bin:/bin");
	snprintf(variables[n++], 600, "TZ=UTC");
	snprintf(variables[n++], 600, "TERM=xterm");
	snprintf(variables[n++], 600, "ASAN_OPTIONS=detect_leaks=1");
	if (options->socket)
		snprintf(variables[n++], 600, "ENVWARDEN_SOCKET=%s", options->socket);
	for (size_t i = 0; i < n; i++)
		env[i] = variables[i];
	if (chdir(options->home) == 0)
		execve(args[0], (char *const *)(uintptr_t)args, env);
	_exit(127);
}

static pid_t start_piped(const struct run_options *options, const char *const *args, int fds[2])
{
	int in[2], out[2], err[2];
	size_t n = options->input ? strlen(options->input) : 0;
	pid_t pid;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(err), 0);
	assert_int_equal(write(in[1], options->input ? options->input : "", n), (ssize_t)n);
	close(in[1]);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setsid(); /* without a terminal to ask on */
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		become(options, args);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fds[0] = out[0];
	fds[1] = err[0];
	return pid;
}

/* The input is typed as a person would: a line when a prompt asks for one. */
static pid_t start_on_terminal(const struct run_options *options, const char *const *args,
			       int fds[2])
{
	struct winsize size = {.ws_row = 25, .ws_col = (unsigned short)options->terminal};
	pid_t pid = forkpty(&fds[0], NULL, NULL, &size);

	assert_true(pid >= 0);
	if (pid == 0)
		become(options, args);
	fds[1] = -1;
	return pid;
}

static bool asks(const struct run *run)
{
	const char *end = run->out + run->out_n;

	return run->out_n >= 2 && end[-1] == ' ' && (end[-2] == ':' || end[-2] == ']');
}

static const char *type_line(int fd, const char *input)
{
	size_t n = strcspn(input, "\n") + 1;

	usleep(20000); /* a prompt that hides what is typed drops what was typed before it */
	assert_int_equal(write(fd, input, n), (ssize_t)n);
	return input + n;
}

static void read_all(const struct run_options *options, int fds[2], struct run *out)
{
	const char *input = options->terminal > 0 && options->input ? options->input : "";
	struct pollfd polls[2] = {{.fd = fds[0], .events = POLLIN},
				  {.fd = fds[1], .events = POLLIN}};
	char *texts[2] = {out->out, out->err};
	size_t *sizes[2] = {&out->out_n, &out->err_n};

	while (polls[0].fd >= 0 || polls[1].fd >= 0) {
		assert_true(poll(polls, 2, 20000) > 0);
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (polls[i].fd < 0 || polls[i].revents == 0)
				continue;
			n = read(polls[i].fd, texts[i] + *sizes[i], RUN_MAX - 1 - *sizes[i]);
			if (n <= 0) { /* a terminal's end is an error */
				close(polls[i].fd);
				polls[i].fd = -1;
			} else {
				*sizes[i] += (size_t)n;
				if (i == 0 && *input && asks(out))
					input = type_line(polls[0].fd, input);
			}
		}
	}
}

/* The home by its mark, and the terminal's carriage returns away. */
static void normalise(char *text, size_t *n, const char *home)
{
	size_t home_n = strlen(home), to = 0;

	text[*n] = '\0';
	for (size_t i = 0; i < *n;) {
		if (strncmp(text + i, home, home_n) == 0) {
			memcpy(text + to, "@HOME@", 6);
			to += 6;
			i += home_n;
		} else if (text[i] == '\r' && text[i + 1] == '\n') {
			i++;
		} else {
			text[to++] = text[i++];
		}
	}
	text[to] = '\0';
	*n = to;
}

void run_program(const struct run_options *options, const char *const *args, struct run *out)
{
	long from = now_ms();
	int fds[2], status;
	pid_t pid;

	memset(out, 0, sizeof(*out));
	pid = options->terminal > 0 ? start_on_terminal(options, args, fds)
				    : start_piped(options, args, fds);
	read_all(options, fds, out);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	out->ms = now_ms() - from;
	out->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	normalise(out->out, &out->out_n, options->home);
	normalise(out->err, &out->err_n, options->home);
}

void run_envwarden(const struct run_options *options, const char *const *args, struct run *out)
{
	const char *all[ARGS_MAX] = {EW_COMMAND};
	size_t n = 1;

	while (*args) {
		assert_true(n + 1 < ARGS_MAX);
		all[n++] = *args++;
	}
	run_program(options, all, out);
}
