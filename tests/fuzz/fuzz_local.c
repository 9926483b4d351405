#include <stdint.h>

#include "proto/convert.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(const Envwarden__Local__Envelope *msg, struct arena *arena)
{
	struct environment_info info;
	struct decision_reply reply;
	struct change change;
	struct buf canonical;

	if (msg->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION)
		decision_from_wire(msg->decision, arena, &reply, NULL);
	if (msg->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT &&
	    msg->environment->environment)
		environment_from_wire(msg->environment->environment, &info, NULL);
	if (msg->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_CHANGE && msg->change->change &&
	    change_from_wire(msg->change->change, &change, NULL) == 0) {
		buf_init(&canonical, SIZE_MAX / 2);
		change_canonical(&canonical, &change);
		buf_deinit(&canonical);
		change_deinit(&change);
	}
}

/* What is let in can be converted, and goes out again under the same rules. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Envwarden__Local__Envelope *msg;
	struct arena arena;
	struct buf frame;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	buf_init(&frame, LIMIT_LOCAL_FRAME + 4);
	if (codec_unpack_local(data, size, &arena, &msg, NULL) == 0) {
		/* Twice as long at worst: a negative number may come in five bytes and takes ten.
		 */
		CHECK(codec_pack_local(msg, &frame, NULL) == 0 || size > LIMIT_LOCAL_FRAME / 2);
		convert(msg, &arena);
	}
	buf_deinit(&frame);
	arena_deinit(&arena);
	return 0;
}
