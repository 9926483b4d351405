/* A set from a file, for machines that the server does not reach. */
#include "agent/state_impl.h"
#include "lib/base/log.h"

/* Whoever brought the file is told; nothing refers to it any more. */
void state_import_end(struct state *s, int rc, const struct err *err)
{
	state_import_cb done = s->import.done;
	void *ctx = s->import.ctx;

	s->importing = false;
	s->import.set = NULL;
	done(ctx, rc, err);
}

/*
 * The roots of the file that follow ours. The file is not signed, so they come in any order; what
 * is kept for the store is the one that was stepped to, not the last.
 */
static int import_roots(struct state *s, struct err *err)
{
	const struct set_file *set = s->import.set;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < set->n_roots; i++) {
		struct trust_blob root = {set->roots[i].data, set->roots[i].n};
		uint64_t before = s->trust.root.version;

		rc = trust_step_roots(&s->trust, &root, 1, &s->trust, err);
		if (rc < 0 || s->trust.root.version == before)
			continue;
		buf_clear(&s->root);
		buf_add(&s->root, root.data, root.n);
		rc = buf_rc(&s->root);
		log_info("state", "next root", LOG_INT("version", s->trust.root.version));
	}
	return rc;
}

static int import_names(struct state *s, struct err *err)
{
	struct trust_blob blob = {s->timestamp.data, s->timestamp.len};
	int rc = trust_read_timestamp(&s->trust, &blob, engine_trusted(s->e), &s->names, err);

	if (rc == 0 && trust_lacks(&s->trust, &s->names, TRUST_ROOT))
		rc = err_set(err, ERR_NOTFOUND, ROLE_ROOT ": the file lacks the one it names");
	return rc;
}

/* What the file lacks is found out when the set is accepted. */
static int import_bundles(struct state *s)
{
	const struct set_file *set = s->import.set;
	const struct set_file_item *items[TRUST_ROLES] = {
		[TRUST_POLICY] = &set->policy,
		[TRUST_ADVISORIES] = &set->advisories,
		[TRUST_STATUS] = &set->status,
	};
	int rc = 0;

	for (enum trust_role role = TRUST_POLICY; rc == 0 && role < TRUST_TIMESTAMP; role++) {
		if (items[role]->n == 0 || !trust_lacks(&s->trust, &s->names, role))
			continue;
		buf_add(&s->bundles[role], items[role]->data, items[role]->n);
		rc = buf_rc(&s->bundles[role]);
	}
	return rc;
}

void state_import_begin(struct state *s)
{
	struct err err = ERR_INIT;
	int rc;

	s->importing = true;
	if (s->timestamp.len > 0 && s->later.len == 0) { /* of the server's: again afterwards */
		struct buf asked = s->timestamp;

		s->timestamp = s->later;
		s->later = asked;
	}
	state_forget_set(s);
	buf_add(&s->timestamp, s->import.set->timestamp.data, s->import.set->timestamp.n);
	rc = buf_rc(&s->timestamp);
	if (rc == 0)
		rc = import_roots(s, &err);
	if (rc == 0)
		rc = import_names(s, &err);
	if (rc == 0)
		rc = import_bundles(s);
	if (rc == 0) {
		state_accept_set(s);
		return;
	}
	if (err.code == 0)
		err_set(&err, rc, "%s", err_text(rc));
	state_refuse(s, ROLE_TIMESTAMP, 0, &err);
}

void state_import(struct engine *e, const struct set_file *set, state_import_cb done, void *ctx)
{
	struct state *s = e->state;
	struct err err = ERR_INIT;

	if (!e->enrolled || s->import.set != NULL) {
		err_set(&err, e->enrolled ? ERR_BUSY : ERR_CONFLICT,
			e->enrolled ? "another file is being imported"
				    : "this machine is not enrolled: there is nothing to verify "
				      "the file by");
		done(ctx, err.code, &err);
		return;
	}
	s->import.set = set;
	s->import.done = done;
	s->import.ctx = ctx;
	if (!s->accepting)
		state_go_on(s);
}
