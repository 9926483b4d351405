#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "platform/inotify_events.h"

/* The numbers of the kernel's ABI, as <sys/inotify.h> has them. */
#define MASK_MODIFY 0x00000002u
#define MASK_CLOSE_WRITE 0x00000008u
#define MASK_CREATE 0x00000100u
#define MASK_DELETE_SELF 0x00000400u
#define MASK_MOVE_SELF 0x00000800u
#define MASK_UNMOUNT 0x00002000u
#define MASK_OVERFLOW 0x00004000u
#define MASK_IGNORED 0x00008000u
#define MASK_ISDIR 0x40000000u

static size_t put(char *out, int32_t wd, uint32_t mask, const char *name, uint32_t name_size)
{
	const uint32_t cookie = 7;
	memcpy(out, &wd, 4);
	memcpy(out + 4, &mask, 4);
	memcpy(out + 8, &cookie, 4);
	memcpy(out + 12, &name_size, 4);
	memset(out + 16, 0, name_size);
	if (name)
		memcpy(out + 16, name, strlen(name));
	return 16 + name_size;
}

static void kinds(void **state)
{
	static const struct {
		uint32_t mask;
		int32_t wd;
		const char *name;
		uint32_t name_size;
		int want_wd;
		enum watch_kind kind;
		bool ended;
	} cases[] = {
		{MASK_CREATE, 3, "history", 16, 3, WATCH_DIRTY, false},
		{MASK_CREATE | MASK_ISDIR, 3, "env", 16, 3, WATCH_DIRTY, false},
		{MASK_CLOSE_WRITE, 4, "a.json", 16, 4, WATCH_DIRTY, false},
		{MASK_DELETE_SELF, 5, NULL, 0, 5, WATCH_GONE, true},
		{MASK_MOVE_SELF, 5, NULL, 0, 5, WATCH_GONE, false},
		{MASK_UNMOUNT, 5, NULL, 0, 5, WATCH_GONE, true},
		{MASK_IGNORED, 5, NULL, 0, 5, WATCH_GONE, true},
		{MASK_OVERFLOW, -1, NULL, 0, WATCH_NONE, WATCH_OVERFLOW, false},
		{MASK_OVERFLOW, 12, NULL, 0, WATCH_NONE, WATCH_OVERFLOW, false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char bytes[64];
		size_t pos = 0;
		struct inotify_fact fact;
		size_t n =
			put(bytes, cases[i].wd, cases[i].mask, cases[i].name, cases[i].name_size);
		assert_true(inotify_next(bytes, n, &pos, &fact));
		assert_int_equal(pos, n);
		assert_int_equal(fact.wd, cases[i].want_wd);
		assert_int_equal(fact.kind, cases[i].kind);
		assert_int_equal(fact.ended, cases[i].ended);
		if (cases[i].name)
			assert_string_equal(fact.name, cases[i].name);
		else
			assert_null(fact.name);
		assert_false(inotify_next(bytes, n, &pos, &fact));
	}
}

static void sequence_and_alignment(void **state)
{
	char bytes[128];
	struct inotify_fact fact;
	size_t pos = 1; /* nothing promises alignment here */
	size_t n = 1;
	(void)state;
	n += put(bytes + n, 1, MASK_CREATE, "x", 16);
	n += put(bytes + n, 2, MASK_DELETE_SELF, NULL, 0);
	n += put(bytes + n, 2, MASK_IGNORED, NULL, 0);
	assert_true(inotify_next(bytes, n, &pos, &fact));
	assert_int_equal(fact.wd, 1);
	assert_true(inotify_next(bytes, n, &pos, &fact));
	assert_int_equal(fact.kind, WATCH_GONE);
	assert_true(inotify_next(bytes, n, &pos, &fact));
	assert_int_equal(fact.wd, 2);
	assert_false(inotify_next(bytes, n, &pos, &fact));
	assert_int_equal(pos, n);
}

/* Every cut of an event, and a name that never ends: refused, and nothing read past the end. */
static void broken(void **state)
{
	char bytes[64];
	struct inotify_fact fact;
	size_t n = put(bytes, 1, MASK_CREATE, "name", 16);
	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		char *exact = malloc(cut ? cut : 1); /* so that the sanitizer sees a byte too far */
		size_t pos = 0;
		memcpy(exact, bytes, cut);
		assert_false(inotify_next(exact, cut, &pos, &fact));
		assert_int_equal(pos, 0);
		free(exact);
	}
	size_t pos = 0;
	memset(bytes + 16, 'a', 16);
	assert_false(inotify_next(bytes, n, &pos, &fact));
	n = put(bytes, 1, MASK_CREATE, NULL, 0);
	memset(bytes + 12, 0xff, 4);
	assert_false(inotify_next(bytes, n, &pos, &fact));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(sequence_and_alignment),
		cmocka_unit_test(broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
