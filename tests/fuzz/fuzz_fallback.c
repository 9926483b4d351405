#include <stdint.h>
#include <string.h>

#include "lib/base/crypto.h"
#include "lib/base/mem.h"
#include "proto/fallback.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const void *data, size_t size)
{
	struct fallback_view view;
	struct fallback_entry e;

	if (fallback_open(data, size, &view, NULL) < 0)
		return;
	CHECK(strlen(view.contact) < size);
	if (fallback_find(&view, "/opt/conda", 64769, 1234567, &e) == 0)
		CHECK(strlen(e.path) + strlen(e.name) + strlen(e.case_code) + strlen(e.message) +
			      strlen(e.fix) <
		      5 * size);
}

/* As it is, and again with size and checksum made right, so that the fuzzer gets past them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char hash[SHA256_SIZE];
	unsigned char *copy;

	use(data, size);
	if (size < 32 || size > FALLBACK_MAX)
		return 0;
	copy = mem_alloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	for (int i = 0; i < 4; i++)
		copy[12 + i] = (unsigned char)(size >> (24 - 8 * i));
	sha256(copy + 32, size - 32, hash);
	memcpy(copy + 16, hash, 16);
	use(copy, size);
	mem_free(copy);
	return 0;
}
