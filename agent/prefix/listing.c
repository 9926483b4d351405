#include "agent/prefix/listing.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define ENOUGH 1 /* ends the walk, and is no error */

struct walk {
	listing_wants_cb wants;
	struct arena *arena;
	char **names;
	size_t n;
	size_t cap;
	size_t max;
};

static int on_name(void *ctx, const char *name)
{
	struct walk *walk = ctx;

	if (!walk->wants(name))
		return 0;
	if (walk->n == walk->max)
		return ENOUGH;
	if (walk->n == walk->cap) {
		size_t cap = walk->cap != 0 ? walk->cap * 2 : 64;
		char **names = mem_realloc(walk->names, cap * sizeof *names);

		if (names == NULL)
			return ERR_NOMEM;
		walk->names = names;
		walk->cap = cap;
	}
	walk->names[walk->n] = arena_strdup(walk->arena, name);
	return walk->names[walk->n++] != NULL ? 0 : ERR_NOMEM;
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int stat_names(const struct safe_dir *dir, const struct walk *walk, struct listing *out,
		      struct err *err)
{
	out->entries = arena_calloc(walk->arena, walk->n + 1, sizeof *out->entries);
	if (out->entries == NULL)
		return err_nomem(err);
	out->n = 0;
	for (size_t i = 0; i < walk->n; i++) {
		struct listing_entry *entry = &out->entries[out->n];

		if (safe_stat(dir, walk->names[i], &entry->info, NULL) < 0)
			continue; /* vanished since: an event of its own follows */
		entry->name = walk->names[i];
		out->n++;
	}
	return 0;
}

int listing_read(const struct safe_dir *dir, listing_wants_cb wants, size_t max,
		 struct arena *arena, struct listing *out, struct err *err)
{
	struct walk walk = {.wants = wants, .arena = arena, .max = max};
	int rc = safe_dir_list(dir, SIZE_MAX, on_name, &walk, err);

	if (rc < 0)
		goto out;
	out->more = rc == ENOUGH;
	if (walk.n > 1)
		qsort(walk.names, walk.n, sizeof *walk.names, cmp_names);
	rc = stat_names(dir, &walk, out, err);
out:
	mem_free(walk.names);
	return rc;
}

static int cmp_entry(const void *key, const void *entry)
{
	return strcmp(key, ((const struct listing_entry *)entry)->name);
}

const struct listing_entry *listing_find(const struct listing *listing, const char *name)
{
	if (listing->n == 0)
		return NULL;
	return bsearch(name, listing->entries, listing->n, sizeof *listing->entries, cmp_entry);
}

void listing_stamp(const struct listing *listing, struct sha256 *hash)
{
	for (size_t i = 0; i < listing->n; i++) {
		const struct listing_entry *e = &listing->entries[i];
		const uint64_t facts[] = {e->info.ino, e->info.size, (uint64_t)e->info.mtime_ns,
					  (uint64_t)e->info.ctime_ns};

		sha256_update(hash, e->name, strlen(e->name) + 1);
		sha256_update(hash, facts, sizeof facts);
	}
}
