#include "agent/prefix/examine.h"

#include <string.h>

#include "agent/prefix/look.h"
#include "agent/prefix/not_env.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/limits.h"

#define SKEW_MS 60000 /* how far a file server's clock may be ahead */

int64_t look_age_ms(const struct look *look, int64_t time_ns, int64_t ctime_ns)
{
	int64_t age = look->request->now_ms - time_ns / 1000000;

	if (age < 0)
		age = look->request->now_ms - ctime_ns / 1000000;
	if (age < -SKEW_MS)
		return INT64_MAX;
	return age > 0 ? age : 0;
}

void look_younger(int64_t *youngest, int64_t age_ms)
{
	if (*youngest < 0 || (age_ms >= 0 && age_ms < *youngest))
		*youngest = age_ms;
}

static void add_note(struct look *look, struct buf *text)
{
	struct examined *out = look->out;

	if (buf_rc(text) == 0 && out->n_notes < ARRAY_SIZE(out->notes))
		out->notes[out->n_notes] = arena_strdup(look->arena, buf_cstr(text));
	if (out->n_notes < ARRAY_SIZE(out->notes) && out->notes[out->n_notes] != NULL)
		out->n_notes++;
	buf_deinit(text);
}

void look_note(struct look *look, const char *what, const char *text)
{
	struct buf note;

	buf_init(&note, LIMIT_TEXT);
	buf_addf(&note, "%s: ", what);
	text_escape(&note, text, strnlen(text, 200));
	add_note(look, &note);
}

void look_note_file(struct look *look, const char *folder, const struct listing_entry *entry,
		    const struct err *why)
{
	const char *name = entry->name;
	const char *text = why->text;
	struct buf note;

	look->broken++;
	if (look_age_ms(look, entry->info.mtime_ns, entry->info.ctime_ns) < EXAMINE_YOUNG_MS)
		look->out->signs.unreadable++;
	if (look->broken > EXAMINE_NOTES_MAX) {
		look->out->n_more++;
		return;
	}
	if (text_starts(text, name) && text_starts(text + strlen(name), ": "))
		text += strlen(name) + 2;
	buf_init(&note, LIMIT_TEXT);
	buf_addf(&note, "%s/", folder);
	text_escape(&note, name, strnlen(name, 64));
	buf_adds(&note, ": ");
	text_escape(&note, text, strnlen(text, 200));
	add_note(look, &note);
}

/* After the last look at a file: what was not named is counted. */
static void count_notes(struct look *look)
{
	struct examined *out = look->out;
	struct buf note;

	if (out->n_more == 0)
		return;
	buf_init(&note, LIMIT_TEXT);
	buf_addf(&note, "and %zu more", out->n_more);
	add_note(look, &note);
}

int look_add_package(struct look *look, const struct package *package)
{
	return package_list_add(&look->out->packages, package);
}

bool look_keep(struct look *look, uint64_t stamp)
{
	struct examined *out = look->out;
	uint64_t claim = 0;

	if (look->kept == NULL || !marks_find(look->known, stamp, &claim) ||
	    gone_claim(look, claim) || (claim != 0 && look_add_claim(look, claim) < 0))
		return false;
	look->kept[out->n_kept++] = stamp;
	return true;
}

bool look_is_enough(struct look *look, const char *folder)
{
	if (look->out->packages.n + look->out->n_kept >= EXAMINE_PACKAGES_MAX)
		look_note(look, folder, "too many packages, the rest is left out");
	else if (look->bytes > EXAMINE_RECORDS_BYTES)
		look_note(look, folder, "too much to read, the rest is left out");
	else if (look->broken > EXAMINE_BROKEN_MAX)
		look_note(look, folder, "too much can't be read, the rest is left out");
	else
		return false;
	return true;
}

void look_unfinished_dist(struct look *look, const struct file_info *info)
{
	look_younger(&look->out->signs.unfinished_dist_age_ms,
		     look_age_ms(look, info->ctime_ns, info->ctime_ns));
}

int look_add_claim(struct look *look, uint64_t claim)
{
	if (look->n_claims == look->cap_claims) {
		size_t cap = look->cap_claims != 0 ? look->cap_claims * 2 : 256;
		uint64_t *grown = mem_realloc(look->claims, cap * sizeof *grown);

		if (grown == NULL)
			return ERR_NOMEM;
		look->claims = grown;
		look->cap_claims = cap;
	}
	look->claims[look->n_claims++] = claim;
	return 0;
}

int look_open(const struct look *look, const struct safe_dir *dir, const char *name,
	      struct safe_file *out, struct file_info *info, struct err *err)
{
	struct safe_file file = SAFE_FILE_NONE;
	int rc = safe_file_open(dir, name, SAFE_OWNER_ANY, &file, info, err);

	if (rc < 0)
		return rc;
	if (info->links > 1 && info->uid != 0 && info->uid != look->out->info.uid) {
		safe_file_close(&file);
		return err_set(err, ERR_PERM, "somebody else's file with another name elsewhere");
	}
	*out = file;
	return 0;
}

