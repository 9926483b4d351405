#include "server/pki/signer.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/policy/unlock.h"
#include "platform/files.h"
#include "proto/convert.h"
#include "proto/convert_policy.h"
#include "proto/limits.h"
#include "proto/signed.h"
#include "server/pki/ca_impl.h"
#include "server/pki/p256_signer.h"

enum role {
	R_ROOT,
	R_POLICY,
	R_ADVISORIES,
	R_STATUS,
	R_TIMESTAMP,
	R_COUNT
};
static const char *const role_names[R_COUNT] = {ROLE_ROOT, ROLE_POLICY, ROLE_ADVISORIES,
						ROLE_STATUS, ROLE_TIMESTAMP};

struct signer {
	struct crypto_key *keys[R_COUNT]; /* NULL: kept elsewhere */
	struct p256_signer *fast[R_COUNT];
	struct signed_by by[R_COUNT];
};

static void key_file(enum role role, char out[32])
{
	(void)snprintf(out, 32, "role-%s.key", role_names[role]);
}

void signer_free(struct signer *signer)
{
	if (!signer)
		return;
	for (size_t i = 0; i < R_COUNT; i++) {
		crypto_key_free(signer->keys[i]);
		p256_signer_free(signer->fast[i]);
	}
	mem_free(signer);
}

/* --- keys --- */

/* Of the keys that are here. */
static int signers_make(struct signer *signer, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < R_COUNT && rc == 0; i++) {
		if (!signer->keys[i])
			continue;
		rc = p256_signer_new(signer->keys[i], &signer->fast[i], err);
		if (rc == 0)
			rc = crypto_key_id(signer->keys[i], signer->by[i].key_id, err);
		signer->by[i].sign = p256_sign;
		signer->by[i].ctx = signer->fast[i];
	}
	return rc;
}

static int keys_read(struct signer *signer, const char *dir, struct err *err)
{
	struct crypto_key **keys = signer->keys;

	for (int i = 0; i < R_COUNT; i++) {
		char name[32];
		int rc;

		key_file((enum role)i, name);
		rc = ca_key_read(dir, name, &keys[i], err);
		if (rc < 0 && rc != ERR_NOTFOUND)
			return rc;
	}
	return 0;
}

int signer_load(const char *dir, struct signer **out, struct err *err)
{
	struct signer *signer = mem_calloc(1, sizeof(*signer));
	int rc = signer ? keys_read(signer, dir, err) : err_nomem(err);

	if (rc == 0 && !signer->keys[R_STATUS] && !signer->keys[R_TIMESTAMP])
		rc = err_set(err, ERR_NOTFOUND, "no role keys in %s", dir);
	if (rc == 0)
		rc = signers_make(signer, err);
	if (rc < 0) {
		signer_free(signer);
		return rc;
	}
	*out = signer;
	return 0;
}

static int keys_make(struct signer *signer, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < R_COUNT && rc == 0; i++)
		rc = crypto_key_new(&signer->keys[i], err);
	return rc;
}

/* The root's last: an interrupted beginning has none, and begins again. */
static int keys_write(const struct signer *signer, const char *dir, struct err *err)
{
	int rc = 0;

	for (int i = R_COUNT - 1; i >= 0 && rc == 0; i--) {
		char name[32];

		key_file((enum role)i, name);
		rc = ca_key_write(dir, name, signer->keys[i], err);
	}
	return rc;
}

static int refuse_second(const char *dir, struct err *err)
{
	struct crypto_key *key = NULL;
	char name[32];
	int rc;

	key_file(R_ROOT, name);
	rc = ca_key_read(dir, name, &key, NULL);
	crypto_key_free(key);
	return rc == ERR_NOTFOUND ? 0 : err_set(err, ERR_EXISTS, "there are role keys in %s", dir);
}

/* --- bodies --- */

/* Signs with a role's key; the body's role and version are set, its content is the caller's. */
static int sign(const struct signer *signer, enum role role, Envwarden__Bundle__Body *body,
		struct buf *out, struct err *err)
{
	if (!signer->keys[role])
		return err_set(err, ERR_PERM, "the %s key is not here", role_names[role]);
	body->role = wire_text(role_names[role]);
	return signed_make_by(body, &signer->by[role], out, err);
}

