#include <stdint.h>
#include <string.h>

#include "agent/reader/condarc.h"
#include "lib/base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read keeps its limits, and merging it with itself changes nothing but marks' order. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct condarc got = {.given = false};
	const struct condarc *files[] = {&got, &got};
	const char *const *dirs;
	const char *const *again;
	size_t n;
	size_t n_again;
	struct arena arena;

	arena_init(&arena, CONDARC_ARENA_MAX);
	if (condarc_parse(data, size, &arena, &got, NULL) == 0) {
		CHECK(got.n <= CONDARC_DIRS_MAX);
		for (size_t i = 0; i < got.n; i++)
			CHECK(got.items[i].text[0] != '\0');
		CHECK(condarc_merge(files, 1, CONDARC_BY_CONDA, &arena, &dirs, &n) == 0);
		CHECK(condarc_merge(files, 2, CONDARC_BY_CONDA, &arena, &again, &n_again) == 0);
		CHECK(n <= got.n && n == n_again);
	}
	arena_deinit(&arena);
	return 0;
}
