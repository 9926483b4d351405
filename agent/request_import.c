/*
 * import: signed state from a file, for machines that reach no server.
 *
 *   ImportBegin (root alone) -> chunks -> the end -> taken apart -> taken over (state.c) -> what is
 *   active now
 *
 * One at a time. One that stalls makes room for the next after PATIENCE_MS.
 */
#include <string.h>

#include "agent/requests.h"
#include "lib/base/mem.h"
#include "platform/users.h"
#include "proto/limits.h"

#define PATIENCE_MS 30000

struct importing {
	struct engine *e;
	struct local_call *call;
	struct buf bytes;
	size_t total;
	int64_t heard_ms; /* mono; of the last piece */
	bool whole;	  /* being taken over: only that ends it */
	struct set_file set;
};

static void importing_free(struct importing *i)
{
	i->e->import = NULL;
	buf_deinit(&i->bytes);
	mem_free(i);
}

static void importing_fail(struct importing *i, int code, const char *why)
{
	struct local_call *call = i->call;

	importing_free(i);
	local_call_fail(call, code, why);
}

static void taken(void *ctx, int rc, const struct err *err)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ImportReply reply = ENVWARDEN__LOCAL__IMPORT_REPLY__INIT;
	struct importing *i = ctx;
	struct engine *e = i->e;
	struct local_call *call = i->call;
	struct err older = ERR_INIT;

	if (rc == ERR_STALE)
		(void)err_set(&older, rc, "%s: older than what is active here; export it anew",
			      err->text);
	if (rc < 0) {
		importing_fail(i, rc, rc == ERR_STALE ? older.text : err->text);
		return;
	}
	importing_free(i);
	reply.policy_version = state_version(e, TRUST_POLICY);
	reply.status_version = state_version(e, TRUST_STATUS);
	reply.advisories_version = state_version(e, TRUST_ADVISORIES);
	reply.created_ms = state_confirmed_ms(e);
	reply.stale_ms = state_stale_ms(e);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_REPLY;
	answer.import_reply = &reply;
	local_call_end(call, &answer);
}

static void take_whole(struct importing *i)
{
	struct err err = ERR_INIT;

	if (i->bytes.len != i->total) {
		importing_fail(i, ERR_TRUNCATED, "the file did not come whole");
		return;
	}
	if (set_file_parse(i->bytes.data, i->bytes.len, &i->set, &err) < 0) {
		importing_fail(i, err.code, err.text);
		return;
	}
	i->whole = true;
	state_import(i->e, &i->set, taken, i);
}

static void on_piece(struct local_call *call, const Envwarden__Local__Envelope *piece)
{
	struct importing *i = local_call_data(call);

	if (i->whole)
		return; /* behind the end */
	i->heard_ms = engine_mono(i->e);
	if (piece->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_END) {
		take_whole(i);
	} else if (piece->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_CHUNK) {
		importing_fail(i, ERR_PROTOCOL, "a piece of something else");
	} else if (piece->import_chunk->data.len > i->total - i->bytes.len) {
		importing_fail(i, ERR_LIMIT, "the file is larger than was said");
	} else {
		buf_add(&i->bytes, piece->import_chunk->data.data, piece->import_chunk->data.len);
		if (buf_rc(&i->bytes) < 0)
			importing_fail(i, ERR_NOMEM, "the agent is out of memory");
	}
}

static void on_closed(struct local_call *call)
{
	struct importing *i = local_call_data(call);

	if (!i->whole)
		importing_fail(i, ERR_CLOSED, err_text(ERR_CLOSED));
}

static int may_begin(struct engine *e, uint32_t uid, uint64_t total, struct err *err)
{
	if (uid != 0 && !(e->options->user && uid == users_current()))
		return err_set(err, ERR_PERM, "only root may import signed state: use sudo");
	if (total > LIMIT_BUNDLE)
		return err_set(err, ERR_LIMIT, "larger than an air-gap file may be");
	if (e->import != NULL && !e->import->whole &&
	    e->import->heard_ms + PATIENCE_MS < engine_mono(e))
		importing_fail(e->import, ERR_TIMEOUT, "the import took too long");
	if (e->import != NULL)
		return err_set(err, ERR_BUSY, "another file is being imported");
	return 0;
}

void request_import(void *ctx, struct local_call *call, const Envwarden__Local__ImportBegin *m)
{
	struct engine *e = ctx;
	struct err err = ERR_INIT;
	struct importing *i;

	if (may_begin(e, local_call_uid(call), m->total, &err) < 0) {
		local_call_fail(call, err.code, err.text);
		return;
	}
	i = mem_calloc(1, sizeof *i);
	if (i == NULL) {
		request_nomem(call);
		return;
	}
	i->e = e;
	i->call = call;
	i->total = (size_t)m->total;
	i->heard_ms = engine_mono(e);
	buf_init(&i->bytes, LIMIT_BUNDLE);
	e->import = i;
	local_call_set_data(call, i);
	local_call_on_piece(call, on_piece);
	local_call_on_closed(call, on_closed);
}