static int sign_root(const struct signer *signer, const struct signer_org *org, int64_t now_ms,
		     struct buf *out, struct err *err)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	Envwarden__Bundle__Root root = ENVWARDEN__BUNDLE__ROOT__INIT;
	Envwarden__Bundle__RoleKeys roles[R_COUNT], *list[R_COUNT];
	ProtobufCBinaryData spki[R_COUNT];
	unsigned char room[R_COUNT][CRYPTO_SPKI_MAX];

	for (size_t i = 0; i < R_COUNT; i++) {
		int rc = crypto_key_to_spki(signer->keys[i], room[i], sizeof(room[i]), &spki[i].len,
					    err);

		if (rc < 0)
			return rc;
		spki[i].data = room[i];
		envwarden__bundle__role_keys__init(&roles[i]);
		roles[i].role = wire_text(role_names[i]);
		roles[i].threshold = 1;
		roles[i].n_spki = 1;
		roles[i].spki = &spki[i];
		list[i] = &roles[i];
	}
	root.organisation = wire_uuid(&org->id);
	root.name = wire_text(org->name);
	root.n_roles = R_COUNT;
	root.roles = list;
	body.version = 1;
	body.created_ms = now_ms;
	body.expires_ms = now_ms + SIGNER_ROOT_MS;
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_ROOT;
	body.root = &root;
	return sign(signer, R_ROOT, &body, out, err);
}

int signer_create(const char *dir, const struct signer_org *org, int64_t now_ms,
		  struct signer **out, struct buf *root, struct err *err)
{
	struct signer *signer = mem_calloc(1, sizeof(*signer));
	int rc = signer ? files_mkdir_private(dir, err) : err_nomem(err);

	if (rc == 0)
		rc = refuse_second(dir, err);
	if (rc == 0)
		rc = keys_make(signer, err);
	if (rc == 0)
		rc = signers_make(signer, err);
	if (rc == 0)
		rc = sign_root(signer, org, now_ms, root, err);
	if (rc == 0)
		rc = keys_write(signer, dir, err);
	if (rc < 0) {
		signer_free(signer);
		return rc;
	}
	*out = signer;
	return 0;
}

/* The entries of a status body, in the arena. */
static int entries_fill(const struct signer_status *status, struct arena *arena,
			Envwarden__Bundle__Status *out, struct err *err)
{
	Envwarden__Bundle__EnvironmentStatus *entries =
		arena_calloc(arena, status->n_statuses + 1, sizeof(*entries));

	out->statuses = arena_calloc(arena, status->n_statuses + 1, sizeof(*out->statuses));
	out->labels = arena_calloc(arena, status->n_labels + 1, sizeof(*out->labels));
	if (!entries || !out->statuses || !out->labels)
		return err_nomem(err);
	for (size_t i = 0; i < status->n_statuses; i++) {
		const struct status_entry *s = &status->statuses[i];

		envwarden__bundle__environment_status__init(&entries[i]);
		entries[i].environment = wire_uuid(&s->environment);
		entries[i].action = action_to_wire(s->action);
		entries[i].message = wire_text(s->message);
		entries[i].until_ms = s->until_ms;
		entries[i].until_fixed = s->until_fixed;
		entries[i].fixed_specs = (char **)(uintptr_t)s->fixed_specs;
		entries[i].n_fixed_specs = s->n_fixed_specs;
		out->statuses[i] = &entries[i];
	}
	for (size_t i = 0; i < status->n_labels; i++)
		out->labels[i] = wire_text(status->labels[i]);
	out->n_statuses = status->n_statuses;
	out->n_labels = status->n_labels;
	return 0;
}

static int requests_fill(const struct signer_status *status, struct arena *arena,
			 Envwarden__Bundle__Status *out, struct err *err)
{
	Envwarden__Bundle__RequestState *items =
		arena_calloc(arena, status->n_requests + 1, sizeof(*items));
	struct {
		char text[UUID_TEXT_MAX];
	} *texts = arena_calloc(arena, status->n_requests + 1, sizeof(*texts));

	out->requests = arena_calloc(arena, status->n_requests + 1, sizeof(*out->requests));
	if (!items || !texts || !out->requests)
		return err_nomem(err);
	for (size_t i = 0; i < status->n_requests; i++) {
		envwarden__bundle__request_state__init(&items[i]);
		items[i].id = wire_uuid(&status->requests[i].id);
		items[i].state = status->requests[i].state;
		items[i].message = wire_text(status->requests[i].message);
		items[i].until_ms = status->requests[i].until_ms;
		if (!uuid_is_zero(&status->requests[i].exception)) {
			uuid_format(&status->requests[i].exception, texts[i].text);
			items[i].exception = texts[i].text;
		}
		out->requests[i] = &items[i];
	}
	out->n_requests = status->n_requests;
	return 0;
}

