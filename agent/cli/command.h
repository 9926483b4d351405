/*
 * The commands of envwarden: one file each, in the table of main.c. A command parses its own
 * arguments (argv[0] is its name), says what is to be said on stderr, prints data on stdout and
 * returns how it ended.
 */
#ifndef ENVWARDEN_AGENT_CLI_COMMAND_H
#define ENVWARDEN_AGENT_CLI_COMMAND_H

enum exit_code {
	EXIT_FINE = 0, /* also with a warning */
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_AGENT = 3,
	EXIT_BLOCKED = 4,
	EXIT_DEGRADED = 5, /* status, doctor: not enrolled, or degraded */
	EXIT_FINDINGS = 6,
	EXIT_NOT_PERMITTED = 7,
};

int command_check(int argc, char **argv);
int command_defer(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_enroll(int argc, char **argv);
int command_export(int argc, char **argv);
int command_fix(int argc, char **argv);
int command_history(int argc, char **argv);
int command_hooks(int argc, char **argv);
int command_import(int argc, char **argv);
int command_list(int argc, char **argv);
int command_record(int argc, char **argv);
int command_request(int argc, char **argv);
int command_sent(int argc, char **argv);
int command_shell_init(int argc, char **argv);
int command_show(int argc, char **argv);
int command_spec(int argc, char **argv);
int command_status(int argc, char **argv);
int command_unlock(int argc, char **argv);

#endif
