/* Roots: reading them out of a body, and stepping from one to the next. */
#include "proto/signed.h"

#include <inttypes.h>
#include <string.h>

#include "proto/convert.h"

const struct role_keys *root_role(const struct root_info *root, const char *role)
{
	for (size_t i = 0; i < root->n_roles; i++) {
		if (strcmp(root->roles[i].role, role) == 0)
			return &root->roles[i];
	}
	return NULL;
}

/* --- out of a body --------------------------------------------------------------------------- */

int role_keys_add(struct role_keys *keys, const struct crypto_key *key, struct err *err)
{
	struct role_key fresh = {0};
	int rc;

	if (keys->n_keys == LIMIT_ROLE_KEYS)
		return err_set(err, ERR_LIMIT, "more than %d keys", LIMIT_ROLE_KEYS);
	rc = crypto_key_id(key, fresh.id, err);
	if (rc == 0)
		rc = crypto_key_to_spki(key, fresh.spki, sizeof(fresh.spki), &fresh.spki_n, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < keys->n_keys; i++) {
		if (memcmp(keys->keys[i].id, fresh.id, SHA256_SIZE) == 0)
			return err_set(err, ERR_INVALID, "the same key twice");
	}
	keys->keys[keys->n_keys++] = fresh;
	return 0;
}

static int add_spki(struct role_keys *keys, const ProtobufCBinaryData *spki, struct err *err)
{
	struct crypto_key *key = NULL;
	int rc = crypto_key_from_spki(spki->data, spki->len, &key, err);

	if (rc == 0)
		rc = role_keys_add(keys, key, err);
	crypto_key_free(key);
	return rc;
}

static int role_from_wire(const Envwarden__Bundle__RoleKeys *wire, struct role_keys *out,
			  struct err *err)
{
	size_t n = strlen(wire->role);
	int rc = 0;

	if (n == 0 || n >= sizeof(out->role))
		return err_set(err, ERR_INVALID, "a role without a proper name");
	memcpy(out->role, wire->role, n + 1);
	out->threshold = wire->threshold;
	for (size_t i = 0; rc == 0 && i < wire->n_spki; i++)
		rc = add_spki(out, &wire->spki[i], err);
	if (rc < 0) {
		err_context(err, "role %s", out->role);
		return rc;
	}
	if (out->threshold == 0 || out->threshold > out->n_keys)
		return err_set(err, ERR_INVALID, "role %s: threshold %" PRIu32 " of %zu keys",
			       out->role, out->threshold, out->n_keys);
	return 0;
}

static int roles_from_wire(const Envwarden__Bundle__Root *wire, struct root_info *out,
			   struct err *err)
{
	for (size_t i = 0; i < wire->n_roles; i++) {
		struct role_keys *keys = &out->roles[out->n_roles];
		int rc = role_from_wire(wire->roles[i], keys, err);

		if (rc < 0)
			return rc;
		if (root_role(out, keys->role))
			return err_set(err, ERR_INVALID, "role %s twice", keys->role);
		out->n_roles++;
	}
	if (!root_role(out, ROLE_ROOT))
		return err_set(err, ERR_INVALID, "no keys for the role root");
	return 0;
}

int root_from_body(const Envwarden__Bundle__Body *body, struct root_info *out, struct err *err)
{
	const Envwarden__Bundle__Root *wire = body->root;
	struct root_info info = {0};
	int rc;

	if (body->content_case != ENVWARDEN__BUNDLE__BODY__CONTENT_ROOT || body->version == 0)
		return err_set(err, ERR_INVALID, "not a root");
	if (strlen(wire->name) >= sizeof(info.name))
		return err_set(err, ERR_INVALID, "name of the organisation too long");
	uuid_from_wire(&wire->organisation, &info.organisation);
	memcpy(info.name, wire->name, strlen(wire->name) + 1);
	info.version = body->version;
	info.created_ms = body->created_ms;
	info.expires_ms = body->expires_ms;
	rc = roles_from_wire(wire, &info, err);
	if (rc < 0)
		return rc;
	*out = info;
	return 0;
}

/* --- into a body ----------------------------------------------------------------------------- */

static int role_to_wire(const struct role_keys *keys, struct arena *arena,
			Envwarden__Bundle__RoleKeys *out)
{
	envwarden__bundle__role_keys__init(out);
	out->role = wire_text(keys->role);
	out->threshold = keys->threshold;
	out->spki = arena_calloc(arena, keys->n_keys, sizeof(*out->spki));
	if (!out->spki)
		return ERR_NOMEM;
	out->n_spki = keys->n_keys;
	for (size_t i = 0; i < keys->n_keys; i++)
		out->spki[i] = wire_bytes(keys->keys[i].spki, keys->keys[i].spki_n);
	return 0;
}

