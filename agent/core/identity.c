#include "agent/core/identity.h"

#include <string.h>

#include "lib/base/crypto.h"

void environment_init(struct environment *e)
{
	*e = (struct environment){
		.prefix = "",
		.owner = {.name = "", .uid = -1, .how = ""},
		.platform = "",
		.tool = "",
		.config_names = "",
	};
}

bool environment_lives(const struct environment *e)
{
	return e->deleted_ms == 0 && !e->expected;
}

/* By number where both are known, else by name (the server tells only names). */
static bool same_owner(const struct person *a, const struct person *b)
{
	if (a->uid >= 0 && b->uid >= 0)
		return a->uid == b->uid;
	return strcmp(a->name, b->name) == 0;
}

static bool same_inode(const struct environment *e, const struct snapshot *s)
{
	return e->device == s->device && e->inode == s->inode;
}

static bool same_birth(const struct environment *e, const struct snapshot *s)
{
	return e->created_ms != 0 && e->created_ms == s->created_ms;
}

static bool moved_here(const struct environment *e, const struct snapshot *s)
{
	return environment_lives(e) && same_inode(e, s) && same_owner(&e->owner, &s->owner) &&
	       (same_birth(e, s) || memcmp(e->digest, s->digest, sizeof(e->digest)) == 0);
}

/* Something else stands at its path now. */
static bool replaced(const struct environment *e, const struct snapshot *s)
{
	return e->inode != s->inode && !same_birth(e, s);
}

/* The source may have been told gone before the new prefix was settled. */
static bool renamed_here(const struct environment *e, const struct snapshot *s, int64_t now_ms)
{
	return !e->expected && same_owner(&e->owner, &s->owner) &&
	       (e->deleted_ms == 0 || now_ms - e->deleted_ms < IDENTITY_RENAME_MS);
}

static struct identity at_path(const struct environment *e, const struct snapshot *s,
			       int64_t now_ms)
{
	bool owned = same_owner(&e->owner, &s->owner);

	if (e->expected)
		return owned ? (struct identity){.kind = IDENTITY_SAME, .known = e}
			     : (struct identity){.kind = IDENTITY_NEW};
	if (e->deleted_ms != 0) {
		if (owned && now_ms - e->deleted_ms < IDENTITY_RECREATE_MS)
			return (struct identity){.kind = IDENTITY_RECREATED, .known = e};
		return (struct identity){.kind = IDENTITY_NEW};
	}
	if (!replaced(e, s))
		return (struct identity){.kind = IDENTITY_SAME, .known = e};
	if (owned && !s->empty_meta)
		return (struct identity){.kind = IDENTITY_RECREATED, .known = e};
	return (struct identity){.kind = IDENTITY_NEW, .displaced = e};
}

static void put_u64(unsigned char out[8], uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		out[i] = (unsigned char)(value >> (56 - 8 * i));
}

bool identity_fresh(const struct snapshot *s, struct uuid *out)
{
	static const unsigned char unknown[VOLUME_SIZE];
	static const char name[] = "envwarden environment 1";
	unsigned char bytes[VOLUME_SIZE + 16];
	unsigned char digest[SHA256_SIZE];
	struct sha256 hash;

	if (s->filesystem != SNAPSHOT_NETWORK || memcmp(s->volume, unknown, sizeof unknown) == 0 ||
	    s->inode == 0) {
		uuid_new(out);
		return false;
	}
	memcpy(bytes, s->volume, VOLUME_SIZE);
	put_u64(bytes + VOLUME_SIZE, s->inode);
	put_u64(bytes + VOLUME_SIZE + 8, (uint64_t)s->created_ms);
	sha256_init(&hash);
	sha256_update(&hash, name, sizeof name);
	sha256_update(&hash, bytes, sizeof bytes);
	sha256_final(&hash, digest);
	memcpy(out->b, digest, UUID_SIZE);
	out->b[6] = (unsigned char)((out->b[6] & 0x0f) | 0x80); /* RFC 9562: version 8, ours */
	out->b[8] = (unsigned char)((out->b[8] & 0x3f) | 0x80);
	return true;
}

struct identity identity_resolve(const struct candidates *c, const struct snapshot *s,
				 int64_t now_ms)
{
	const struct environment *moved = NULL;

	/* Living at its path and not replaced: no other evidence counts. */
	if (c->at_path && environment_lives(c->at_path) && !replaced(c->at_path, s))
		return s->empty_meta
			       ? (struct identity){.kind = IDENTITY_NEW, .displaced = c->at_path}
			       : (struct identity){.kind = IDENTITY_SAME, .known = c->at_path};

	/* Moved before renamed: what is moved carries the history of an earlier rename along. */
	if (c->at_inode && moved_here(c->at_inode, s))
		moved = c->at_inode;
	else if (c->at_source && renamed_here(c->at_source, s, now_ms))
		moved = c->at_source;
	if (moved && !s->empty_meta) {
		bool ends = c->at_path && environment_lives(c->at_path);

		return (struct identity){
			.kind = IDENTITY_RENAMED,
			.known = moved,
			.displaced = ends ? c->at_path : NULL,
		};
	}
	if (c->at_path)
		return at_path(c->at_path, s, now_ms);
	return (struct identity){.kind = IDENTITY_NEW};
}
