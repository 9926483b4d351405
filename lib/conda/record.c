#include "lib/conda/record.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/channel.h"

#define SECONDS_BELOW (PACKAGE_BUILT_MAX_MS / 1000) /* a timestamp */
#define RECORD_SUFFIX ".json"

const struct json_limits record_limits = {
	.max_depth = 64,
	.max_string = 65536,
	.max_bytes = 64u << 20,
};

/*
 * The facts while they are collected. Fixed room for each, so that a file repeating a field a
 * million times costs nothing; only what is left at the end goes to the arena.
 */
struct draft {
	bool has_name, has_version, has_build;
	char name[PACKAGE_NAME_MAX + 1];
	char version[PACKAGE_VERSION_MAX + 1];
	char build[PACKAGE_BUILD_MAX + 1];
	char channel[PACKAGE_CHANNEL_MAX + 1];
	char subdir[PACKAGE_SUBDIR_MAX + 1];
	char license[PACKAGE_LICENSE_MAX + 1];
	char url[PACKAGE_URL_MAX + 1];
	char fn[RECORD_FN_MAX + 1];
	char site_packages_path[RECORD_PATH_MAX + 1];
	int64_t build_number;
	uint64_t size;
	int64_t built_ms;
	unsigned char sha256[SHA256_SIZE];
	unsigned char md5[16];
	bool has_sha256, has_md5;
	bool spec_requested;  /* requested_spec says so */
	bool specs_requested; /* requested_specs says so */
	struct buf anchors;   /* each ended by '\0' */
	size_t n_anchors;
	bool more_anchors;
};

struct scan {
	struct json_reader *reader;
	struct draft *draft;
	struct err *err;
};

static int malformed(const struct scan *s, const char *key, const char *what)
{
	return err_set(s->err, ERR_INVALID, "offset %llu: \"%s\" %s",
		       (unsigned long long)json_offset(s->reader), key, what);
}

static int next(const struct scan *s, enum json_token *token)
{
	return json_next(s->reader, token, s->err);
}

/*
 * The value of a text field. *text is NULL for null.
 */
static int read_string(const struct scan *s, const char *key, const char **text, size_t *n)
{
	enum json_token token;
	int rc = next(s, &token);

	if (rc < 0)
		return rc;
	*text = NULL;
	*n = 0;
	if (token == JSON_NULL)
		return 0;
	if (token != JSON_STRING)
		return malformed(s, key, "is not a string");
	*text = json_text(s->reader, n);
	if (memchr(*text, '\0', *n) != NULL)
		return malformed(s, key, "holds a NUL");
	if (!text_is_utf8(*text, *n))
		return malformed(s, key, "is not UTF-8");
	return 0;
}

/* What becomes of text over its limit. */
enum excess {
	EXCESS_ERROR,
	EXCESS_CUT,
	EXCESS_DROP
};

struct text_field {
	const char *key;
	size_t at; /* in struct draft */
	size_t max;
	enum excess excess;
};

#define TEXT(key, member, excess)                                                                  \
	{                                                                                          \
		key, offsetof(struct draft, member), sizeof((struct draft *)0)->member - 1, excess \
	}

static const struct text_field text_fields[] = {
	TEXT("name", name, EXCESS_ERROR),
	TEXT("version", version, EXCESS_ERROR),
	TEXT("build", build, EXCESS_ERROR),
	TEXT("channel", channel, EXCESS_DROP),
	TEXT("subdir", subdir, EXCESS_DROP),
	TEXT("license", license, EXCESS_CUT),
	TEXT("url", url, EXCESS_DROP),
	TEXT("fn", fn, EXCESS_DROP),
	TEXT("python_site_packages_path", site_packages_path, EXCESS_DROP),
};

static int read_text(const struct scan *s, const struct text_field *field)
{
	char *room = (char *)s->draft + field->at;
	const char *text;
	size_t n;
	int rc = read_string(s, field->key, &text, &n);

	if (rc < 0)
		return rc;
	if (n > field->max) {
		if (field->excess == EXCESS_ERROR)
			return malformed(s, field->key, "is too long");
		n = field->excess == EXCESS_CUT ? field->max : 0;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--; /* not inside a character */
	}
	if (n > 0)
		memcpy(room, text, n);
	room[n] = '\0';
	if (room == s->draft->name)
		s->draft->has_name = text != NULL;
	else if (room == s->draft->version)
		s->draft->has_version = text != NULL;
	else if (room == s->draft->build)
		s->draft->has_build = text != NULL;
	return 0;
}