static int roles_to_wire(const struct root_info *root, struct arena *arena,
			 Envwarden__Bundle__Root *out)
{
	size_t n = root->n_roles;
	Envwarden__Bundle__RoleKeys *room = arena_calloc(arena, n, sizeof(*room));

	out->roles = arena_calloc(arena, n, sizeof(Envwarden__Bundle__RoleKeys *));
	if (!room || !out->roles)
		return ERR_NOMEM;
	out->n_roles = n;
	for (size_t i = 0; i < n; i++) {
		out->roles[i] = &room[i];
		if (role_to_wire(&root->roles[i], arena, &room[i]) < 0)
			return ERR_NOMEM;
	}
	return 0;
}

int root_to_body(const struct root_info *root, struct arena *arena, Envwarden__Bundle__Body **out)
{
	Envwarden__Bundle__Body *body = arena_alloc(arena, sizeof(*body));
	Envwarden__Bundle__Root *wire = arena_alloc(arena, sizeof(*wire));

	if (!body || !wire)
		return ERR_NOMEM;
	envwarden__bundle__body__init(body);
	envwarden__bundle__root__init(wire);
	if (roles_to_wire(root, arena, wire) < 0)
		return ERR_NOMEM;
	wire->organisation = wire_bytes(root->organisation.b, sizeof(root->organisation.b));
	wire->name = wire_text(root->name);
	body->role = wire_text(ROLE_ROOT);
	body->version = root->version;
	body->created_ms = root->created_ms;
	body->expires_ms = root->expires_ms;
	body->content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_ROOT;
	body->root = wire;
	*out = body;
	return 0;
}

/* --- steps ----------------------------------------------------------------------------------- */

/* Verifies a signed root with these keys at any time and from any version on. */
static int verify_root(const void *data, size_t n, const struct role_keys *keys,
		       struct root_info *out, struct err *err)
{
	struct signed_check check = {.keys = keys, .min_version = 1, .now_ms = INT64_MIN};
	Envwarden__Bundle__Body *body;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_ROOT_MEMORY);
	rc = signed_verify(data, n, &check, &arena, &body, err);
	if (rc == 0)
		rc = root_from_body(body, out, err);
	arena_deinit(&arena);
	return rc;
}

/* The root in a Signed whose signatures nobody has looked at yet. */
static int claimed_root(const void *data, size_t n, struct root_info *out, struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_ROOT_MEMORY);
	rc = codec_unpack_signed(data, n, &arena, &wire, err);
	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, &arena, &body, err);
	if (rc == 0)
		rc = root_from_body(body, out, err);
	arena_deinit(&arena);
	return rc;
}

int root_first(const void *data, size_t n, struct root_info *out, struct err *err)
{
	struct root_info claimed;
	int rc;

	if (n > LIMIT_SMALL_SIGNED)
		return err_set(err, ERR_LIMIT, "root larger than %d bytes", LIMIT_SMALL_SIGNED);
	rc = claimed_root(data, n, &claimed, err);
	if (rc < 0)
		return rc;
	return verify_root(data, n, root_role(&claimed, ROLE_ROOT), out, err);
}

int root_step(const struct root_info *held, const void *data, size_t n, struct root_info *out,
	      struct err *err)
{
	struct root_info next = {0};
	int rc;

	if (n > LIMIT_SMALL_SIGNED)
		return err_set(err, ERR_LIMIT, "root larger than %d bytes", LIMIT_SMALL_SIGNED);
	rc = verify_root(data, n, root_role(held, ROLE_ROOT), &next, err);
	if (rc < 0)
		return rc;
	if (next.version <= held->version)
		return err_set(err, ERR_STALE, "root: version %" PRIu64 ", held is %" PRIu64,
			       next.version, held->version);
	if (next.version != held->version + 1)
		return err_set(err, ERR_INVALID,
			       "root: version %" PRIu64 " does not follow %" PRIu64, next.version,
			       held->version);
	if (uuid_cmp(&next.organisation, &held->organisation) != 0)
		return err_set(err, ERR_INVALID, "root: another organisation's");
	return verify_root(data, n, root_role(&next, ROLE_ROOT), out, err);
}

int root_current(const struct root_info *root, int64_t now_ms, struct err *err)
{
	if (root->expires_ms <= now_ms)
		return err_set(err, ERR_EXPIRED, "root: version %" PRIu64 " is expired",
			       root->version);
	return 0;
}
