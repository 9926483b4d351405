#include "lib/conda/dist_info.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/channel.h"

/* A piece of a file. */
struct span {
	const char *p;
	size_t n;
};

/* Facts on their way to the arena. */
struct draft {
	char name[PACKAGE_NAME_MAX + 1];
	char version[PACKAGE_VERSION_MAX + 1];
	char license[PACKAGE_LICENSE_MAX + 1];
	char expression[PACKAGE_LICENSE_MAX + 1]; /* License-Expression, goes before License */
	char installer[DIST_INFO_INSTALLER_MAX + 1];
	char url[PACKAGE_URL_MAX + 1];
	char revision[DIST_INFO_REVISION_MAX + 1];
	enum dist_info_origin origin;
	unsigned char sha256[SHA256_SIZE];
	bool has_sha256;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Takes the next line off *rest, without its end; false when nothing is left. */
static bool next_line(struct span *rest, struct span *line)
{
	const char *end;

	if (rest->n == 0)
		return false;
	end = memchr(rest->p, '\n', rest->n);
	line->p = rest->p;
	line->n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	rest->p += line->n + (end != NULL);
	rest->n -= line->n + (end != NULL);
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

static bool is_text(struct span s)
{
	return memchr(s.p, '\0', s.n) == NULL && text_is_utf8(s.p, s.n);
}

/* Copies what fits, not cutting a character. */
static void copy_cut(char *out, size_t max, struct span s)
{
	size_t n = s.n < max ? s.n : max;

	while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

/* --- names -------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
	return c == '-' || c == '_' || c == '.';
}

int dist_info_normalise_name(const char *name, size_t n, char *out, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (is_separator(name[i]) && i > 0 && is_separator(name[i - 1]))
			continue;
		if (len + 1 >= cap)
			return ERR_LIMIT;
		out[len++] = is_separator(name[i]) ? '-' : lower(name[i]);
	}
	if (len >= cap)
		return ERR_LIMIT;
	out[len] = '\0';
	return 0;
}

/* --- METADATA ----------------------------------------------------------------------------- */

static bool is_header(struct span line, const char *name, struct span *value)
{
	size_t len = strlen(name);

	if (line.n <= len || line.p[len] != ':')
		return false;
	for (size_t i = 0; i < len; i++)
		if (lower(line.p[i]) != lower(name[i]))
			return false;
	*value = trim((struct span){line.p + len + 1, line.n - len - 1});
	return true;
}

static int set_exact(char *out, size_t max, struct span value, const char *what, struct err *err)
{
	if (value.n > max)
		return err_set(err, ERR_INVALID, "%s is too long", what);
	if (!is_text(value))
		return err_set(err, ERR_INVALID, "%s is not UTF-8 text", what);
	copy_cut(out, max, value);
	return 0;
}

/* Old metadata says UNKNOWN for what the author left out. */
static void set_license(char *out, struct span value)
{
	if (out[0] != '\0' || !is_text(value) ||
	    (value.n == 7 && memcmp(value.p, "UNKNOWN", 7) == 0))
		return;
	copy_cut(out, PACKAGE_LICENSE_MAX, value);
}

/* Of a header that is there twice the first counts, as in Python's email parser. */
static int take_header(struct draft *d, struct span line, struct err *err)
{
	struct span value;

	if (is_header(line, "Name", &value) && d->name[0] == '\0')
		return set_exact(d->name, PACKAGE_NAME_MAX, value, "Name", err);
	if (is_header(line, "Version", &value) && d->version[0] == '\0')
		return set_exact(d->version, PACKAGE_VERSION_MAX, value, "Version", err);
	if (is_header(line, "License", &value))
		set_license(d->license, value);
	else if (is_header(line, "License-Expression", &value))
		set_license(d->expression, value);
	return 0;
}

/* Lines that go on a header (they begin with a blank) are passed over: a license text, mostly. */
static int read_metadata(struct draft *d, const struct dist_info_files *files, struct err *err)
{
	struct span rest = {files->metadata, files->metadata_n};
	struct span line;

	if (rest.n > DIST_INFO_METADATA_MAX)
		rest.n = DIST_INFO_METADATA_MAX;
	while (next_line(&rest, &line) && line.n > 0) {
		int rc = take_header(d, line, err);

		if (rc < 0)
			return rc;
	}
	if (d->name[0] == '\0')
		return err_set(err, ERR_INVALID, "no Name in the metadata");
	if (d->version[0] == '\0')
		return err_set(err, ERR_INVALID, "no Version in the metadata");
	return 0;
}

static void read_installer(struct draft *d, const struct dist_info_files *files)
{
	struct span rest = {files->installer, files->installer_n};
	struct span line;

	if (!next_line(&rest, &line))
		return;
	line = trim(line);
	if (!is_text(line))
		return;
	copy_cut(d->installer, DIST_INFO_INSTALLER_MAX, line);
	for (char *p = d->installer; *p != '\0'; p++)
		*p = lower(*p);
}

/* --- direct_url.json ---------------------------------------------------------------------- */

struct direct_url {
	struct json_reader *reader;
	struct draft *draft;
};

typedef int (*member_cb)(const struct direct_url *u, const char *key);

/* The members of the object that comes next, each given to `member`, which takes its value. */
static int read_members(const struct direct_url *u, member_cb member)
{
	enum json_token token;
	int rc = json_next(u->reader, &token, NULL);

	if (rc == 0 && token != JSON_OBJECT)
		return ERR_INVALID;
	while (rc == 0) {
		size_t n;

		rc = json_next(u->reader, &token, NULL);
		if (rc < 0 || token == JSON_OBJECT_END)
			break;
		rc = member(u, json_text(u->reader, &n));
	}
	return rc;
}

static int read_string(const struct direct_url *u, struct span *text)
{
	enum json_token token;
	int rc = json_next(u->reader, &token, NULL);

	if (rc < 0)
		return rc;
	if (token != JSON_STRING)
		return ERR_INVALID;
	text->p = json_text(u->reader, &text->n);
	return is_text(*text) ? 0 : ERR_INVALID;
}

static int set_sha256(struct draft *d, struct span hex)
{
	if (hex.n != (size_t)2 * SHA256_SIZE ||
	    text_from_hex(hex.p, hex.n, d->sha256, SHA256_SIZE) < 0)
		return ERR_INVALID;
	d->has_sha256 = true;
	return 0;
}

static int hashes_member(const struct direct_url *u, const char *key)
{
	struct span hex;
	int rc;

	if (strcmp(key, "sha256") != 0)
		return json_skip(u->reader, NULL);
	rc = read_string(u, &hex);
	return rc < 0 ? rc : set_sha256(u->draft, hex);
}

/* "hashes": {"sha256": X}, or the older "hash": "sha256=X" */
static int archive_member(const struct direct_url *u, const char *key)
{
	static const char prefix[] = "sha256=";
	struct span hash;
	int rc;

	if (strcmp(key, "hashes") == 0)
		return read_members(u, hashes_member);
	if (strcmp(key, "hash") != 0)
		return json_skip(u->reader, NULL);
	rc = read_string(u, &hash);
	if (rc < 0 || hash.n < strlen(prefix) || memcmp(hash.p, prefix, strlen(prefix)) != 0)
		return rc;
	hash.p += strlen(prefix);
	hash.n -= strlen(prefix);
	return set_sha256(u->draft, hash);
}

static int vcs_member(const struct direct_url *u, const char *key)
{
	struct span commit;
	int rc;

	if (strcmp(key, "commit_id") != 0)
		return json_skip(u->reader, NULL);
	rc = read_string(u, &commit);
	if (rc == 0)
		copy_cut(u->draft->revision, DIST_INFO_REVISION_MAX, commit);
	return rc;
}

static int dir_member(const struct direct_url *u, const char *key)
{
	enum json_token token;
	int rc;

	if (strcmp(key, "editable") != 0)
		return json_skip(u->reader, NULL);
	rc = json_next(u->reader, &token, NULL);
	if (rc < 0)
		return rc;
	if (token != JSON_TRUE && token != JSON_FALSE)
		return ERR_INVALID;
	if (token == JSON_TRUE)
		u->draft->origin = DIST_INFO_EDITABLE;
	return 0;
}

/* The URL without secrets; "" if that is over the limit. */
static int url_member(const struct direct_url *u)
{
	struct span url;
	struct buf masked;
	int rc = read_string(u, &url);

	if (rc < 0)
		return rc;
	buf_init(&masked, PACKAGE_URL_MAX);
	channel_mask_url(&masked, url.p, url.n);
	rc = buf_rc(&masked);
	copy_cut(u->draft->url, PACKAGE_URL_MAX,
		 rc == 0 && masked.len > 0 ? (struct span){masked.data, masked.len}
					   : (struct span){"", 0});
	buf_deinit(&masked);
	return rc == ERR_NOMEM ? rc : 0;
}

static int direct_url_member(const struct direct_url *u, const char *key)
{
	if (strcmp(key, "url") == 0)
		return url_member(u);
	if (strcmp(key, "archive_info") == 0) {
		u->draft->origin = DIST_INFO_ARCHIVE;
		return read_members(u, archive_member);
	}
	if (strcmp(key, "vcs_info") == 0) {
		u->draft->origin = DIST_INFO_VCS;
		return read_members(u, vcs_member);
	}
	if (strcmp(key, "dir_info") == 0) {
		u->draft->origin = DIST_INFO_FOLDER;
		return read_members(u, dir_member);
	}
	return json_skip(u->reader, NULL);
}

static int read_direct_url(struct draft *d, const struct dist_info_files *files,
			   struct json_reader *reader)
{
	struct direct_url u = {reader, d};
	enum json_token token;
	int rc;

	if (files->direct_url == NULL)
		return 0;
	d->origin = DIST_INFO_UNKNOWN;
	json_reader_reset_bytes(reader, files->direct_url, files->direct_url_n);
	rc = files->direct_url_n > DIST_INFO_DIRECT_URL_MAX ? ERR_LIMIT : 0;
	if (rc == 0)
		rc = read_members(&u, direct_url_member);
	if (rc == 0)
		rc = json_next(reader, &token, NULL);
	if (rc == 0 || rc == ERR_NOMEM)
		return rc;
	d->origin = DIST_INFO_UNKNOWN;
	d->url[0] = '\0';
	d->revision[0] = '\0';
	d->has_sha256 = false;
	return 0;
}

/* ------------------------------------------------------------------------------------------ */

static int keep(const struct draft *d, struct arena *arena, bool requested, struct dist_info *out)
{
	struct dist_info info = {.origin = d->origin};
	struct package *p = &info.package;
	char name[PACKAGE_NAME_MAX + 1];

	CHECK(dist_info_normalise_name(d->name, strlen(d->name), name, sizeof name) == 0);
	p->manager = "pypi";
	p->channel = "pypi";
	p->build = "";
	p->subdir = "";
	p->build_number = PACKAGE_BUILD_NUMBER_UNKNOWN;
	p->name = arena_strdup(arena, name);
	p->version = arena_strdup(arena, d->version);
	p->license = arena_strdup(arena, d->expression[0] != '\0' ? d->expression : d->license);
	p->url = arena_strdup(arena, d->url);
	info.installer = arena_strdup(arena, d->installer);
	info.revision = arena_strdup(arena, d->revision);
	if (p->name == NULL || p->version == NULL || p->license == NULL || p->url == NULL ||
	    info.installer == NULL || info.revision == NULL)
		return ERR_NOMEM;
	p->has_sha256 = d->has_sha256;
	if (d->has_sha256)
		memcpy(p->sha256, d->sha256, sizeof p->sha256);
	p->requested = requested;
	*out = info;
	return 0;
}

int dist_info_read(const struct dist_info_files *files, struct json_reader *reader,
		   struct arena *arena, struct dist_info *out, struct err *err)
{
	struct draft draft = {.origin = DIST_INFO_INDEX};
	int rc = read_metadata(&draft, files, err);

	if (rc < 0)
		return rc;
	read_installer(&draft, files);
	rc = read_direct_url(&draft, files, reader);
	if (rc == 0)
		rc = keep(&draft, arena, files->requested, out);
	return rc == ERR_NOMEM ? err_nomem(err) : rc;
}
