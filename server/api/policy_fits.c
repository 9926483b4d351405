#include "server/api/policy_fits.h"

#include "lib/policy/rule_index.h"
#include "proto/codec.h"
#include "proto/convert_policy.h"
#include "server/db/db_bundle.h"
#include "server/pki/signer.h"

static int read_draft(const struct buf *draft, struct arena *arena, struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct rule_index *index;
	struct policy read;
	int rc = codec_unpack_signed(draft->data, draft->len, arena, &wire, err);

	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, arena, &body, err);
	if (rc == 0)
		rc = policy_from_wire(body->policy, arena, &read, err);
	return rc == 0 ? rule_index_new(&read, arena, &index) : rc;
}

int policy_fits_not(size_t memory_max, struct err *err)
{
	(void)err_set(err, ERR_LIMIT,
		      "the policy is too big for agents: they have %zu MiB for its rules, "
		      "and patterns and specs take many times their length",
		      memory_max >> 20);
	return ERR_LIMIT;
}

int policy_fits(const struct policy *policy, size_t memory_max, struct err *err)
{
	struct arena arena;
	struct buf draft;
	int rc;

	buf_init(&draft, DB_BUNDLE_MAX);
	arena_init(&arena, memory_max);
	rc = signer_draft_policy(policy, 1, 0, &draft, err);
	if (rc == 0)
		rc = read_draft(&draft, &arena, err);
	if (rc == ERR_LIMIT || (rc == ERR_NOMEM && arena.full))
		rc = policy_fits_not(memory_max, err);
	else if (rc == ERR_NOMEM)
		rc = err_nomem(err);
	arena_deinit(&arena);
	buf_deinit(&draft);
	return rc;
}
