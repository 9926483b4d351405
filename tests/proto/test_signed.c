#include "proto/signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/convert.h"
#include "tests/proto/golden.h"
#include "tests/proto/samples.h"
#include "tests/support/fault.h"

#define T0 INT64_C(1764000000000)
#define YEAR (INT64_C(365) * 86400000)
#define SIGNED_MAX 65536

enum {
	N_KEYS = 4
};

struct fixture {
	struct crypto_key *keys[N_KEYS];
	struct role_keys role; /* "status", two of the first three keys */
	struct arena arena;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	for (size_t i = 0; i < N_KEYS; i++)
		assert_int_equal(crypto_key_new(&f.keys[i], NULL), 0);
	memcpy(f.role.role, ROLE_STATUS, sizeof(ROLE_STATUS));
	f.role.threshold = 2;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(role_keys_add(&f.role, f.keys[i], NULL), 0);
	arena_init(&f.arena, 16 * LIMIT_ROOT_MEMORY);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < N_KEYS; i++)
		crypto_key_free(f->keys[i]);
	arena_deinit(&f->arena);
	return 0;
}

/* --- bodies of one role ------------------------------------------------------------------------
 */

static const struct uuid machine = {{1, 2, 3}};

static void fill_status(Envwarden__Bundle__Body *body, Envwarden__Bundle__Status *status)
{
	envwarden__bundle__body__init(body);
	envwarden__bundle__status__init(status);
	status->machine = wire_uuid(&machine);
	status->logging = true;
	body->role = wire_text(ROLE_STATUS);
	body->version = 3;
	body->created_ms = T0;
	body->expires_ms = T0 + YEAR;
	body->content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS;
	body->status = status;
}

/* A status signed by the keys whose bits are set. */
static int make(const struct fixture *f, unsigned bits, struct buf *out)
{
	const struct crypto_key *keys[N_KEYS];
	Envwarden__Bundle__Body body;
	Envwarden__Bundle__Status status;
	size_t n = 0;

	for (size_t i = 0; i < N_KEYS; i++) {
		if (bits & 1u << i)
			keys[n++] = f->keys[i];
	}
	fill_status(&body, &status);
	buf_init(out, SIGNED_MAX);
	return signed_make(&body, keys, n, out, NULL);
}

static int verify(struct fixture *f, const void *data, size_t n, struct err *err)
{
	struct signed_check check = {.keys = &f->role, .min_version = 3, .now_ms = T0};
	Envwarden__Bundle__Body *body = NULL;
	int rc = signed_verify(data, n, &check, &f->arena, &body, err);

	assert_int_equal(rc == 0, body != NULL);
	arena_reset(&f->arena);
	return rc;
}

