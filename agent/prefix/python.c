/* site-packages: distributions that no conda record claims (pip, uv, poetry, ...). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/prefix/look.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/change.h"
#include "lib/conda/dist_info.h"

#define LINK_MAX 8192 /* bytes of an egg-link that count */

/* What stands in site-packages, and the file by which a record claims it (as conda has it). */
enum dist_kind {
	DIST_INFO, /* a folder: METADATA and others; RECORD is its anchor */
	EGG_INFO,  /* a folder: PKG-INFO */
	EGG_FILE,  /* a file with what PKG-INFO has */
	EGG,	   /* a folder: EGG-INFO/PKG-INFO */
	EGG_ZIP,   /* the same as an archive: its name is all that is read */
	EGG_LINK,  /* a file that names a source tree */
	NO_DIST,
};

static const struct {
	const char *anchor;
	const char *metadata;
} kinds[] = {
	[DIST_INFO] = {"/RECORD", "/METADATA"},
	[EGG_INFO] = {"/PKG-INFO", "/PKG-INFO"},
	[EGG_FILE] = {"", ""},
	[EGG] = {"/EGG-INFO/PKG-INFO", "/EGG-INFO/PKG-INFO"},
	[EGG_ZIP] = {"", ""},
	[EGG_LINK] = {"", ""},
};

bool python_wants(const char *name)
{
	static const char *const suffixes[] = {".dist-info", ".egg-info", ".egg", ".egg-link"};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (text_ends(name, suffixes[i]))
			return true;
	return false;
}

/* pip renames what it uninstalls, puts it back if the new one fails, and else deletes it. */
static bool is_stashed(const struct listing_entry *e)
{
	return e->name[0] == '~';
}

static enum dist_kind kind_of(const struct listing_entry *e)
{
	if (is_stashed(e))
		return NO_DIST;
	if (text_ends(e->name, ".dist-info"))
		return e->info.is_dir ? DIST_INFO : NO_DIST;
	if (text_ends(e->name, ".egg-info"))
		return e->info.is_dir ? EGG_INFO : e->info.is_regular ? EGG_FILE : NO_DIST;
	if (text_ends(e->name, ".egg"))
		return e->info.is_dir ? EGG : e->info.is_regular ? EGG_ZIP : NO_DIST;
	return e->info.is_regular ? EGG_LINK : NO_DIST;
}

/* One distribution being looked at, and the room for its files. */
struct dist {
	struct look *look;
	const struct listing_entry *entry;
	enum dist_kind kind;
	uint64_t stamp;
	struct buf metadata;
	struct buf installer;
	struct buf direct_url;
};

uint64_t python_claim(const struct look *look, const struct listing_entry *e)
{
	char path[SAFE_PATH_MAX];
	enum dist_kind kind = kind_of(e);
	int n = 0;

	if (kind == NO_DIST)
		return 0;
	n = snprintf(path, sizeof path, "%s/%s%s", look->site_name, e->name, kinds[kind].anchor);
	return n > 0 && (size_t)n < sizeof path ? marks_claim(path) : 0;
}

