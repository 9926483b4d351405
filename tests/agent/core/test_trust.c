#include "agent/core/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/convert.h"

#define T0 INT64_C(1795000000000)
#define DAY INT64_C(86400000)
#define BLOBS_MAX 64

static const struct uuid ours = {{1}};
static const struct uuid another = {{2}};

/* An organisation with a key a role (by enum trust_role), a spare one, and everything it signs. */
struct fixture {
	struct crypto_key *keys[TRUST_ROLES + 1];
	struct arena arena;
	struct buf blobs[BLOBS_MAX];
	size_t n_blobs;
	struct root_info root;
	struct trust trust; /* begun with root 1 */
	struct trust_blob root_blob;
};
#define SPARE TRUST_ROLES

static struct trust_blob sign(struct fixture *f, const Envwarden__Bundle__Body *body,
			      const struct crypto_key *const *keys, size_t n)
{
	struct buf *out = &f->blobs[f->n_blobs++];

	assert_true(f->n_blobs <= BLOBS_MAX);
	buf_init(out, 1 << 20);
	assert_int_equal(signed_make(body, keys, n, out, NULL), 0);
	return (struct trust_blob){out->data, out->len};
}

static struct trust_blob sign_root(struct fixture *f, const struct root_info *root)
{
	const struct crypto_key *keys[] = {f->keys[TRUST_ROOT]};
	Envwarden__Bundle__Body *body;

	assert_int_equal(root_to_body(root, &f->arena, &body), 0);
	return sign(f, body, keys, 1);
}

static void begin_body(Envwarden__Bundle__Body *body, enum trust_role role, uint64_t version)
{
	envwarden__bundle__body__init(body);
	body->role = wire_text(trust_role_name(role));
	body->version = version;
	body->created_ms = T0 + (int64_t)version;
	body->expires_ms = T0 + DAY;
}

/* What a set is made of; zero = as it should be. */
struct spec {
	uint64_t timestamp;
	uint64_t root;
	uint64_t policy;
	uint64_t advisories;
	uint64_t status;
	const struct uuid *timestamp_of;
	const struct uuid *status_of;
	int timestamp_key; /* TRUST_ROLES: the spare one */
	int status_key;
	bool wrong_hash;     /* the timestamp's of the status */
	bool other_contents; /* of the status */
	bool no_status;	     /* not given */
	int64_t status_expires_ms;
};

static struct trust_blob make_status(struct fixture *f, const struct spec *spec)
{
	const struct crypto_key *keys[] = {
		f->keys[spec->status_key ? spec->status_key : TRUST_STATUS]};
	Envwarden__Bundle__Body body;
	Envwarden__Bundle__Status status;

	begin_body(&body, TRUST_STATUS, spec->status);
	envwarden__bundle__status__init(&status);
	status.machine = wire_uuid(spec->status_of ? spec->status_of : &ours);
	status.logging = !spec->other_contents;
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS;
	body.status = &status;
	if (spec->status_expires_ms)
		body.expires_ms = spec->status_expires_ms;
	return sign(f, &body, keys, 1);
}

/* Policy and advisories: roles whose contents are not this module's concern. */
static struct trust_blob make_other(struct fixture *f, enum trust_role role, uint64_t version)
{
	const struct crypto_key *keys[] = {f->keys[role]};
	Envwarden__Bundle__Policy policy = ENVWARDEN__BUNDLE__POLICY__INIT;
	Envwarden__Bundle__Body body;

	begin_body(&body, role, version);
	if (role == TRUST_POLICY) {
		body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY;
		body.policy = &policy;
	}
	return sign(f, &body, keys, 1);
}

static void name_role(Envwarden__Bundle__Held *held, enum trust_role role, uint64_t version,
		      const struct trust_blob *blob, unsigned char hash[SHA256_SIZE])
{
	envwarden__bundle__held__init(held);
	held->role = wire_text(trust_role_name(role));
	held->version = version;
	sha256(blob->data, blob->n, hash);
	held->hash = wire_bytes(hash, SHA256_SIZE);
}

static struct trust_blob make_timestamp(struct fixture *f, const struct spec *spec,
					const struct trust_blob bundles[TRUST_ROLES])
{
	const uint64_t versions[TRUST_ROLES] = {spec->root, spec->policy, spec->advisories,
						spec->status};
	const struct crypto_key *keys[] = {
		f->keys[spec->timestamp_key ? spec->timestamp_key : TRUST_TIMESTAMP]};
	unsigned char hashes[TRUST_ROLES][SHA256_SIZE];
	Envwarden__Bundle__Held held[TRUST_ROLES];
	Envwarden__Bundle__Held *roles[TRUST_ROLES];
	Envwarden__Bundle__Timestamp timestamp;
	Envwarden__Bundle__Body body;
	size_t n = 0;

	begin_body(&body, TRUST_TIMESTAMP, spec->timestamp);
	envwarden__bundle__timestamp__init(&timestamp);
	timestamp.machine = wire_uuid(spec->timestamp_of ? spec->timestamp_of : &ours);
	for (int i = 0; i < TRUST_TIMESTAMP; i++) {
		if (versions[i] == 0)
			continue;
		name_role(&held[n], (enum trust_role)i, versions[i], &bundles[i], hashes[n]);
		roles[n] = &held[n];
		n++;
	}
	if (spec->wrong_hash)
		hashes[n - 1][0] ^= 1;
	timestamp.n_roles = n;
	timestamp.roles = roles;
	body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP;
	body.timestamp = &timestamp;
	return sign(f, &body, keys, 1);
}

