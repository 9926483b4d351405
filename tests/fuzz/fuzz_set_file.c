#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "proto/set_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An air-gap file from outside. One without unknown roles is, written again, the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct set_file set, again;
	struct buf out;

	if (set_file_parse(data, size, &set, NULL) < 0)
		return 0;
	CHECK(set.n_roots > 0 && set.timestamp.n > 0);
	buf_init(&out, LIMIT_BUNDLE);
	CHECK(set_file_format(&set, &out, NULL) == 0 && out.len <= size);
	CHECK(set_file_parse(out.data, out.len, &again, NULL) == 0);
	CHECK(again.n_roots == set.n_roots && again.policy.n == set.policy.n &&
	      again.timestamp.n == set.timestamp.n &&
	      memcmp(again.timestamp.data, set.timestamp.data, set.timestamp.n) == 0);
	buf_deinit(&out);
	return 0;
}
