#include <stdint.h>
#include <string.h>

#include "agent/asked.h"
#include "lib/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes is what it encodes to. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct asked *asked;
	struct buf out;

	if (asked_decode(data, size, &asked) < 0)
		return 0;
	buf_init(&out, ASKED_BYTES_MAX);
	asked_encode(asked, &out);
	CHECK(buf_rc(&out) == 0 && out.len == size && memcmp(out.data, data, size) == 0);
	buf_deinit(&out);
	asked_free(asked);
	return 0;
}