static struct trust_candidate make_set(struct fixture *f, const struct spec *spec)
{
	struct trust_candidate c = {.now_ms = T0};

	c.bundles[TRUST_ROOT] = f->root_blob;
	if (spec->policy)
		c.bundles[TRUST_POLICY] = make_other(f, TRUST_POLICY, spec->policy);
	if (spec->advisories)
		c.bundles[TRUST_ADVISORIES] = make_other(f, TRUST_ADVISORIES, spec->advisories);
	if (spec->status)
		c.bundles[TRUST_STATUS] = make_status(f, spec);
	c.timestamp = make_timestamp(f, spec, c.bundles);
	if (spec->no_status)
		c.bundles[TRUST_STATUS] = (struct trust_blob){0};
	return c;
}

static int setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof(*f));

	assert_non_null(f);
	arena_init(&f->arena, 1 << 24);
	for (size_t i = 0; i < ARRAY_SIZE(f->keys); i++)
		assert_int_equal(crypto_key_new(&f->keys[i], NULL), 0);
	f->root = (struct root_info){.organisation = {{9}},
				     .name = "Example",
				     .version = 1,
				     .created_ms = T0,
				     .expires_ms = T0 + 3650 * DAY,
				     .n_roles = TRUST_ROLES};
	for (int i = 0; i < TRUST_ROLES; i++) {
		struct role_keys *keys = &f->root.roles[i];

		memcpy(keys->role, trust_role_name((enum trust_role)i),
		       strlen(trust_role_name((enum trust_role)i)));
		keys->threshold = 1;
		assert_int_equal(role_keys_add(keys, f->keys[i], NULL), 0);
	}
	f->root_blob = sign_root(f, &f->root);
	assert_int_equal(trust_begin(&ours, &f->root_blob, 1, &f->trust, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(f->keys); i++)
		crypto_key_free(f->keys[i]);
	for (size_t i = 0; i < f->n_blobs; i++)
		buf_deinit(&f->blobs[i]);
	arena_deinit(&f->arena);
	mem_free(f);
	return 0;
}

#define FIRST                                                                                      \
	{                                                                                          \
		.timestamp = 5, .root = 1, .policy = 3, .status = 7                                \
	}

static struct trust accept_first(struct fixture *f)
{
	const struct spec first = FIRST;
	struct trust_candidate c = make_set(f, &first);
	struct trust_accepted a;
	struct err err = ERR_INIT;

	if (trust_accept(&f->trust, &c, &f->arena, &a, &err) < 0)
		fail_msg("%s", err.text);
	return a.trust;
}

static void a_set_is_taken(void **state)
{
	struct fixture *f = *state;
	const struct spec first = FIRST;
	struct trust_candidate c = make_set(f, &first);
	struct trust_names names;
	struct trust_accepted a;

	assert_int_equal(trust_read_timestamp(&f->trust, &c.timestamp, T0, &names, NULL), 0);
	assert_false(trust_lacks(&f->trust, &names, TRUST_ROOT));
	assert_true(trust_lacks(&f->trust, &names, TRUST_POLICY));
	assert_false(trust_lacks(&f->trust, &names, TRUST_ADVISORIES));
	assert_true(trust_lacks(&f->trust, &names, TRUST_STATUS));
	assert_int_equal(trust_accept(&f->trust, &c, &f->arena, &a, NULL), 0);
	assert_int_equal(a.trust.items[TRUST_STATUS].version, 7);
	assert_int_equal(a.trust.items[TRUST_TIMESTAMP].version, 5);
	assert_int_equal(a.trust.items[TRUST_ADVISORIES].version, 0);
	assert_int_equal(a.trust.created_ms, T0 + 5);
	assert_true(a.bodies[TRUST_STATUS]->status->logging);
	assert_null(a.bodies[TRUST_ADVISORIES]);
	/* The same again needs nothing but the timestamp. */
	assert_false(trust_lacks(&a.trust, &names, TRUST_STATUS));
	memset(c.bundles, 0, sizeof(c.bundles));
	assert_int_equal(trust_accept(&a.trust, &c, &f->arena, &a, NULL), 0);
	assert_null(a.bodies[TRUST_STATUS]);
}

