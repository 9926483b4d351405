/*
 * A conda version, parsed into a key: bytes whose order is the order of the versions. Comparing is
 * memcmp, so the order is total, and "starts with" is a comparison of leading bytes.
 *
 * Words. A version is an epoch, a main part and a local part ("1!2.3a+4": 1, 2.3a, 4). Main and
 * local are components between dots and underscores; a component is parts: runs of digits, of '*',
 * of other characters. A part that is missing counts as the number 0, so 1.1 = 1.1.0. Letters sort
 * before numbers (1.1a < 1.1), "dev" before all letters, "post" behind all numbers.
 *
 * The key holds the parts that are not the number 0, each as a token, for main and then local:
 *   below 0   0x01 component part text 0x00        text: letters, '_', '*', "DEV"
 *   above 0   0x03 ~component ~part length digits  without leading zeros; "post": length ffff
 *   the end   0x02
 * component is one byte, part and length are two, big-endian. Where two keys first differ, the one
 * with a text there is less than one with nothing, which is less than one with a number; of two
 * texts (numbers) at different places the earlier one is less (greater), since the other has a 0 at
 * that place.
 *
 * Source of the rules: conda's conda/models/version.py, class VersionOrder. The one difference: a
 * version is ASCII (conda would trim and fold a few other characters).
 *
 * Nothing here allocates but version_keep. Thread-safe.
 */
#ifndef ENVWARDEN_LIB_CONDA_VERSION_H
#define ENVWARDEN_LIB_CONDA_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define VERSION_TEXT_MAX 256 /* bytes; as a package's version */
/* The longest key: single digits between single letters, and both ends. */
#define VERSION_KEY_MAX (VERSION_TEXT_MAX * 8 + 16)

struct version {
	const unsigned char *key;
	uint16_t n;	   /* bytes of key */
	uint16_t prefix_n; /* what the key of a version that starts with this one begins with */
	/* The last part is the number 0: such a version has nothing else at that place. */
	bool last_is_zero;
	uint8_t last_component;
	uint16_t last_part;
};

/* Where version_parse puts the key. */
struct version_room {
	unsigned char key[VERSION_KEY_MAX];
};

/*
 * Parses n bytes; blanks around them are ignored. *out borrows *room. ERR_INVALID (with the reason)
 * for what conda refuses, ERR_LIMIT for a version longer than VERSION_TEXT_MAX.
 */
int version_parse(const char *text, size_t n, struct version_room *room, struct version *out,
		  struct err *err);

/* Copies the key into the arena, so that *v outlives its room; ERR_NOMEM. */
int version_keep(struct arena *arena, struct version *v);

/* < 0, 0, > 0 */
int version_cmp(const struct version *a, const struct version *b);

/*
 * Whether v starts with prefix: all parts but the prefix's last are equal, and that one is equal (a
 * number) or begins v's (letters). 1.7 starts 1.7.1 and 1.7a but not 1.70; 1.1a starts 1.1alpha.
 * With a local part in the prefix the main parts must be equal.
 */
bool version_starts_with(const struct version *v, const struct version *prefix);

/*
 * The text as conda shows it: without blanks around it, in lower case, '-' as '_' where conda reads
 * it so. Writes n bytes at most; returns how many. The text is one that version_parse accepts.
 */
size_t version_normalise(const char *text, size_t n, char *out);

#endif
