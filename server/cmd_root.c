/*
 * root: which keys sign what, and changing it. Made so that the root key need never be where the
 * server is: a draft goes out, a signed root comes in (docs/security.md).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/paths.h"
#include "server/command.h"
#include "server/options.h"
#include "server/pki/role_key.h"
#include "server/pki/root_draft.h"
#include "server/root_store.h"

struct arguments {
	const char *dir;
	const char *role;
	const char *in;
	const char *out;
	struct option_values keys;
	struct option_values add;
	struct option_values remove;
	struct option_values thresholds;
};

/* --- words --- */

/* "policy=FILE": the role's name goes to `role`, the rest is returned; NULL and err: it is not. */
static const char *split(const char *option, const char *text, char role[LIMIT_ROLE + 1],
			 struct err *err)
{
	const char *at = strchr(text, '=');
	size_t n = at ? (size_t)(at - text) : 0;

	if (n == 0 || n > LIMIT_ROLE || !at[1]) {
		(void)err_set(err, ERR_USAGE, "%s: needs ROLE=...", option);
		return NULL;
	}
	memcpy(role, text, n);
	role[n] = '\0';
	return at + 1;
}

static void id_text(const unsigned char id[SHA256_SIZE], char out[2 * SHA256_SIZE + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_SIZE; i++) {
		out[2 * i] = digits[id[i] >> 4];
		out[2 * i + 1] = digits[id[i] & 15];
	}
	out[2 * SHA256_SIZE] = '\0';
}

static int print_key(const char *what, const struct crypto_key *key, struct err *err)
{
	unsigned char id[SHA256_SIZE];
	char text[2 * SHA256_SIZE + 1];
	int rc = crypto_key_id(key, id, err);

	if (rc < 0)
		return rc;
	id_text(id, text);
	printf("%s %s\n", what, text);
	return 0;
}

static int write_new(const char *path, const struct buf *bytes, struct err *err)
{
	if (files_exists(path))
		return err_set(err, ERR_EXISTS, "%s: is there already", path);
	return files_atomic_write(path, bytes->data, bytes->len, 0644, err);
}

/* --- show --- */

static bool key_is_here(const char *dir, const char *role, const unsigned char id[SHA256_SIZE])
{
	struct crypto_key *key = NULL;
	unsigned char here[SHA256_SIZE];
	bool same = role_key_read(dir, role, &key, NULL) == 0 &&
		    crypto_key_id(key, here, NULL) == 0 && memcmp(here, id, SHA256_SIZE) == 0;

	crypto_key_free(key);
	return same;
}

static void print_role(const char *dir, const struct role_keys *keys)
{
	printf("%s: %" PRIu32 " of %zu\n", keys->role, keys->threshold, keys->n_keys);
	for (size_t i = 0; i < keys->n_keys; i++) {
		char id[2 * SHA256_SIZE + 1];

		id_text(keys->keys[i].id, id);
		printf("  %s %s\n", id,
		       key_is_here(dir, keys->role, keys->keys[i].id) ? "here" : "elsewhere");
	}
}

static int show(const struct arguments *args, struct err *err)
{
	struct root_store store;
	char expires[CLOCK_TEXT_MAX];
	int rc = root_store_open(&store, args->dir, false, err);

	if (rc == 0) {
		clock_format(store.root.expires_ms, expires);
		printf("root %" PRIu64 " of %s, until %s\n", store.root.version, store.root.name,
		       expires);
		for (size_t i = 0; i < store.root.n_roles; i++)
			print_role(args->dir, &store.root.roles[i]);
	}
	root_store_close(&store);
	return rc;
}

/* --- keys --- */

static int public_write(const char *path, const struct crypto_key *key, struct err *err)
{
	unsigned char spki[CRYPTO_SPKI_MAX];
	char name[PATHS_MAX];
	struct buf bytes;
	size_t n = 0;
	int rc = crypto_key_to_spki(key, spki, sizeof(spki), &n, err);

	if (rc == 0 && (size_t)snprintf(name, sizeof(name), "%s.pub", path) >= sizeof(name))
		rc = err_set(err, ERR_LIMIT, "%.64s...: too long a path", path);
	if (rc < 0)
		return rc;
	buf_init(&bytes, sizeof(spki));
	buf_add(&bytes, spki, n);
	rc = buf_rc(&bytes) < 0 ? err_nomem(err) : write_new(name, &bytes, err);
	buf_deinit(&bytes);
	return rc;
}

