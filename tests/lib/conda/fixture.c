#include "tests/lib/conda/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"

#define FILE_MAX (1 << 20)

char *fixture_read(const char *name, size_t *n)
{
	char path[1024];
	char *data = mem_alloc(FILE_MAX);
	FILE *f;

	assert_true(snprintf(path, sizeof path, "%s/%s", EW_FIXTURES, name) < (int)sizeof path);
	f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s does not open", path);
	assert_non_null(data);
	*n = fread(data, 1, FILE_MAX, f);
	assert_false(ferror(f));
	assert_true(*n < FILE_MAX);
	fclose(f);
	data[*n] = '\0';
	return data;
}

int64_t fixture_source_read(void *source, void *into, size_t cap)
{
	struct fixture_source *s = source;
	size_t n = s->left < s->step ? s->left : s->step;

	n = n < cap ? n : cap;
	memcpy(into, s->data, n);
	s->data += n;
	s->left -= n;
	return (int64_t)n;
}
