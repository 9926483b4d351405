/* What --help prints, at most 80 columns wide. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_HELP_H
#define ENVWARDEN_SERVER_ADMIN_CLI_HELP_H

#include <stdio.h>

#include "server/admin-cli/commands.h"

/* One command. */
void help_command(FILE *to, const struct command *command);

/* All commands whose name begins with this word, NULL = all there are; how many they are. */
size_t help_commands(FILE *to, const struct command *commands, size_t n, const char *first_word);

/* The beginning and the end of the whole help; config: the settings' file. */
void help_begin(FILE *to);
void help_end(FILE *to, const char *config);

#endif