static int new_key(const struct arguments *args, struct err *err)
{
	struct crypto_key *key = NULL;
	int rc = crypto_key_new(&key, err);

	if (rc == 0)
		rc = role_key_save(args->out, key, err);
	if (rc == 0)
		rc = public_write(args->out, key, err);
	if (rc == 0)
		rc = print_key("key", key, err);
	crypto_key_free(key);
	return rc;
}

/* Its copy is read again before the one here is removed. */
static int move_key(const struct arguments *args, struct err *err)
{
	struct root_store store;
	struct crypto_key *key = NULL;
	int rc;

	if (strcmp(args->role, ROLE_ROOT) != 0 && strcmp(args->role, ROLE_POLICY) != 0)
		return err_set(err, ERR_USAGE,
			       "--role: root or policy; the server needs the other keys");
	rc = root_store_open(&store, args->dir, true, err);
	if (rc == 0)
		rc = role_key_read(args->dir, args->role, &key, err);
	if (rc == ERR_NOTFOUND)
		rc = err_set(err, rc, "the %s key is not here (any more)", args->role);
	if (rc == 0)
		rc = role_key_save(args->out, key, err);
	if (rc == 0)
		rc = public_write(args->out, key, err);
	if (rc == 0)
		rc = role_key_remove(args->dir, args->role, err);
	if (rc == 0)
		rc = print_key("moved", key, err);
	crypto_key_free(key);
	root_store_close(&store);
	return rc;
}

/* --- draft, sign, publish --- */

static int add_key(struct root_info *root, const char *text, struct err *err)
{
	char role[LIMIT_ROLE + 1];
	const char *path = split("--add-key", text, role, err);
	struct crypto_key *key = NULL;
	struct buf spki;
	int rc;

	if (!path)
		return ERR_USAGE;
	buf_init(&spki, CRYPTO_SPKI_MAX + 1);
	rc = files_read_whole(path, CRYPTO_SPKI_MAX, &spki, err);
	if (rc == 0)
		rc = crypto_key_from_spki(spki.data, spki.len, &key, err);
	if (rc < 0)
		(void)err_context(err, "%s", path);
	else
		rc = root_draft_add(root, role, key, err);
	crypto_key_free(key);
	buf_deinit(&spki);
	return rc;
}

static int change_threshold(struct root_info *root, const char *text, struct err *err)
{
	char role[LIMIT_ROLE + 1];
	const char *number = split("--threshold", text, role, err);
	long long n;

	if (!number)
		return ERR_USAGE;
	if (text_to_i64(number, strlen(number), &n) < 0 || n < 1 || n > LIMIT_ROLE_KEYS)
		return err_set(err, ERR_USAGE, "--threshold: needs ROLE=N, N from 1 to %d",
			       LIMIT_ROLE_KEYS);
	return root_draft_threshold(root, role, (uint32_t)n, err);
}

static int change(struct root_info *root, const struct arguments *args, struct err *err)
{
	char role[LIMIT_ROLE + 1];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < args->remove.n; i++) {
		const char *id = split("--remove-key", args->remove.items[i], role, err);

		rc = id ? root_draft_remove(root, role, id, err) : ERR_USAGE;
	}
	for (size_t i = 0; rc == 0 && i < args->add.n; i++)
		rc = add_key(root, args->add.items[i], err);
	for (size_t i = 0; rc == 0 && i < args->thresholds.n; i++)
		rc = change_threshold(root, args->thresholds.items[i], err);
	return rc;
}

static int draft(const struct arguments *args, struct err *err)
{
	const struct clock *clock = clock_system();
	struct root_store store;
	struct buf out;
	int rc = root_store_open(&store, args->dir, false, err);

	buf_init(&out, LIMIT_SMALL_SIGNED);
	if (rc == 0)
		rc = change(&store.root, args, err);
	if (rc == 0)
		rc = root_draft_make(&store.root, clock->wall_ms(clock), &out, err);
	if (rc == 0)
		rc = write_new(args->out, &out, err);
	if (rc == 0)
		printf("draft of root %" PRIu64 "\n", store.root.version + 1);
	buf_deinit(&out);
	root_store_close(&store);
	return rc;
}

