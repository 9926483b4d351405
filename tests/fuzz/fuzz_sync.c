#include <stdint.h>

#include "proto/convert.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct package *find_any(void *ctx, const unsigned char *key)
{
	(void)key;
	return ctx;
}

static void convert(const Envwarden__Sync__Changes *changes)
{
	struct package known = {.manager = "conda",
				.name = "x",
				.version = "1",
				.build = "",
				.channel = "",
				.subdir = "",
				.license = "",
				.url = ""};
	struct package_lookup lookup = {find_any, &known};
	unsigned char hash[SHA256_SIZE];
	struct uuid epoch;

	uuid_from_wire(&changes->epoch, &epoch);
	hash_from_wire(&changes->previous_hash, hash);
	for (size_t i = 0; i < changes->n_changes; i++) {
		struct change change;

		if (journal_change_from_wire(changes->changes[i], &epoch, &lookup, &change, NULL) <
		    0)
			continue;
		change_chain(hash, &change, hash);
		change_deinit(&change);
	}
}

/* What is let in can be converted and hashed, and goes out again under the same rules. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Envwarden__Sync__Envelope *msg;
	struct arena arena;
	struct buf frame;

	arena_init(&arena, LIMIT_SYNC_MEMORY);
	buf_init(&frame, LIMIT_SYNC_FRAME + 4);
	if (codec_unpack_sync(data, size, &arena, &msg, NULL) == 0) {
		/* Twice as long at worst: a negative number may come in five bytes and takes ten.
		 */
		CHECK(codec_pack_sync(msg, &frame, NULL) == 0 || size > LIMIT_SYNC_FRAME / 2);
		if (msg->kind_case == ENVWARDEN__SYNC__ENVELOPE__KIND_CHANGES)
			convert(msg->changes);
	}
	buf_deinit(&frame);
	arena_deinit(&arena);
	return 0;
}
