/*
 * Attacks on signed state, each named after what it is. Whoever attacks may read and replace all
 * bytes, keep old ones, and in some rows has stolen one role's key. Refused means: the reason is
 * told, nothing is written, and what was held is what the next genuine set is taken over.
 */
#include "agent/core/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/trusted_time.h"
#include "lib/base/mem.h"
#include "proto/convert.h"

#define T0 INT64_C(1795000000000)
#define DAY INT64_C(86400000)
#define BLOBS_MAX 2048

/* Keys of the organisation by enum trust_role, its second ones, and one of nobody. */
#define KEYS (2 * TRUST_ROLES + 1)
#define SECOND(role) (TRUST_ROLES + (role))
#define NOBODY (2 * TRUST_ROLES)

static const struct uuid ours = {{1}};
static const struct uuid another = {{2}};
static const struct uuid blocked = {{3}};

struct org {
	struct crypto_key *keys[KEYS];
	struct arena arena;
	struct buf blobs[BLOBS_MAX];
	size_t n_blobs;
	struct root_info root;
	struct trust_blob root_blob;
	struct trust held; /* timestamp 5, policy 3, status 7, which blocks an environment */
	struct trust_candidate first;
};

/* --- making signed things, genuine and forged --- */

static struct buf *new_blob(struct org *org)
{
	struct buf *out = &org->blobs[org->n_blobs++];

	assert_true(org->n_blobs <= BLOBS_MAX);
	buf_init(out, 2 * LIMIT_BUNDLE);
	return out;
}

static struct trust_blob blob_of(const struct buf *buf)
{
	return (struct trust_blob){buf->data, buf->len};
}

/* One bundle: what its body says and whose keys signed it. */
struct piece {
	uint64_t version; /* 0 = none is made */
	const char *role;
	int content; /* of the body */
	const struct uuid *machine;
	int64_t created_ms;
	int64_t expires_ms;
	int keys[3];
	size_t n_keys;
};

/* A set: the pieces by role, and what the timestamp says of them. */
struct forge {
	struct piece pieces[TRUST_ROLES];
	uint64_t named[TRUST_ROLES]; /* the version told, 0 = as it is */
	bool wrong_hash[TRUST_ROLES];
	bool twice;			     /* the status is named twice */
	bool left_unnamed;		     /* the root */
	struct trust_blob made[TRUST_ROLES]; /* instead of the piece */
	bool left_out[TRUST_ROLES];	     /* named, not delivered */
};

static const int contents[TRUST_ROLES] = {
	[TRUST_POLICY] = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY,
	[TRUST_STATUS] = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS,
	[TRUST_TIMESTAMP] = ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP,
};

static struct forge genuine(uint64_t timestamp, uint64_t policy, uint64_t status)
{
	const uint64_t versions[TRUST_ROLES] = {
		[TRUST_POLICY] = policy, [TRUST_STATUS] = status, [TRUST_TIMESTAMP] = timestamp};
	struct forge forge = {.named = {[TRUST_ROOT] = 1}};

	for (int i = 0; i < TRUST_ROLES; i++)
		forge.pieces[i] = (struct piece){
			.version = versions[i],
			.role = trust_role_name((enum trust_role)i),
			.content = contents[i],
			.machine = &ours,
			.created_ms = T0 + (int64_t)timestamp,
			.expires_ms = T0 + (i == TRUST_TIMESTAMP ? DAY : 365 * DAY),
			.keys = {i},
			.n_keys = 1,
		};
	return forge;
}

static size_t keys_of(const struct org *org, const struct piece *piece,
		      const struct crypto_key *out[3])
{
	for (size_t i = 0; i < piece->n_keys; i++)
		out[i] = org->keys[piece->keys[i]];
	return piece->n_keys;
}

static void begin_body(Envwarden__Bundle__Body *body, const struct piece *piece)
{
	envwarden__bundle__body__init(body);
	body->role = wire_text(piece->role);
	body->version = piece->version;
	body->created_ms = piece->created_ms;
	body->expires_ms = piece->expires_ms;
	body->content_case = (Envwarden__Bundle__Body__ContentCase)piece->content;
}

static struct trust_blob sign(struct org *org, const Envwarden__Bundle__Body *body,
			      const struct piece *piece)
{
	const struct crypto_key *keys[3];
	size_t n = keys_of(org, piece, keys);
	struct buf *out = new_blob(org);
	struct err err = ERR_INIT;

	if (signed_make(body, keys, n, out, &err) < 0)
		fail_msg("%s", err.text);
	return blob_of(out);
}

/* A status or a policy body, under whatever role the piece claims. */
static struct trust_blob sign_piece(struct org *org, const struct piece *piece)
{
	Envwarden__Bundle__Body body;
	Envwarden__Bundle__Status status;
	Envwarden__Bundle__Policy policy;
	Envwarden__Bundle__EnvironmentStatus entry;
	Envwarden__Bundle__EnvironmentStatus *list[] = {&entry};

	begin_body(&body, piece);
	if (piece->content == ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS) {
		envwarden__bundle__status__init(&status);
		envwarden__bundle__environment_status__init(&entry);
		entry.environment = wire_uuid(&blocked);
		entry.action = action_to_wire(ACTION_BLOCK);
		status.machine = wire_uuid(piece->machine);
		status.statuses = list;
		status.n_statuses = 1;
		body.status = &status;
	} else if (piece->content == ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY) {
		envwarden__bundle__policy__init(&policy);
		policy.when_agent_down = wire_text("block");
		body.policy = &policy;
	}
	return sign(org, &body, piece);
}

