/*
 * What a command line says of the environment its program runs in. Command lines are their
 * processes' own claim, and nothing in them is opened here. Pure.
 */
#ifndef ENVWARDEN_AGENT_READER_COMMAND_LINE_H
#define ENVWARDEN_AGENT_READER_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* "<prefix>/bin/python3": the length of the prefix; 0: the word names no program of a prefix, or
 * one of the system's. */
size_t command_line_prefix(const char *word);

/*
 * Whether a process runs what one of its words names: the program itself, or a script that is the
 * first word behind its interpreter. Others (an editor's file) only tell where an environment is.
 */
bool command_line_runs(const char *const *words, size_t word);

#endif
