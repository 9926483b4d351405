#include <stdint.h>
#include <string.h>

#include "lib/base/json.h"

#define OUT_MAX (1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	const uint8_t *data;
	size_t left;
	size_t step;
};

static int64_t read_step(void *ctx, void *into, size_t cap)
{
	struct source *source = ctx;
	size_t n = source->left < source->step ? source->left : source->step;

	n = n < cap ? n : cap;
	memcpy(into, source->data, n);
	source->data += n;
	source->left -= n;
	return (int64_t)n;
}

/* All tokens and where they end, or the error, as bytes to compare. */
static int trace(struct json_reader *r, struct buf *out)
{
	enum json_token token = JSON_NULL;
	struct err err = ERR_INIT;
	int rc = 0;

	while (rc == 0 && token != JSON_END) {
		rc = json_next(r, &token, &err);
		if (rc == 0) {
			const char *text;
			size_t n;

			text = json_text(r, &n);
			buf_add_u8(out, (uint8_t)token);
			buf_add_u64(out, json_offset(r));
			if (token == JSON_KEY || token == JSON_STRING || token == JSON_NUMBER)
				buf_add_lp(out, text, n);
			if (token == JSON_INT)
				buf_add_u64(out, (uint64_t)json_num(r));
		}
	}
	if (rc < 0)
		buf_adds(out, err.text);
	return rc;
}

/*
 * However the input is cut into pieces, the tokens and the error are the same; what reads well can
 * be skipped and left well, up to the same byte.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct json_limits limits = {
		.max_depth = 64,
		.max_string = 4096,
		.max_bytes = 1 << 20,
	};
	static const size_t steps[] = {1, 7, 63, 64, 100};
	struct buf whole, piece;
	struct json_reader *r;
	struct err err;
	enum json_token token;
	int rc;

	CHECK(json_reader_new(&limits, &r) == 0);
	buf_init(&whole, OUT_MAX);
	buf_init(&piece, OUT_MAX);
	json_reader_reset_bytes(r, data, size);
	rc = trace(r, &whole);
	for (size_t i = 0; i < ARRAY_SIZE(steps) && size <= limits.max_bytes; i++) {
		struct source source = {data, size, steps[i]};

		json_reader_reset(r, read_step, &source);
		buf_clear(&piece);
		CHECK(trace(r, &piece) == rc);
		CHECK(piece.len == whole.len);
		CHECK(memcmp(piece.data, whole.data, whole.len) == 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct source source = {data, size, steps[i]};
		int skipped;

		json_reader_reset(r, read_step, &source);
		skipped = json_skip(r, &err);
		if (skipped == 0)
			skipped = json_next(r, &token, &err);
		CHECK(rc < 0 || (skipped == 0 && token == JSON_END));
		source = (struct source){data, size, steps[i]};
		json_reader_reset(r, read_step, &source);
		if (json_next(r, &token, &err) == 0 &&
		    (token == JSON_OBJECT || token == JSON_ARRAY)) {
			skipped = json_leave(r, &err);
			if (skipped == 0)
				skipped = json_next(r, &token, &err);
			CHECK(rc < 0 || (skipped == 0 && token == JSON_END));
		}
	}
	buf_deinit(&whole);
	buf_deinit(&piece);
	json_reader_free(r);
	return 0;
}