static int cmp_claims(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_claimed(const struct look *look, const struct listing_entry *e)
{
	uint64_t claim = python_claim(look, e);

	return claim != 0 && look->n_claims > 0 &&
	       bsearch(&claim, look->claims, look->n_claims, sizeof claim, cmp_claims) != NULL;
}

/* "<name><file>"; a name has at most 255 bytes. */
static void part_path(char out[SAFE_PATH_MAX], const char *name, const char *file)
{
	(void)snprintf(out, SAFE_PATH_MAX, "%s%s", name, file);
}

/* Up to max bytes of a file beneath a folder. */
static int read_file(struct look *look, const struct safe_dir *dir, const char *path, size_t max,
		     struct buf *into, struct file_info *info, struct err *why)
{
	struct safe_file file = SAFE_FILE_NONE;
	size_t n = 0;
	int rc = look_open(look, dir, path, &file, info, why);

	buf_clear(into);
	while (rc == 0 && into->len < max) {
		char *room = buf_reserve(into, max - into->len);

		if (room == NULL)
			rc = err_nomem(why);
		else
			rc = safe_file_read(&file, room, max - into->len, &n, why);
		if (rc < 0 || n == 0)
			break;
		into->len += n;
	}
	safe_file_close(&file);
	return rc;
}

static int read_part(struct dist *d, const char *file, size_t max, struct buf *into,
		     struct err *why)
{
	char path[SAFE_PATH_MAX];
	struct file_info info;

	part_path(path, d->entry->name, file);
	return read_file(d->look, d->look->site, path, max, into, &info, why);
}

static bool has_part(const struct dist *d, const char *file, struct file_info *info)
{
	char path[SAFE_PATH_MAX];

	part_path(path, d->entry->name, file);
	return safe_stat(d->look->site, path, info, NULL) == 0;
}

static int add(struct dist *d, struct package *package)
{
	package->stamp = d->stamp;
	return look_add_package(d->look, package);
}

static int read_metadata(struct dist *d, const struct dist_info_files *more, struct err *why)
{
	struct dist_info_files files = *more;
	struct dist_info info;
	int rc;

	files.metadata = d->metadata.data;
	files.metadata_n = d->metadata.len;
	rc = dist_info_read(&files, d->look->request->json, d->look->arena, &info, why);
	return rc < 0 ? rc : add(d, &info.package);
}

static int read_folder(struct dist *d, struct err *why)
{
	struct dist_info_files files = {0};
	struct file_info info;
	int rc = read_part(d, kinds[d->kind].metadata, DIST_INFO_METADATA_MAX, &d->metadata, why);

	if (rc < 0)
		return rc;
	if (d->kind == DIST_INFO) {
		/* One byte more than may count, so that a longer one is seen to be too long. */
		if (read_part(d, "/direct_url.json", DIST_INFO_DIRECT_URL_MAX + 1, &d->direct_url,
			      NULL) == 0) {
			files.direct_url = d->direct_url.len > 0 ? d->direct_url.data : "";
			files.direct_url_n = d->direct_url.len;
		}
		files.requested = has_part(d, "/REQUESTED", &info);
		files.installer = d->installer.data;
		files.installer_n = d->installer.len;
	}
	return read_metadata(d, &files, why);
}

static int read_by_name(struct dist *d, const char *source, struct err *why)
{
	struct package package;
	int rc = dist_info_from_name(d->entry->name, source, d->look->arena, &package, why);

	return rc < 0 ? rc : add(d, &package);
}

/* The first line of a link: the source tree. False if it is none that can be looked up. */
static bool source_of(const struct buf *text, char out[SAFE_PATH_MAX])
{
	const char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
	size_t n = end != NULL ? (size_t)(end - text->data) : text->len;

	while (n > 0 && strchr(" \t\r/", text->data[n - 1]) != NULL)
		n--;
	if (n == 0 || n >= SAFE_PATH_MAX || memchr(text->data, '\0', n) != NULL)
		return false;
	memcpy(out, text->data, n);
	out[n] = '\0';
	return true;
}

/* setuptools leaves <name>.egg-info in the source tree, dashes as underscores. */
static int read_source(struct dist *d, const char *source)
{
	char path[SAFE_PATH_MAX];
	struct look *look = d->look;
	struct safe_dir *tree = NULL;
	struct file_info info;
	size_t n = strlen(d->entry->name) - strlen(".egg-link");
	int rc = safe_dir_open_near(look->prefix, look->out->prefix, source, &tree, NULL);

	for (int plain = 1; rc == 0 && plain >= 0; plain--) {
		(void)snprintf(path, sizeof path, "%.*s.egg-info/PKG-INFO", (int)n, d->entry->name);
		for (size_t i = 0; plain == 0 && i < n; i++)
			if (path[i] == '-')
				path[i] = '_';
		rc = safe_stat(tree, path, &info, NULL);
		if (rc == 0 && info.uid != look->out->info.uid)
			rc = ERR_PERM; /* somebody else's */
		if (rc == 0) {
			rc = read_file(look, tree, path, DIST_INFO_METADATA_MAX, &d->metadata,
				       &info, NULL);
			break;
		}
		rc = plain ? 0 : rc;
	}
	safe_dir_close(tree);
	return rc;
}

/* What it says changes with the source tree, which has no stamp. */
static int read_link(struct dist *d, struct err *why)
{
	char source[SAFE_PATH_MAX];
	struct dist_info_files files = {.requested = true, .source = source};
	int rc = read_part(d, "", LINK_MAX, &d->metadata, why);

	if (rc < 0)
		return rc;
	if (!source_of(&d->metadata, source))
		return err_set(why, ERR_INVALID, "names no source tree");
	d->stamp = 0;
	if (read_source(d, source) == 0 && read_metadata(d, &files, NULL) == 0)
		return 0;
	return read_by_name(d, source, why);
}

static int read_dist(struct dist *d, struct err *why)
{
	switch (d->kind) {
	case EGG_LINK:
		return read_link(d, why);
	case EGG_ZIP:
		return read_by_name(d, NULL, why);
	default:
		return read_folder(d, why);
	}
}

/*
 * conda writes a package's record after its files, and compiles and runs scripts in between. pip
 * writes RECORD last (and removes it early): without one a distribution is not whole, or has just
 * gone. An old one without is installed all the same, whoever lost it; unless it is a
 * package's of conda, which then has no other anchor.
 */
static bool is_whole(struct dist *d)
{
	struct look *look = d->look;
	int64_t age = look_age_ms(look, d->entry->info.ctime_ns, d->entry->info.ctime_ns);
	bool condas;
	struct file_info info;

	buf_clear(&d->installer);
	if (d->kind != DIST_INFO)
		return true;
	if (read_part(d, "/INSTALLER", 256, &d->installer, NULL) < 0)
		buf_clear(&d->installer);
	condas = text_starts(buf_cstr(&d->installer), "conda");
	if (has_part(d, "/RECORD", &info)) {
		if (condas)
			look_younger(&look->out->signs.unrecorded_dist_age_ms, age);
		return true;
	}
	if (age < SETTLE_HISTORY_MS) {
		look_unfinished_dist(look, &d->entry->info);
		return false;
	}
	return !condas && has_part(d, kinds[d->kind].metadata, &info);
}

/* Of a folder of metadata, and of the file in it; or of the file that is all there is. */
static uint64_t stamp_of(const struct dist *d)
{
	const struct listing_entry *e = d->entry;
	int64_t now_ms = d->look->request->now_ms;
	struct file_info info;

	if (d->kind == EGG_LINK)
		return 0;
	if (kinds[d->kind].metadata[0] == '\0')
		return marks_stamp(e->name, &e->info, NULL, now_ms);
	if (!has_part(d, kinds[d->kind].metadata, &info))
		return 0;
	return marks_stamp(e->name, &e->info, &info, now_ms);
}

/* Its INSTALLER, if that is a word: "pip", "uv", "uv-pixi". */
static int note_tool(struct dist *d, struct err *err)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	struct look *look = d->look;
	const char *text;
	size_t n;

	d->entry = look->newest_dist;
	if (d->entry == NULL || kind_of(d->entry) != DIST_INFO ||
	    read_part(d, "/INSTALLER", 256, &d->installer, NULL) < 0)
		return 0;
	text = buf_cstr(&d->installer);
	n = strspn(text, word);
	if (n > CHANGE_TOOL_MAX || (text[n] != '\0' && strchr("\r\n", text[n]) == NULL))
		return 0;
	look->out->python_tool = arena_strndup(look->arena, text, n);
	return look->out->python_tool != NULL ? 0 : err_nomem(err);
}