/* A count: *value is `absent` for null. */
static int read_count(const struct scan *s, const char *key, int64_t absent, int64_t *value)
{
	enum json_token token;
	int rc = next(s, &token);

	if (rc < 0)
		return rc;
	if (token == JSON_NULL) {
		*value = absent;
		return 0;
	}
	if (token != JSON_INT || json_num(s->reader) < 0)
		return malformed(s, key, "is not a whole number from 0 on");
	*value = json_num(s->reader);
	return 0;
}

static int read_build_number(const struct scan *s)
{
	return read_count(s, "build_number", PACKAGE_BUILD_NUMBER_UNKNOWN, &s->draft->build_number);
}

static int read_size(const struct scan *s)
{
	int64_t value = 0;
	int rc = read_count(s, "size", 0, &value);

	if (rc == 0)
		s->draft->size = (uint64_t)value;
	return rc;
}

/* The text of a number with a fraction or an exponent; negative or too big ones end at the limits.
 */
static int64_t whole_of(const char *text)
{
	double value = strtod(text, NULL);

	return value >= (double)PACKAGE_BUILT_MAX_MS + 1 ? PACKAGE_BUILT_MAX_MS + 1
	       : value > 0				 ? (int64_t)value
							 : 0;
}

/*
 * When it was built: milliseconds, or seconds in old records, told apart as conda does. Nothing
 * else depends on it, so one that makes no sense is no reason to refuse the record.
 */
static int read_timestamp(const struct scan *s)
{
	enum json_token token;
	int64_t value = 0;
	size_t n;
	int rc = next(s, &token);

	if (rc == 0 && token == JSON_INT)
		value = json_num(s->reader);
	else if (rc == 0 && token == JSON_NUMBER)
		value = whole_of(json_text(s->reader, &n));
	else if (rc == 0 && (token == JSON_OBJECT || token == JSON_ARRAY))
		return malformed(s, "timestamp", "is not a number");
	if (value > 0 && value < SECONDS_BELOW)
		value *= 1000;
	s->draft->built_ms = value > 0 && value <= PACKAGE_BUILT_MAX_MS ? value : 0;
	return rc;
}

static int read_hash(const struct scan *s, const char *key, unsigned char *hash, size_t size,
		     bool *has)
{
	const char *text;
	size_t n;
	int rc = read_string(s, key, &text, &n);

	if (rc < 0)
		return rc;
	*has = n > 0;
	if (n > 0 && (n != 2 * size || text_from_hex(text, n, hash, size) < 0))
		return malformed(s, key, "is not a hash");
	return 0;
}

static int read_md5(const struct scan *s)
{
	return read_hash(s, "md5", s->draft->md5, sizeof s->draft->md5, &s->draft->has_md5);
}

static int read_sha256(const struct scan *s)
{
	return read_hash(s, "sha256", s->draft->sha256, sizeof s->draft->sha256,
			 &s->draft->has_sha256);
}

/* Old conda wrote Python's None as text. */
static bool is_spec(const char *text, size_t n)
{
	return n > 0 && !(n == 4 && memcmp(text, "None", 4) == 0);
}

static int read_requested_spec(const struct scan *s)
{
	const char *text;
	size_t n;
	int rc = read_string(s, "requested_spec", &text, &n);

	if (rc == 0)
		s->draft->spec_requested = is_spec(text, n);
	return rc;
}

/* Opens a list of strings; *is_list is false for null, which is no list and no error. */
static int open_list(const struct scan *s, const char *key, bool *is_list)
{
	enum json_token token;
	int rc = next(s, &token);

	if (rc < 0)
		return rc;
	if (token != JSON_ARRAY && token != JSON_NULL)
		return malformed(s, key, "is not a list");
	*is_list = token == JSON_ARRAY;
	return 0;
}

/* The next string of a list; *text is NULL at its end. */
static int next_in_list(const struct scan *s, const char *key, const char **text, size_t *n)
{
	enum json_token token;
	int rc = next(s, &token);

	if (rc < 0)
		return rc;
	if (token != JSON_STRING && token != JSON_ARRAY_END)
		return malformed(s, key, "is not a list of strings");
	*text = token == JSON_STRING ? json_text(s->reader, n) : NULL;
	return 0;
}

static int read_requested_specs(const struct scan *s)
{
	const char *text = "";
	size_t n = 0;
	bool is_list = false;
	int rc = open_list(s, "requested_specs", &is_list);

	if (rc < 0)
		return rc;
	s->draft->specs_requested = false;
	while (is_list && text != NULL) {
		rc = next_in_list(s, "requested_specs", &text, &n);
		if (rc < 0)
			return rc;
		if (text != NULL && is_spec(text, n))
			s->draft->specs_requested = true;
	}
	return 0;
}

