/*
 * Marks spare reading a file again that has not changed. Of each record and distribution it reads,
 * the reader gives the core two numbers, which the store keeps beside the package:
 *
 *   stamp  64 bits of a hash over the name, inode, size and times of the file (of a folder of
 *          metadata: its own and its METADATA's); 0 = none, always read
 *   claim  64 bits of a hash over the anchor by which a conda record claims a Python distribution;
 *          0 = it claims none
 *
 * At the next look the core lends them back: a file whose stamp is among them is not opened, and
 * the core takes its package from the store.
 *
 * A file may change again within the resolution of its times, after it was read, and look the same
 * (the "racy clean" entries of git's index have the same cause). So no stamp is given, and none
 * believed, while the file's last change of any kind (ctime, which nobody can set) is less than
 * MARKS_RACY_NS before the time of the look, or after it. Whoever changes the file later leaves a
 * later ctime, and so another stamp.
 *
 * Pure; any thread.
 */
#ifndef ENVWARDEN_AGENT_PREFIX_MARKS_H
#define ENVWARDEN_AGENT_PREFIX_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/safe_open.h"

#define MARKS_RACY_NS 2000000000 /* the coarsest resolution of file times in use: FAT's */
/* Counts up when a look makes more of a file than before: what is known by older ones is read
 * again.
 */
#define MARKS_READING 2
#define MARKS_PAIR 16 /* bytes of a stamp and its claim */

/* What is known of an environment. */
struct marks {
	const unsigned char *pairs; /* (stamp, claim), big-endian, ascending stamps; borrowed */
	size_t n;
};

/* second: of the other file that counts, or NULL. 0: not to be trusted (above). */
uint64_t marks_stamp(const char *name, const struct file_info *info, const struct file_info *second,
		     int64_t now_ms);

/* Of an anchor's path, relative to the prefix; ASCII case does not count (Windows). Never 0. */
uint64_t marks_claim(const char *anchor);

/* Whether it is known; stamp 0 never is. */
bool marks_find(const struct marks *marks, uint64_t stamp, uint64_t *claim);

/* Sorts n pairs made by marks_put. */
void marks_put(unsigned char pair[MARKS_PAIR], uint64_t stamp, uint64_t claim);
void marks_sort(unsigned char *pairs, size_t n);

#endif
