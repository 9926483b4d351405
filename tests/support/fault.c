#include "tests/support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

#define FAULT_RUNS_MAX 100000

int fault_each_alloc(fault_body_cb body, void *ctx, int at_least)
{
	for (int n = 0; n < FAULT_RUNS_MAX; n++) {
		bool untouched;
		int rc;

		mem_fail_after(n);
		rc = body(ctx);
		untouched = mem_fail_pending();
		mem_fail_after(-1);
		if (untouched) {
			assert_int_equal(rc, 0);
			assert_in_range(n, at_least, FAULT_RUNS_MAX);
			return n;
		}
		if (rc != 0 && rc != ERR_NOMEM)
			fail_msg("failure of allocation %d: returned %d (%s)", n, rc, err_name(rc));
	}
	fail_msg("no run without a failing allocation");
	return -1;
}
