#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/net/http_connect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A proxy's answer, growing byte by byte as it would arrive: the first verdict is the last. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool done = false;
	size_t n = 0;
	int rc = 0;

	while (rc == 0 && !done && n <= size && n <= HTTP_CONNECT_HEAD_MAX)
		rc = http_connect_parse(data, n++, &done, NULL);
	CHECK(rc < 0 || done || n > size);
	if (done)
		CHECK(memcmp(data + n - 5, "\r\n\r\n", 4) == 0);
	return 0;
}
