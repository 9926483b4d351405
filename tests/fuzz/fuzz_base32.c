#include <stdint.h>
#include <string.h>

#include "lib/base/base32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes, encodes to one text, which decodes to the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf bytes, text, again;

	buf_init(&bytes, size);
	buf_init(&text, 2 * size + 8);
	buf_init(&again, size);
	if (base32_decode((const char *)data, size, &bytes) == 0) {
		base32_encode(&text, bytes.data, bytes.len);
		CHECK(base32_decode(text.data, text.len, &again) == 0);
		CHECK(again.len == bytes.len);
		CHECK(bytes.len == 0 || memcmp(again.data, bytes.data, bytes.len) == 0);
	}
	buf_deinit(&bytes);
	buf_deinit(&text);
	buf_deinit(&again);
	return 0;
}