/* 1 = opened; 0 = out->kind says why there is nothing to read. */
static int open_prefix(struct look *look, struct err *err)
{
	struct examined *out = look->out;
	enum examine_kind absent = EXAMINE_NOTHING;
	int rc = safe_dir_open(look->request->prefix, &look->prefix, err);

	if (rc == 0)
		rc = safe_dir_real_path(look->prefix, out->prefix, sizeof out->prefix, err);
	if (rc == 0)
		rc = safe_dir_info(look->prefix, &out->info, err);
	if (rc == 0 && safe_dir_fs_class(look->prefix, &out->fs, NULL) < 0)
		out->fs = FS_UNKNOWN;
	if (rc == 0 && look->request->left_alone != NULL &&
	    look->request->left_alone(look->request->left_alone_ctx, out->prefix))
		return 0;
	if (rc == 0) {
		out->is_cache = not_env(out->prefix);
		absent = EXAMINE_PLAIN;
		rc = safe_dir_open_at(look->prefix, "conda-meta", &look->meta, err);
	}
	if (rc == 0)
		return 1;
	out->kind = rc == ERR_PERM ? EXAMINE_DENIED : absent;
	/* Only what says so counts as gone: a disk that fails for a moment removes nothing. */
	return rc == ERR_PERM || rc == ERR_NOTFOUND || rc == ERR_INVALID ? 0 : rc;
}

static int list_all(struct look *look, struct err *err)
{
	int rc = listing_read(look->meta, meta_wants, EXAMINE_ENTRIES_MAX, look->arena,
			      &look->entries, err);

	if (rc < 0)
		return err_context(err, "conda-meta");
	return site_guess(look, err);
}

/*
 * Over both folders. Where python's record sends us to another place than its name promised, the
 * stamp is one that no look finds before it has read that record: such a prefix is always read.
 */
static void make_stamp(struct look *look)
{
	struct examined *out = look->out;
	struct sha256 hash;

	sha256_init(&hash);
	sha256_update(&hash, (const unsigned char[]){MARKS_READING}, 1);
	sha256_update(&hash, out->prefix, strlen(out->prefix) + 1);
	sha256_update(&hash, out->site_packages, strlen(out->site_packages) + 1);
	sha256_update(&hash, out->site_above, strlen(out->site_above) + 1);
	listing_stamp(&look->entries, &hash);
	listing_stamp(&look->dists, &hash);
	sha256_final(&hash, out->stamp);
}

static void note_times(struct look *look)
{
	struct examined *out = look->out;
	const struct listing *lists[] = {&look->entries, &look->dists};
	int64_t newest = 0;

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l]->n; i++)
			if (lists[l]->entries[i].info.mtime_ns > newest)
				newest = lists[l]->entries[i].info.mtime_ns;
	out->changed_ms = newest / 1000000;
	out->dist_age_ms = -1;
	for (size_t i = 0; i < look->dists.n; i++) {
		const struct file_info *info = &look->dists.entries[i].info;

		look_younger(&out->dist_age_ms, look_age_ms(look, info->ctime_ns, info->ctime_ns));
	}
}

static const char *tool_of(const struct look *look)
{
	if (listing_find(&look->entries, "pixi") != NULL ||
	    listing_find(&look->entries, ".pixi-environment-fingerprint") != NULL)
		return "pixi";
	return look->out->history != NULL ? look->out->history->tool : "unknown";
}

static int read_all(struct look *look, struct err *err)
{
	struct examined *out = look->out;
	int rc = meta_signs(look);

	if (look->request->recall != NULL)
		look->known = look->request->recall(look->request->ctx, out->prefix);
	if (look->known != NULL) /* without room everything is read */
		look->kept = arena_calloc(look->arena, EXAMINE_PACKAGES_MAX, sizeof *look->kept);
	out->kept = look->kept;
	if (rc == 0)
		rc = meta_records(look, err);
	make_stamp(look); /* python's record may have known another place */
	note_times(look);
	if (rc == 0)
		gone_drop(look);
	if (rc == 0)
		rc = python_dists(look, err);
	if (rc == 0)
		rc = meta_history(look, err);
	if (rc == 0)
		rc = meta_config(look, err);
	if (rc < 0)
		return rc;
	package_list_sort(&out->packages);
	if (look->entries.more || look->dists.more)
		look_note(look, look->entries.more ? "conda-meta" : "site-packages",
			  "too many entries, the rest is left out");
	count_notes(look);
	out->platform = package_list_platform(&out->packages);
	out->tool = tool_of(look);
	out->empty_meta =
		out->packages.n + out->n_kept == 0 && out->history == NULL && out->n_notes == 0;
	out->kind = EXAMINE_ENVIRONMENT;
	return 0;
}

int examine(const struct examine_request *request, struct arena *arena, struct examined *out,
	    struct err *err)
{
	struct look look = {.request = request, .arena = arena, .out = out, .site_name = ""};
	int rc = 0;

	*out = (struct examined){.history_owner = -1,
				 .python_owner = -1,
				 .dist_age_ms = -1,
				 .python_tool = "",
				 .record_owner = -1,
				 .platform = "",
				 .tool = "unknown",
				 .site_packages = "",
				 .site_above = "",
				 .config_names = ""};
	settle_signs_init(&out->signs);
	rc = open_prefix(&look, err);
	if (rc <= 0)
		goto out;
	rc = list_all(&look, err);
	if (rc < 0)
		goto out;
	out->stats = look.entries.n + look.dists.n;
	make_stamp(&look);
	note_times(&look);
	if (request->stamp != NULL && memcmp(request->stamp, out->stamp, sizeof out->stamp) == 0)
		out->kind = EXAMINE_UNCHANGED;
	else
		rc = read_all(&look, err);
out:
	if (rc < 0)
		package_list_deinit(&out->packages);
	mem_free(look.claims);
	mem_free(look.anchored);
	safe_dir_close(look.site);
	safe_dir_close(look.meta);
	safe_dir_close(look.prefix);
	return rc < 0 ? err_context(err, "%s", request->prefix) : 0;
}
