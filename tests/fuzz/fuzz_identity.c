#include <stdint.h>
#include <string.h>

#include "agent/sync/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes is encoded to the same bytes again. */
static void decode(const void *data, size_t n)
{
	struct sync_identity id;
	struct buf again;

	buf_init(&again, SYNC_IDENTITY_MAX);
	if (sync_identity_decode(data, n, &id, NULL) == 0) {
		CHECK(sync_identity_encode(&id, &again, NULL) == 0);
		CHECK(again.len == n);
	} else {
		CHECK(id.key == NULL && id.chain.len == 0 && id.n_addresses == 0);
	}
	buf_deinit(&again);
	sync_identity_deinit(&id);
}

/* The input as it is, and with the checksum it would need to get past the first gate. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char sum[SHA256_SIZE];
	struct buf whole;

	decode(data, size);
	buf_init(&whole, SYNC_IDENTITY_MAX);
	sha256(data, size, sum);
	buf_add(&whole, data, size);
	buf_add(&whole, sum, sizeof(sum));
	if (buf_rc(&whole) == 0)
		decode(whole.data, whole.len);
	buf_deinit(&whole);
	return 0;
}
