/*
 * Paths that leave the machine as keyed hashes only (the setting hash_paths; docs/security.md).
 *
 * A stand-in takes the place of a text: "/hashed/" and 32 hex digits, the first half of the text's
 * HMAC-SHA-256 under a key that never leaves the machine. The same text has the same stand-in, so
 * that others can tell two apart, and nothing else. What a stand-in stands for is noted by the
 * caller, who can then turn texts back for people on this machine.
 *
 * Pure: no I/O, no clock. Errors: ERR_NOMEM, or what the caller's function returned.
 */
#ifndef ENVWARDEN_AGENT_CORE_HIDE_H
#define ENVWARDEN_AGENT_CORE_HIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/conda/change.h"

#define HIDE_KEY 32
#define HIDE_MARK "/hashed/"
#define HIDE_HEX 32
#define HIDE_STAND_IN (sizeof(HIDE_MARK) - 1 + HIDE_HEX) /* bytes */

/* `hidden` (n bytes) goes out as the stand-in with these hex digits. Non-zero ends the work. */
typedef int (*hide_note_cb)(void *ctx, const char hex[HIDE_HEX], const char *hidden, size_t n);
/* What hex digits stand for, borrowed until the next call; NULL: not one of ours. */
typedef const char *(*hide_lookup_cb)(void *ctx, const char hex[HIDE_HEX]);

struct hide {
	const char *const *patterns; /* of paths (wildcard.h); each means all below it, too */
	size_t n;
	unsigned char key[HIDE_KEY];
	hide_note_cb note; /* may be NULL */
	void *ctx;
};

/* Whether a path is to be hidden; the key is not needed for it. */
bool hide_matches(const struct hide *h, const char *path);

/* The stand-in of a text, in the arena. */
int hide_text(const struct hide *h, const char *text, size_t n, struct arena *arena,
	      const char **out);

/*
 * Makes *c what may leave the machine: its paths, and in its command every word that holds a hidden
 * path, the name of a hidden environment (of its prefixes, or `source`, which it was cloned from;
 * "" none), or a path from the home or working folder if one of these is hidden. *c is a copy the
 * caller made; texts that change are in the arena.
 */
int hide_change(const struct hide *h, const char *source, struct arena *arena, struct change *c);

/* The text with what its stand-ins stand for, as far as known; in the arena, or the text itself. */
int hide_reveal(const char *text, size_t max, hide_lookup_cb lookup, void *ctx, struct arena *arena,
		const char **out);

#endif
