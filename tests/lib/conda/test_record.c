#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/record.h"
#include "tests/lib/conda/fixture.h"
#include "tests/support/fault.h"

#define ARENA_MAX (1 << 20)
#define FACTS_MAX (1 << 17)
#define FILE_NAME "foo-1.0-h_0.json"
#define HEAD "{\"name\":\"foo\",\"version\":\"1.0\",\"build\":\"h_0\""
#define REST HEAD ","

struct setup {
	struct json_reader *reader;
	struct arena arena;
	struct record record;
	struct err err;
};

static void start(struct setup *s)
{
	*s = (struct setup){0};
	assert_int_equal(json_reader_new(&record_limits, &s->reader), 0);
	arena_init(&s->arena, ARENA_MAX);
}

static void stop(struct setup *s)
{
	json_reader_free(s->reader);
	arena_deinit(&s->arena);
}

static int read_text(struct setup *s, const char *file_name, const char *data, size_t n)
{
	s->err = ERR_INIT;
	json_reader_reset_bytes(s->reader, data, n);
	return record_read(s->reader, file_name, &s->arena, &s->record, &s->err);
}

static int read_pieces(struct setup *s, const char *file_name, const char *data, size_t n,
		       size_t step)
{
	struct fixture_source source = {data, n, step};

	s->err = ERR_INIT;
	json_reader_reset(s->reader, fixture_source_read, &source);
	return record_read(s->reader, file_name, &s->arena, &s->record, &s->err);
}

/* All facts as a line of conda-records.tsv, behind its first column. */
static void add_facts(struct buf *out, const struct record *r)
{
	const struct package *p = &r->package;

	assert_string_equal(p->manager, "conda");
	buf_addf(out, "%s\t%s\t%s\t%lld\t%s\t%s\t%s\t%s\t%s\t%llu\t", p->name, p->version, p->build,
		 (long long)p->build_number, p->channel, p->subdir, r->fn, p->license, p->url,
		 (unsigned long long)p->size);
	if (p->has_sha256)
		buf_add_hex(out, p->sha256, sizeof p->sha256);
	buf_addc(out, '\t');
	if (p->has_md5)
		buf_add_hex(out, p->md5, sizeof p->md5);
	buf_addf(out, "\t%d\t%s\t", p->requested, r->site_packages_path);
	for (size_t i = 0; i < r->anchors.n; i++)
		buf_addf(out, "%s%s", i > 0 ? "|" : "", r->anchors.paths[i]);
	assert_int_equal(buf_rc(out), 0);
}

static const char *file_name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Members of a record, in the text that they were in. */
#define MEMBERS_MAX 64
struct members {
	const char *p[MEMBERS_MAX];
	size_t n[MEMBERS_MAX];
	size_t count;
};

static void split_members(struct json_reader *reader, const char *data, size_t n,
			  struct members *out)
{
	enum json_token token;
	size_t at;

	json_reader_reset_bytes(reader, data, n);
	assert_int_equal(json_next(reader, &token, NULL), 0);
	for (out->count = 0;; out->count++) {
		at = (size_t)json_offset(reader);
		assert_int_equal(json_next(reader, &token, NULL), 0);
		if (token == JSON_OBJECT_END)
			break;
		assert_true(out->count < MEMBERS_MAX);
		assert_int_equal(json_skip(reader, NULL), 0);
		while (data[at] != '"')
			at++;
		out->p[out->count] = data + at;
		out->n[out->count] = (size_t)json_offset(reader) - at;
	}
}

/* The record again with its members in another order; repeatable by seed. */
static void shuffle(struct members *m, uint32_t seed, struct buf *out)
{
	for (size_t i = m->count; i > 1; i--) {
		struct members swap = *m;
		size_t j;

		seed = seed * 1664525 + 1013904223;
		j = (seed >> 8) % i;
		m->p[i - 1] = swap.p[j];
		m->n[i - 1] = swap.n[j];
		m->p[j] = swap.p[i - 1];
		m->n[j] = swap.n[i - 1];
	}
	buf_addc(out, '{');
	for (size_t i = 0; i < m->count; i++) {
		buf_adds(out, i > 0 ? ",\n" : "");
		buf_add(out, m->p[i], m->n[i]);
	}
	buf_addc(out, '}');
	assert_int_equal(buf_rc(out), 0);
}

