/* What the parts of one examination share (examine.c, meta.c, python.c). */
#ifndef ENVWARDEN_AGENT_PREFIX_LOOK_H
#define ENVWARDEN_AGENT_PREFIX_LOOK_H

#include "agent/prefix/examine.h"
#include "agent/prefix/listing.h"
#include "lib/conda/record.h"

/* A record that was read and has files of Python distributions. */
struct anchored_record {
	struct record_anchors anchors;
	size_t package; /* its index in out->packages */
};

struct look {
	const struct examine_request *request;
	struct arena *arena;
	struct examined *out;
	struct safe_dir *prefix;
	struct safe_dir *meta;
	struct listing entries; /* of conda-meta */
	struct listing dists;	/* of site-packages */
	struct safe_dir *site;	/* NULL without python */
	const char *site_name;	/* its path as records have it, "" none */
	uint64_t *claims;	/* of records, to Python distributions (marks.h); sorted */
	size_t n_claims;
	size_t cap_claims;
	struct anchored_record *anchored;
	size_t n_anchored;
	size_t cap_anchored;
	const uint64_t *there; /* claims that would be on what is in site-packages; sorted */
	size_t n_there;
	const struct marks *known; /* NULL = read everything */
	uint64_t *kept;
	uint64_t bytes;		/* of records, read so far */
	size_t broken;		/* files that could not be read */
	int64_t newest_dist_ns; /* of the distributions that are not conda's */
	const struct listing_entry *newest_dist;
};

/*
 * Milliseconds from a file's time to now, at least 0. Anybody may date a file into the future; then
 * the time of its last change of any kind counts, which only the clock makes. One that is far ahead
 * is from before the clock was turned back: no age at all (INT64_MAX).
 */
int64_t look_age_ms(const struct look *look, int64_t time_ns, int64_t ctime_ns);

/* Makes *youngest the younger of two ages, -1 meaning none. */
void look_younger(int64_t *youngest, int64_t age_ms);

/* Notes something about the prefix as a whole, or a folder of it: "<what>: <text>". */
void look_note(struct look *look, const char *what, const char *text);
/*
 * Notes a file that could not be read: "<folder>/<name>: <why>", made harmless for terminals. A
 * young one counts as a sign, too: it may be in the middle of being written.
 */
void look_note_file(struct look *look, const char *folder, const struct listing_entry *entry,
		    const struct err *why);

/* Appends to the packages found; the strings must live in the arena. ERR_NOMEM. */
int look_add_package(struct look *look, const struct package *package);
/*
 * Whether the core knows the file by this stamp; then it is kept, and its claim made. A record
 * whose claim is on nothing any more is not kept: it must be read to tell.
 */
bool look_keep(struct look *look, uint64_t stamp);
/* Whether one of the limits is reached; then it is noted that the rest of the folder is left out.
 */
bool look_is_enough(struct look *look, const char *folder);
int look_add_claim(struct look *look, uint64_t claim); /* ERR_NOMEM */

/* A sign that a distribution, or site-packages, is being worked on: it has this file's age. */
void look_unfinished_dist(struct look *look, const struct file_info *info);

/* As safe_file_open, but never a stranger's file that has another name elsewhere. */
int look_open(const struct look *look, const struct safe_dir *dir, const char *name,
	      struct safe_file *out, struct file_info *info, struct err *err);

/* --- meta.c --- */
bool meta_wants(const char *name);
int meta_signs(struct look *look); /* held copies, locks, fingerprint; from the listing */
/* Also claims, and then opens site-packages where python's record says it is. */
int meta_records(struct look *look, struct err *err);
void meta_feed_history(struct safe_file *file, struct history *history); /* all that counts */
int meta_history(struct look *look, struct err *err);
int meta_config(struct look *look, struct err *err);

/* --- site.c --- */
/*
 * Opens and lists site-packages where it should be by the name of python's record and by what is
 * there, so that it can be fingerprinted before any record is read.
 */
int site_guess(struct look *look, struct err *err);
/* What python's own record says; opens and lists anew if the guess was wrong. */
struct site_claim {
	const char *path; /* python_site_packages_path, "" not said */
	const char *version;
	const char *build;
	const char *subdir;
};
int site_settle(struct look *look, const struct site_claim *python, struct err *err);
bool site_is_python(const char *record_name); /* "python-3.11.9-0.json" */

/* --- python.c --- */
bool python_wants(const char *name);
/* The claim that a conda record of this distribution would make, 0 none. */
uint64_t python_claim(const struct look *look, const struct listing_entry *e);
int python_dists(struct look *look, struct err *err);

/* --- gone.c --- */
int gone_listed(struct look *look); /* site-packages has been listed (anew); ERR_NOMEM */
/* Whether the distribution that was claimed is not in site-packages. */
bool gone_claim(const struct look *look, uint64_t claim);
int gone_remember(struct look *look, const struct record *record); /* of the last package added */
void gone_drop(struct look *look); /* takes the packages out whose distribution is gone */

#endif
