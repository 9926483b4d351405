#include <stdint.h>

#include "proto/convert.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(const Envwarden__Reader__FactsPackages *packages)
{
	for (size_t i = 0; i < packages->n_packages; i++) {
		unsigned char key[PACKAGE_KEY_SIZE];
		struct package p;

		if (package_from_wire(packages->packages[i], &p, NULL) == 0)
			package_def_key(&p, key);
	}
}

/* What the core takes from a reader that may be in foreign hands. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Envwarden__Reader__Envelope *msg;
	struct arena arena;
	struct buf frame;

	arena_init(&arena, LIMIT_READER_MEMORY);
	buf_init(&frame, LIMIT_READER_FRAME + 4);
	if (codec_unpack_reader(data, size, &arena, &msg, NULL) == 0) {
		/* Twice as long at worst: a negative number may come in five bytes and takes ten.
		 */
		CHECK(codec_pack_reader(msg, &frame, NULL) == 0 || size > LIMIT_READER_FRAME / 2);
		if (msg->kind_case == ENVWARDEN__READER__ENVELOPE__KIND_PACKAGES)
			convert(msg->packages);
	}
	buf_deinit(&frame);
	arena_deinit(&arena);
	return 0;
}
