#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/net/frame.h"

#define MAX 300
#define OUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frames, encoded again, as bytes to compare. */
static int decode_all(const uint8_t *data, size_t size, size_t step, struct buf *out, bool *idle)
{
	struct frame_decoder d;
	int rc = 0;

	frame_decoder_init(&d, MAX);
	while (size > 0 && rc == 0) {
		size_t part = size < step ? size : step, want = frame_decoder_want(&d), used, n;
		const void *payload;

		rc = frame_decode(&d, data, part, &used, &payload, &n);
		if (rc < 0)
			break;
		CHECK(used > 0 && used <= part && want > 0);
		CHECK(part > want || used == part); /* never less than it wanted */
		CHECK(!payload || n <= MAX);
		data += used;
		size -= used;
		if (payload)
			rc = frame_encode(out, payload, n, MAX);
	}
	*idle = frame_decoder_idle(&d);
	frame_decoder_deinit(&d);
	return rc;
}

/* However the input is cut, the frames are the same, and they encode to what was read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {1, 3, 4, 5, 64};
	struct buf whole, piece;
	bool idle, idle_piece;
	int rc;

	if (size > OUT_MAX)
		return 0;
	buf_init(&whole, OUT_MAX);
	buf_init(&piece, OUT_MAX);
	rc = decode_all(data, size, SIZE_MAX, &whole, &idle);
	CHECK(whole.len <= size && (whole.len == 0 || memcmp(whole.data, data, whole.len) == 0));
	CHECK(!idle || whole.len == size);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		buf_clear(&piece);
		CHECK(decode_all(data, size, steps[i], &piece, &idle_piece) == rc);
		CHECK(idle_piece == idle && piece.len == whole.len);
	}
	buf_deinit(&whole);
	buf_deinit(&piece);
	return 0;
}
