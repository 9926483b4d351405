#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/conda/match_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A package whose texts come from the spec itself, so that something matches. */
static void check_match(const struct match_spec *spec, const struct match_spec *again,
			struct arena *arena)
{
	struct match_package package = {
		.name = match_spec_field(spec, MATCH_NAME),
		.version = match_spec_field(spec, MATCH_VERSION),
		.build = match_spec_field(spec, MATCH_BUILD),
		.channel = match_spec_field(spec, MATCH_CHANNEL),
		.subdir = match_spec_field(spec, MATCH_SUBDIR),
		.license = match_spec_field(spec, MATCH_LICENSE),
		.url = match_spec_field(spec, MATCH_URL),
	};
	struct match_subject subject;

	if (match_subject_init(&subject, &package, arena, NULL) == 0)
		CHECK(match_spec_match(spec, &subject) == match_spec_match(again, &subject));
}

/* What is accepted has a text in one form that is accepted, stays as it is and says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct match_spec spec, again;
	struct buf once, twice;
	struct arena arena;
	struct err err = ERR_INIT;

	arena_init(&arena, 4 * MATCH_SPEC_MEMORY(MATCH_SPEC_MAX));
	buf_init(&once, 4 * MATCH_SPEC_MAX);
	buf_init(&twice, 4 * MATCH_SPEC_MAX);
	if (match_spec_parse((const char *)data, size, &arena, &spec, &err) < 0) {
		CHECK(err.text[0] != '\0');
		goto out;
	}
	match_spec_format(&spec, &once);
	if (once.len > MATCH_SPEC_MAX)
		goto out;
	CHECK(match_spec_parse(buf_cstr(&once), once.len, &arena, &again, NULL) == 0);
	match_spec_format(&again, &twice);
	CHECK(strcmp(buf_cstr(&once), buf_cstr(&twice)) == 0);
	check_match(&spec, &again, &arena);
out:
	buf_deinit(&once);
	buf_deinit(&twice);
	arena_deinit(&arena);
	return 0;
}
