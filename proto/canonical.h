/*
 * Canonical encodings and what is computed over them (docs/formats.md): the same on every machine
 * and in every version, so never protobuf bytes. Each encoding begins with a version byte; integers
 * are 8 bytes big-endian, texts and byte strings a 4-byte length and the bytes, lists a count and
 * the items.
 *
 * Everything here is total: a package or change that meets its header's invariants always encodes.
 * Only a buf can fail (sticky, buf_rc). Digests are streamed and allocate nothing. Any thread.
 */
#ifndef ENVWARDEN_PROTO_CANONICAL_H
#define ENVWARDEN_PROTO_CANONICAL_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/uuid.h"
#include "lib/conda/change.h"
#include "lib/conda/package.h"

#define CANONICAL_VERSION 1
#define PACKAGE_KEY_SIZE 16

/* The identity: what makes two packages the same package. */
void package_canonical(struct buf *out, const struct package *p);

/* The claims outside the identity: license, url, size, and an md5 that stands beside a sha256. */
void package_attributes(struct buf *out, const struct package *p);

/* First 16 bytes of SHA-256 over package_canonical. */
void package_key(const struct package *p, unsigned char key[PACKAGE_KEY_SIZE]);

/*
 * The dictionary key of a definition on the wire: first 16 bytes of SHA-256 over
 * lp(package_canonical) | lp(package_attributes). The same identity with other claims is another
 * definition, so that a forged licence of one member never changes another's facts. `requested` is
 * a fact of an environment and stands outside.
 */
void package_def_key(const struct package *p, unsigned char key[PACKAGE_KEY_SIZE]);

/* Over the identities of a list sorted by package_cmp (package_list_sort does). */
void snapshot_digest(const struct package_list *sorted, unsigned char out[SHA256_SIZE]);

/* Over identity, attributes and `requested` of a list sorted by package_cmp_all. */
void attribute_digest(const struct package_list *sorted, unsigned char out[SHA256_SIZE]);

/* One environment as it counts in a machine's root digest. */
struct root_digest_entry {
	struct uuid environment;
	unsigned char snapshot[SHA256_SIZE];
	unsigned char attributes[SHA256_SIZE];
};

/* Over the environments of a machine; sorts `entries` by environment. */
void root_digest(struct root_digest_entry *entries, size_t n, unsigned char out[SHA256_SIZE]);

/* All fields of a change with its packages spelled out. */
void change_canonical(struct buf *out, const struct change *c);

/*
 * out = SHA-256(prev | canonical change). Before the first change of an epoch, prev is zeroes. out
 * may be prev.
 */
void change_chain(const unsigned char prev[SHA256_SIZE], const struct change *c,
		  unsigned char out[SHA256_SIZE]);

#endif
