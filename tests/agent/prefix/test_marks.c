#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/prefix/marks.h"
#include "lib/base/compiler.h"

#define NOW_MS 1000000
#define NOW_NS (NOW_MS * INT64_C(1000000))

static const struct file_info base = {
	.ino = 7, .size = 100, .mtime_ns = 5, .ctime_ns = NOW_NS - MARKS_RACY_NS};

static void what_makes_a_stamp(void **state)
{
	struct file_info other[] = {base, base, base, base};
	uint64_t stamp = marks_stamp("a.json", &base, NULL, NOW_MS);

	(void)state;
	other[0].ino++;
	other[1].size++;
	other[2].mtime_ns++;
	other[3].ctime_ns--;
	assert_int_not_equal(stamp, 0);
	assert_true(stamp == marks_stamp("a.json", &base, NULL, NOW_MS + 5000));
	assert_true(stamp != marks_stamp("b.json", &base, NULL, NOW_MS));
	assert_true(stamp != marks_stamp("a.json", &base, &base, NOW_MS));
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		assert_true(stamp != marks_stamp("a.json", &other[i], NULL, NOW_MS));
		assert_true(marks_stamp("a.json", &base, &base, NOW_MS) !=
			    marks_stamp("a.json", &base, &other[i], NOW_MS));
	}
}

/* A file changed a moment ago may change again and look the same. */
static void young_files_have_none(void **state)
{
	static const struct {
		int64_t ctime_ns;
		bool has;
	} rows[] = {
		{0, true},
		{NOW_NS - MARKS_RACY_NS, true},
		{NOW_NS - MARKS_RACY_NS + 1, false},
		{NOW_NS, false},
		{NOW_NS * 2, false}, /* a server's clock, or ours was set back */
		{INT64_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct file_info info = base;

		info.ctime_ns = rows[i].ctime_ns;
		assert_int_equal(marks_stamp("a", &info, NULL, NOW_MS) != 0, rows[i].has);
		assert_int_equal(marks_stamp("a", &base, &info, NOW_MS) != 0, rows[i].has);
	}
}

static void claims_do_not_mind_case(void **state)
{
	(void)state;
	assert_true(marks_claim("Lib/site-packages/A") == marks_claim("lib/site-packages/a"));
	assert_true(marks_claim("a") != marks_claim("b"));
	assert_true(marks_claim("") != 0);
}

static void finding(void **state)
{
	static const uint64_t stamps[] = {900, 1, UINT64_MAX, 44, 300};
	unsigned char pairs[ARRAY_SIZE(stamps) * MARKS_PAIR];
	struct marks marks = {pairs, ARRAY_SIZE(stamps)};
	uint64_t claim;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++)
		marks_put(pairs + i * MARKS_PAIR, stamps[i], stamps[i] / 2);
	marks_sort(pairs, ARRAY_SIZE(stamps));
	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
		assert_true(marks_find(&marks, stamps[i], &claim));
		assert_true(claim == stamps[i] / 2);
	}
	assert_false(marks_find(&marks, 0, &claim));
	assert_false(marks_find(&marks, 2, &claim));
	assert_false(marks_find(&(struct marks){0}, 1, &claim));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_makes_a_stamp),
		cmocka_unit_test(young_files_have_none),
		cmocka_unit_test(claims_do_not_mind_case),
		cmocka_unit_test(finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
