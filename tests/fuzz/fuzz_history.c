#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
	CHECK(strlen(text) <= max);
	CHECK(text_is_utf8(text, strlen(text)));
}

/* Whole and byte by byte give the same, and what is given keeps the limits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct history *whole = mem_calloc(1, sizeof *whole);
	struct history *bytes = mem_calloc(1, sizeof *bytes);
	const struct history_facts *a, *b;

	CHECK(whole != NULL && bytes != NULL);
	history_init(whole);
	history_init(bytes);
	history_feed(whole, data, size);
	for (size_t i = 0; i < size; i++)
		history_feed(bytes, data + i, 1);
	CHECK(history_finish(whole) == 0);
	CHECK(history_finish(bytes) == 0);
	a = &whole->last;
	b = &bytes->last;
	check_text(a->time, HISTORY_TIME_MAX);
	check_text(a->command, HISTORY_COMMAND_MAX);
	check_text(a->tool, HISTORY_TOOL_MAX);
	check_text(a->action, HISTORY_ACTION_MAX);
	check_text(a->conda_version, HISTORY_VERSION_MAX);
	check_text(a->source, HISTORY_SOURCE_MAX);
	CHECK(whole->sections == bytes->sections);
	CHECK(a->added == b->added && a->removed == b->removed);
	CHECK(strcmp(a->time, b->time) == 0);
	CHECK(strcmp(a->command, b->command) == 0);
	CHECK(strcmp(a->tool, b->tool) == 0);
	CHECK(strcmp(a->action, b->action) == 0);
	CHECK(strcmp(a->conda_version, b->conda_version) == 0);
	CHECK(strcmp(a->source, b->source) == 0);
	mem_free(whole);
	mem_free(bytes);
	return 0;
}
