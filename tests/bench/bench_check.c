/*
 * What a shell waits for: `envwarden check` as a whole process, against /bin/true started the same
 * way, in turns.
 *
 *   bench_check ENVWARDEN SOCKET PREFIX [WORDS]      of an agent that runs, said to be so in the
 *                                                    table; bench_check.py starts them
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/measure.h"

#define RUNS 1000
#define WARM_UP 50
#define MEDIAN_BUDGET 1.3
#define P99_BUDGET 2.0

extern char **environ;

static double run_us(char **argv, const posix_spawn_file_actions_t *quiet)
{
	double start = measure_now_us();
	pid_t pid;
	int status;

	if (posix_spawn(&pid, argv[0], quiet, NULL, argv, environ) != 0)
		measure_fail(argv[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		(void)fprintf(stderr, "%s: did not end well\n", argv[0]);
		exit(1);
	}
	return measure_now_us() - start;
}

static void row(const char *part, const char *words, const double us[2], const char *budget,
		double most)
{
	double figure = us[0], reference = us[1];
	char what[256];

	(void)snprintf(what, sizeof what, "`envwarden check`%s, process, %s, against `/bin/true`",
		       words, part);
	measure_print(&(struct measure_row){.what = what,
					    .figure = figure / 1e3,
					    .reference = reference / 1e3,
					    .unit = "ms",
					    .budget = budget,
					    .ok = figure <= reference * most});
}

int main(int argc, char **argv)
{
	static double checks[RUNS];
	static double trues[RUNS];
	static char check[] = "check", socket[] = "--socket", prefix[] = "--prefix";
	static char nothing[] = "/bin/true";
	char *check_argv[] = {NULL, check, socket, NULL, prefix, NULL, NULL};
	char *true_argv[] = {nothing, NULL};
	const char *words = argc == 5 ? argv[4] : "";
	posix_spawn_file_actions_t quiet;

	if (argc != 4 && argc != 5) {
		(void)fprintf(stderr, "usage: bench_check ENVWARDEN SOCKET PREFIX [WORDS]\n");
		return 2;
	}
	check_argv[0] = argv[1];
	check_argv[3] = argv[2];
	check_argv[5] = argv[3];
	if (posix_spawn_file_actions_init(&quiet) != 0 ||
	    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) !=
		    0 ||
	    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0) != 0)
		measure_fail("file actions");
	for (int i = -WARM_UP; i < RUNS; i++) {
		double check_us = run_us(check_argv, &quiet);
		double true_us = run_us(true_argv, &quiet);

		if (i >= 0) {
			checks[i] = check_us;
			trues[i] = true_us;
		}
	}
	(void)posix_spawn_file_actions_destroy(&quiet);
	row("median", words,
	    (double[]){measure_percentile(checks, RUNS, 0.5), measure_percentile(trues, RUNS, 0.5)},
	    "<= 1.3 x", MEDIAN_BUDGET);
	row("p99", words,
	    (double[]){measure_percentile(checks, RUNS, 0.99),
		       measure_percentile(trues, RUNS, 0.99)},
	    "<= 2 x", P99_BUDGET);
	return 0;
}