static void check_facts(struct setup *s, int rc, const char *path, const char *expected)
{
	struct buf facts;

	if (rc < 0)
		fail_msg("%s: %s", path, s->err.text);
	buf_init(&facts, FACTS_MAX);
	add_facts(&facts, &s->record);
	if (strcmp(buf_cstr(&facts), expected) != 0)
		fail_msg("%s:\n  got      %s\n  expected %s", path, buf_cstr(&facts), expected);
	buf_deinit(&facts);
	arena_reset(&s->arena);
}

static void check_fixture(struct setup *s, const char *path, const char *expected)
{
	static const size_t steps[] = {1, 7, 4096};
	const char *name = file_name_of(path);
	struct members members;
	size_t n;
	char *data = fixture_read(path, &n);

	check_facts(s, read_text(s, name, data, n), path, expected);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		check_facts(s, read_pieces(s, name, data, n, steps[i]), path, expected);
	split_members(s->reader, data, n, &members);
	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct buf shuffled;

		buf_init(&shuffled, 1 << 20);
		shuffle(&members, seed, &shuffled);
		check_facts(s, read_text(s, name, shuffled.data, shuffled.len), path, expected);
		buf_deinit(&shuffled);
	}
	/* Cut anywhere it is an error; most of all it is not another package. */
	while (n > 0 && data[n - 1] != '}')
		n--;
	for (size_t cut = 0; cut < n; cut += cut < 2000 ? 1 : 997)
		assert_true(read_text(s, name, data, cut) < 0);
	mem_free(data);
}

static void test_fixtures(void **state)
{
	struct setup s;
	size_t n, records = 0;
	char *table = fixture_read("conda-records.tsv", &n);
	char *next = NULL;

	(void)state;
	start(&s);
	for (char *line = table; *line != '\0'; line = next) {
		char *end = strchr(line, '\n');
		char *tab;

		assert_non_null(end);
		*end = '\0';
		next = end + 1;
		if (line[0] == '#')
			continue;
		tab = strchr(line, '\t');
		assert_non_null(tab);
		*tab = '\0';
		check_fixture(&s, line, tab + 1);
		records++;
	}
	assert_true(records >= 25);
	mem_free(table);
	stop(&s);
}

