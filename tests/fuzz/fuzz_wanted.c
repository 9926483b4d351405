#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "proto/wanted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is absolute, shows as it is, and comes out the same when it is written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wanted_base *bases, *again;
	struct arena arena;
	struct buf text;
	size_t n, m;

	arena_init(&arena, 4 << 20);
	buf_init(&text, 2 * WANTED_MAX);
	if (wanted_parse((const char *)data, size, &arena, &bases, &n, NULL) == 0) {
		wanted_begin(&text);
		for (size_t i = 0; i < n; i++) {
			CHECK(bases[i].prefix[0] == '/' && strchr(bases[i].prefix, '\n') == NULL);
			CHECK(wanted_add(&text, bases[i].uid, bases[i].prefix) == 0);
		}
		CHECK(wanted_parse(text.data, text.len, &arena, &again, &m, NULL) == 0 && m == n);
		for (size_t i = 0; i < n; i++)
			CHECK(again[i].uid == bases[i].uid &&
			      strcmp(again[i].prefix, bases[i].prefix) == 0);
	}
	buf_deinit(&text);
	arena_deinit(&arena);
	return 0;
}
