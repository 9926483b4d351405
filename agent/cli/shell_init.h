/* The shell integration texts of packaging/hooks/shell, built in. "@ENVWARDEN@" in them stands for
 * the quoted path of the command. */
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