/* A field and what becomes of it, as the facts from the field on. */
static const struct {
	const char *rest; /* of the record, behind name, version and build */
	const char *field;
	const char *expected;
} fields[] = {
	{"", "build_number", "-1"},
	{"\"build_number\":null", "build_number", "-1"},
	{"\"build_number\":7", "build_number", "7"},
	{"\"build_number\":7,\"build_number\":8", "build_number", "8"},
	{"\"size\":null", "size", "0"},
	{"\"size\":9223372036854775807", "size", "9223372036854775807"},
	{"\"license\":null", "license", ""},
	{"\"license\":\"MIT\",\"license\":null", "license", ""},
	{"\"license\":\"a\\u00e9\\n\"", "license", "a\xc3\xa9\n"},
	{"\"fn\":\"foo-1.0-h_0.conda\"", "fn", "foo-1.0-h_0.conda"},
	{"\"md5\":\"\"", "md5", ""},
	{"\"md5\":\"00112233445566778899AABBCCDDEEFF\"", "md5", "00112233445566778899aabbccddeeff"},
	{"\"md5\":\"00112233445566778899aabbccddeeff\",\"md5\":null", "md5", ""},
	{"\"sha256\":null", "sha256", ""},
	{"\"timestamp\":1700000000123", "built", "1700000000123"},
	{"\"timestamp\":1700000000", "built", "1700000000000"}, /* old ones: seconds */
	{"\"timestamp\":1700000000.75", "built", "1700000000000"},
	{"\"timestamp\":1.7e12", "built", "1700000000000"},
	{"\"timestamp\":253402300798", "built", "253402300798000"},
	{"\"timestamp\":253402300799", "built", "253402300799"},
	{"\"timestamp\":253402300799000", "built", "253402300799000"},
	{"\"timestamp\":253402300799001", "built", "0"},
	{"\"timestamp\":0", "built", "0"},
	{"\"timestamp\":null", "built", "0"},
	{"\"timestamp\":-1", "built", "0"},
	{"\"timestamp\":-9223372036854775808", "built", "0"},
	{"\"timestamp\":9223372036854775807", "built", "0"},
	{"\"timestamp\":99999999999999999999999", "built", "0"},
	{"\"timestamp\":1e30", "built", "0"},
	{"\"timestamp\":-1e30", "built", "0"},
	{"\"timestamp\":1e999", "built", "0"},
	{"\"timestamp\":1e-9", "built", "0"},
	{"\"timestamp\":\"1700000000123\"", "built", "0"},
	{"\"timestamp\":true", "built", "0"},
	{"\"timestamp\":1700000000123,\"timestamp\":\"\"", "built", "0"},
	{"\"requested_spec\":\"foo\"", "requested", "1"},
	{"\"requested_spec\":\"\"", "requested", "0"},
	{"\"requested_spec\":\"None\"", "requested", "0"},
	{"\"requested_spec\":null", "requested", "0"},
	{"\"requested_specs\":[]", "requested", "0"},
	{"\"requested_specs\":null", "requested", "0"},
	{"\"requested_specs\":[\"\",\"None\"]", "requested", "0"},
	{"\"requested_specs\":[\"foo\"]", "requested", "1"},
	{"\"requested_specs\":[\"foo\"],\"requested_spec\":\"\"", "requested", "1"},
	{"\"requested_specs\":[\"foo\"],\"requested_specs\":[]", "requested", "0"},
	{"\"_requested_specs\":[\"foo\"]", "requested", "0"},
	{"\"channel\":\"conda-forge\"", "channel", "conda-forge"},
	{"\"channel\":\"https://u:p@h/t/k/c/linux-64\"", "channel", "https://h/c"},
	{"\"subdir\":\"odd-8\",\"url\":\"https://h/c/odd-8/foo.conda\"", "channel", "https://h/c"},
	{"\"url\":\"https://h/c/odd-8/foo.conda\",\"subdir\":\"odd-8\"", "channel", "https://h/c"},
	{"\"url\":\"https://u:p@h/c/noarch/foo.conda\"", "url", "https://***@h/c/noarch/foo.conda"},
	{"\"python_site_packages_path\":\"lib/x\"", "site", ""}, /* not python's record */
	{"\"files\":null", "anchors", ""},
	{"\"files\":[\"a.egg-info\"],\"files\":[]", "anchors", ""},
	{"\"files\":[\"s/A.dist-info/RECORD\",\"s/A.dist-info/METADATA\",\"x\",\"\"]", "anchors",
	 "s/A.dist-info/RECORD"},
	{"\"files\":[\"S\\\\a.dist-info\\\\RECORD\",\"a.egg-link\",\"s/b.egg/EGG-INFO/PKG-INFO\","
	 "\"b.egg-info\",\"c.egg-info/PKG-INFO\",\"RECORD\",\"PKG-INFO\",\"xegg-info\"]",
	 "anchors",
	 "S/a.dist-info/RECORD|a.egg-link|s/b.egg/EGG-INFO/PKG-INFO|b.egg-info|"
	 "c.egg-info/PKG-INFO"},
	{"\"files\":[\"\\u0000.egg-info\"]", "anchors", ""},
	{"\"paths_data\":{\"paths\":[{\"_path\":\"a.egg-info\",\"name\":1}]}", "anchors", ""},
};