static void test_thresholds(void **state)
{
	static const struct {
		unsigned keys;
		int rc;
	} table[] = {
		{0x0, ERR_VERIFY}, {0x1, ERR_VERIFY}, {0x4, ERR_VERIFY},
		{0x8, ERR_VERIFY}, {0x9, ERR_VERIFY}, /* a stranger's key beside one of the role's
						       */
		{0x3, 0},	   {0x5, 0},	      {0x6, 0},
		{0x7, 0},	   {0xf, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf b;
		int rc;

		assert_int_equal(make(*state, table[i].keys, &b), 0);
		rc = verify(*state, b.data, b.len, NULL);
		if (rc != table[i].rc)
			fail_msg("keys %x: %s", table[i].keys, err_name(rc));
		buf_deinit(&b);
	}
}

/* One key that signs three times is still one. */
static void test_repeated_key(void **state)
{
	struct fixture *f = *state;
	const struct crypto_key *keys[] = {f->keys[0], f->keys[0], f->keys[0]};
	Envwarden__Bundle__Body body;
	Envwarden__Bundle__Status status;
	struct buf b;

	fill_status(&body, &status);
	buf_init(&b, SIGNED_MAX);
	assert_int_equal(signed_make(&body, keys, 3, &b, NULL), 0);
	assert_int_equal(verify(f, b.data, b.len, NULL), ERR_VERIFY);
	buf_deinit(&b);
}

/* A signature of one key under the id of another. */
static void test_borrowed_id(void **state)
{
	struct fixture *f = *state;
	Envwarden__Bundle__Signed *wire;
	struct arena arena;
	struct buf b, again;

	assert_int_equal(make(f, 0x9, &b), 0);
	arena_init(&arena, LIMIT_ROOT_MEMORY);
	assert_int_equal(codec_unpack_signed(b.data, b.len, &arena, &wire, NULL), 0);
	memcpy(wire->signatures[1]->key_id.data, f->role.keys[1].id, SHA256_SIZE);
	buf_init(&again, SIGNED_MAX);
	assert_int_equal(codec_pack_signed(wire, &again, NULL), 0);
	assert_int_equal(verify(f, again.data, again.len, NULL), ERR_VERIFY);
	buf_deinit(&again);
	arena_deinit(&arena);
	buf_deinit(&b);
}

/* No byte of it can change or be missing. */
static void test_tampered(void **state)
{
	struct buf b;

	assert_int_equal(make(*state, 0x3, &b), 0);
	for (size_t i = 0; i < b.len; i++) {
		int rc;

		b.data[i] = (char)(b.data[i] ^ 4);
		rc = verify(*state, b.data, b.len, NULL);
		if (rc != ERR_VERIFY && rc != ERR_INVALID && rc != ERR_LIMIT)
			fail_msg("byte %zu changed: %s", i, err_name(rc));
		b.data[i] = (char)(b.data[i] ^ 4);
		assert_true(verify(*state, b.data, i, NULL) < 0);
	}
	assert_int_equal(verify(*state, b.data, b.len, NULL), 0);
	buf_deinit(&b);
}

static void test_header(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t min_version;
		int64_t now_ms;
		int rc;
	} table[] = {
		{0, T0, 0},
		{3, T0, 0},
		{4, T0, ERR_STALE},
		{3, T0 + YEAR - 1, 0},
		{3, T0 + YEAR, ERR_EXPIRED},
		{4, T0 + YEAR, ERR_STALE},
		{3, 0, 0}, /* made later than it is: only `expires` counts */
	};
	struct buf b;

	assert_int_equal(make(f, 0x3, &b), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct signed_check check = {&f->role, table[i].min_version, table[i].now_ms};
		Envwarden__Bundle__Body *body;
		struct err err = ERR_INIT;
		int rc = signed_verify(b.data, b.len, &check, &f->arena, &body, &err);

		assert_int_equal(rc, table[i].rc);
		assert_int_equal(err.code, rc);
		if (rc == 0)
			assert_memory_equal(body->status->machine.data, machine.b, UUID_SIZE);
		arena_reset(&f->arena);
	}
	buf_deinit(&b);
}

/* Signed for one role, offered as another; and a body that names another than its envelope. */
static void test_other_role(void **state)
{
	struct fixture *f = *state;
	struct role_keys policy = f->role;
	struct signed_check check = {.keys = &policy, .now_ms = T0};
	Envwarden__Bundle__Signed *wire;
	Envwarden__Bundle__Body *body;
	struct buf b, again;

	memcpy(policy.role, ROLE_POLICY, sizeof(ROLE_POLICY));
	assert_int_equal(make(f, 0x3, &b), 0);
	assert_int_equal(signed_verify(b.data, b.len, &check, &f->arena, &body, NULL), ERR_INVALID);
	assert_int_equal(codec_unpack_signed(b.data, b.len, &f->arena, &wire, NULL), 0);
	wire->role = wire_text(ROLE_POLICY);
	buf_init(&again, SIGNED_MAX);
	assert_int_equal(codec_pack_signed(wire, &again, NULL), 0);
	assert_int_equal(signed_verify(again.data, again.len, &check, &f->arena, &body, NULL),
			 ERR_VERIFY);
	buf_deinit(&again);
	buf_deinit(&b);
}