/* Bytes under a good signature that no tool of ours would have packed. */
static struct trust_blob sign_raw(struct org *org, enum trust_role role, const void *body, size_t n)
{
	static const char domain[] = "envwarden-v1";
	Envwarden__Bundle__Signed wire = ENVWARDEN__BUNDLE__SIGNED__INIT;
	Envwarden__Bundle__Signature signature = ENVWARDEN__BUNDLE__SIGNATURE__INIT;
	Envwarden__Bundle__Signature *list[] = {&signature};
	unsigned char bytes[CRYPTO_SIG_MAX];
	unsigned char id[SHA256_SIZE];
	struct buf *out = new_blob(org);
	struct buf message;
	size_t bytes_n;
	const char *name = trust_role_name(role);

	buf_init(&message, LIMIT_BUNDLE + 64);
	buf_add(&message, domain, sizeof(domain));
	buf_add(&message, name, strlen(name) + 1);
	buf_add_lp(&message, body, n);
	assert_int_equal(buf_rc(&message), 0);
	assert_int_equal(crypto_key_id(org->keys[role], id, NULL), 0);
	assert_int_equal(crypto_sign(org->keys[role], message.data, message.len, bytes,
				     sizeof(bytes), &bytes_n, NULL),
			 0);
	buf_deinit(&message);
	signature.key_id = wire_bytes(id, sizeof(id));
	signature.signature = wire_bytes(bytes, bytes_n);
	wire.role = wire_text(name);
	wire.body = wire_bytes(body, n);
	wire.signatures = list;
	wire.n_signatures = 1;
	assert_int_equal(codec_pack_signed(&wire, out, NULL), 0);
	return blob_of(out);
}

static void name_role(Envwarden__Bundle__Held *held, const struct forge *forge, int role,
		      const struct trust_blob *blob, unsigned char hash[SHA256_SIZE])
{
	envwarden__bundle__held__init(held);
	held->role = wire_text(trust_role_name((enum trust_role)role));
	held->version = forge->named[role] ? forge->named[role] : forge->pieces[role].version;
	sha256(blob->data, blob->n, hash);
	hash[0] ^= forge->wrong_hash[role];
	held->hash = wire_bytes(hash, SHA256_SIZE);
}

static struct trust_blob sign_timestamp(struct org *org, const struct forge *forge,
					const struct trust_blob bundles[TRUST_ROLES])
{
	const struct piece *piece = &forge->pieces[TRUST_TIMESTAMP];
	unsigned char hashes[TRUST_ROLES][SHA256_SIZE];
	Envwarden__Bundle__Held held[TRUST_ROLES];
	Envwarden__Bundle__Held *list[TRUST_ROLES + 1];
	Envwarden__Bundle__Timestamp timestamp;
	Envwarden__Bundle__Body body;

	begin_body(&body, piece);
	envwarden__bundle__timestamp__init(&timestamp);
	timestamp.machine = wire_uuid(piece->machine);
	timestamp.roles = list;
	for (int i = 0; i < TRUST_TIMESTAMP; i++) {
		if (bundles[i].n == 0 || (i == TRUST_ROOT && forge->left_unnamed))
			continue;
		name_role(&held[i], forge, i, &bundles[i], hashes[i]);
		list[timestamp.n_roles++] = &held[i];
	}
	if (forge->twice)
		list[timestamp.n_roles++] = &held[TRUST_STATUS];
	if (body.content_case == ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP)
		body.timestamp = &timestamp;
	return sign(org, &body, piece);
}

static struct trust_candidate make(struct org *org, const struct forge *forge)
{
	struct trust_candidate c = {.now_ms = T0};

	c.bundles[TRUST_ROOT] = org->root_blob;
	for (int i = TRUST_POLICY; i < TRUST_TIMESTAMP; i++) {
		if (forge->made[i].n > 0)
			c.bundles[i] = forge->made[i];
		else if (forge->pieces[i].version > 0)
			c.bundles[i] = sign_piece(org, &forge->pieces[i]);
	}
	c.timestamp = sign_timestamp(org, forge, c.bundles);
	for (int i = 0; i < TRUST_TIMESTAMP; i++) {
		if (forge->left_out[i])
			c.bundles[i] = (struct trust_blob){0};
	}
	return c;
}

/* --- the organisation --- */

static struct trust_blob sign_root(struct org *org, const struct root_info *root,
				   const struct piece *by)
{
	Envwarden__Bundle__Body *body;

	assert_int_equal(root_to_body(root, &org->arena, &body), 0);
	return sign(org, body, by);
}

static const struct piece by_root = {.keys = {TRUST_ROOT}, .n_keys = 1};

/* Begins with root 1 as it stands in org, and takes the first set. */
static void begin(struct org *org)
{
	struct forge first = genuine(5, 3, 7);
	struct trust_accepted a;
	struct err err = ERR_INIT;

	org->root_blob = sign_root(org, &org->root, &by_root);
	assert_int_equal(trust_begin(&ours, &org->root_blob, 1, &org->held, NULL), 0);
	if (org->root.roles[TRUST_POLICY].threshold == 2) {
		first.pieces[TRUST_POLICY].keys[1] = SECOND(TRUST_POLICY);
		first.pieces[TRUST_POLICY].n_keys = 2;
	}
	org->first = make(org, &first);
	if (trust_accept(&org->held, &org->first, &org->arena, &a, &err) < 0)
		fail_msg("%s", err.text);
	org->held = a.trust;
}

