#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "lib/base/compiler.h"
#include "platform/mounts.h"

static void on_changed(void *ctx)
{
	unsigned *changes = ctx;

	++*changes;
}

static void on_stopped(void *owner)
{
	bool *stopped = owner;

	*stopped = true;
}

/* The table of this very process: a root there is always. Changes: tests/integration. */
static void own_table(void **state)
{
	struct mounts *mounts = NULL;
	unsigned changes = 0;
	bool stopped = false;
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(mounts_new(&loop, on_changed, &changes, &mounts, NULL), 0);
	assert_non_null(mount_table_find(mounts_table(mounts), "/"));
	assert_int_equal(mount_table_find(mounts_table(mounts), "/proc/self")->fs, FS_UNKNOWN);
	mounts_refresh(mounts);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	mounts_stop(mounts, on_stopped, &stopped);
	mounts_stop(mounts, NULL, NULL);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(stopped);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Asked without a loop. That it says yes after a mount: tests/integration. */
static void noticed(void **state)
{
	int notice = mounts_notice_open();

	(void)state;
	assert_true(notice >= 0);
	(void)mounts_noticed(notice); /* others may mount beside this test */
	mounts_notice_close(notice);
	mounts_notice_close(-1);
	assert_true(mounts_noticed(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_table),
		cmocka_unit_test(noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
