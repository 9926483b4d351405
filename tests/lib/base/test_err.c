#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/err.h"

static void codes_keep_their_values(void **state)
{
	(void)state;
	assert_int_equal(ERR_NOMEM, -50001);
	assert_int_equal(ERR_INVALID, -50002);
	assert_int_equal(ERR_INTERNAL, -50023);
	assert_string_equal(err_name(ERR_NOMEM), "NOMEM");
	assert_string_equal(err_text(ERR_NOMEM), "out of memory");
	assert_string_equal(err_name(ERR_INTERNAL), "INTERNAL");
	assert_string_equal(err_name(ERR_INTERNAL - 1), "UNKNOWN");
	assert_string_equal(err_name(ERR_NOMEM + 1), "UNKNOWN");
	assert_string_equal(err_text(0), "unknown error");
	assert_string_equal(err_name(-2147483647 - 1), "UNKNOWN");
	assert_string_equal(err_name(2147483647), "UNKNOWN");
}

static void context_goes_in_front(void **state)
{
	struct err err = ERR_INIT;
	(void)state;

	assert_int_equal(err_set(&err, ERR_INVALID, "unknown key \"%s\"", "x"), ERR_INVALID);
	assert_int_equal(err_context(&err, "line %d", 12), ERR_INVALID);
	assert_int_equal(err_context(&err, "load config"), ERR_INVALID);
	assert_string_equal(err.text, "load config: line 12: unknown key \"x\"");
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(err_nomem(&err), ERR_NOMEM);
	assert_string_equal(err.text, "out of memory");
}

static void long_text_is_cut_and_ended(void **state)
{
	struct err err = ERR_INIT;
	char longer[2 * ERR_TEXT_MAX];
	(void)state;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&err, ERR_IO, "%s", longer);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_context(&err, "front");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "front: xxx", 10);
	err_context(&err, "%s", longer);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void nobody_need_listen(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_BUSY, "x"), ERR_BUSY);
	assert_int_equal(err_context(NULL, "x"), ERR_INTERNAL);
	assert_int_equal(err_nomem(NULL), ERR_NOMEM);
	assert_int_equal(err_errno(NULL, ENOENT, "x"), ERR_NOTFOUND);
}

static void errno_is_translated(void **state)
{
	struct err err = ERR_INIT;
	(void)state;

	assert_int_equal(err_errno(&err, ENOENT, "open %s", "/x"), ERR_NOTFOUND);
	assert_string_equal(err.text, "open /x: No such file or directory");
	assert_int_equal(err.code, ERR_NOTFOUND);
	assert_int_equal(err_from_errno(EACCES), ERR_PERM);
	assert_int_equal(err_from_errno(ENOSPC), ERR_FULL);
	assert_int_equal(err_from_errno(EDQUOT), ERR_FULL);
	assert_int_equal(err_from_errno(ENOMEM), ERR_NOMEM);
	assert_int_equal(err_from_errno(EIO), ERR_IO);
	assert_int_equal(err_from_errno(0), ERR_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_keep_their_values),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(long_text_is_cut_and_ended),
		cmocka_unit_test(nobody_need_listen),
		cmocka_unit_test(errno_is_translated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