static void add_field(struct buf *out, const struct record *r, const char *field)
{
	const struct package *p = &r->package;

	if (strcmp(field, "build_number") == 0)
		buf_addf(out, "%lld", (long long)p->build_number);
	else if (strcmp(field, "size") == 0)
		buf_addf(out, "%llu", (unsigned long long)p->size);
	else if (strcmp(field, "built") == 0)
		buf_addf(out, "%lld", (long long)p->built_ms);
	else if (strcmp(field, "license") == 0)
		buf_adds(out, p->license);
	else if (strcmp(field, "fn") == 0)
		buf_adds(out, r->fn);
	else if (strcmp(field, "md5") == 0)
		buf_add_hex(out, p->md5, p->has_md5 ? sizeof p->md5 : 0);
	else if (strcmp(field, "sha256") == 0)
		buf_add_hex(out, p->sha256, p->has_sha256 ? sizeof p->sha256 : 0);
	else if (strcmp(field, "requested") == 0)
		buf_adds(out, p->requested ? "1" : "0");
	else if (strcmp(field, "channel") == 0)
		buf_adds(out, p->channel);
	else if (strcmp(field, "url") == 0)
		buf_adds(out, p->url);
	else if (strcmp(field, "site") == 0)
		buf_adds(out, r->site_packages_path);
	else
		for (size_t i = 0; i < r->anchors.n; i++)
			buf_addf(out, "%s%s", i > 0 ? "|" : "", r->anchors.paths[i]);
}

static void test_fields(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct buf text, got;

		buf_init(&text, 1 << 16);
		buf_init(&got, 1 << 16);
		buf_addf(&text, "%s%s%s}", HEAD, fields[i].rest[0] != '\0' ? "," : "",
			 fields[i].rest);
		if (read_text(&s, FILE_NAME, text.data, text.len) < 0)
			fail_msg("%s: %s", buf_cstr(&text), s.err.text);
		add_field(&got, &s.record, fields[i].field);
		assert_string_equal(buf_cstr(&got), fields[i].expected);
		buf_deinit(&text);
		buf_deinit(&got);
	}
	stop(&s);
}

static const struct {
	const char *text;
	int rc;
	const char *says; /* somewhere in the error */
} bad[] = {
	{"", ERR_TRUNCATED, "offset"},
	{" \n", ERR_TRUNCATED, "offset"},
	{"[]", ERR_INVALID, "not a package record"},
	{"\"x\"", ERR_INVALID, "not a package record"},
	{"{}", ERR_INVALID, "no name"},
	{"{\"version\":\"1.0\",\"build\":\"h_0\"}", ERR_INVALID, "no name"},
	{"{\"name\":\"foo\",\"build\":\"h_0\"}", ERR_INVALID, "no version"},
	{"{\"name\":\"foo\",\"version\":\"1.0\"}", ERR_INVALID, "no build"},
	{REST "\"build\":null}", ERR_INVALID, "no build"},
	{REST "\"timestamp\":[1]}", ERR_INVALID, "timestamp"},
	{REST "\"timestamp\":{}}", ERR_INVALID, "timestamp"},
	{REST "\"name\":\"\"}", ERR_INVALID, "no name"},
	{REST "\"name\":\"bar\"}", ERR_INVALID, "another package"},
	{REST "\"name\":\"Foo\"}", ERR_INVALID, "another package"},
	{REST "\"version\":\"1.1\"}", ERR_INVALID, "another package"},
	{REST "\"build\":\"h_1\"}", ERR_INVALID, "another package"},
	{HEAD, ERR_TRUNCATED, "offset"},
	{HEAD "} x", ERR_INVALID, "offset"},
	{HEAD "}{}", ERR_INVALID, "offset"},
	{REST "}", ERR_INVALID, "offset"},
	{REST "\"name\":5}", ERR_INVALID, "\"name\" is not a string"},
	{"{\"name\":5,"
	 "\"name\":\"foo\"}",
	 ERR_INVALID, "\"name\" is not a string"},
	{REST "\"name\":[\"foo\"]}", ERR_INVALID, "\"name\" is not a string"},
	{REST "\"name\":\"f\\u0000\"}", ERR_INVALID, "NUL"},
	{REST "\"license\":true}", ERR_INVALID, "\"license\" is not a string"},
	{REST "\"url\":{}}", ERR_INVALID, "\"url\" is not a string"},
	{REST "\"build_number\":\"1\"}", ERR_INVALID, "\"build_number\""},
	{REST "\"build_number\":-1}", ERR_INVALID, "\"build_number\""},
	{REST "\"build_number\":1.5}", ERR_INVALID, "\"build_number\""},
	{REST "\"size\":1e3}", ERR_INVALID, "\"size\""},
	{REST "\"size\":9223372036854775808}", ERR_INVALID, "\"size\""},
	{REST "\"md5\":\"00\"}", ERR_INVALID, "\"md5\" is not a hash"},
	{REST "\"md5\":\"0011223344556677889900112233445g\"}", ERR_INVALID, "\"md5\""},
	{REST "\"sha256\":\"00112233445566778899aabbccddeeff\"}", ERR_INVALID, "\"sha256\""},
	{REST "\"requested_spec\":[]}", ERR_INVALID, "\"requested_spec\""},
	{REST "\"requested_specs\":\"foo\"}", ERR_INVALID, "\"requested_specs\""},
	{REST "\"requested_specs\":[1]}", ERR_INVALID, "\"requested_specs\""},
	{REST "\"files\":{}}", ERR_INVALID, "\"files\""},
	{REST "\"files\":[[\"x\"]]}", ERR_INVALID, "\"files\""},
	{REST "\"paths_data\":[}", ERR_INVALID, "offset"},
};

