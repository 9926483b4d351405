#include <stdint.h>

#include "proto/convert_policy.h"
#include "proto/limits.h"
#include "proto/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_body(const Envwarden__Bundle__Body *body, struct arena *arena)
{
	struct root_info root;
	struct policy policy;

	root_from_body(body, &root, NULL);
	if (body->content_case == ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
		(void)policy_from_wire(body->policy, arena, &policy, NULL);
}

/* Signed bytes from outside: the envelope, the body as if it had verified, and a first root. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct root_info root;
	struct arena arena;

	arena_init(&arena, LIMIT_ROOT_MEMORY);
	if (codec_unpack_signed(data, size, &arena, &wire, NULL) == 0 &&
	    codec_unpack_body(wire->body.data, wire->body.len, &arena, &body, NULL) == 0)
		read_body(body, &arena);
	arena_reset(&arena);
	if (codec_unpack_body(data, size, &arena, &body, NULL) == 0)
		read_body(body, &arena);
	arena_deinit(&arena);
	if (root_first(data, size, &root, NULL) == 0)
		CHECK(root_role(&root, ROLE_ROOT));
	return 0;
}