/* The keys' own hand under what no tool of ours makes: another role in the body, no version. */
static void test_bodies_of_no_tool(void **state)
{
	static const struct {
		const char *role; /* of the body */
		uint64_t version;
		int rc;
	} table[] = {
		{ROLE_STATUS, 3, 0},
		{ROLE_POLICY, 3, ERR_INVALID},
		{"", 3, ERR_INVALID},
		{ROLE_STATUS, 0, ERR_INVALID},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct signed_check check = {.keys = &f->role, .now_ms = T0};
		Envwarden__Bundle__Signed wire = ENVWARDEN__BUNDLE__SIGNED__INIT;
		Envwarden__Bundle__Signature signatures[2];
		Envwarden__Bundle__Signature *list[] = {&signatures[0], &signatures[1]};
		unsigned char bytes[2][CRYPTO_SIG_MAX];
		Envwarden__Bundle__Body body, *out;
		Envwarden__Bundle__Status status;
		struct buf packed, message, whole;
		size_t n;

		fill_status(&body, &status);
		body.role = wire_text(table[i].role);
		body.version = table[i].version;
		buf_init(&packed, SIGNED_MAX);
		buf_init(&message, SIGNED_MAX);
		buf_init(&whole, SIGNED_MAX);
		assert_int_equal(codec_pack_body(&body, &packed, NULL), 0);
		buf_add(&message, "envwarden-v1\0" ROLE_STATUS,
			sizeof("envwarden-v1\0" ROLE_STATUS));
		buf_add_lp(&message, packed.data, packed.len);
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(crypto_sign(f->keys[k], message.data, message.len,
						     bytes[k], CRYPTO_SIG_MAX, &n, NULL),
					 0);
			envwarden__bundle__signature__init(&signatures[k]);
			signatures[k].key_id = wire_bytes(f->role.keys[k].id, SHA256_SIZE);
			signatures[k].signature = wire_bytes(bytes[k], n);
		}
		wire.role = wire_text(ROLE_STATUS);
		wire.body = wire_bytes(packed.data, packed.len);
		wire.signatures = list;
		wire.n_signatures = 2;
		assert_int_equal(codec_pack_signed(&wire, &whole, NULL), 0);
		assert_int_equal(
			signed_verify(whole.data, whole.len, &check, &f->arena, &out, NULL),
			table[i].rc);
		arena_reset(&f->arena);
		buf_deinit(&whole);
		buf_deinit(&message);
		buf_deinit(&packed);
	}
}

static void test_make_refuses(void **state)
{
	struct fixture *f = *state;
	const struct crypto_key *keys[LIMIT_ROLE_KEYS + 1];
	Envwarden__Bundle__Body body;
	Envwarden__Bundle__Status status;
	struct buf b;

	for (size_t i = 0; i <= LIMIT_ROLE_KEYS; i++)
		keys[i] = f->keys[0];
	fill_status(&body, &status);
	buf_init(&b, SIGNED_MAX);
	assert_int_equal(signed_make(&body, keys, LIMIT_ROLE_KEYS + 1, &b, NULL), ERR_LIMIT);
	body.role = wire_text("a role with far too long a name");
	assert_int_equal(signed_make(&body, keys, 1, &b, NULL), ERR_LIMIT);
	assert_int_equal(b.len, 0);
	buf_deinit(&b);
}

/* --- roots -------------------------------------------------------------------------------------
 */

static struct root_info sample_root(const struct fixture *f, uint64_t version, unsigned bits,
				    uint32_t threshold)
{
	struct root_info root = {.organisation = sample_uuid(0x70),
				 .name = "Beispiel GmbH",
				 .version = version,
				 .created_ms = T0,
				 .expires_ms = T0 + 10 * YEAR,
				 .n_roles = 2};

	memcpy(root.roles[0].role, ROLE_ROOT, sizeof(ROLE_ROOT));
	root.roles[0].threshold = threshold;
	for (size_t i = 0; i < N_KEYS; i++) {
		if (bits & 1u << i)
			assert_int_equal(role_keys_add(&root.roles[0], f->keys[i], NULL), 0);
	}
	root.roles[1] = f->role;
	return root;
}

static void sign_root(struct fixture *f, const struct root_info *root, unsigned bits,
		      struct buf *out)
{
	const struct crypto_key *keys[N_KEYS];
	Envwarden__Bundle__Body *body;
	size_t n = 0;

	for (size_t i = 0; i < N_KEYS; i++) {
		if (bits & 1u << i)
			keys[n++] = f->keys[i];
	}
	assert_int_equal(root_to_body(root, &f->arena, &body), 0);
	buf_init(out, SIGNED_MAX);
	assert_int_equal(signed_make(body, keys, n, out, NULL), 0);
	arena_reset(&f->arena);
}