static int take_dist(struct dist *d, struct err *err)
{
	struct look *look = d->look;
	const struct listing_entry *e = d->entry;
	struct err why = ERR_INIT;
	int rc;

	if (is_stashed(e))
		look_younger(&look->out->signs.stashed_dist_age_ms,
			     look_age_ms(look, e->info.ctime_ns, e->info.ctime_ns));
	d->kind = kind_of(e);
	if (d->kind == NO_DIST || is_claimed(look, e))
		return 0;
	d->stamp = stamp_of(d);
	if (!look_keep(look, d->stamp)) {
		if (!is_whole(d))
			return 0;
		rc = read_dist(d, &why);
		if (rc == ERR_NOMEM)
			return err_nomem(err);
		if (rc < 0 && rc != ERR_NOTFOUND)
			look_note_file(look, "site-packages", e, &why);
	}
	if (e->info.ctime_ns > look->newest_dist_ns) {
		look->newest_dist_ns = e->info.ctime_ns;
		look->newest_dist = e;
		look->out->python_owner = e->info.uid;
	}
	return 0;
}

int python_dists(struct look *look, struct err *err)
{
	struct dist d = {.look = look};
	int rc = 0;

	if (look->n_claims > 1)
		qsort(look->claims, look->n_claims, sizeof *look->claims, cmp_claims);
	buf_init(&d.metadata, DIST_INFO_METADATA_MAX + 1);
	buf_init(&d.installer, 257);
	buf_init(&d.direct_url, DIST_INFO_DIRECT_URL_MAX + 2);
	for (size_t i = 0; i < look->dists.n && rc == 0; i++) {
		if (look_is_enough(look, "site-packages"))
			break;
		d.entry = &look->dists.entries[i];
		rc = take_dist(&d, err);
	}
	if (rc == 0)
		rc = note_tool(&d, err);
	buf_deinit(&d.metadata);
	buf_deinit(&d.installer);
	buf_deinit(&d.direct_url);
	return rc;
}
