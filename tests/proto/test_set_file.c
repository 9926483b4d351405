#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/set_file.h"
#include "tests/proto/golden.h"

#define PIECES_MAX 80

struct piece {
	const char *role;
	const char *data;
	size_t zeroes; /* instead of data */
};

static void put(struct buf *out, const struct piece *pieces, size_t n)
{
	struct buf body;

	buf_init(&body, 2 * (size_t)LIMIT_BUNDLE);
	for (size_t i = 0; i < n; i++) {
		buf_add_lp(&body, pieces[i].role, strlen(pieces[i].role));
		if (pieces[i].zeroes > 0) {
			char *room;

			buf_add_u32(&body, (uint32_t)pieces[i].zeroes);
			room = buf_reserve(&body, pieces[i].zeroes);
			assert_non_null(room);
			memset(room, 0, pieces[i].zeroes);
			body.len += pieces[i].zeroes;
		} else {
			buf_add_lp(&body, pieces[i].data, strlen(pieces[i].data));
		}
	}
	buf_init(out, 2 * (size_t)LIMIT_BUNDLE);
	buf_add(out, "EWSTATE\1", 8);
	buf_add_u64(out, 16 + body.len);
	buf_add(out, body.data, body.len);
	assert_int_equal(buf_rc(out), 0);
	buf_deinit(&body);
}

static const struct piece whole[] = {
	{"root", "r1", 0},	 {"root", "r2", 0},   {"policy", "pp", 0},   {"of-later", "xx", 0},
	{"advisories", "aa", 0}, {"status", "ss", 0}, {"timestamp", "tt", 0}};
#define WHOLE (sizeof(whole) / sizeof(whole[0]))

static bool is(const struct set_file_item *item, const char *text)
{
	return item->n == strlen(text) && memcmp(item->data, text, item->n) == 0;
}

static void test_whole(void **state)
{
	struct set_file set, again;
	struct buf bytes, out;
	struct err err = ERR_INIT;

	(void)state;
	put(&bytes, whole, WHOLE);
	assert_int_equal(set_file_parse(bytes.data, bytes.len, &set, &err), 0);
	assert_int_equal(set.n_roots, 2);
	assert_true(is(&set.roots[0], "r1") && is(&set.roots[1], "r2"));
	assert_true(is(&set.policy, "pp") && is(&set.advisories, "aa"));
	assert_true(is(&set.status, "ss") && is(&set.timestamp, "tt"));
	buf_init(&out, LIMIT_BUNDLE);
	assert_int_equal(set_file_format(&set, &out, &err), 0);
	golden_check("set_file", out.data, out.len);
	assert_int_equal(set_file_parse(out.data, out.len, &again, &err), 0);
	assert_true(is(&again.status, "ss") && again.n_roots == 2);
	/* Cut anywhere it is none, and nothing is written to. */
	for (size_t n = 0; n < bytes.len; n++) {
		unsigned char *exact = mem_alloc(n + 1);

		memcpy(exact, bytes.data, n);
		assert_int_equal(set_file_parse(exact, n, &again, &err),
				 n < 8 ? ERR_INVALID : ERR_TRUNCATED);
		mem_free(exact);
	}
	buf_deinit(&bytes);
	buf_deinit(&out);
}

static void test_refused(void **state)
{
	static const struct {
		struct piece pieces[6];
		int rc;
		const char *why;
	} cases[] = {
		{{{"timestamp", "t", 0}}, ERR_INVALID, "no root"},
		{{{"root", "r", 0}, {"status", "s", 0}}, ERR_INVALID, "no timestamp"},
		{{{"root", "r", 0}, {"timestamp", "t", 0}, {"later", "x", 0}},
		 ERR_INVALID,
		 "behind its timestamp"},
		{{{"root", "r", 0}, {"timestamp", "t", 0}, {"timestamp", "t", 0}},
		 ERR_INVALID,
		 "behind its timestamp"},
		{{{"root", "r", 0}, {"status", "s", 0}, {"status", "s", 0}, {"timestamp", "t", 0}},
		 ERR_INVALID,
		 "status twice"},
		{{{"policy", "p", 0}, {"root", "r", 0}, {"timestamp", "t", 0}},
		 ERR_INVALID,
		 "root behind"},
		{{{"root", "", 0}, {"timestamp", "t", 0}}, ERR_INVALID, "empty piece"},
		{{{"a-role-of-17-byte", "x", 0}}, ERR_INVALID, "damaged"},
		{{{"root", "", LIMIT_SMALL_SIGNED + 1}}, ERR_LIMIT, "too large"},
		{{{"root", "r", 0}, {"timestamp", "", LIMIT_SMALL_SIGNED + 1}},
		 ERR_LIMIT,
		 "timestamp: too large"},
		{{{"root", "r", 0}, {"policy", "", LIMIT_BUNDLE}}, ERR_LIMIT, "larger than"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct set_file set;
		struct buf bytes;
		size_t n = 0;

		while (n < 6 && cases[i].pieces[n].role)
			n++;
		put(&bytes, cases[i].pieces, n);
		assert_int_equal(set_file_parse(bytes.data, bytes.len, &set, &err), cases[i].rc);
		if (!strstr(err.text, cases[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].why);
		buf_deinit(&bytes);
	}
}

static void test_many_roots(void **state)
{
	struct piece pieces[PIECES_MAX];
	struct err err = ERR_INIT;
	struct set_file set;
	struct buf bytes;

	(void)state;
	for (size_t i = 0; i < PIECES_MAX; i++)
		pieces[i] = (struct piece){"root", "r", 0};
	pieces[LIMIT_ROOTS] = (struct piece){"timestamp", "t", 0};
	put(&bytes, pieces, LIMIT_ROOTS + 1);
	assert_int_equal(set_file_parse(bytes.data, bytes.len, &set, &err), 0);
	assert_int_equal(set.n_roots, LIMIT_ROOTS);
	buf_deinit(&bytes);
	pieces[LIMIT_ROOTS] = pieces[0];
	put(&bytes, pieces, LIMIT_ROOTS + 1);
	assert_int_equal(set_file_parse(bytes.data, bytes.len, &set, &err), ERR_LIMIT);
	buf_deinit(&bytes);
}

static void test_too_large(void **state)
{
	struct set_file set = {.n_roots = 1, .roots = {{"r", 1}}, .timestamp = {"t", 1}};
	struct buf out;

	(void)state;
	set.policy = (struct set_file_item){"", LIMIT_BUNDLE};
	buf_init(&out, LIMIT_BUNDLE);
	assert_int_equal(set_file_format(&set, &out, NULL), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many_roots),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
