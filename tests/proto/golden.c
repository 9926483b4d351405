#include "tests/proto/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/text.h"

#define GOLDEN_MAX 65536

void golden_read_text(const char *file, struct buf *out)
{
	char path[1024];
	char line[1024];
	FILE *in;

	snprintf(path, sizeof(path), "%s/golden/%s", EW_FIXTURES, file);
	in = fopen(path, "r");
	if (!in)
		fail_msg("no golden file %s", path);
	buf_init(out, GOLDEN_MAX);
	while (in && fgets(line, sizeof(line), in)) {
		if (line[0] != '#')
			buf_add(out, line, strcspn(line, "\r\n"));
	}
	fclose(in);
	assert_int_equal(buf_rc(out), 0);
}

void golden_read(const char *name, struct buf *out)
{
	char file[256];
	struct buf hex;

	snprintf(file, sizeof(file), "%s.hex", name);
	golden_read_text(file, &hex);
	buf_init(out, GOLDEN_MAX);
	assert_non_null(buf_reserve(out, hex.len / 2));
	assert_int_equal(text_from_hex(hex.data, hex.len, (unsigned char *)out->data, hex.len / 2),
			 0);
	out->len = hex.len / 2;
	buf_deinit(&hex);
}

void golden_check(const char *name, const void *data, size_t n)
{
	struct buf golden;
	struct buf got;

	golden_read(name, &golden);
	if (golden.len != n || memcmp(golden.data, data, n) != 0) {
		buf_init(&got, 2 * n);
		buf_add_hex(&got, data, n);
		print_error("%s is not as in its golden file but\n%s\n", name, buf_cstr(&got));
		buf_deinit(&got);
		fail();
	}
	buf_deinit(&golden);
}