/* What lifts rules and statuses: exceptions and unlock codes. */
static int lifts_fill(const struct signer_status *status, struct arena *arena,
		      Envwarden__Bundle__Status *out, struct err *err)
{
	if (exceptions_to_wire(status->exceptions, status->n_exceptions, arena, &out->exceptions) <
	    0)
		return err_nomem(err);
	out->n_exceptions = status->n_exceptions;
	if (status->unlock_key)
		out->unlock_key = wire_bytes(status->unlock_key, UNLOCK_KEY_SIZE);
	out->revoked_unlocks = wire_bytes(status->revoked, status->revoked_n);
	return 0;
}

int signer_sign_status(const struct signer *signer, const struct signer_org *org,
		       const struct signer_status *status, int64_t now_ms, struct buf *out,
		       struct err *err)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	Envwarden__Bundle__Status content = ENVWARDEN__BUNDLE__STATUS__INIT;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = entries_fill(status, &arena, &content, err);
	if (rc == 0)
		rc = lifts_fill(status, &arena, &content, err);
	if (rc == 0)
		rc = requests_fill(status, &arena, &content, err);
	if (rc < 0)
		goto out;
	content.machine = wire_uuid(&status->machine);
	content.logging = org->logging;
	content.contact = wire_text(org->contact);
	content.when_agent_down = wire_text(org->when_agent_down);
	body.version = status->version;
	body.created_ms = now_ms;
	body.expires_ms = now_ms + SIGNER_STATUS_MS;
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS;
	body.status = &content;
	rc = sign(signer, R_STATUS, &body, out, err);
out:
	arena_deinit(&arena);
	return rc;
}

static int policy_body(const struct policy *policy, uint64_t version, int64_t now_ms,
		       struct arena *arena, Envwarden__Bundle__Body *body, struct err *err)
{
	if (policy_to_wire(policy, arena, &body->policy) < 0)
		return err_nomem(err);
	body->version = version;
	body->created_ms = now_ms;
	body->expires_ms = now_ms + SIGNER_POLICY_MS;
	body->content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY;
	return 0;
}

int signer_sign_policy(const struct signer *signer, const struct policy *policy, uint64_t version,
		       int64_t now_ms, struct buf *out, struct err *err)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = policy_body(policy, version, now_ms, &arena, &body, err);
	if (rc == ERR_NOMEM && arena.full)
		rc = err_set(err, ERR_LIMIT, ROLE_POLICY ": larger than a bundle may be");
	if (rc == 0)
		rc = sign(signer, R_POLICY, &body, out, err);
	arena_deinit(&arena);
	return rc;
}

int signer_draft_policy(const struct policy *policy, uint64_t version, int64_t now_ms,
			struct buf *out, struct err *err)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = policy_body(policy, version, now_ms, &arena, &body, err);
	if (rc == ERR_NOMEM && arena.full)
		rc = err_set(err, ERR_LIMIT, ROLE_POLICY ": larger than a bundle may be");
	body.role = wire_text(ROLE_POLICY);
	if (rc == 0)
		rc = signed_make(&body, NULL, 0, out, err);
	arena_deinit(&arena);
	return rc;
}

int signer_sign_timestamp(const struct signer *signer, const struct signer_timestamp *t,
			  struct buf *out, struct err *err)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	Envwarden__Bundle__Timestamp content = ENVWARDEN__BUNDLE__TIMESTAMP__INIT;
	Envwarden__Bundle__Held roles[LIMIT_ROLES], *list[LIMIT_ROLES];

	if (t->n_held > LIMIT_ROLES)
		return err_set(err, ERR_LIMIT, "timestamp: more than %d roles", LIMIT_ROLES);
	for (size_t i = 0; i < t->n_held; i++) {
		envwarden__bundle__held__init(&roles[i]);
		roles[i].role = wire_text(t->held[i].role);
		roles[i].version = t->held[i].version;
		roles[i].hash = wire_bytes(t->held[i].hash, SHA256_SIZE);
		list[i] = &roles[i];
	}
	content.machine = wire_uuid(&t->machine);
	content.n_roles = t->n_held;
	content.roles = list;
	body.version = t->version;
	body.created_ms = t->now_ms;
	body.expires_ms = t->now_ms + t->valid_ms;
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP;
	body.timestamp = &content;
	return sign(signer, R_TIMESTAMP, &body, out, err);
}
