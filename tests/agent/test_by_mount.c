#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/by_mount.h"
#include "lib/base/compiler.h"

static void expect(const struct by_mount *from, const char *text)
{
	struct buf out;

	buf_init(&out, 4096);
	by_mount_text(from, &out);
	assert_int_equal(buf_rc(&out), 0);
	assert_string_equal(buf_cstr(&out), text);
	buf_deinit(&out);
}

static void test_counts(void **state)
{
	static const struct {
		const char *mounts[4];
		const char *text;
	} cases[] = {
		{{NULL}, ""},
		{{"/home"}, "/home (1)"},
		{{"/home", "/srv", "/home"}, "/home (2), /srv (1)"},
		{{"/a", "/a/b", "/", "/a"}, "/a (2), /a/b (1), / (1)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct by_mount all = {.n = 0};

		for (size_t j = 0; j < 4 && cases[i].mounts[j] != NULL; j++)
			by_mount_add(&all, cases[i].mounts[j]);
		expect(&all, cases[i].text);
	}
}

static void test_more_than_it_names(void **state)
{
	static char names[BY_MOUNT_MAX + 3][16];
	struct by_mount all = {.n = 0};
	struct buf out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(names[i], sizeof names[i], "/m%zu", i);
		by_mount_add(&all, names[i]);
	}
	by_mount_add(&all, names[0]);
	assert_int_equal(all.n, BY_MOUNT_MAX);
	assert_int_equal(all.total, BY_MOUNT_MAX + 4);
	assert_int_equal(all.items[0].n, 2);
	buf_init(&out, 4096);
	by_mount_text(&all, &out);
	assert_non_null(strstr(buf_cstr(&out), "/m15 (1), elsewhere (3)"));
	buf_deinit(&out);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_more_than_it_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