/* Ends in `suffix`, where a '\\' of the text passes for a '/'. */
static bool path_ends(const char *path, size_t n, const char *suffix, size_t suffix_n)
{
	if (n < suffix_n)
		return false;
	path += n - suffix_n;
	for (size_t i = 0; i < suffix_n; i++)
		if (path[i] != suffix[i] && !(path[i] == '\\' && suffix[i] == '/'))
			return false;
	return true;
}

static bool is_anchor(const char *path, size_t n)
{
	static const char *const suffixes[] = {".dist-info/RECORD", ".egg-info/PKG-INFO",
					       "EGG-INFO/PKG-INFO", ".egg-info", ".egg-link"};

	/* Nearly all files of a package leave here. */
	if (n < 9 ||
	    (path[n - 1] != 'D' && path[n - 1] != 'O' && path[n - 1] != 'o' && path[n - 1] != 'k'))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (path_ends(path, n, suffixes[i], strlen(suffixes[i])))
			return true;
	return false;
}

static int add_anchor(struct draft *draft, const char *path, size_t n)
{
	if (memchr(path, '\0', n) != NULL || !text_is_utf8(path, n))
		return 0; /* no file has such a name */
	if (n > RECORD_PATH_MAX || draft->n_anchors == RECORD_ANCHORS_MAX ||
	    draft->anchors.len + n + 1 > RECORD_ANCHORS_BYTES) {
		draft->more_anchors = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		buf_addc(&draft->anchors, path[i] == '\\' ? '/' : path[i]);
	buf_addc(&draft->anchors, '\0');
	draft->n_anchors++;
	return buf_rc(&draft->anchors);
}

static int read_files(const struct scan *s)
{
	struct draft *draft = s->draft;
	const char *path = "";
	size_t n = 0;
	bool is_list = false;
	int rc = open_list(s, "files", &is_list);

	if (rc < 0)
		return rc;
	buf_clear(&draft->anchors);
	draft->n_anchors = 0;
	draft->more_anchors = false;
	while (is_list && path != NULL) {
		rc = next_in_list(s, "files", &path, &n);
		if (rc < 0)
			return rc;
		if (path == NULL || !is_anchor(path, n))
			continue;
		rc = add_anchor(draft, path, n);
		if (rc < 0)
			return err_nomem(s->err);
	}
	return 0;
}

static const struct {
	const char *key;
	int (*read)(const struct scan *s);
} other_fields[] = {
	{"build_number", read_build_number},
	{"size", read_size},
	{"timestamp", read_timestamp},
	{"md5", read_md5},
	{"sha256", read_sha256},
	{"requested_spec", read_requested_spec},
	{"requested_specs", read_requested_specs},
	{"files", read_files},
};

static bool is_key(const char *key, const char *text, size_t n)
{
	return strlen(key) == n && memcmp(key, text, n) == 0;
}

static int read_field(const struct scan *s)
{
	size_t n;
	const char *key = json_text(s->reader, &n);

	for (size_t i = 0; i < ARRAY_SIZE(text_fields); i++)
		if (is_key(text_fields[i].key, key, n))
			return read_text(s, &text_fields[i]);
	for (size_t i = 0; i < ARRAY_SIZE(other_fields); i++)
		if (is_key(other_fields[i].key, key, n))
			return other_fields[i].read(s);
	return json_skip(s->reader, s->err);
}

static int read_fields(const struct scan *s)
{
	enum json_token token;
	int rc = next(s, &token);

	if (rc < 0)
		return rc;
	if (token != JSON_OBJECT)
		return err_set(s->err, ERR_INVALID, "not a package record");
	for (;;) {
		rc = next(s, &token);
		if (rc < 0)
			return rc;
		if (token == JSON_OBJECT_END)
			break;
		rc = read_field(s);
		if (rc < 0)
			return rc;
	}
	return next(s, &token); /* JSON_END: nothing stands behind the object */
}

/* Splits a stem at its last two dashes and compares, as conda does before it believes a record. */
static bool matches_file_name(const struct draft *d, const char *file_name)
{
	size_t n[3] = {strlen(d->name), strlen(d->version), strlen(d->build)};
	size_t stem = strlen(file_name);
	const char *p = file_name;

	if (!text_ends(file_name, RECORD_SUFFIX))
		return false;
	stem -= strlen(RECORD_SUFFIX);
	if (strchr(d->version, '-') != NULL || strchr(d->build, '-') != NULL)
		return false;
	if (stem != n[0] + n[1] + n[2] + 2)
		return false;
	return memcmp(p, d->name, n[0]) == 0 && p[n[0]] == '-' &&
	       memcmp(p + n[0] + 1, d->version, n[1]) == 0 && p[n[0] + 1 + n[1]] == '-' &&
	       memcmp(p + n[0] + n[1] + 2, d->build, n[2]) == 0;
}

static int check_identity(const struct draft *d, const char *file_name, struct err *err)
{
	const char *missing = !d->has_name || d->name[0] == '\0'	 ? "name"
			      : !d->has_version || d->version[0] == '\0' ? "version"
			      : !d->has_build				 ? "build"
									 : NULL;

	if (missing != NULL)
		return err_set(err, ERR_INVALID, "not a package record: no %s", missing);
	if (!matches_file_name(d, file_name))
		return err_set(err, ERR_INVALID, "record of another package: %s-%s-%s", d->name,
			       d->version, d->build);
	return 0;
}

/* The URL and channel without secrets; dropped if that makes them too long. */
static int clean_sources(struct draft *d, struct arena *arena, struct package *p)
{
	struct buf url, channel;
	int rc = ERR_NOMEM;

	buf_init(&url, 4 * PACKAGE_URL_MAX);
	buf_init(&channel, PACKAGE_URL_MAX);
	channel_mask_url(&url, d->url, strlen(d->url));
	channel_from_record(&channel, d->url, d->channel, d->subdir);
	if (buf_rc(&url) == ERR_NOMEM || buf_rc(&channel) == ERR_NOMEM)
		goto out;
	p->url = arena_strdup(arena, url.len <= PACKAGE_URL_MAX ? buf_cstr(&url) : "");
	p->channel =
		arena_strdup(arena, channel.len <= PACKAGE_CHANNEL_MAX ? buf_cstr(&channel) : "");
	if (p->url != NULL && p->channel != NULL)
		rc = 0;
out:
	buf_deinit(&url);
	buf_deinit(&channel);
	return rc;
}

static int keep_anchors(const struct draft *d, struct arena *arena, struct record_anchors *out)
{
	const char *path;

	*out = (struct record_anchors){.more = d->more_anchors};
	if (d->n_anchors == 0)
		return 0;
	out->paths = arena_calloc(arena, d->n_anchors, sizeof *out->paths);
	path = arena_dup(arena, d->anchors.data, d->anchors.len);
	if (out->paths == NULL || path == NULL)
		return ERR_NOMEM;
	for (; out->n < d->n_anchors; out->n++) {
		out->paths[out->n] = path;
		path += strlen(path) + 1;
	}
	return 0;
}

static void lower_ascii(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

static int keep(struct draft *d, struct arena *arena, struct record *out)
{
	struct record r = {0};
	struct package *p = &r.package;

	lower_ascii(d->name);
	p->manager = "conda";
	p->name = arena_strdup(arena, d->name);
	p->version = arena_strdup(arena, d->version);
	p->build = arena_strdup(arena, d->build);
	p->subdir = arena_strdup(arena, d->subdir);
	p->license = arena_strdup(arena, d->license);
	r.fn = arena_strdup(arena, d->fn);
	r.site_packages_path = "";
	if (strcmp(d->name, "python") == 0)
		r.site_packages_path = arena_strdup(arena, d->site_packages_path);
	if (p->name == NULL || p->version == NULL || p->build == NULL || p->subdir == NULL ||
	    p->license == NULL || r.fn == NULL || r.site_packages_path == NULL)
		return ERR_NOMEM;
	if (clean_sources(d, arena, p) < 0 || keep_anchors(d, arena, &r.anchors) < 0)
		return ERR_NOMEM;
	p->build_number = d->build_number;
	p->size = d->size;
	p->built_ms = d->built_ms;
	p->has_sha256 = d->has_sha256;
	p->has_md5 = d->has_md5;
	if (d->has_sha256)
		memcpy(p->sha256, d->sha256, sizeof p->sha256);
	if (d->has_md5)
		memcpy(p->md5, d->md5, sizeof p->md5);
	p->requested = d->spec_requested || d->specs_requested;
	*out = r;
	return 0;
}

int record_read(struct json_reader *reader, const char *file_name, struct arena *arena,
		struct record *out, struct err *err)
{
	struct draft draft = {.build_number = PACKAGE_BUILD_NUMBER_UNKNOWN};
	struct scan scan = {reader, &draft, err};
	int rc;

	buf_init(&draft.anchors, RECORD_ANCHORS_BYTES);
	rc = read_fields(&scan);
	if (rc < 0)
		goto out;
	rc = check_identity(&draft, file_name, err);
	if (rc < 0)
		goto out;
	rc = keep(&draft, arena, out);
	if (rc < 0)
		err_nomem(err);
out:
	buf_deinit(&draft.anchors);
	return rc;
}