/* Made once: they are no part of what a test changes. */
static struct crypto_key *keys_made[KEYS];

static int make_keys(void **state)
{
	int rc = 0;

	(void)state;
	for (size_t i = 0; rc == 0 && i < KEYS; i++)
		rc = crypto_key_new(&keys_made[i], NULL);
	return rc;
}

static int free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++)
		crypto_key_free(keys_made[i]);
	return 0;
}

static int setup(void **state)
{
	struct org *org = mem_calloc(1, sizeof(*org));

	assert_non_null(org);
	arena_init(&org->arena, 512U << 20);
	memcpy(org->keys, keys_made, sizeof(keys_made));
	org->root = (struct root_info){.organisation = {{9}},
				       .name = "Example",
				       .version = 1,
				       .created_ms = T0,
				       .expires_ms = T0 + 3650 * DAY,
				       .n_roles = TRUST_ROLES};
	for (int i = 0; i < TRUST_ROLES; i++) {
		struct role_keys *keys = &org->root.roles[i];
		const char *name = trust_role_name((enum trust_role)i);

		memcpy(keys->role, name, strlen(name));
		keys->threshold = 1;
		assert_int_equal(role_keys_add(keys, org->keys[i], NULL), 0);
	}
	begin(org);
	*state = org;
	return 0;
}

static int teardown(void **state)
{
	struct org *org = *state;

	for (size_t i = 0; i < org->n_blobs; i++)
		buf_deinit(&org->blobs[i]);
	arena_deinit(&org->arena);
	mem_free(org);
	return 0;
}

/* --- outcomes --- */

static void refused(struct org *org, const struct trust_candidate *c, int want, const char *attack)
{
	struct trust_accepted a = {.trust = {.created_ms = 77}};
	struct err err = ERR_INIT;
	int rc = trust_accept(&org->held, c, &org->arena, &a, &err);

	if (want != 0 ? rc != want : rc >= 0)
		fail_msg("%s: %d (%s), not %d", attack, rc, err.text, want);
	if (err.text[0] == '\0' || a.trust.created_ms != 77)
		fail_msg("%s: refused without a reason, or half taken", attack);
}

static void taken(struct org *org, const struct trust_candidate *c, const char *what)
{
	struct trust_accepted a;
	struct err err = ERR_INIT;

	if (trust_accept(&org->held, c, &org->arena, &a, &err) < 0)
		fail_msg("%s: %s", what, err.text);
}

/* --- attacks by a set; NEXT is the genuine one after what is held --- */

#define NEXT(f) struct forge f = genuine(6, 4, 8)

