/* What history.c and history_command.c share: texts of others made fit for history_facts. */
#ifndef ENVWARDEN_LIB_CONDA_HISTORY_TEXT_H
#define ENVWARDEN_LIB_CONDA_HISTORY_TEXT_H

#include <stddef.h>

/* Copies with invalid UTF-8 and NUL replaced by U+FFFD, cut at a character to fit cap with '\0'. */
void history_text_copy(const char *text, size_t n, char *out, size_t cap);

/* The action a command word means ("upgrade" is update), "" if it can be none. */
void history_text_action(const char *word, size_t n, char *out, size_t cap);

#endif
