#include "lib/conda/dist_info.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/channel.h"

#define VCS_MAX 8 /* bytes: git, hg, svn, bzr */

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
	char expression[PACKAGE_LICENSE_MAX + 1];  /* License-Expression, goes before License */
	char classifiers[PACKAGE_LICENSE_MAX + 1]; /* goes after License */
	char installer[DIST_INFO_INSTALLER_MAX + 1];
	char url[PACKAGE_URL_MAX + 1];
	char revision[DIST_INFO_REVISION_MAX + 1];
	char vcs[VCS_MAX + 1];
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

/* "License :: OSI Approved :: MIT License" -> "MIT License"; there may be several. */
static void add_classifier(char *out, struct span value)
{
	static const char prefix[] = "License ::";
	size_t used = strlen(out);
	struct span last;

	if (value.n < strlen(prefix) || memcmp(value.p, prefix, strlen(prefix)) != 0 ||
	    !is_text(value))
		return;
	last = value;
	for (size_t i = 0; i + 1 < value.n; i++)
		if (value.p[i] == ':' && value.p[i + 1] == ':')
			last = trim((struct span){value.p + i + 2, value.n - i - 2});
	/* The class itself says nothing: "License :: OSI Approved". */
	if (last.n == 0 || (last.n == 12 && memcmp(last.p, "OSI Approved", 12) == 0) ||
	    used + 2 + last.n > PACKAGE_LICENSE_MAX)
		return;
	if (used > 0) {
		memcpy(out + used, "; ", 2);
		used += 2;
	}
	copy_cut(out + used, PACKAGE_LICENSE_MAX - used, last);
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
	else if (is_header(line, "Classifier", &value))
		add_classifier(d->classifiers, value);
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

static bool is_vcs(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 'a' || s.p[i] > 'z')
			return false;
	return s.n > 0 && s.n <= VCS_MAX;
}

