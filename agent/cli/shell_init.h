/*
 * The shell integration texts of packaging/hooks/shell, built in. What stands in them for others:
 *
 *   @ENVWARDEN@  the command's path, quoted
 *   @PRESENT@    a file, quoted, that lets all go on if it is not there or can't be run
 *   @RUN@        the words that start the command, as sh reads them
 *
 * The latter two are the command itself, but where its file is on a mount that may hang: there
 * nothing may touch it but a process that nobody waits for longer than a second.
 */
#ifndef ENVWARDEN_AGENT_CLI_SHELL_INIT_H
#define ENVWARDEN_AGENT_CLI_SHELL_INIT_H

#include <stddef.h>

struct shell_text {
	const char *shell;
	const unsigned char *text;
	size_t n;
};
extern const struct shell_text shell_texts[]; /* ends with a NULL shell */

#endif
