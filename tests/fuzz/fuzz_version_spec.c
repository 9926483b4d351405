#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/conda/version_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void check_order(const struct version_subject *a, const struct version_subject *b)
{
	if (!a->valid || !b->valid)
		return;
	CHECK(sign(version_cmp(&a->version, &b->version)) ==
	      -sign(version_cmp(&b->version, &a->version)));
	CHECK(version_cmp(&a->version, &a->version) == 0);
	CHECK(version_starts_with(&a->version, &a->version));
}

/*
 * The first line is a version, the rest a spec, and also a version. What is accepted has a
 * canonical text that is accepted, stays as it is and matches the same.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	struct version_subject subject, other;
	struct version_room rooms[2];
	struct version_spec spec, again;
	struct buf once, twice;
	struct arena arena;
	struct err err = ERR_INIT;
	const char *text;
	size_t n;

	if (end == NULL)
		return 0;
	text = (const char *)end + 1;
	n = size - (size_t)(text - (const char *)data);
	version_subject_init(&subject, (const char *)data, (size_t)(end - data), &rooms[0]);
	version_subject_init(&other, text, n, &rooms[1]);
	check_order(&subject, &other);
	arena_init(&arena, 2 * VERSION_SPEC_MEMORY(VERSION_SPEC_MAX));
	buf_init(&once, 2 * VERSION_SPEC_MAX);
	buf_init(&twice, 2 * VERSION_SPEC_MAX);
	if (version_spec_parse(text, n, &arena, &spec, &err) < 0) {
		CHECK(err.text[0] != '\0');
		goto out;
	}
	version_spec_format(&spec, &once);
	if (once.len > VERSION_SPEC_MAX)
		goto out;
	CHECK(version_spec_parse(buf_cstr(&once), once.len, &arena, &again, NULL) == 0);
	version_spec_format(&again, &twice);
	CHECK(strcmp(buf_cstr(&once), buf_cstr(&twice)) == 0);
	CHECK(version_spec_match(&spec, &subject) == version_spec_match(&again, &subject));
out:
	buf_deinit(&once);
	buf_deinit(&twice);
	arena_deinit(&arena);
	return 0;
}
