/* Output compared with files of tests/fixtures/golden/cli. */
#ifndef ENVWARDEN_TESTS_AGENT_CLI_GOLDEN_H
#define ENVWARDEN_TESTS_AGENT_CLI_GOLDEN_H

#include <stddef.h>

/*
 * Fails the test unless text is what the file of that name holds; no file means no text. With
 * EW_GOLDEN_UPDATE in the environment the files are written instead.
 */
void golden_expect(const char *name, const char *text, size_t n);

#endif