static int sign_with(const char *path, struct buf *bytes, struct err *err)
{
	struct crypto_key *key = NULL;
	struct buf more;
	int rc = role_key_load(path, &key, err);

	buf_init(&more, LIMIT_BUNDLE);
	if (rc == 0)
		rc = signed_add(bytes->data, bytes->len, key, &more, err);
	if (rc == 0)
		rc = print_key("signed by", key, err);
	if (rc == 0) {
		buf_deinit(bytes);
		*bytes = more;
		buf_init(&more, 0);
	}
	buf_deinit(&more);
	crypto_key_free(key);
	return rc;
}

/* Whoever signs should know what. */
static int print_signing(const struct buf *bytes, struct err *err)
{
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_BUNDLE_MEMORY);
	rc = codec_unpack_signed(bytes->data, bytes->len, &arena, &wire, err);
	if (rc == 0)
		rc = codec_unpack_body(wire->body.data, wire->body.len, &arena, &body, err);
	if (rc == 0 && body->content_case == ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
		printf("policy %" PRIu64 ": %zu rules, %zu exceptions\n", body->version,
		       body->policy->n_rules, body->policy->n_exceptions);
	else if (rc == 0)
		printf("%s %" PRIu64 "\n", body->role, body->version);
	arena_deinit(&arena);
	return rc;
}

static int sign(const struct arguments *args, struct err *err)
{
	struct buf bytes;
	int rc = 0;

	buf_init(&bytes, LIMIT_BUNDLE + 1);
	if (args->keys.n == 0)
		rc = err_set(err, ERR_USAGE, "--key is missing");
	if (rc == 0)
		rc = files_read_whole(args->in, LIMIT_BUNDLE, &bytes, err);
	if (rc == 0)
		rc = print_signing(&bytes, err);
	for (size_t i = 0; rc == 0 && i < args->keys.n; i++)
		rc = sign_with(args->keys.items[i], &bytes, err);
	if (rc == 0)
		rc = write_new(args->out, &bytes, err);
	buf_deinit(&bytes);
	return rc;
}

static int publish(const struct arguments *args, struct err *err)
{
	char roles[OPTION_VALUES_MAX][LIMIT_ROLE + 1];
	struct root_key_file keys[OPTION_VALUES_MAX];
	struct root_store store;
	uint64_t version, policy_min;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < args->keys.n; i++) {
		keys[i].path = split("--key", args->keys.items[i], roles[i], err);
		keys[i].role = roles[i];
		rc = keys[i].path ? role_key_check_role(roles[i], err) : ERR_USAGE;
	}
	if (rc < 0)
		return rc;
	rc = root_store_open(&store, args->dir, true, err);
	if (rc == 0)
		rc = root_store_publish(&store, args->in, keys, args->keys.n, &version, &policy_min,
					err);
	root_store_close(&store);
	if (rc != 0)
		return rc;
	printf("root %" PRIu64 " is published\n", version);
	if (policy_min > 0)
		printf("policy must be re-signed as >= %" PRIu64 "; until then agents keep the set "
		       "they have\n",
		       policy_min);
	return 0;
}

int cmd_root(int argc, char **argv, struct err *err)
{
	struct arguments args = {0};
	const struct option dir = {"--state-dir", .text = &args.dir, .required = true};
	const struct option in = {"--in", .text = &args.in, .required = true};
	const struct option out = {"--out", .text = &args.out, .required = true};
	const struct option role = {"--role", .text = &args.role, .required = true};
	const struct option keys = {"--key", .list = &args.keys};
	const struct {
		const char *name;
		int (*run)(const struct arguments *args, struct err *err);
		struct option options[5];
		size_t n;
	} verbs[] = {
		{"show", show, {dir}, 1},
		{"new-key", new_key, {out}, 1},
		{"move-key", move_key, {dir, role, out}, 3},
		{"draft",
		 draft,
		 {dir,
		  out,
		  {"--add-key", .list = &args.add},
		  {"--remove-key", .list = &args.remove},
		  {"--threshold", .list = &args.thresholds}},
		 5},
		{"sign", sign, {in, out, keys}, 3},
		{"publish", publish, {dir, in, keys}, 3},
	};

	for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(verbs); i++) {
		int rc;

		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		rc = options_parse(verbs[i].options, verbs[i].n, argc - 1, argv + 1, err);
		return rc < 0 ? rc : verbs[i].run(&args, err);
	}
	return err_set(err, ERR_USAGE,
		       "root: what to do? show, new-key, move-key, draft, sign or publish");
}
