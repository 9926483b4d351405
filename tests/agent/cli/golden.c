#include "tests/agent/cli/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN_MAX 65536

static void update(const char *path, const char *text, size_t n)
{
	FILE *file;

	if (n == 0) {
		(void)remove(path);
		return;
	}
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

void golden_expect(const char *name, const char *text, size_t n)
{
	static char want[GOLDEN_MAX];
	char path[512];
	size_t want_n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", EW_GOLDEN, name);
	if (getenv("EW_GOLDEN_UPDATE")) {
		update(path, text, n);
		return;
	}
	file = fopen(path, "rb");
	if (file) {
		want_n = fread(want, 1, sizeof(want), file);
		(void)fclose(file);
	}
	if (want_n != n || (n > 0 && memcmp(want, text, n) != 0))
		fail_msg("%s:\n--- want\n%.*s--- got\n%.*s---", name, (int)want_n, want, (int)n,
			 text);
}