static void test_root_first(void **state)
{
	struct fixture *f = *state;
	struct root_info root = sample_root(f, 1, 0x3, 2);
	struct root_info out;
	struct buf b;

	sign_root(f, &root, 0x1, &b);
	assert_int_equal(root_first(b.data, b.len, &out, NULL), ERR_VERIFY);
	buf_deinit(&b);
	sign_root(f, &root, 0x3, &b);
	assert_int_equal(root_first(b.data, b.len, &out, NULL), 0);
	buf_deinit(&b);
	assert_int_equal(uuid_cmp(&out.organisation, &root.organisation), 0);
	assert_string_equal(out.name, root.name);
	assert_true(out.version == 1 && out.expires_ms == root.expires_ms);
	assert_int_equal(out.n_roles, 2);
	assert_int_equal(root_role(&out, ROLE_STATUS)->threshold, 2);
	assert_int_equal(root_role(&out, ROLE_STATUS)->n_keys, 3);
	assert_memory_equal(root_role(&out, ROLE_STATUS)->keys[2].id, f->role.keys[2].id, 32);
	assert_null(root_role(&out, ROLE_POLICY));
	assert_int_equal(root_current(&out, T0, NULL), 0);
	assert_int_equal(root_current(&out, T0 + 10 * YEAR, NULL), ERR_EXPIRED);
}

/* From version 4 with key 0 (threshold 1) to roots with keys 1 and 2 (threshold 2). */
static void test_root_step(void **state)
{
	static const struct {
		uint64_t version;
		unsigned signers;
		int rc;
	} table[] = {
		{5, 0x7, 0},	       {5, 0xf, 0},
		{5, 0x6, ERR_VERIFY}, /* not by the old root */
		{5, 0x1, ERR_VERIFY}, /* not by the new one */
		{5, 0x3, ERR_VERIFY}, /* by too few of the new one */
		{4, 0x7, ERR_STALE},   {3, 0x7, ERR_STALE},
		{6, 0x7, ERR_INVALID}, /* left one out */
	};
	struct fixture *f = *state;
	struct root_info held = sample_root(f, 4, 0x1, 1);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct root_info next = sample_root(f, table[i].version, 0x6, 2);
		struct root_info out = {.version = 99};
		struct err err = ERR_INIT;
		struct buf b;
		int rc;

		sign_root(f, &next, table[i].signers, &b);
		rc = root_step(&held, b.data, b.len, &out, &err);
		if (rc != table[i].rc)
			fail_msg("line %zu: %s %s", i, err_name(rc), err.text);
		assert_true(out.version == (rc == 0 ? table[i].version : 99));
		buf_deinit(&b);
	}
}

static void test_root_other_organisation(void **state)
{
	struct fixture *f = *state;
	struct root_info held = sample_root(f, 4, 0x1, 1);
	struct root_info next = sample_root(f, 5, 0x1, 1);
	struct buf b;

	next.organisation = sample_uuid(0x71);
	sign_root(f, &next, 0x1, &b);
	assert_int_equal(root_step(&held, b.data, b.len, &held, NULL), ERR_INVALID);
	assert_true(held.version == 4);
	buf_deinit(&b);
	next.organisation = held.organisation;
	sign_root(f, &next, 0x1, &b);
	assert_int_equal(root_step(&held, b.data, b.len, &held, NULL), 0); /* out may be held */
	assert_true(held.version == 5);
	buf_deinit(&b);
}

/* What a root may not say, however well it is signed. */
static void test_bad_roots(void **state)
{
	struct fixture *f = *state;
	enum {
		THRESHOLD_0,
		THRESHOLD_MANY,
		NO_ROOT,
		TWICE,
		SAME_KEY,
		BAD_KEY,
		NO_NAME,
		N
	};

	for (int i = 0; i < N; i++) {
		struct root_info root = sample_root(f, 1, 0x1, 1);
		struct role_keys *status = &root.roles[1];
		Envwarden__Bundle__Body *body;
		struct root_info out;
		struct err err = ERR_INIT;

		if (i == THRESHOLD_0)
			status->threshold = 0;
		if (i == THRESHOLD_MANY)
			status->threshold = 4;
		if (i == NO_ROOT)
			memcpy(root.roles[0].role, "boot", 5);
		if (i == TWICE)
			memcpy(status->role, ROLE_ROOT, 5);
		if (i == SAME_KEY)
			status->keys[1] = status->keys[0];
		if (i == BAD_KEY)
			status->keys[1].spki[30] ^= 1;
		if (i == NO_NAME)
			status->role[0] = '\0';
		assert_int_equal(root_to_body(&root, &f->arena, &body), 0);
		if (root_from_body(body, &out, &err) != ERR_INVALID)
			fail_msg("case %d: %s", i, err.text);
		arena_reset(&f->arena);
	}
}