static int vcs_member(const struct direct_url *u, const char *key)
{
	bool is_commit = strcmp(key, "commit_id") == 0;
	struct span value;
	int rc;

	if (!is_commit && strcmp(key, "vcs") != 0)
		return json_skip(u->reader, NULL);
	rc = read_string(u, &value);
	if (rc == 0 && is_commit)
		copy_cut(u->draft->revision, DIST_INFO_REVISION_MAX, value);
	else if (rc == 0 && is_vcs(value))
		copy_cut(u->draft->vcs, VCS_MAX, value);
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

/* --- the package -------------------------------------------------------------------------- */

/* A path as a URL: what is no plain character of one is percent-encoded. */
static void add_file_url(struct buf *out, const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/+,=@:";

	buf_adds(out, path[0] == '/' ? "file://" : "file:///");
	for (; *path != '\0'; path++) {
		if (*path == '\\')
			buf_addc(out, '/');
		else if (strchr(plain, *path) != NULL)
			buf_addc(out, *path);
		else
			buf_addf(out, "%%%02X", (unsigned)(unsigned char)*path);
	}
}

/* How it got there. "" when that does not fit: a cut URL misleads. */
static int keep_url(const struct draft *d, const char *source, struct arena *arena,
		    const char **out)
{
	struct buf url;
	int rc;

	buf_init(&url, PACKAGE_URL_MAX);
	if (source != NULL)
		add_file_url(&url, source);
	else if (d->origin == DIST_INFO_VCS && d->vcs[0] != '\0' && d->url[0] != '\0')
		buf_addf(&url, "%s+%s", d->vcs, d->url);
	else
		buf_adds(&url, d->url);
	if (url.len > 0 && d->origin == DIST_INFO_VCS && d->revision[0] != '\0')
		buf_addf(&url, "@%s", d->revision);
	if (url.len > 0 && d->origin == DIST_INFO_EDITABLE)
		buf_adds(&url, "#editable");
	rc = buf_rc(&url);
	*out = rc == ERR_NOMEM ? NULL : arena_strdup(arena, rc == 0 ? buf_cstr(&url) : "");
	buf_deinit(&url);
	return *out != NULL ? 0 : ERR_NOMEM;
}

static int keep_package(const struct draft *d, const char *source, struct arena *arena,
			struct package *p)
{
	char name[PACKAGE_NAME_MAX + 1];
	const char *license = d->expression[0] != '\0' ? d->expression
			      : d->license[0] != '\0'  ? d->license
						       : d->classifiers;

	CHECK(dist_info_normalise_name(d->name, strlen(d->name), name, sizeof name) == 0);
	*p = (struct package){.manager = "pypi",
			      .channel = "pypi",
			      .build = "",
			      .subdir = "",
			      .build_number = PACKAGE_BUILD_NUMBER_UNKNOWN};
	p->name = arena_strdup(arena, name);
	p->version = arena_strdup(arena, d->version);
	p->license = arena_strdup(arena, license);
	p->has_sha256 = d->has_sha256;
	if (d->has_sha256)
		memcpy(p->sha256, d->sha256, sizeof p->sha256);
	if (p->name == NULL || p->version == NULL || p->license == NULL)
		return ERR_NOMEM;
	return keep_url(d, source, arena, &p->url);
}

static int keep(const struct draft *d, const struct dist_info_files *files, struct arena *arena,
		struct dist_info *out)
{
	struct dist_info info = {.origin = d->origin};

	info.installer = arena_strdup(arena, d->installer);
	info.revision = arena_strdup(arena, d->revision);
	if (info.installer == NULL || info.revision == NULL ||
	    keep_package(d, files->source, arena, &info.package) < 0)
		return ERR_NOMEM;
	info.package.requested = files->requested;
	info.package.installer = package_installer_of(info.installer);
	*out = info;
	return 0;
}

int dist_info_read(const struct dist_info_files *files, struct json_reader *reader,
		   struct arena *arena, struct dist_info *out, struct err *err)
{
	struct draft draft = {.origin =
				      files->source != NULL ? DIST_INFO_EDITABLE : DIST_INFO_INDEX};
	int rc = read_metadata(&draft, files, err);

	if (rc < 0)
		return rc;
	read_installer(&draft, files);
	rc = read_direct_url(&draft, files, reader);
	if (rc == 0)
		rc = keep(&draft, files, arena, out);
	return rc == ERR_NOMEM ? err_nomem(err) : rc;
}

/* Cuts at the first dash: "name-version-py3.11" */
static bool next_part(struct span *rest, struct span *part)
{
	const char *dash = rest->n > 0 ? memchr(rest->p, '-', rest->n) : NULL;

	part->p = rest->p;
	part->n = dash != NULL ? (size_t)(dash - rest->p) : rest->n;
	rest->p += part->n + (dash != NULL);
	rest->n -= part->n + (dash != NULL);
	return part->n > 0;
}

int dist_info_from_name(const char *file_name, const char *source, struct arena *arena,
			struct package *out, struct err *err)
{
	struct draft draft = {.origin = source != NULL ? DIST_INFO_EDITABLE : DIST_INFO_INDEX};
	const char *suffix = source != NULL ? ".egg-link" : ".egg";
	struct span rest = {file_name, strlen(file_name)};
	struct span name;
	struct span version = {"", 0};
	int rc;

	if (!text_ends(file_name, suffix))
		return err_set(err, ERR_INVALID, "no Python distribution's name");
	rest.n -= strlen(suffix);
	/* An egg's project name has its dashes as underscores; a link's is as it is. */
	if (source != NULL)
		name = rest;
	else if (!next_part(&rest, &name) || !next_part(&rest, &version))
		return err_set(err, ERR_INVALID, "no Python distribution's name");
	rc = name.n > 0 ? set_exact(draft.name, PACKAGE_NAME_MAX, name, "the name", err)
			: err_set(err, ERR_INVALID, "no Python distribution's name");
	if (rc == 0)
		rc = set_exact(draft.version, PACKAGE_VERSION_MAX, version, "the version", err);
	if (rc == 0 && keep_package(&draft, source, arena, out) < 0)
		rc = err_nomem(err);
	if (rc == 0)
		out->requested = source != NULL; /* nobody gets an editable one unasked */
	return rc;
}
