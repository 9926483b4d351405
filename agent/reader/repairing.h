/*
 * Whether a program that runs in an environment belongs to a change of it, by its command line: a
 * tool at work (base/bin/python base/bin/conda install ...), or what a tool runs in between
 * (prefix/bin/python -m compileall). Members mend what is blocked that way, and are not to be told
 * off for it. Command lines are their processes' own claim. Pure.
 */
#ifndef ENVWARDEN_AGENT_READER_REPAIRING_H
#define ENVWARDEN_AGENT_READER_REPAIRING_H

#include <stdbool.h>
#include <stddef.h>

/* words: the first of the command line (platform/running.h), the program's own first. */
bool repairing_words(const char *const *words, size_t n);

#endif
