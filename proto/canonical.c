#include "proto/canonical.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"

/* --- where bytes go: appended, or hashed at once --------------------------------------------- */

struct sink {
	struct buf *buf; /* NULL = hash */
	struct sha256 hash;
};

static void put(struct sink *s, const void *data, size_t n)
{
	if (s->buf)
		buf_add(s->buf, data, n);
	else if (n > 0)
		sha256_update(&s->hash, data, n);
}

static void put_be(struct sink *s, uint64_t v, size_t n)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(v >> (8 * (n - 1 - i)));
	put(s, bytes, n);
}

static void put_version(struct sink *s)
{
	put_be(s, CANONICAL_VERSION, 1);
}

static void put_u64(struct sink *s, uint64_t v)
{
	put_be(s, v, 8);
}

/* Two's complement, so that -1 is eight times 0xff on every machine. */
static void put_i64(struct sink *s, int64_t v)
{
	put_u64(s, (uint64_t)v);
}

static void put_lp(struct sink *s, const void *data, size_t n)
{
	CHECK(n <= UINT32_MAX);
	put_be(s, n, 4);
	put(s, data, n);
}

static void put_text(struct sink *s, const char *text)
{
	put_lp(s, text, strlen(text));
}

static void put_uuid(struct sink *s, const struct uuid *u)
{
	put_lp(s, u->b, uuid_is_zero(u) ? 0 : sizeof(u->b));
}

/* --- packages -------------------------------------------------------------------------------- */

static void put_identity(struct sink *s, const struct package *p)
{
	put_version(s);
	put_text(s, p->manager);
	put_text(s, p->name);
	put_text(s, p->version);
	put_text(s, p->build);
	put_i64(s, p->build_number);
	put_text(s, p->channel);
	put_text(s, p->subdir);
	if (p->has_sha256)
		put_lp(s, p->sha256, sizeof(p->sha256));
	else
		put_lp(s, p->md5, p->has_md5 ? sizeof(p->md5) : 0);
}

#define ATTRIBUTES_BUILT 2 /* the version with the time it was built at the end */

/* An md5 is part of the identity while there is no sha256, and a mere claim beside one. */
static void put_attributes(struct sink *s, const struct package *p)
{
	put_be(s, p->built_ms != 0 ? ATTRIBUTES_BUILT : CANONICAL_VERSION, 1);
	put_text(s, p->license);
	put_text(s, p->url);
	put_u64(s, p->size);
	put_lp(s, p->md5, p->has_sha256 && p->has_md5 ? sizeof(p->md5) : 0);
	if (p->built_ms != 0)
		put_i64(s, p->built_ms);
}

void package_canonical(struct buf *out, const struct package *p)
{
	struct sink s = {.buf = out};

	put_identity(&s, p);
}

void package_attributes(struct buf *out, const struct package *p)
{
	struct sink s = {.buf = out};

	put_attributes(&s, p);
}

static void key_of(struct sink *s, unsigned char key[PACKAGE_KEY_SIZE])
{
	unsigned char hash[SHA256_SIZE];

	sha256_final(&s->hash, hash);
	memcpy(key, hash, PACKAGE_KEY_SIZE);
}

void package_key(const struct package *p, unsigned char key[PACKAGE_KEY_SIZE])
{
	struct sink s = {0};

	sha256_init(&s.hash);
	put_identity(&s, p);
	key_of(&s, key);
}

/* The bytes an lp() stands for, counted first so that they can be hashed as they are made. */
static size_t identity_size(const struct package *p)
{
	size_t hash = p->has_sha256 ? sizeof(p->sha256) : p->has_md5 ? sizeof(p->md5) : 0;

	return 1 + 7 * 4 + 8 + strlen(p->manager) + strlen(p->name) + strlen(p->version) +
	       strlen(p->build) + strlen(p->channel) + strlen(p->subdir) + hash;
}

static size_t attributes_size(const struct package *p)
{
	size_t md5 = p->has_sha256 && p->has_md5 ? sizeof(p->md5) : 0;

	size_t built = p->built_ms != 0 ? 8 : 0;

	return 1 + 3 * 4 + 8 + strlen(p->license) + strlen(p->url) + md5 + built;
}