/* Forges a set from the next genuine one: `change` in the words of `f`. */
#define ATTACK(name, want, change)                                                                 \
	static void name(void **state)                                                             \
	{                                                                                          \
		struct org *org = *state;                                                          \
		NEXT(f);                                                                           \
		NEXT(untouched);                                                                   \
		struct trust_candidate c;                                                          \
		change;                                                                            \
		c = make(org, &f);                                                                 \
		refused(org, &c, want, #name);                                                     \
		c = make(org, &untouched);                                                         \
		taken(org, &c, "the genuine set after " #name);                                    \
	}

ATTACK(rollback_of_the_timestamp, ERR_STALE, f.pieces[TRUST_TIMESTAMP].version = 4)
ATTACK(rollback_of_the_status, ERR_STALE, f.pieces[TRUST_STATUS].version = 6)
ATTACK(rollback_of_the_policy, ERR_STALE, f.pieces[TRUST_POLICY].version = 2)
ATTACK(rollback_of_the_root, ERR_INVALID, f.pieces[TRUST_ROOT].version = 0; f.named[TRUST_ROOT] = 0)
ATTACK(policy_dropped_from_the_set, ERR_STALE, f.pieces[TRUST_POLICY].version = 0)
ATTACK(status_dropped_from_the_set, ERR_STALE, f.pieces[TRUST_STATUS].version = 0)
ATTACK(old_status_under_a_new_number, ERR_STALE, f.pieces[TRUST_STATUS].version = 6;
       f.named[TRUST_STATUS] = 8)
ATTACK(old_policy_under_a_new_number, ERR_STALE, f.pieces[TRUST_POLICY].version = 2;
       f.named[TRUST_POLICY] = 4)
ATTACK(later_status_under_a_number_before, ERR_VERIFY, f.pieces[TRUST_STATUS].version = 9;
       f.named[TRUST_STATUS] = 8)
ATTACK(new_contents_under_the_number_held, ERR_CONFLICT, f.pieces[TRUST_STATUS].version = 7;
       f.wrong_hash[TRUST_STATUS] = true)
ATTACK(mix_and_match_of_status, ERR_VERIFY, f.wrong_hash[TRUST_STATUS] = true)
ATTACK(mix_and_match_of_policy, ERR_VERIFY, f.wrong_hash[TRUST_POLICY] = true)
ATTACK(status_withheld, ERR_NOTFOUND, f.left_out[TRUST_STATUS] = true)
ATTACK(policy_withheld, ERR_NOTFOUND, f.left_out[TRUST_POLICY] = true)
ATTACK(status_named_twice, ERR_INVALID, f.twice = true)
ATTACK(anothers_status, ERR_CONFLICT, f.pieces[TRUST_STATUS].machine = &another)
ATTACK(anothers_timestamp, ERR_CONFLICT, f.pieces[TRUST_TIMESTAMP].machine = &another)
ATTACK(status_signed_as_policy, ERR_INVALID,
       f.pieces[TRUST_POLICY].content = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS)
ATTACK(policy_signed_as_status, ERR_INVALID,
       f.pieces[TRUST_STATUS].content = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY)
ATTACK(nothing_signed_as_policy, ERR_INVALID, f.pieces[TRUST_POLICY].content = 0)
ATTACK(nothing_signed_as_timestamp, ERR_INVALID, f.pieces[TRUST_TIMESTAMP].content = 0)
ATTACK(status_signed_as_advisories, ERR_INVALID, f.pieces[TRUST_ADVISORIES].version = 1;
       f.pieces[TRUST_ADVISORIES].content = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS)
ATTACK(whole_status_bundle_given_as_policy, ERR_INVALID,
       f.made[TRUST_POLICY] = sign_piece(org, &f.pieces[TRUST_STATUS]))
ATTACK(whole_policy_bundle_given_as_status, ERR_INVALID,
       f.made[TRUST_STATUS] = sign_piece(org, &f.pieces[TRUST_POLICY]))
ATTACK(policy_by_the_status_key, ERR_VERIFY, f.pieces[TRUST_POLICY].keys[0] = TRUST_STATUS)
ATTACK(status_by_the_timestamp_key, ERR_VERIFY, f.pieces[TRUST_STATUS].keys[0] = TRUST_TIMESTAMP)
ATTACK(timestamp_by_the_root_key, ERR_VERIFY, f.pieces[TRUST_TIMESTAMP].keys[0] = TRUST_ROOT)
ATTACK(status_by_a_key_of_nobody, ERR_VERIFY, f.pieces[TRUST_STATUS].keys[0] = NOBODY)
ATTACK(policy_unsigned, ERR_VERIFY, f.pieces[TRUST_POLICY].n_keys = 0)
ATTACK(timestamp_unsigned, ERR_VERIFY, f.pieces[TRUST_TIMESTAMP].n_keys = 0)
ATTACK(expired_status, ERR_EXPIRED, f.pieces[TRUST_STATUS].expires_ms = T0)
ATTACK(expired_policy, ERR_EXPIRED, f.pieces[TRUST_POLICY].expires_ms = T0)
ATTACK(status_of_garbage, ERR_INVALID,
       f.made[TRUST_STATUS] = sign_raw(org, TRUST_STATUS, "\xff\xff\xff\xff", 4))

ATTACK(root_not_named, ERR_STALE, f.left_unnamed = true)

/* Well signed as what it is called, and something else inside. */
static void status_signed_as_timestamp(void **state)
{
	struct org *org = *state;
	NEXT(f);
	struct trust_candidate c = make(org, &f);
	struct piece piece = f.pieces[TRUST_TIMESTAMP];

	piece.content = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS;
	c.timestamp = sign_piece(org, &piece);
	refused(org, &c, ERR_INVALID, "status signed as timestamp");
}

/* The number of the one held over another set. */
static void another_timestamp_under_the_number_held(void **state)
{
	struct org *org = *state;
	struct forge f = genuine(5, 4, 8);
	struct trust_candidate c;

	f.pieces[TRUST_TIMESTAMP].created_ms = T0 + 6;
	c = make(org, &f);
	refused(org, &c, ERR_CONFLICT, "another timestamp under the number held");
}

/* What this version reads nothing of yet goes back no more than the rest. */
static void rollback_of_the_advisories(void **state)
{
	struct org *org = *state;
	struct forge f = genuine(6, 4, 8);
	struct trust_accepted a;
	struct trust_candidate c;

	f.pieces[TRUST_ADVISORIES].version = 5;
	c = make(org, &f);
	assert_int_equal(trust_accept(&org->held, &c, &org->arena, &a, NULL), 0);
	org->held = a.trust;
	f = genuine(7, 4, 8);
	f.made[TRUST_POLICY] = c.bundles[TRUST_POLICY];
	f.made[TRUST_STATUS] = c.bundles[TRUST_STATUS];
	f.pieces[TRUST_ADVISORIES].version = 4;
	c = make(org, &f);
	refused(org, &c, ERR_STALE, "older advisories");
	f.pieces[TRUST_ADVISORIES].version = 0;
	c = make(org, &f);
	refused(org, &c, ERR_STALE, "advisories dropped");
	f.pieces[TRUST_ADVISORIES].version = 5;
	f.wrong_hash[TRUST_ADVISORIES] = true;
	c = make(org, &f);
	refused(org, &c, ERR_CONFLICT, "other advisories under the number held");
}

/* The policy held has expired: fresh timestamps do not keep it going. To the millisecond. */
static void freeze_of_the_policy(void **state)
{
	struct org *org = *state;
	struct forge f = genuine(6, 4, 8);
	struct trust_accepted a;
	struct trust_candidate c;

	f.pieces[TRUST_POLICY].expires_ms = T0 + 1000;
	c = make(org, &f);
	assert_int_equal(trust_accept(&org->held, &c, &org->arena, &a, NULL), 0);
	org->held = a.trust;
	f.pieces[TRUST_TIMESTAMP].version = 7;
	f.made[TRUST_POLICY] = c.bundles[TRUST_POLICY];
	f.made[TRUST_STATUS] = c.bundles[TRUST_STATUS];
	c = make(org, &f);
	c.now_ms = T0 + 999;
	taken(org, &c, "a policy that has a moment left");
	c.now_ms = T0 + 1000;
	refused(org, &c, ERR_EXPIRED, "freeze of the policy");
}

/* A timestamp that was good, and no newer one comes through. */
static void freeze(void **state)
{
	struct org *org = *state;
	struct trust_candidate c = org->first;

	c.now_ms = T0 + DAY;
	refused(org, &c, ERR_EXPIRED, "freeze");
}

/* The newest one again: nothing changes, and it makes nothing fresher. */
static void replayed_timestamp(void **state)
{
	struct org *org = *state;
	struct trust_candidate c = org->first;
	struct trust_accepted a;

	c.now_ms = T0 + DAY / 2;
	assert_int_equal(trust_accept(&org->held, &c, &org->arena, &a, NULL), 0);
	assert_memory_equal(&a.trust, &org->held, sizeof(a.trust));
	for (int i = 0; i < TRUST_ROLES; i++)
		assert_null(a.bodies[i]);
}

/* --- bytes --- */

static struct trust_blob changed(struct org *org, const struct trust_blob *from, size_t n)
{
	struct buf *out = new_blob(org);

	buf_add(out, from->data, n);
	assert_int_equal(buf_rc(out), 0);
	return blob_of(out);
}

/* Ends everything made after the mark, to keep long series small. */
static void forget_from(struct org *org, size_t mark)
{
	while (org->n_blobs > mark)
		buf_deinit(&org->blobs[--org->n_blobs]);
}

static void truncated_timestamp(void **state)
{
	struct org *org = *state;
	NEXT(f);
	struct trust_candidate c = make(org, &f);
	const struct trust_blob whole = c.timestamp;

	for (size_t n = 0; n < whole.n; n++) {
		c.timestamp = changed(org, &whole, n);
		refused(org, &c, 0, "truncated timestamp");
	}
}

/* Whoever cut them also holds the timestamp's key: the hashes are right. */
static void truncated_bundles(void **state)
{
	struct org *org = *state;
	size_t mark;

	for (enum trust_role role = TRUST_POLICY; role < TRUST_TIMESTAMP; role++) {
		NEXT(f);
		struct trust_blob whole;

		if (f.pieces[role].version == 0)
			continue;
		whole = sign_piece(org, &f.pieces[role]);
		mark = org->n_blobs;
		for (size_t n = 1; n < whole.n; n++) {
			struct trust_candidate c;

			f.made[role] = changed(org, &whole, n);
			c = make(org, &f);
			refused(org, &c, 0, "truncated bundle");
			forget_from(org, mark);
		}
	}
}

static void bit_flips(void **state)
{
	struct org *org = *state;
	NEXT(f);
	const struct trust_candidate whole = make(org, &f);
	size_t mark = org->n_blobs;

	for (size_t i = 0; i < whole.timestamp.n; i++) {
		struct trust_candidate c = whole;

		c.timestamp = changed(org, &whole.timestamp, whole.timestamp.n);
		org->blobs[mark].data[i] ^= (char)(1 << i % 8);
		refused(org, &c, 0, "bit flip in the timestamp");
		forget_from(org, mark);
	}
	/* In a bundle whose hash the timestamp's key has vouched for. */
	for (size_t i = 0; i < whole.bundles[TRUST_STATUS].n; i += 3) {
		struct forge bent = f;
		struct trust_candidate c;

		bent.made[TRUST_STATUS] =
			changed(org, &whole.bundles[TRUST_STATUS], whole.bundles[TRUST_STATUS].n);
		org->blobs[mark].data[i] ^= (char)(1 << i % 8);
		c = make(org, &bent);
		refused(org, &c, 0, "bit flip in the status");
		forget_from(org, mark);
	}
}

/* --- size --- */

static void add_field(struct buf *out, unsigned char tag, const void *data, size_t n)
{
	unsigned char head[8] = {tag};
	size_t at = 1;
	size_t left = n;

	for (; left >= 0x80; left >>= 7)
		head[at++] = (unsigned char)(left | 0x80);
	head[at++] = (unsigned char)left;
	buf_add(out, head, at);
	buf_add(out, data, n);
}

/* A well-signed status of more entries than there may be: five bytes each, hundreds in memory. */
static void huge_status(void **state)
{
	static const unsigned char numbers[] = {
		0x10, 8,    0x18, 1,	0x20, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}; /* version, created, expires */
	static const unsigned char entry[18] = {0x0a, 16, 3};
	struct org *org = *state;
	struct trust_candidate c;
	struct buf status;
	struct buf body;
	NEXT(f);

	buf_init(&status, LIMIT_BUNDLE);
	buf_init(&body, LIMIT_BUNDLE);
	add_field(&status, 0x0a, ours.b, UUID_SIZE);
	for (size_t i = 0; i <= LIMIT_STATUSES; i++)
		add_field(&status, 0x1a, entry, sizeof(entry));
	add_field(&body, 0x0a, ROLE_STATUS, strlen(ROLE_STATUS));
	buf_add(&body, numbers, sizeof(numbers));
	add_field(&body, 0x4a, status.data, status.len);
	assert_int_equal(buf_rc(&body), 0);
	f.made[TRUST_STATUS] = sign_raw(org, TRUST_STATUS, body.data, body.len);
	c = make(org, &f);
	refused(org, &c, ERR_LIMIT, "huge status");
	buf_deinit(&status);
	buf_deinit(&body);
}

static void huge_bundle(void **state)
{
	struct org *org = *state;
	struct buf *bytes = new_blob(org);
	struct trust_candidate c;
	NEXT(f);

	assert_non_null(buf_reserve(bytes, LIMIT_BUNDLE + 1));
	memset(bytes->data, 0, LIMIT_BUNDLE + 1);
	bytes->len = LIMIT_BUNDLE + 1;
	f.made[TRUST_STATUS] = blob_of(bytes);
	c = make(org, &f);
	refused(org, &c, ERR_LIMIT, "huge bundle");
}

/* --- thresholds --- */

static void policy_needs_two(struct org *org)
{
	struct role_keys *keys = &org->root.roles[TRUST_POLICY];

	assert_int_equal(role_keys_add(keys, org->keys[SECOND(TRUST_POLICY)], NULL), 0);
	keys->threshold = 2;
	begin(org);
}

static void too_few_signatures(void **state)
{
	static const struct {
		const char *about;
		int keys[3];
		size_t n;
		int want;
	} rows[] = {
		{"one of two", {TRUST_POLICY}, 1, ERR_VERIFY},
		{"the other of two", {SECOND(TRUST_POLICY)}, 1, ERR_VERIFY},
		{"the same key twice", {TRUST_POLICY, TRUST_POLICY}, 2, ERR_VERIFY},
		{"the same key three times",
		 {TRUST_POLICY, TRUST_POLICY, TRUST_POLICY},
		 3,
		 ERR_VERIFY},
		{"one of two and another role's", {TRUST_POLICY, TRUST_STATUS}, 2, ERR_VERIFY},
		{"one of two and nobody's", {NOBODY, TRUST_POLICY}, 2, ERR_VERIFY},
		{"both", {SECOND(TRUST_POLICY), TRUST_POLICY}, 2, 0},
		{"both and nobody's", {NOBODY, SECOND(TRUST_POLICY), TRUST_POLICY}, 3, 0},
	};
	struct org *org = *state;

	policy_needs_two(org);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		NEXT(f);
		struct trust_candidate c;

		memcpy(f.pieces[TRUST_POLICY].keys, rows[i].keys, sizeof(rows[i].keys));
		f.pieces[TRUST_POLICY].n_keys = rows[i].n;
		c = make(org, &f);
		if (rows[i].want == 0)
			taken(org, &c, rows[i].about);
		else
			refused(org, &c, rows[i].want, rows[i].about);
	}
}

/* --- roots --- */

/* Root 2: the root key exchanged for its second one. */
static struct root_info second_root(const struct org *org)
{
	struct root_info next = org->root;
	struct role_keys *keys = &next.roles[TRUST_ROOT];

	next.version = 2;
	keys->n_keys = 0;
	assert_int_equal(role_keys_add(keys, org->keys[SECOND(TRUST_ROOT)], NULL), 0);
	return next;
}

static void roots_forged(void **state)
{
	static const struct {
		const char *about;
		uint64_t version;
		bool foreign;
		int keys[3];
		size_t n;
		int want;
	} rows[] = {
		{"signed by both", 2, false, {TRUST_ROOT, SECOND(TRUST_ROOT)}, 2, 0},
		{"not signed by the old", 2, false, {SECOND(TRUST_ROOT)}, 1, ERR_VERIFY},
		{"not signed by the new", 2, false, {TRUST_ROOT}, 1, ERR_VERIFY},
		{"signed by nobody", 2, false, {NOBODY}, 1, ERR_VERIFY},
		{"one skipped", 3, false, {TRUST_ROOT, SECOND(TRUST_ROOT)}, 2, ERR_INVALID},
		{"another organisation's",
		 2,
		 true,
		 {TRUST_ROOT, SECOND(TRUST_ROOT)},
		 2,
		 ERR_INVALID},
	};
	struct org *org = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct root_info next = second_root(org);
		struct piece by = {.n_keys = rows[i].n};
		struct trust_blob blob;
		struct trust t = {.created_ms = 77};
		struct err err = ERR_INIT;
		int rc;

		memcpy(by.keys, rows[i].keys, sizeof(by.keys));
		next.version = rows[i].version;
		next.organisation.b[0] ^= rows[i].foreign;
		blob = sign_root(org, &next, &by);
		rc = trust_step_roots(&org->held, &blob, 1, &t, &err);
		if (rc != rows[i].want)
			fail_msg("%s: %d %s", rows[i].about, rc, err.text);
		assert_int_equal(rc == 0 ? t.root.version : (uint64_t)t.created_ms,
				 rc == 0 ? 2 : 77);
	}
}