static void test_bad(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct record before = s.record;
		int rc = read_text(&s, FILE_NAME, bad[i].text, strlen(bad[i].text));

		if (rc != bad[i].rc || strstr(s.err.text, bad[i].says) == NULL)
			fail_msg("%s: %d %s", bad[i].text, rc, s.err.text);
		assert_int_equal(s.err.code, rc);
		assert_memory_equal(&before, &s.record, sizeof before);
	}
	stop(&s);
}

static const struct {
	const char *name, *version, *build;
	const char *file_name;
	bool good;
} names[] = {
	{"foo", "1.0", "h_0", "foo-1.0-h_0.json", true},
	{"foo-bar", "1.0", "h_0", "foo-bar-1.0-h_0.json", true},
	{"Foo", "1.0", "0", "Foo-1.0-0.json", true},
	{"foo", "1.0", "", "foo-1.0-.json", true},
	{"-", "1", "0", "--1-0.json", true},
	{"foo", "1.0", "h_0", "foo-1.0-h_0.jso", false},
	{"foo", "1.0", "h_0", "foo-1.0-h_0", false},
	{"foo", "1.0", "h_0", "foo-1.0.json", false},
	{"foo", "1.0", "h_0", ".json", false},
	{"foo", "1.0", "h_0", "", false},
	{"foo", "bar-1.0", "h_0", "foo-bar-1.0-h_0.json", false},
	{"foo", "1.0", "h-0", "foo-1.0-h-0.json", false},
	{"foo", "1.0", "h_0", "xfoo-1.0-h_0.json", false},
};

static void test_file_names(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct buf text;
		int rc;

		buf_init(&text, 4096);
		buf_addf(&text, "{\"name\":\"%s\",\"version\":\"%s\",\"build\":\"%s\"}",
			 names[i].name, names[i].version, names[i].build);
		rc = read_text(&s, names[i].file_name, text.data, text.len);
		if (rc != (names[i].good ? 0 : ERR_INVALID))
			fail_msg("%s: %d", names[i].file_name, rc);
		if (rc == 0 && names[i].name[0] == 'F')
			assert_string_equal(s.record.package.name, "foo");
		buf_deinit(&text);
	}
	stop(&s);
}

/* Text of n characters in a field: what is left of it, or the error. */
static int read_long(struct setup *s, const char *field, size_t n, const char *character)
{
	struct buf text;
	int rc;

	buf_init(&text, 1 << 20);
	buf_addf(&text, "%s\"%s\":\"", REST, field);
	while (n-- > 0)
		buf_adds(&text, character);
	buf_adds(&text, "\"}");
	assert_int_equal(buf_rc(&text), 0);
	rc = read_text(s, FILE_NAME, text.data, text.len);
	buf_deinit(&text);
	return rc;
}

