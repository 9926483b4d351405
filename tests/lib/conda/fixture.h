/* Files of tests/fixtures, and inputs cut into pieces. Failures end the test. */
#ifndef ENVWARDEN_TESTS_LIB_CONDA_FIXTURE_H
#define ENVWARDEN_TESTS_LIB_CONDA_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

/* The whole file, ended by '\0'; mem_free it. */
char *fixture_read(const char *name, size_t *n);

/* A json_read_cb over bytes that hands out `step` of them at a time. */
struct fixture_source {
	const char *data;
	size_t left;
	size_t step;
};
int64_t fixture_source_read(void *source, void *into, size_t cap);

#endif