static struct trust step_to(struct org *org, const struct root_info *next)
{
	const struct piece by = {.keys = {TRUST_ROOT, SECOND(TRUST_ROOT)}, .n_keys = 2};
	struct trust t;
	struct err err = ERR_INIT;

	org->root_blob = sign_root(org, next, &by);
	if (trust_step_roots(&org->held, &org->root_blob, 1, &t, &err) < 0)
		fail_msg("%s", err.text);
	return t;
}

static void root_taken_back(void **state)
{
	struct org *org = *state;
	const struct trust_blob first = org->root_blob;
	struct root_info next = second_root(org);
	struct root_info third = next;
	const struct piece old = {.keys = {TRUST_ROOT}, .n_keys = 1};
	struct trust_blob blob;
	struct trust t;

	org->held = step_to(org, &next);
	/* The key that was replaced signs no root any more, the first one included. */
	assert_int_equal(trust_step_roots(&org->held, &first, 1, &t, NULL), ERR_VERIFY);
	third.version = 3;
	blob = sign_root(org, &third, &old);
	assert_int_equal(trust_step_roots(&org->held, &blob, 1, &t, NULL), ERR_VERIFY);
}

/* A key that the new root does not list any more: what it signs is worth nothing. */
static void stolen_status_key_after_rotation(void **state)
{
	struct org *org = *state;
	struct root_info next = second_root(org);
	struct role_keys *keys = &next.roles[TRUST_STATUS];
	struct trust_candidate c;
	NEXT(f);

	keys->n_keys = 0;
	assert_int_equal(role_keys_add(keys, org->keys[SECOND(TRUST_STATUS)], NULL), 0);
	org->held = step_to(org, &next);
	f.named[TRUST_ROOT] = 2;
	c = make(org, &f);
	refused(org, &c, ERR_VERIFY, "stolen status key");
	f.pieces[TRUST_STATUS].keys[0] = SECOND(TRUST_STATUS);
	c = make(org, &f);
	taken(org, &c, "the new status key");
}