static void test_limits(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	assert_int_equal(read_long(&s, "name", PACKAGE_NAME_MAX + 1, "x"), ERR_INVALID);
	assert_non_null(strstr(s.err.text, "\"name\" is too long"));
	assert_int_equal(read_long(&s, "version", PACKAGE_VERSION_MAX + 1, "x"), ERR_INVALID);
	assert_non_null(strstr(s.err.text, "\"version\" is too long"));
	assert_int_equal(read_long(&s, "build", PACKAGE_BUILD_MAX + 1, "x"), ERR_INVALID);
	assert_non_null(strstr(s.err.text, "\"build\" is too long"));

	assert_int_equal(read_long(&s, "license", PACKAGE_LICENSE_MAX, "x"), 0);
	assert_int_equal(strlen(s.record.package.license), PACKAGE_LICENSE_MAX);
	assert_int_equal(read_long(&s, "license", PACKAGE_LICENSE_MAX + 9, "x"), 0);
	assert_int_equal(strlen(s.record.package.license), PACKAGE_LICENSE_MAX);
	assert_int_equal(read_long(&s, "license", 9999, "\xe2\x82\xac"), 0);
	assert_int_equal(strlen(s.record.package.license), PACKAGE_LICENSE_MAX / 3 * 3);
	assert_true(text_is_utf8(s.record.package.license, PACKAGE_LICENSE_MAX / 3 * 3));

	assert_int_equal(read_long(&s, "url", PACKAGE_URL_MAX, "x"), 0);
	assert_int_equal(strlen(s.record.package.url), PACKAGE_URL_MAX);
	assert_int_equal(read_long(&s, "url", PACKAGE_URL_MAX + 1, "x"), 0);
	assert_string_equal(s.record.package.url, "");
	assert_int_equal(read_long(&s, "url", PACKAGE_URL_MAX / 7, "/t/k/://"), 0);
	assert_string_equal(s.record.package.url, "");
	assert_int_equal(read_long(&s, "channel", PACKAGE_CHANNEL_MAX, "x"), 0);
	assert_int_equal(strlen(s.record.package.channel), PACKAGE_CHANNEL_MAX);
	assert_int_equal(read_long(&s, "channel", PACKAGE_CHANNEL_MAX + 1, "x"), 0);
	assert_string_equal(s.record.package.channel, "");
	assert_int_equal(read_long(&s, "subdir", PACKAGE_SUBDIR_MAX + 1, "x"), 0);
	assert_string_equal(s.record.package.subdir, "");
	assert_int_equal(read_long(&s, "fn", RECORD_FN_MAX + 1, "x"), 0);
	assert_string_equal(s.record.fn, "");

	assert_int_equal(read_long(&s, "license", record_limits.max_string + 1, "x"), ERR_LIMIT);
	assert_int_equal(read_long(&s, "depends", record_limits.max_string + 1, "x"), 0);
	stop(&s);
}

static void test_anchor_limits(void **state)
{
	struct setup s;
	struct buf text;

	(void)state;
	start(&s);
	buf_init(&text, 1 << 20);
	buf_adds(&text, REST "\"files\":[\"");
	for (size_t i = 0; i <= RECORD_PATH_MAX; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, ".egg-info\"");
	for (size_t i = 0; i < RECORD_ANCHORS_MAX; i++)
		buf_addf(&text, ",\"%zu.egg-info\"", i);
	buf_adds(&text, "]}");
	assert_int_equal(read_text(&s, FILE_NAME, text.data, text.len), 0);
	assert_int_equal(s.record.anchors.n, RECORD_ANCHORS_MAX);
	assert_true(s.record.anchors.more); /* the long one */
	assert_string_equal(s.record.anchors.paths[0], "0.egg-info");
	buf_deinit(&text);

	buf_init(&text, 1 << 20);
	buf_adds(&text, REST "\"files\":[\"x\"");
	for (size_t i = 0; i < 100; i++) {
		buf_adds(&text, ",\"");
		for (size_t j = 0; j < 1000; j++)
			buf_addc(&text, 'y');
		buf_adds(&text, ".egg-info\"");
	}
	buf_adds(&text, "]}");
	assert_int_equal(read_text(&s, FILE_NAME, text.data, text.len), 0);
	assert_int_equal(s.record.anchors.n, RECORD_ANCHORS_BYTES / 1010);
	assert_true(s.record.anchors.more);
	buf_deinit(&text);
	stop(&s);
}