static void test_large_roots(void **state)
{
	static const unsigned char zeros[LIMIT_SMALL_SIGNED + 1];
	struct fixture *f = *state;
	struct root_info root = sample_root(f, 1, 0x1, 1);

	assert_int_equal(root_first(zeros, sizeof(zeros), &root, NULL), ERR_LIMIT);
	assert_int_equal(root_step(&root, zeros, sizeof(zeros), &root, NULL), ERR_LIMIT);
}

/* A root's keys under a body that is something else. */
static void test_root_of_other_contents(void **state)
{
	struct fixture *f = *state;
	Envwarden__Bundle__Body body;
	Envwarden__Bundle__Status status;
	struct root_info out;

	fill_status(&body, &status);
	body.role = wire_text(ROLE_ROOT);
	assert_int_equal(root_from_body(&body, &out, NULL), ERR_INVALID);
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT__NOT_SET;
	assert_int_equal(root_from_body(&body, &out, NULL), ERR_INVALID);
	(void)f;
}

static void test_keys_have_an_end(void **state)
{
	struct role_keys role = {.role = ROLE_STATUS};
	struct fixture *f = *state;

	for (role.n_keys = 0; role.n_keys < LIMIT_ROLE_KEYS; role.n_keys++)
		role.keys[role.n_keys].id[0] = (unsigned char)(role.n_keys + 1);
	assert_int_equal(role_keys_add(&role, f->keys[0], NULL), ERR_LIMIT);
	assert_int_equal(role.n_keys, LIMIT_ROLE_KEYS);
}

/* --- golden files: made by other means, to verify for ever -------------------------------------
 */

static void test_golden(void **state)
{
	struct fixture *f = *state;
	struct root_info root;
	struct signed_check check = {.min_version = 3, .now_ms = T0};
	Envwarden__Bundle__Body *body;
	struct buf b;

	golden_read("signed_root_1", &b);
	assert_int_equal(root_first(b.data, b.len, &root, NULL), 0);
	buf_deinit(&b);
	assert_string_equal(root.name, "Beispiel GmbH");
	check.keys = root_role(&root, ROLE_STATUS);
	assert_non_null(check.keys);
	golden_read("signed_status", &b);
	assert_int_equal(signed_verify(b.data, b.len, &check, &f->arena, &body, NULL), 0);
	assert_true(body->version == 3 && body->status->logging);
	assert_int_equal(body->status->n_statuses, 1);
	assert_int_equal(body->status->statuses[0]->action, ENVWARDEN__ACTION__ACTION_BLOCK);
	buf_deinit(&b);
	golden_read("signed_root_2", &b);
	assert_int_equal(root_step(&root, b.data, b.len, &root, NULL), 0);
	assert_true(root.version == 2);
	assert_int_equal(root_role(&root, ROLE_ROOT)->threshold, 2);
	buf_deinit(&b);
}

/* --- failing memory ----------------------------------------------------------------------------
 */

static int once(void *ctx)
{
	struct fixture *f = ctx;
	struct signed_check check = {.keys = &f->role, .now_ms = T0};
	Envwarden__Bundle__Body *body;
	struct arena arena;
	struct buf b;
	int rc = make(f, 0x3, &b);

	arena_init(&arena, LIMIT_ROOT_MEMORY);
	if (rc == 0)
		rc = signed_verify(b.data, b.len, &check, &arena, &body, NULL);
	arena_deinit(&arena);
	buf_deinit(&b);
	return rc;
}

static void test_no_memory(void **state)
{
	fault_each_alloc(once, *state, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_repeated_key),
		cmocka_unit_test(test_borrowed_id),
		cmocka_unit_test(test_tampered),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_other_role),
		cmocka_unit_test(test_make_refuses),
		cmocka_unit_test(test_root_first),
		cmocka_unit_test(test_root_step),
		cmocka_unit_test(test_root_other_organisation),
		cmocka_unit_test(test_bodies_of_no_tool),
		cmocka_unit_test(test_large_roots),
		cmocka_unit_test(test_root_of_other_contents),
		cmocka_unit_test(test_keys_have_an_end),
		cmocka_unit_test(test_bad_roots),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
