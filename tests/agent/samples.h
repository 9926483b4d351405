/* Packages and snapshots for tests. Failures end the test. */
#ifndef ENVWARDEN_TESTS_AGENT_SAMPLES_H
#define ENVWARDEN_TESTS_AGENT_SAMPLES_H

#include <stdint.h>

#include "agent/core/snapshot.h"
#include "lib/base/arena.h"

/* conda's from conda-forge, or pypi's if the manager says so; all other fields follow from these.
 */
struct package sample_package(struct arena *arena, const char *manager, const char *name,
			      const char *version);

/*
 * An environment of ana (uid 1000) on device 1, created at a time that follows from the inode, with
 * conda's packages of the specs "name=version name=version ..." ("pypi:" in front for pip's),
 * sealed. Strings are in the arena; snapshot_deinit is the caller's.
 */
void sample_snapshot(struct snapshot *s, struct arena *arena, const char *prefix, uint64_t inode,
		     const char *specs);

/* A run that conda's history tells: how many so far, and the last one's command. */
void sample_run(struct snapshot *s, uint64_t sections, const char *action, const char *command);

/* "name=version" of each, sorted as the list is, joined by blanks. */
const char *sample_text(struct arena *arena, const struct package_list *list);

#endif
