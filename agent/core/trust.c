#include "agent/core/trust.h"

#include <inttypes.h>
#include <string.h>

#include "proto/convert.h"
#include "proto/limits.h"

static const char *const names_of_roles[TRUST_ROLES] = {
	[TRUST_ROOT] = ROLE_ROOT,
	[TRUST_POLICY] = ROLE_POLICY,
	[TRUST_ADVISORIES] = ROLE_ADVISORIES,
	[TRUST_STATUS] = ROLE_STATUS,
	[TRUST_TIMESTAMP] = ROLE_TIMESTAMP,
};

/* What a role's body must hold. Of advisories this version knows no contents. */
static const Envwarden__Bundle__Body__ContentCase contents[TRUST_ROLES] = {
	[TRUST_ROOT] = ENVWARDEN__BUNDLE__BODY__CONTENT_ROOT,
	[TRUST_POLICY] = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY,
	[TRUST_ADVISORIES] = ENVWARDEN__BUNDLE__BODY__CONTENT__NOT_SET,
	[TRUST_STATUS] = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS,
	[TRUST_TIMESTAMP] = ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP,
};

const char *trust_role_name(enum trust_role role)
{
	return names_of_roles[role];
}

int trust_role_parse(const char *name, enum trust_role *role)
{
	for (int i = 0; i < TRUST_ROLES; i++) {
		if (strcmp(name, names_of_roles[i]) == 0) {
			*role = (enum trust_role)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

static int refuse(enum trust_role role, int code, struct err *err, const char *why)
{
	return err_set(err, code, "%s: %s", names_of_roles[role], why);
}

static void note_root(struct trust *t, const struct trust_blob *blob)
{
	t->items[TRUST_ROOT].version = t->root.version;
	t->items[TRUST_ROOT].expires_ms = t->root.expires_ms;
	sha256(blob->data, blob->n, t->items[TRUST_ROOT].hash);
}

static bool same_keys(const struct role_keys *a, const struct role_keys *b)
{
	if (!a || !b || a->threshold != b->threshold || a->n_keys != b->n_keys)
		return a == b;
	for (size_t i = 0; i < a->n_keys; i++) {
		if (memcmp(a->keys[i].id, b->keys[i].id, SHA256_SIZE) != 0)
			return false;
	}
	return true;
}

/* What other keys have signed than those that count now. */
static void doubt(struct trust *t, const struct root_info *before)
{
	for (int i = TRUST_POLICY; i < TRUST_TIMESTAMP; i++) {
		if (t->items[i].version != 0 && !same_keys(root_role(before, names_of_roles[i]),
							   root_role(&t->root, names_of_roles[i])))
			t->items[i].in_doubt = true;
	}
}

int trust_step_roots(const struct trust *held, const struct trust_blob *roots, size_t n,
		     struct trust *out, struct err *err)
{
	struct trust next = *held;
	struct err reason = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		const struct root_info before = next.root;
		int rc = root_step(&next.root, roots[i].data, roots[i].n, &next.root, &reason);

		if (rc == ERR_STALE)
			continue;
		if (rc < 0)
			return err_set(err, rc, "%s", reason.text);
		note_root(&next, &roots[i]);
		doubt(&next, &before);
	}
	*out = next;
	return 0;
}

int trust_begin(const struct uuid *machine, const struct trust_blob *roots, size_t n,
		struct trust *out, struct err *err)
{
	struct trust first = {.machine = *machine};
	int rc;

	if (n == 0)
		return refuse(TRUST_ROOT, ERR_NOTFOUND, err, "none was given");
	rc = root_first(roots[0].data, roots[0].n, &first.root, err);
	if (rc < 0)
		return rc;
	note_root(&first, &roots[0]);
	return trust_step_roots(&first, roots + 1, n - 1, out, err);
}

/* Verifies one bundle against the root held; `now_ms` 0 = whenever it was. */
static int verify(const struct trust *held, enum trust_role role, const struct trust_blob *blob,
		  uint64_t min_version, int64_t now_ms, struct arena *arena,
		  Envwarden__Bundle__Body **body, struct err *err)
{
	struct signed_check check = {
		.keys = root_role(&held->root, names_of_roles[role]),
		.min_version = min_version,
		.now_ms = now_ms,
	};

	if (!check.keys)
		return refuse(role, ERR_VERIFY, err, "the root lists no keys for it");
	return signed_verify(blob->data, blob->n, &check, arena, body, err);
}

static bool is_ours(const struct trust *held, const ProtobufCBinaryData *machine)
{
	struct uuid named;

	uuid_from_wire(machine, &named);
	return uuid_cmp(&named, &held->machine) == 0;
}

static int read_names(const Envwarden__Bundle__Timestamp *t, struct trust_names *out,
		      struct err *err)
{
	for (size_t i = 0; i < t->n_roles; i++) {
		const Envwarden__Bundle__Held *h = t->roles[i];
		enum trust_role role;

		/* Roles of a newer version are none of ours. */
		if (trust_role_parse(h->role, &role) < 0 || role == TRUST_TIMESTAMP)
			continue;
		if (out->items[role].version != 0 || h->version == 0)
			return err_set(err, ERR_INVALID, ROLE_TIMESTAMP ": names %s %s", h->role,
				       h->version == 0 ? "without a version" : "twice");
		out->items[role].version = h->version;
		hash_from_wire(&h->hash, out->items[role].hash);
	}
	return 0;
}

static bool same_hash(const struct trust_item *a, const struct trust_item *b)
{
	return memcmp(a->hash, b->hash, SHA256_SIZE) == 0;
}

/* Nothing older, and nothing dropped or exchanged under a version held. */
static int check_names(const struct trust *held, const struct trust_names *names, struct err *err)
{
	for (int i = 0; i < TRUST_ROLES; i++) {
		const struct trust_item *have = &held->items[i];
		const struct trust_item *want = &names->items[i];

		if (want->version < have->version)
			return err_set(err, ERR_STALE,
				       "%s: version %" PRIu64 " is older than %" PRIu64
				       ", which is held",
				       names_of_roles[i], want->version, have->version);
		if (want->version != 0 && want->version == have->version && !same_hash(have, want))
			return err_set(err, ERR_CONFLICT,
				       "%s: version %" PRIu64 " is held with other contents",
				       names_of_roles[i], want->version);
	}
	return 0;
}

int trust_read_timestamp(const struct trust *held, const struct trust_blob *timestamp,
			 int64_t now_ms, struct trust_names *out, struct err *err)
{
	struct trust_item *own;
	struct trust_names names = {0};
	Envwarden__Bundle__Body *body;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_ROOT_MEMORY);
	rc = verify(held, TRUST_TIMESTAMP, timestamp, held->items[TRUST_TIMESTAMP].version, now_ms,
		    &arena, &body, err);
	if (rc < 0)
		goto out;
	rc = ERR_INVALID;
	if (body->content_case != contents[TRUST_TIMESTAMP]) {
		refuse(TRUST_TIMESTAMP, rc, err, "is none");
		goto out;
	}
	rc = ERR_CONFLICT;
	if (!is_ours(held, &body->timestamp->machine)) {
		refuse(TRUST_TIMESTAMP, rc, err, "is another machine's");
		goto out;
	}
	rc = read_names(body->timestamp, &names, err);
	if (rc < 0)
		goto out;
	own = &names.items[TRUST_TIMESTAMP];
	own->version = body->version;
	own->expires_ms = body->expires_ms;
	sha256(timestamp->data, timestamp->n, own->hash);
	names.created_ms = body->created_ms;
	rc = check_names(held, &names, err);
	if (rc < 0)
		goto out;
	*out = names;
out:
	arena_deinit(&arena);
	return rc;
}

bool trust_lacks(const struct trust *held, const struct trust_names *names, enum trust_role role)
{
	return names->items[role].version != held->items[role].version ||
	       held->items[role].in_doubt;
}

static int take_bundle(const struct trust *held, enum trust_role role,
		       const struct trust_candidate *c, struct arena *arena,
		       struct trust_item *item, Envwarden__Bundle__Body **body, struct err *err)
{
	const struct trust_blob *blob = &c->bundles[role];
	unsigned char hash[SHA256_SIZE];
	int rc;

	if (blob->n == 0)
		return refuse(role, ERR_NOTFOUND, err, "the set names one that is not there");
	sha256(blob->data, blob->n, hash);
	if (memcmp(hash, item->hash, sizeof(hash)) != 0)
		return refuse(role, ERR_VERIFY, err, "is not the one the timestamp names");
	rc = verify(held, role, blob, item->version, c->now_ms, arena, body, err);
	if (rc < 0)
		return rc;
	if ((*body)->version != item->version)
		return refuse(role, ERR_VERIFY, err, "has not the version the timestamp names");
	if ((*body)->content_case != contents[role])
		return refuse(role, ERR_INVALID, err, "is none");
	if (role == TRUST_STATUS && !is_ours(held, &(*body)->status->machine))
		return refuse(role, ERR_CONFLICT, err, "is another machine's");
	item->expires_ms = (*body)->expires_ms;
	return 0;
}

static int take_role(const struct trust *held, enum trust_role role,
		     const struct trust_candidate *c, struct arena *arena, struct trust_item *item,
		     Envwarden__Bundle__Body **body, struct err *err)
{
	if (item->version != held->items[role].version || held->items[role].in_doubt)
		return take_bundle(held, role, c, arena, item, body, err);
	*item = held->items[role];
	if (item->version != 0 && c->now_ms >= item->expires_ms)
		return refuse(role, ERR_EXPIRED, err, "the one held has expired");
	return 0;
}

int trust_accept(const struct trust *held, const struct trust_candidate *candidate,
		 struct arena *arena, struct trust_accepted *out, struct err *err)
{
	static const enum trust_role bundled[] = {TRUST_POLICY, TRUST_ADVISORIES, TRUST_STATUS};
	struct trust_accepted next = {.trust = *held};
	struct trust_names names;
	int rc;

	rc = trust_read_timestamp(held, &candidate->timestamp, candidate->now_ms, &names, err);
	if (rc < 0)
		return rc;
	if (trust_lacks(held, &names, TRUST_ROOT))
		return refuse(TRUST_ROOT, ERR_NOTFOUND, err, "the set names one that is not there");
	if (candidate->now_ms > 0) {
		rc = root_current(&held->root, candidate->now_ms, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bundled); i++) {
		enum trust_role role = bundled[i];

		rc = take_role(held, role, candidate, arena, &names.items[role], &next.bodies[role],
			       err);
		if (rc < 0)
			return rc;
		next.trust.items[role] = names.items[role];
	}
	next.trust.items[TRUST_TIMESTAMP] = names.items[TRUST_TIMESTAMP];
	next.trust.created_ms = names.created_ms;
	*out = next;
	return 0;
}

int trust_restore(const struct trust *begun, const struct trust_candidate *stored,
		  struct arena *arena, struct trust_accepted *out, struct err *err)
{
	struct trust_candidate then = *stored;

	then.now_ms = 0; /* nothing has expired at the beginning of time */
	return trust_accept(begun, &then, arena, out, err);
}
