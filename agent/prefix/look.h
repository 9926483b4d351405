/* What the parts of one examination share (examine.c, meta.c, python.c). */
#ifndef ENVWARDEN_AGENT_PREFIX_LOOK_H
#define ENVWARDEN_AGENT_PREFIX_LOOK_H

#include "agent/prefix/examine.h"
#include "agent/prefix/listing.h"

struct look {
	const struct examine_request *request;
	struct arena *arena;
	struct examined *out;
	struct safe_dir *prefix;
	struct safe_dir *meta;
	struct listing entries; /* of conda-meta */
	struct listing dists;	/* of site-packages */
	struct safe_dir *site;	/* NULL without python */
	const char **anchors;	/* files by which records claim Python distributions; sorted */
	size_t n_anchors;
	size_t cap_anchors;
	int64_t newest_dist_ns; /* of the distributions that are not conda's */
};

/*
 * Milliseconds from a file's time to now, at least 0. Anybody may date a file into the future; then
 * the time of its last change of any kind counts, which only the clock makes. One that is far ahead
 * is from before the clock was turned back: no age at all (INT64_MAX).
 */
int64_t look_age_ms(const struct look *look, int64_t time_ns, int64_t ctime_ns);

/* Notes a file that could not be read: "<folder>/<name>: <why>", made harmless for terminals. */
void look_note(struct look *look, const char *folder, const char *name, const struct err *why);

/* Appends to the packages found; the strings must live in the arena. ERR_NOMEM. */
int look_add_package(struct look *look, const struct package *package);

/* --- meta.c --- */
bool meta_wants(const char *name);
int meta_signs(struct look *look); /* held copies, locks, fingerprint; from the listing */
int meta_records(struct look *look,
		 struct err *err); /* also anchors and the place of site-packages */
int meta_history(struct look *look, struct err *err);
int meta_config(struct look *look, struct err *err);

/* --- python.c --- */
/* Where site-packages is, by the name of python's record alone, so that it can be listed (and
 * fingerprinted) before any record is read. NULL without python. */
const char *python_site_guess(struct look *look);
bool python_wants(const char *name);
int python_dists(struct look *look, struct err *err);

#endif
