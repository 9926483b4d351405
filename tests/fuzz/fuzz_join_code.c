#include <stdint.h>
#include <string.h>

#include "proto/join_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A code that parses is written the same way again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct join_code code, again;
	struct buf text;

	buf_init(&text, 8192);
	if (join_code_parse((const char *)data, size, &code, NULL) == 0) {
		CHECK(join_code_format(&code, &text, NULL) == 0);
		CHECK(join_code_parse(text.data, text.len, &again, NULL) == 0);
		CHECK(memcmp(&code, &again, sizeof(code)) == 0);
	}
	buf_deinit(&text);
	return 0;
}