/* After the first set, another comes. */
static void sets_are_taken_or_refused(void **state)
{
	static const struct {
		const char *about;
		struct spec spec;
		int64_t later_ms;
		int want;
	} rows[] = {
		{"newer", {.timestamp = 6, .root = 1, .policy = 4, .status = 8}, 0, 0},
		{"one more role",
		 {.timestamp = 6, .root = 1, .policy = 4, .advisories = 1, .status = 8},
		 0,
		 0},
		{"older timestamp",
		 {.timestamp = 4, .root = 1, .policy = 4, .status = 8},
		 0,
		 ERR_STALE},
		{"older status",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 6},
		 0,
		 ERR_STALE},
		{"policy dropped", {.timestamp = 6, .root = 1, .status = 8}, 0, ERR_STALE},
		{"root dropped", {.timestamp = 6, .policy = 4, .status = 8}, 0, ERR_STALE},
		{"same version, other contents",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 7, .other_contents = true},
		 0,
		 ERR_CONFLICT},
		{"hash is another",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .wrong_hash = true},
		 0,
		 ERR_VERIFY},
		{"status by another key",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .status_key = SPARE},
		 0,
		 ERR_VERIFY},
		{"status by another role's key",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .status_key = TRUST_POLICY},
		 0,
		 ERR_VERIFY},
		{"timestamp by another key",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .timestamp_key = SPARE},
		 0,
		 ERR_VERIFY},
		{"another machine's status",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .status_of = &another},
		 0,
		 ERR_CONFLICT},
		{"another machine's timestamp",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .timestamp_of = &another},
		 0,
		 ERR_CONFLICT},
		{"status expired",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .status_expires_ms = T0},
		 0,
		 ERR_EXPIRED},
		{"timestamp expired",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8},
		 DAY,
		 ERR_EXPIRED},
		{"status not given",
		 {.timestamp = 6, .root = 1, .policy = 4, .status = 8, .no_status = true},
		 0,
		 ERR_NOTFOUND},
		{"a root to come",
		 {.timestamp = 6, .root = 2, .policy = 4, .status = 8},
		 0,
		 ERR_NOTFOUND},
	};
	struct fixture *f = *state;
	struct trust held = accept_first(f);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct trust_candidate c = make_set(f, &rows[i].spec);
		struct trust_accepted a = {.trust = {.created_ms = 77}};
		struct err err = ERR_INIT;
		int rc;

		c.now_ms += rows[i].later_ms;
		rc = trust_accept(&held, &c, &f->arena, &a, &err);
		if (rc != rows[i].want)
			fail_msg("%s: %d %s", rows[i].about, rc, err.text);
		/* Refused: nothing is written, and a reason is given. */
		if (rc < 0)
			assert_int_equal(a.trust.created_ms, 77);
		assert_int_equal(rc < 0, err.text[0] != '\0');
		while (f->n_blobs > 4) /* the first set stays */
			buf_deinit(&f->blobs[--f->n_blobs]);
	}
}

static void an_expired_set_is_good_at_start(void **state)
{
	struct fixture *f = *state;
	const struct spec first = FIRST;
	struct trust_candidate c = make_set(f, &first);
	struct trust_accepted a;

	c.now_ms = T0 + 100 * DAY;
	assert_int_equal(trust_accept(&f->trust, &c, &f->arena, &a, NULL), ERR_EXPIRED);
	assert_int_equal(trust_restore(&f->trust, &c, &f->arena, &a, NULL), 0);
	assert_int_equal(a.trust.items[TRUST_STATUS].version, 7);
	/* A held role that has expired since does not get by under a new timestamp. */
	c.now_ms = T0 + DAY;
	assert_int_equal(trust_accept(&a.trust, &c, &f->arena, &a, NULL), ERR_EXPIRED);
}

static void roots_are_stepped_through(void **state)
{
	struct fixture *f = *state;
	struct root_info second = f->root;
	struct root_info third = f->root;
	struct trust_blob roots[3];
	struct trust_blob gap[2];
	struct trust t;

	second.version = 2;
	third.version = 3;
	roots[0] = f->root_blob;
	roots[1] = sign_root(f, &second);
	roots[2] = sign_root(f, &third);
	gap[0] = roots[0];
	gap[1] = roots[2];
	assert_int_equal(trust_begin(&ours, roots, 3, &t, NULL), 0);
	assert_int_equal(t.items[TRUST_ROOT].version, 3);
	assert_int_equal(trust_begin(&ours, gap, 2, &t, NULL), ERR_INVALID);
	assert_int_equal(trust_begin(&ours, NULL, 0, &t, NULL), ERR_NOTFOUND);
	/* Ones held already are passed over. */
	assert_int_equal(trust_step_roots(&f->trust, roots, 3, &t, NULL), 0);
	assert_int_equal(t.root.version, 3);
	assert_int_equal(trust_step_roots(&t, roots, 3, &t, NULL), 0);
	assert_int_equal(t.root.version, 3);
}

static void roles_have_names(void **state)
{
	enum trust_role role;

	(void)state;
	for (int i = 0; i < TRUST_ROLES; i++) {
		assert_int_equal(trust_role_parse(trust_role_name((enum trust_role)i), &role), 0);
		assert_int_equal(role, i);
	}
	assert_int_equal(trust_role_parse("king", &role), ERR_INVALID);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_set_is_taken),
		TEST(sets_are_taken_or_refused),
		TEST(an_expired_set_is_good_at_start),
		TEST(roots_are_stepped_through),
		cmocka_unit_test(roles_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
