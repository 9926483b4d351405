/* envwarden-server: the organisation's server. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "server/command.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, struct err *err);
	const char *usage;
	const char *help;
} commands[] = {
	{"init", cmd_init,
	 "--state-dir DIR --organisation NAME [--agent-address HOST:PORT]\n"
	 "             [--admin-address HOST:PORT] [--public-address HOST:PORT ...]",
	 "make an organisation: its keys, database, configuration, first admin"},
	{"serve", cmd_serve,
	 "--state-dir DIR [--agent-address HOST:PORT]\n"
	 "             [--admin-address HOST:PORT] [--ready-file FILE]",
	 "serve agents and the admin API until a signal ends it"},
	{"join-code", cmd_join_code,
	 "create --state-dir DIR [--uses N] [--expires 1d] [--labels A,B]\n"
	 "             [--ephemeral] [--address HOST:PORT ...]",
	 "make a code that enrols machines"},
	{"restore", cmd_restore, "--state-dir DIR [--from FILE]",
	 "take up a backup of the database; the server must not run"},
	{"root", cmd_root,
	 "show --state-dir DIR | new-key --out FILE\n"
	 "             | move-key --state-dir DIR --role root|policy --out FILE\n"
	 "             | draft --state-dir DIR --out FILE [--add-key ROLE=FILE.pub ...]\n"
	 "                   [--remove-key ROLE=ID ...] [--threshold ROLE=N ...]\n"
	 "             | sign --in FILE --key FILE ... --out FILE\n"
	 "             | publish --state-dir DIR --in FILE [--key ROLE=FILE ...]",
	 "which keys sign what: show it, move keys away, change it"},
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: envwarden-server COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n             %s\n", commands[i].name, commands[i].usage,
			commands[i].help);
	fprintf(out, "\nenvwarden-server COMMAND --help tells about one; --version tells the "
		     "version.\n");
}

static bool is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static int help(size_t i)
{
	printf("Usage: envwarden-server %s\n             %s\n\n%s\n", commands[i].name,
	       commands[i].usage, commands[i].help);
	return 0;
}

static int run(size_t i, int argc, char **argv)
{
	struct err err = ERR_INIT;
	int rc;

	for (int k = 0; k < argc; k++)
		if (is_help(argv[k]))
			return help(i);
	rc = commands[i].run(argc, argv, &err);
	if (rc == 0)
		return 0;
	fprintf(stderr, "envwarden-server: %s\n", err.text);
	if (rc != ERR_USAGE)
		return EXIT_FAILED;
	fprintf(stderr, "Usage: envwarden-server %s\n             %s\n", commands[i].name,
		commands[i].usage);
	return EXIT_USAGE;
}

static int unknown(const char *name)
{
	struct text_guess guess = {.word = name, .n = strlen(name)};

	fprintf(stderr, "envwarden-server: unknown command \"%.64s\"", name);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		text_guess(&guess, commands[i].name);
	if (guess.best)
		fprintf(stderr, "; did you mean %s?", guess.best);
	fprintf(stderr, " (see: envwarden-server --help)\n");
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	log_setup(NULL, LOG_INFO);
	log_set_clock(clock_system());
	(void)signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error code */
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		printf("envwarden-server %s\n", ENVWARDEN_VERSION);
		return 0;
	}
	if (argc >= 2 && (is_help(argv[1]) || strcmp(argv[1], "help") == 0)) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[1]) == 0)
			return run(i, argc - 2, argv + 2);
	}
	if (argc >= 2)
		return unknown(argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