/* Under new keys, what the old ones signed is not taken over silently into another set. */
static void old_policy_after_rotation(void **state)
{
	struct org *org = *state;
	struct root_info next = second_root(org);
	struct role_keys *keys = &next.roles[TRUST_POLICY];
	struct trust_candidate c;
	struct trust_accepted a;
	struct trust_names names;
	NEXT(f);

	keys->n_keys = 0;
	assert_int_equal(role_keys_add(keys, org->keys[SECOND(TRUST_POLICY)], NULL), 0);
	org->held = step_to(org, &next);
	f.named[TRUST_ROOT] = 2;
	f.pieces[TRUST_POLICY].version = 3;
	f.made[TRUST_POLICY] = org->first.bundles[TRUST_POLICY];
	c = make(org, &f);
	assert_int_equal(trust_read_timestamp(&org->held, &c.timestamp, T0, &names, NULL), 0);
	assert_true(trust_lacks(&org->held, &names, TRUST_POLICY));
	refused(org, &c, ERR_VERIFY, "the policy held, signed by the old key");
	c.bundles[TRUST_POLICY] = (struct trust_blob){0};
	refused(org, &c, ERR_NOTFOUND, "the policy held, left out");
	f = genuine(6, 4, 8);
	f.named[TRUST_ROOT] = 2;
	f.pieces[TRUST_POLICY].keys[0] = SECOND(TRUST_POLICY);
	c = make(org, &f);
	taken(org, &c, "the policy signed by the new key");
	assert_int_equal(trust_accept(&org->held, &c, &org->arena, &a, NULL), 0);
	assert_false(a.trust.items[TRUST_POLICY].in_doubt);
}