/* A field repeated without end costs no memory beyond the facts. */
static void test_repeated(void **state)
{
	struct setup s;
	struct buf text;

	(void)state;
	start(&s);
	buf_init(&text, 1 << 24);
	buf_adds(&text, HEAD);
	for (int i = 0; i < 20000; i++)
		buf_addf(&text, ",\"license\":\"%d\",\"files\":[\"%d.egg-info\"],\"size\":%d", i, i,
			 i);
	buf_adds(&text, "}");
	assert_int_equal(buf_rc(&text), 0);
	assert_int_equal(read_text(&s, FILE_NAME, text.data, text.len), 0);
	assert_string_equal(s.record.package.license, "19999");
	assert_int_equal(s.record.package.size, 19999);
	assert_int_equal(s.record.anchors.n, 1);
	assert_string_equal(s.record.anchors.paths[0], "19999.egg-info");
	assert_false(s.record.anchors.more);
	assert_true(s.arena.used < 1 << 17);
	buf_deinit(&text);
	stop(&s);
}

static void test_python(void **state)
{
	static const char text[] =
		"{\"python_site_packages_path\":\"lib/python3.13t/site-packages\","
		"\"name\":\"python\",\"version\":\"3.13\",\"build\":\"0\"}";
	struct setup s;

	(void)state;
	start(&s);
	assert_int_equal(read_text(&s, "python-3.13-0.json", text, strlen(text)), 0);
	assert_string_equal(s.record.site_packages_path, "lib/python3.13t/site-packages");
	stop(&s);
}

static int64_t read_fails(void *ctx, void *into, size_t cap)
{
	(void)ctx;
	(void)into;
	(void)cap;
	return ERR_IO;
}

static void test_read_error(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	json_reader_reset(s.reader, read_fails, NULL);
	assert_int_equal(record_read(s.reader, FILE_NAME, &s.arena, &s.record, NULL), ERR_IO);
	stop(&s);
}

static int read_menuinst(void *ctx)
{
	static const char text[] = REST "\"url\":\"https://u:p@h/t/tk/c/noarch/foo.conda\","
					"\"files\":[\"a.egg-info\",\"b.egg-info\"]}";
	struct json_reader *reader = NULL;
	struct arena arena;
	struct record record;
	int rc;

	(void)ctx;
	arena_init(&arena, ARENA_MAX);
	rc = json_reader_new(&record_limits, &reader);
	if (rc == 0) {
		json_reader_reset_bytes(reader, text, strlen(text));
		rc = record_read(reader, FILE_NAME, &arena, &record, NULL);
	}
	if (rc == 0)
		assert_int_equal(record.anchors.n, 2);
	json_reader_free(reader);
	arena_deinit(&arena);
	return rc;
}

static void test_faults(void **state)
{
	struct setup s;

	(void)state;
	fault_each_alloc(read_menuinst, NULL, 4);

	/* An arena that is too small is the same error. */
	start(&s);
	arena_deinit(&s.arena);
	arena_init(&s.arena, 16);
	assert_int_equal(read_text(&s, FILE_NAME, HEAD "}", strlen(HEAD) + 1), ERR_NOMEM);
	assert_int_equal(s.err.code, ERR_NOMEM);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),   cmocka_unit_test(test_fields),
		cmocka_unit_test(test_bad),	   cmocka_unit_test(test_file_names),
		cmocka_unit_test(test_limits),	   cmocka_unit_test(test_anchor_limits),
		cmocka_unit_test(test_repeated),   cmocka_unit_test(test_python),
		cmocka_unit_test(test_read_error), cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
