#include "lib/base/compiler.h"

#include <stdio.h>
#include <stdlib.h>

EW_NORETURN void check_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, cond);
	abort();
}
