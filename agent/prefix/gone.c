/*
 * Records of conda whose Python distribution is gone: pip has uninstalled or replaced it. To conda
 * such a record is stale; it leaves the package out, and deletes the record when it next lists the
 * prefix. From conda: core/prefix_data.py (get_conda_anchor_files_and_records),
 * plugins/prefix_data_loaders/pypi (load_site_packages).
 */
#include <stdlib.h>
#include <string.h>

#include "agent/prefix/look.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

static int cmp_claims(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

int gone_listed(struct look *look)
{
	uint64_t *there = arena_calloc(look->arena, look->dists.n + 1, sizeof *there);
	size_t n = 0;

	look->there = NULL;
	look->n_there = 0;
	if (there == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < look->dists.n; i++) {
		uint64_t claim = python_claim(look, &look->dists.entries[i]);

		if (claim != 0)
			there[n++] = claim;
	}
	if (n > 1)
		qsort(there, n, sizeof *there, cmp_claims);
	look->there = there;
	look->n_there = n;
	return 0;
}

bool gone_claim(const struct look *look, uint64_t claim)
{
	/* What could not be listed whole may well be there. */
	if (claim == 0 || look->site == NULL || look->there == NULL || look->dists.more)
		return false;
	return look->n_there == 0 ||
	       bsearch(&claim, look->there, look->n_there, sizeof claim, cmp_claims) == NULL;
}

/* "<site-packages>/<one name>" with one of the three endings that conda looks at. */
static bool is_in_site(const struct look *look, const char *path)
{
	static const char *const endings[] = {".dist-info/RECORD", ".egg-info/PKG-INFO",
					      ".egg-info"};
	size_t n = strlen(look->site_name);

	if (!text_starts(path, look->site_name) || path[n] != '/')
		return false;
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		const char *name = path + n + 1;
		size_t rest = strlen(name);
		size_t end = strlen(endings[i]);

		if (rest > end && strcmp(name + rest - end, endings[i]) == 0)
			return memchr(name, '/', rest - end) == NULL;
	}
	return false;
}

int gone_remember(struct look *look, const struct record *record)
{
	if (record->anchors.n == 0)
		return 0;
	if (look->n_anchored == look->cap_anchored) {
		size_t cap = look->cap_anchored != 0 ? look->cap_anchored * 2 : 256;
		struct anchored_record *grown = mem_realloc(look->anchored, cap * sizeof *grown);

		if (grown == NULL)
			return ERR_NOMEM;
		look->anchored = grown;
		look->cap_anchored = cap;
	}
	look->anchored[look->n_anchored++] = (struct anchored_record){
		.anchors = record->anchors, .package = look->out->packages.n - 1};
	return 0;
}

/* Of several, conda takes the longest path. */
static const char *anchor_of(const struct look *look, const struct record_anchors *anchors)
{
	const char *best = NULL;

	for (size_t i = 0; i < anchors->n; i++) {
		const char *path = anchors->paths[i];

		if (is_in_site(look, path) && (best == NULL || strlen(path) > strlen(best)))
			best = path;
	}
	return best;
}

void gone_drop(struct look *look)
{
	struct package_list *packages = &look->out->packages;
	struct file_info info;
	size_t dropped = 0;

	for (size_t i = look->n_anchored; i-- > 0;) {
		const struct anchored_record *a = &look->anchored[i];
		const char *path = anchor_of(look, &a->anchors);

		if (path == NULL || !gone_claim(look, marks_claim(path)))
			continue;
		memmove(&packages->items[a->package], &packages->items[a->package + 1],
			(packages->n - a->package - 1) * sizeof *packages->items);
		packages->n--;
		dropped++;
	}
	/* A new version may be on its way, or all of the prefix going. */
	if (dropped > 0 && safe_dir_info(look->site, &info, NULL) == 0)
		look_unfinished_dist(look, &info);
}
