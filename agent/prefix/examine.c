#include "agent/prefix/examine.h"

#include <string.h>

#include "agent/prefix/look.h"
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

void look_note(struct look *look, const char *folder, const char *name, const struct err *why)
{
	struct examined *out = look->out;
	struct buf text;

	out->signs.unreadable++;
	if (out->n_notes == EXAMINE_NOTES_MAX)
		return;
	buf_init(&text, LIMIT_TEXT);
	buf_adds(&text, folder);
	buf_addc(&text, '/');
	text_escape(&text, name, strnlen(name, 64));
	buf_adds(&text, ": ");
	text_escape(&text, why->text, strnlen(why->text, 200));
	if (buf_rc(&text) == 0) {
		out->notes[out->n_notes] = arena_strdup(look->arena, buf_cstr(&text));
		if (out->notes[out->n_notes] != NULL)
			out->n_notes++;
	}
	buf_deinit(&text);
}

int look_add_package(struct look *look, const struct package *package)
{
	return package_list_add(&look->out->packages, package);
}

/* Package caches and trash carry conda-meta-like trees and are never environments. */
static bool is_cache(const char *prefix)
{
	static const char *const marks[] = {".conda_trash", ".mamba_trash", ".c~"};
	const char *last = strrchr(prefix, '/');
	const char *pkgs = strstr(prefix, "/pkgs/");

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (last != NULL && strstr(last, marks[i]) != NULL)
			return true;
	return pkgs != NULL && strstr(pkgs, "/info/test") != NULL;
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
	if (rc == 0) {
		out->is_cache = is_cache(out->prefix);
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
	struct examined *out = look->out;
	int rc = listing_read(look->meta, meta_wants, EXAMINE_ENTRIES_MAX, look->arena,
			      &look->entries, err);

	if (rc < 0)
		return err_context(err, "conda-meta");
	out->site_packages = python_site_guess(look);
	if (out->site_packages == NULL)
		out->site_packages = "";
	if (out->site_packages[0] == '\0' ||
	    safe_dir_open_at(look->prefix, out->site_packages, &look->site, NULL) < 0)
		return 0;
	rc = listing_read(look->site, python_wants, EXAMINE_ENTRIES_MAX, look->arena, &look->dists,
			  err);
	return rc < 0 ? err_context(err, "site-packages") : 0;
}

static void make_stamp(struct look *look)
{
	struct examined *out = look->out;
	struct sha256 hash;

	sha256_init(&hash);
	sha256_update(&hash, out->prefix, strlen(out->prefix) + 1);
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
}

/* The platform is what most of the records that are not noarch say; python's own first. */
static const char *platform_of(const struct package_list *packages)
{
	const char *found = "";

	for (size_t i = 0; i < packages->n; i++) {
		const struct package *p = &packages->items[i];

		if (p->subdir[0] == '\0' || strcmp(p->subdir, "noarch") == 0)
			continue;
		if (strcmp(p->name, "python") == 0)
			return p->subdir;
		if (found[0] == '\0')
			found = p->subdir;
	}
	return found;
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

	if (rc == 0)
		rc = meta_records(look, err);
	if (rc == 0)
		rc = python_dists(look, err);
	if (rc == 0)
		rc = meta_history(look, err);
	if (rc == 0)
		rc = meta_config(look, err);
	if (rc < 0)
		return rc;
	package_list_sort(&out->packages);
	out->platform = platform_of(&out->packages);
	out->tool = tool_of(look);
	out->empty_meta = out->packages.n == 0 && out->history == NULL && out->n_notes == 0;
	out->kind = EXAMINE_ENVIRONMENT;
	return 0;
}

int examine(const struct examine_request *request, struct arena *arena, struct examined *out,
	    struct err *err)
{
	struct look look = {.request = request, .arena = arena, .out = out};
	int rc = 0;

	*out = (struct examined){.history_owner = -1,
				 .python_owner = -1,
				 .platform = "",
				 .tool = "unknown",
				 .site_packages = "",
				 .config_names = ""};
	settle_signs_init(&out->signs);
	rc = open_prefix(&look, err);
	if (rc <= 0)
		goto out;
	rc = list_all(&look, err);
	if (rc < 0)
		goto out;
	make_stamp(&look);
	note_times(&look);
	if (request->stamp != NULL && memcmp(request->stamp, out->stamp, sizeof out->stamp) == 0)
		out->kind = EXAMINE_UNCHANGED;
	else
		rc = read_all(&look, err);
out:
	if (rc < 0)
		package_list_deinit(&out->packages);
	mem_free(look.anchors);
	safe_dir_close(look.site);
	safe_dir_close(look.meta);
	safe_dir_close(look.prefix);
	return rc < 0 ? err_context(err, "%s", request->prefix) : 0;
}