/* What a new root says of a role's keys, and whether what is held has to be signed again. */
static void keys_of_what_is_held(void **state)
{
	static const struct {
		const char *about;
		enum trust_role role;
		bool exchanged, added;
		uint32_t threshold;
		bool in_doubt;
	} rows[] = {
		{"nothing else", TRUST_POLICY, false, false, 1, false},
		{"a key exchanged", TRUST_POLICY, true, false, 1, true},
		{"the threshold raised", TRUST_POLICY, false, true, 2, true},
		{"a key added", TRUST_POLICY, false, true, 1, true},
		{"nothing else", TRUST_STATUS, false, false, 1, false},
		{"a key exchanged", TRUST_STATUS, true, false, 1, true},
		{"the threshold raised", TRUST_STATUS, false, true, 2, true},
	};
	struct org *org = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct root_info next = second_root(org);
		struct role_keys *keys = &next.roles[rows[i].role];
		struct trust t;

		if (rows[i].exchanged)
			keys->n_keys = 0;
		if (rows[i].exchanged || rows[i].added)
			assert_int_equal(role_keys_add(keys, org->keys[SECOND(rows[i].role)], NULL),
					 0);
		keys->threshold = rows[i].threshold;
		t = step_to(org, &next);
		if (t.items[rows[i].role].in_doubt != rows[i].in_doubt)
			fail_msg("%s: %s", trust_role_name(rows[i].role), rows[i].about);
	}
}

