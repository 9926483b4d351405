/* site-packages: distributions that no conda record claims (pip, uv, poetry, ...). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/prefix/look.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/dist_info.h"

bool python_wants(const char *name)
{
	return name[0] != '~' && /* what pip moves away before it deletes it */
	       (text_ends(name, ".dist-info") || text_ends(name, ".egg-info"));
}

/* "python-3.11.9-h955ad1f_0.json" -> "lib/python3.11/site-packages"; "t" for free-threaded builds.
 */
const char *python_site_guess(struct look *look)
{
	char path[128];
	int major = 0;
	int minor = 0;

	for (size_t i = 0; i < look->entries.n; i++) {
		const char *name = look->entries.entries[i].name;
		const char *dash;

		if (!text_starts(name, "python-") || !text_ends(name, ".json"))
			continue;
		/* name-version-build: of names that merely begin so, the rest is no version */
		dash = strchr(name + 7, '-');
		if (dash == NULL || strchr(dash + 1, '-') != NULL)
			continue;
		if (sscanf(name + 7, "%2d.%3d", &major, &minor) != 2) /* house-ok: bounded */
			continue;
		(void)snprintf(path, sizeof path, "lib/python%d.%d%s/site-packages", major, minor,
			       strstr(dash, "_cp") != NULL && text_ends(name, "t.json") ? "t" : "");
		return arena_strdup(look->arena, path);
	}
	return NULL;
}

static bool is_claimed(const struct look *look, const char *dist, const char *anchor)
{
	char path[SAFE_PATH_MAX];
	const char *key = path;
	int n = snprintf(path, sizeof path, "%s/%s%s", look->out->site_packages, dist, anchor);

	if (n < 0 || (size_t)n >= sizeof path || look->n_anchors == 0)
		return false;
	for (size_t low = 0, high = look->n_anchors; low < high;) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(key, look->anchors[mid]);

		if (order == 0)
			return true;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

/* Reads dist/<file> into a buffer; an absent file leaves it empty. */
static int read_part(struct look *look, const char *dist, const char *file, size_t max,
		     struct buf *into, bool cut, struct err *why)
{
	char path[SAFE_PATH_MAX];
	struct safe_file handle = SAFE_FILE_NONE;
	size_t n = 0;
	int len = snprintf(path, sizeof path, "%s%s%s", dist, file[0] != '\0' ? "/" : "", file);
	int rc = len > 0 && (size_t)len < sizeof path ? 0 : ERR_LIMIT;

	buf_clear(into);
	if (rc == 0)
		rc = safe_file_open(look->site, path, SAFE_OWNER_ANY, &handle, NULL, why);
	while (rc == 0 && into->len < max) {
		char *room = buf_reserve(into, max - into->len);

		if (room == NULL)
			rc = ERR_NOMEM;
		else
			rc = safe_file_read(&handle, room, max - into->len, &n, why);
		if (rc < 0 || n == 0)
			break;
		into->len += n;
	}
	safe_file_close(&handle);
	return cut || rc < 0 || into->len < max ? rc : ERR_LIMIT;
}

struct parts {
	struct buf metadata;
	struct buf installer;
	struct buf direct_url;
};

static int read_dist(struct look *look, const char *name, bool egg_file, bool egg,
		     struct parts *parts, struct err *why)
{
	struct dist_info_files files = {0};
	struct file_info unused;
	char requested[SAFE_PATH_MAX];
	struct dist_info dist;
	int rc = read_part(look, name,
			   egg_file ? ""
			   : egg    ? "PKG-INFO"
				    : "METADATA",
			   DIST_INFO_METADATA_MAX, &parts->metadata, true, why);

	if (rc < 0)
		return rc;
	if (!egg) {
		if (read_part(look, name, "INSTALLER", 256, &parts->installer, true, NULL) < 0)
			buf_clear(&parts->installer);
		if (read_part(look, name, "direct_url.json", DIST_INFO_DIRECT_URL_MAX,
			      &parts->direct_url, false, NULL) < 0)
			buf_clear(&parts->direct_url);
		(void)snprintf(requested, sizeof requested, "%s/REQUESTED", name);
		files.requested = safe_stat(look->site, requested, &unused, NULL) == 0;
		files.installer = parts->installer.data;
		files.installer_n = parts->installer.len;
		files.direct_url = parts->direct_url.len > 0 ? parts->direct_url.data : NULL;
		files.direct_url_n = parts->direct_url.len;
	}
	files.metadata = parts->metadata.data;
	files.metadata_n = parts->metadata.len;
	rc = dist_info_read(&files, look->request->json, look->arena, &dist, why);
	return rc < 0 ? rc : look_add_package(look, &dist.package);
}

static int take_dist(struct look *look, const struct listing_entry *e, struct parts *parts,
		     struct err *err)
{
	bool egg = text_ends(e->name, ".egg-info");
	bool egg_file = egg && e->info.is_regular;
	const char *anchor = egg_file ? "" : egg ? "/PKG-INFO" : "/RECORD";
	char record[SAFE_PATH_MAX];
	struct file_info unused;
	struct err why = ERR_INIT;
	int rc;

	if ((!e->info.is_dir && !egg_file) || is_claimed(look, e->name, anchor))
		return 0;
	(void)snprintf(record, sizeof record, "%s/RECORD", e->name);
	if (!egg && safe_stat(look->site, record, &unused, NULL) < 0) {
		/* pip writes it last (and removes it early): not whole. An old one is an orphan. */
		int64_t age = look_age_ms(look, e->info.ctime_ns, e->info.ctime_ns);
		int64_t *youngest = &look->out->signs.unfinished_dist_age_ms;

		if (*youngest < 0 || age < *youngest)
			*youngest = age;
		return 0;
	}
	if (e->info.ctime_ns > look->newest_dist_ns) {
		look->newest_dist_ns = e->info.ctime_ns;
		look->out->python_owner = e->info.uid;
	}
	rc = read_dist(look, e->name, egg_file, egg, parts, &why);
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0 && rc != ERR_NOTFOUND)
		look_note(look, "site-packages", e->name, &why);
	return 0;
}

int python_dists(struct look *look, struct err *err)
{
	struct parts parts;
	int rc = 0;

	buf_init(&parts.metadata, DIST_INFO_METADATA_MAX + 1);
	buf_init(&parts.installer, 257);
	buf_init(&parts.direct_url, DIST_INFO_DIRECT_URL_MAX + 1);
	for (size_t i = 0; i < look->dists.n && rc == 0; i++)
		rc = take_dist(look, &look->dists.entries[i], &parts, err);
	buf_deinit(&parts.metadata);
	buf_deinit(&parts.installer);
	buf_deinit(&parts.direct_url);
	return rc;
}
