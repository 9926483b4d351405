#include "server/pki/root_draft.h"

#include <inttypes.h>
#include <string.h>

#include "server/pki/signer.h"

#define ID_DIGITS_MIN 8

static int role_find(struct root_info *root, const char *role, struct role_keys **out,
		     struct err *err)
{
	for (size_t i = 0; i < root->n_roles; i++) {
		if (strcmp(root->roles[i].role, role) == 0) {
			*out = &root->roles[i];
			return 0;
		}
	}
	return err_set(err, ERR_NOTFOUND, "there is no role \"%.16s\"", role);
}

int root_draft_add(struct root_info *root, const char *role, const struct crypto_key *key,
		   struct err *err)
{
	struct role_keys *keys = NULL;
	int rc = role_find(root, role, &keys, err);

	if (rc == 0)
		rc = role_keys_add(keys, key, err);
	if (rc < 0 && rc != ERR_NOTFOUND && err)
		(void)err_context(err, "role %s", role);
	return rc;
}

static bool id_begins(const struct role_key *key, const char *id)
{
	struct buf hex;
	bool begins;

	buf_init(&hex, 2 * SHA256_SIZE + 1);
	buf_add_hex(&hex, key->id, SHA256_SIZE);
	begins = strncmp(buf_cstr(&hex), id, strlen(id)) == 0;
	buf_deinit(&hex);
	return begins;
}

int root_draft_remove(struct root_info *root, const char *role, const char *id, struct err *err)
{
	struct role_keys *keys = NULL;
	size_t found = 0;
	size_t at = 0;
	int rc = role_find(root, role, &keys, err);

	if (rc < 0)
		return rc;
	if (strlen(id) < ID_DIGITS_MIN)
		return err_set(err, ERR_INVALID, "a key is told by at least %d digits of its id",
			       ID_DIGITS_MIN);
	for (size_t i = 0; i < keys->n_keys; i++) {
		if (!id_begins(&keys->keys[i], id))
			continue;
		found++;
		at = i;
	}
	if (found != 1)
		return err_set(err, found ? ERR_INVALID : ERR_NOTFOUND,
			       "role %s: %s key begins with %.64s", role,
			       found ? "more than one" : "no", id);
	keys->n_keys--;
	memmove(&keys->keys[at], &keys->keys[at + 1], (keys->n_keys - at) * sizeof(keys->keys[0]));
	return 0;
}

int root_draft_threshold(struct root_info *root, const char *role, uint32_t threshold,
			 struct err *err)
{
	struct role_keys *keys = NULL;
	int rc = role_find(root, role, &keys, err);

	if (rc == 0)
		keys->threshold = threshold;
	return rc;
}

int root_draft_make(const struct root_info *root, int64_t now_ms, struct buf *out, struct err *err)
{
	struct root_info next = *root;
	Envwarden__Bundle__Body *body;
	struct arena arena;
	int rc = 0;

	for (size_t i = 0; i < root->n_roles; i++) {
		const struct role_keys *keys = &root->roles[i];

		if (keys->threshold == 0 || keys->threshold > keys->n_keys)
			return err_set(err, ERR_INVALID,
				       "role %s would need %" PRIu32 " of %zu keys", keys->role,
				       keys->threshold, keys->n_keys);
	}
	arena_init(&arena, LIMIT_ROOT_MEMORY);
	next.version = root->version + 1;
	next.created_ms = now_ms;
	next.expires_ms = now_ms + SIGNER_ROOT_MS;
	if (root_to_body(&next, &arena, &body) < 0)
		rc = err_nomem(err);
	if (rc == 0)
		rc = signed_make(body, NULL, 0, out, err);
	arena_deinit(&arena);
	return rc;
}