/* The same keys, of which one more has to sign now: what one of them signed is no longer enough. */
static void threshold_raised(void **state)
{
	struct org *org = *state;
	struct root_info next;
	struct trust_candidate c;
	NEXT(f);

	assert_int_equal(role_keys_add(&org->root.roles[TRUST_POLICY],
				       org->keys[SECOND(TRUST_POLICY)], NULL),
			 0);
	begin(org);
	next = second_root(org);
	next.roles[TRUST_POLICY].threshold = 2;
	org->held = step_to(org, &next);
	assert_true(org->held.items[TRUST_POLICY].in_doubt);
	f.named[TRUST_ROOT] = 2;
	f.pieces[TRUST_POLICY].version = 3;
	f.made[TRUST_POLICY] = org->first.bundles[TRUST_POLICY];
	c = make(org, &f);
	refused(org, &c, ERR_VERIFY, "the policy held, signed by one of two");
	f = genuine(6, 4, 8);
	f.named[TRUST_ROOT] = 2;
	f.pieces[TRUST_POLICY].keys[1] = SECOND(TRUST_POLICY);
	f.pieces[TRUST_POLICY].n_keys = 2;
	c = make(org, &f);
	taken(org, &c, "a policy signed by both");
}

/* A role that the new root lists no more has no keys, and certainly not the root's. */
static void role_that_is_no_more(void **state)
{
	struct org *org = *state;
	struct root_info next = second_root(org);
	struct trust_candidate c;
	NEXT(f);

	next.roles[TRUST_POLICY] = next.roles[--next.n_roles]; /* the timestamp's takes its place */
	org->held = step_to(org, &next);
	f.named[TRUST_ROOT] = 2;
	c = make(org, &f);
	refused(org, &c, ERR_VERIFY, "policy by the key it had");
	f.pieces[TRUST_POLICY].keys[0] = SECOND(TRUST_ROOT);
	c = make(org, &f);
	refused(org, &c, ERR_VERIFY, "policy by the root's key");
}

static void expired_root(void **state)
{
	struct org *org = *state;
	struct trust_candidate c;
	NEXT(f);

	for (int i = 0; i < TRUST_ROLES; i++)
		f.pieces[i].expires_ms = T0 + 5000 * DAY;
	c = make(org, &f);
	c.now_ms = T0 + 3650 * DAY;
	refused(org, &c, ERR_EXPIRED, "expired root");
}

/* --- clocks --- */

static void clock_forward(void **state)
{
	struct org *org = *state;
	struct trust_candidate c;
	struct trusted_time t;
	NEXT(f);

	trusted_time_init(&t, 0, 1000);
	assert_true(trusted_time_hear(&t, T0, 1000));
	/* Ten years by the wall clock, one second by the one that nobody sets. */
	c = make(org, &f);
	c.now_ms = trusted_time_now(&t, 2000, T0 + 3650 * DAY);
	assert_int_equal(c.now_ms, T0 + 1000);
	taken(org, &c, "a set under a clock set forward");
}

static void clock_back(void **state)
{
	struct org *org = *state;
	struct trust_candidate c = org->first;
	struct trusted_time t;

	trusted_time_init(&t, T0 + DAY, 1000); /* as it was stored */
	c.now_ms = trusted_time_now(&t, 2000, T0 - 365 * DAY);
	assert_true(trusted_time_wall_behind(&t, 2000, T0 - 365 * DAY));
	assert_false(trusted_time_hear(&t, T0 - DAY, 2000));
	refused(org, &c, ERR_EXPIRED, "an expired timestamp under a clock set back");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(rollback_of_the_timestamp),
		TEST(rollback_of_the_status),
		TEST(rollback_of_the_policy),
		TEST(rollback_of_the_root),
		TEST(policy_dropped_from_the_set),
		TEST(status_dropped_from_the_set),
		TEST(old_status_under_a_new_number),
		TEST(old_policy_under_a_new_number),
		TEST(later_status_under_a_number_before),
		TEST(new_contents_under_the_number_held),
		TEST(mix_and_match_of_status),
		TEST(mix_and_match_of_policy),
		TEST(status_withheld),
		TEST(policy_withheld),
		TEST(status_named_twice),
		TEST(anothers_status),
		TEST(anothers_timestamp),
		TEST(status_signed_as_policy),
		TEST(policy_signed_as_status),
		TEST(nothing_signed_as_policy),
		TEST(nothing_signed_as_timestamp),
		TEST(status_signed_as_advisories),
		TEST(whole_status_bundle_given_as_policy),
		TEST(whole_policy_bundle_given_as_status),
		TEST(policy_by_the_status_key),
		TEST(status_by_the_timestamp_key),
		TEST(timestamp_by_the_root_key),
		TEST(status_by_a_key_of_nobody),
		TEST(policy_unsigned),
		TEST(timestamp_unsigned),
		TEST(expired_status),
		TEST(expired_policy),
		TEST(status_of_garbage),
		TEST(root_not_named),
		TEST(status_signed_as_timestamp),
		TEST(another_timestamp_under_the_number_held),
		TEST(rollback_of_the_advisories),
		TEST(freeze_of_the_policy),
		TEST(freeze),
		TEST(replayed_timestamp),
		TEST(truncated_timestamp),
		TEST(truncated_bundles),
		TEST(bit_flips),
		TEST(huge_status),
		TEST(huge_bundle),
		TEST(too_few_signatures),
		TEST(roots_forged),
		TEST(root_taken_back),
		TEST(stolen_status_key_after_rotation),
		TEST(old_policy_after_rotation),
		TEST(keys_of_what_is_held),
		TEST(threshold_raised),
		TEST(role_that_is_no_more),
		TEST(expired_root),
		TEST(clock_forward),
		TEST(clock_back),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
