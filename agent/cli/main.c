#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "lib/base/text.h"

struct command {
	const char *name;
	const char *alias; /* NULL = none */
	int (*run)(int argc, char **argv);
	const char *help;
};

static int command_help(int argc, char **argv);
static int command_version(int argc, char **argv);

static const struct command commands[] = {
	{"check", NULL, command_check, "whether an environment may be activated"},
	{"list", NULL, command_list, "the environments the agent knows"},
	{"show", NULL, command_show, "one environment: packages, channels, decision"},
	{"history", NULL, command_history, "what changed, when, by whom"},
	{"diff", NULL, command_diff, "what differs between two moments"},
	{"export", NULL, command_export, "a file to make an environment again from"},
	{"record", "log", command_record, "read an environment now"},
	{"fix", NULL, command_fix, "run what lifts a warning or block"},
	{"request", NULL, command_request, "ask for an exception, see what became of it"},
	{"defer", NULL, command_defer, "a day of grace, if your organisation allows it"},
	{"unlock", NULL, command_unlock, "use a code an administrator gave you"},
	{"status", NULL, command_status, "the agent's health"},
	{"doctor", NULL, command_doctor, "what is wrong with it, and what to do"},
	{"sent", NULL, command_sent, "what left this machine"},
	{"enroll", NULL, command_enroll, "join this machine to an organisation"},
	{"import", NULL, command_import, "signed state from a file, where no server is reached"},
	{"spec", NULL, command_spec, "how versions compare and what a spec matches"},
	{"shell-init", NULL, command_shell_init, "shell integration, to be evaluated"},
	{"hooks", NULL, command_hooks, "what asks the agent, in conda bases"},
	{"help", "--help", command_help, "this, or the help of a command"},
	{"version", "--version", command_version, "the version of this program"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0))
			return c;
	}
	return NULL;
}

static void print_usage(FILE *to)
{
	(void)fputs("usage: envwarden COMMAND [options]\n\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		(void)fprintf(to, "  %-12s%s\n", commands[i].name, commands[i].help);
	(void)fputs("\nMore about one: envwarden help COMMAND\n", to);
}

static int command_help(int argc, char **argv)
{
	char help[] = "--help";
	const struct command *c;

	if (argc < 2) {
		print_usage(stdout);
		return EXIT_FINE;
	}
	c = find(argv[1]);
	if (!c || c->run == command_help || c->run == command_version) {
		output_say("no help about \"%s\"", argv[1]);
		return EXIT_USAGE;
	}
	return c->run(2, (char *[]){argv[1], help, NULL});
}

static int command_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)puts("envwarden " ENVWARDEN_VERSION);
	return EXIT_FINE;
}

static int unknown_command(const char *name)
{
	struct text_guess guess = {.word = name, .n = strlen(name)};

	for (size_t i = 0; i < N_COMMANDS; i++)
		text_guess(&guess, commands[i].name);
	if (guess.best)
		output_say("no command \"%s\"; did you mean %s? (see: envwarden help)", name,
			   guess.best);
	else
		output_say("no command \"%s\" (see: envwarden help)", name);
	return EXIT_USAGE;
}

/* Options may stand before the command too: moves the command in front of them. */
static void command_first(int argc, char **argv)
{
	int at = 1;
	char *name;

	while (at < argc && strncmp(argv[at], "--", 2) == 0 && find(argv[at]) == NULL)
		at += strcmp(argv[at], "--socket") == 0 ? 2 : 1;
	if (at <= 1 || at >= argc)
		return;
	name = argv[at];
	memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
	argv[1] = name;
}

int main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	command_first(argc, argv);
	c = find(strcmp(argv[1], "-h") == 0 ? "help" : argv[1]);
	if (!c)
		return unknown_command(argv[1]);
	return c->run(argc - 1, argv + 1);
}