void package_def_key(const struct package *p, unsigned char key[PACKAGE_KEY_SIZE])
{
	struct sink s = {0};

	sha256_init(&s.hash);
	put_be(&s, identity_size(p), 4);
	put_identity(&s, p);
	put_be(&s, attributes_size(p), 4);
	put_attributes(&s, p);
	key_of(&s, key);
}

/* --- digests --------------------------------------------------------------------------------- */

void snapshot_digest(const struct package_list *sorted, unsigned char out[SHA256_SIZE])
{
	struct sink s = {0};

	sha256_init(&s.hash);
	put_version(&s);
	put_u64(&s, sorted->n);
	for (size_t i = 0; i < sorted->n; i++) {
		CHECK(i == 0 || package_cmp(&sorted->items[i - 1], &sorted->items[i]) <= 0);
		put_identity(&s, &sorted->items[i]);
	}
	sha256_final(&s.hash, out);
}

void attribute_digest(const struct package_list *sorted, unsigned char out[SHA256_SIZE])
{
	struct sink s = {0};

	sha256_init(&s.hash);
	put_version(&s);
	put_u64(&s, sorted->n);
	for (size_t i = 0; i < sorted->n; i++) {
		unsigned char key[PACKAGE_KEY_SIZE];

		CHECK(i == 0 || package_cmp_all(&sorted->items[i - 1], &sorted->items[i]) <= 0);
		package_key(&sorted->items[i], key);
		put_lp(&s, key, sizeof(key));
		put_attributes(&s, &sorted->items[i]);
		put_u64(&s, sorted->items[i].requested);
	}
	sha256_final(&s.hash, out);
}

static int cmp_entries(const void *a, const void *b)
{
	const struct root_digest_entry *x = a;
	const struct root_digest_entry *y = b;

	return uuid_cmp(&x->environment, &y->environment);
}

void root_digest(struct root_digest_entry *entries, size_t n, unsigned char out[SHA256_SIZE])
{
	struct sink s = {0};

	if (n > 1)
		qsort(entries, n, sizeof(entries[0]), cmp_entries);
	sha256_init(&s.hash);
	put_version(&s);
	put_u64(&s, n);
	for (size_t i = 0; i < n; i++) {
		put(&s, entries[i].environment.b, sizeof(entries[i].environment.b));
		put(&s, entries[i].snapshot, SHA256_SIZE);
		put(&s, entries[i].attributes, SHA256_SIZE);
	}
	sha256_final(&s.hash, out);
}

/* --- changes --------------------------------------------------------------------------------- */

static void put_person(struct sink *s, const struct person *p)
{
	put_text(s, p->name);
	put_i64(s, p->uid);
	put_text(s, p->how);
}

static void put_packages(struct sink *s, const struct package_list *list)
{
	put_u64(s, list->n);
	for (size_t i = 0; i < list->n; i++) {
		put_identity(s, &list->items[i]);
		put_attributes(s, &list->items[i]);
		put_u64(s, list->items[i].requested);
	}
}

static void put_change(struct sink *s, const struct change *c)
{
	put_version(s);
	put_uuid(s, &c->epoch);
	put_u64(s, c->seq);
	put_i64(s, c->time_ms);
	put_u64(s, (uint64_t)c->kind);
	put_uuid(s, &c->environment);
	put_text(s, c->prefix);
	put_text(s, c->from_prefix);
	put_uuid(s, &c->cloned_from);
	put_packages(s, &c->added);
	put_packages(s, &c->removed);
	put_person(s, &c->actor);
	put_person(s, &c->owner);
	put_text(s, c->platform);
	put_text(s, c->tool);
	put_text(s, c->command);
	put_text(s, c->detail);
	put_u64(s, c->self_reported);
	put_u64(s, c->seen_at_start);
	put_lp(s, c->digest, c->has_digest ? sizeof(c->digest) : 0);
}

void change_canonical(struct buf *out, const struct change *c)
{
	struct sink s = {.buf = out};

	put_change(&s, c);
}

void change_chain(const unsigned char prev[SHA256_SIZE], const struct change *c,
		  unsigned char out[SHA256_SIZE])
{
	struct sink s = {0};

	sha256_init(&s.hash);
	put(&s, prev, SHA256_SIZE);
	put_change(&s, c);
	sha256_final(&s.hash, out);
}
