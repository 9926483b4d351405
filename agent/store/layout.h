/*
 * What lies where in the store. Every value ends in the first 4 bytes of SHA-256 over table, key
 * and contents, so that a damaged or misplaced one is never believed. Integers are big-endian, so
 * that keys sort as their numbers do.
 *
 *   table        key                          value
 *   meta         "layout"                     version, 4 bytes
 *                "rewrite"                    empty: rows of the layout before may be left
 *   environment  environment id               row (row.h)
 *   path         SHA-256 of the prefix        id of the newest environment there, living or not
 *   inode        device, inode                id of the living environment there
 *   snapshot     environment id               marked?, (definition key, requested and
 *                                             installer in a byte, the reader's marks if
 *                                             marked)...; living ones only
 *   package      definition key               sent to the server?, definition; never removed
 *   journal      epoch number, seq            chain value, folded?, change with its packages as
 * keys epoch        epoch number                 uuid, head, chain value there, acked, baseline so
 * far trusted      'P' role                     generation, version, size, SHA-256: what is held
 *                'C' generation, number       a piece of a bundle
 *   kv           name                         a setting
 *                "hashed/" and 32 hex digits  the text that this stand-in hides (agent/core/hide.h)
 *
 * A new layout version comes with code that reads the one before; older programs refuse it. Taking
 * one over (migrate.c): the number first, so that no older program finds a row it can't read, then
 * the rows, a few in each transaction. A process killed meanwhile leaves rows of both, which is
 * fine: they say which they are.
 *
 *   2: environments with volume, last use, last run; snapshots with the reader's marks; changes
 *      that were folded
 *   3: packages with the time they were built; all others are as they were
 */
#ifndef ENVWARDEN_AGENT_STORE_LAYOUT_H
#define ENVWARDEN_AGENT_STORE_LAYOUT_H

#define LAYOUT_VERSION 3
#define LAYOUT_KEY "layout"
#define LAYOUT_REWRITE_KEY "rewrite"

/* The values' own versions. */
#define LAYOUT_ROW_VERSION 2
#define LAYOUT_SNAPSHOT_VERSION 2 /* version 1 began with its count, whose first byte is 0 */
#define LAYOUT_PACKAGE_VERSION 1
#define LAYOUT_PACKAGE_BUILT 2 /* one whose time of building is known */
#define LAYOUT_CHANGE_VERSION 1
#define LAYOUT_FOLDED_VERSION 2 /* a change that others were folded into, or their range */
#define LAYOUT_EPOCH_VERSION 1

#define LAYOUT_CHECKSUM 4	  /* bytes */
#define LAYOUT_DEFINITIONS 786432 /* bytes of pages for new definitions in one transaction */
#define LAYOUT_PIECE 262144	  /* bytes of a piece of a bundle */
#define LAYOUT_GENERATION 16	  /* bytes, random */
#define LAYOUT_MARKED_MAX 8192	  /* packages that go with their marks beside a change */

#endif
