#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/conda/dist_info.h"
#include "tests/support/fault.h"

#define META "Metadata-Version: 2.1\nName: Foo\nVersion: 1.2\n"
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct json_limits limits = {.max_depth = 16, .max_string = 4096, .max_bytes = 65536};

struct setup {
	struct json_reader *reader;
	struct arena arena;
	struct dist_info info;
	struct err err;
};

static void start(struct setup *s)
{
	*s = (struct setup){0};
	assert_int_equal(json_reader_new(&limits, &s->reader), 0);
	arena_init(&s->arena, 1 << 16);
}

static void stop(struct setup *s)
{
	json_reader_free(s->reader);
	arena_deinit(&s->arena);
}

static int read_files(struct setup *s, const struct dist_info_files *files)
{
	s->err = ERR_INIT;
	arena_reset(&s->arena);
	return dist_info_read(files, s->reader, &s->arena, &s->info, &s->err);
}

static struct dist_info_files files_of(const char *metadata, const char *direct_url)
{
	struct dist_info_files files = {.metadata = metadata, .metadata_n = strlen(metadata)};

	files.direct_url = direct_url;
	files.direct_url_n = direct_url != NULL ? strlen(direct_url) : 0;
	return files;
}

static const struct {
	const char *text;
	const char *name, *version, *license;
} metadata[] = {
	{META, "foo", "1.2", ""},
	{META "License: MIT\n", "foo", "1.2", "MIT"},
	{META "License: MIT\nLicense-Expression: MIT OR X11\n", "foo", "1.2", "MIT OR X11"},
	{META "License-Expression: MIT OR X11\nLicense: MIT\n", "foo", "1.2", "MIT OR X11"},
	{META "License: UNKNOWN\n", "foo", "1.2", ""},
	{META "License: BSD\n        and a text\n\tName: x\nSummary: x\n", "foo", "1.2", "BSD"},
	{META "\nLicense: MIT\nName: bar\n", "foo", "1.2", ""}, /* the description */
	{"Name: Foo\r\nVersion: 1.2\r\nLicense: MIT\r\n\r\nName: x\r\n", "foo", "1.2", "MIT"},
	{"name:Foo.Bar__baz\nVERSION:\t1.2 \nlicense:  x  ", "foo-bar-baz", "1.2", "x"},
	{META "Name: Second\nVersion: 9\nLicense: a\nLicense: b\n", "foo", "1.2", "a"},
	{"Name\nName :x\n: y\n" META, "foo", "1.2", ""},
	{META "License: \xff\n", "foo", "1.2", ""},
	{META "Classifier: License :: OSI Approved :: MIT License\n", "foo", "1.2", "MIT License"},
	{META "Classifier: License :: OSI Approved\nClassifier: Topic :: Other\n", "foo", "1.2",
	 ""},
	{META "Classifier: License :: A\nClassifier: License :: B :: C\n", "foo", "1.2", "A; C"},
	{META "License: MIT\nClassifier: License :: A\n", "foo", "1.2", "MIT"},
	{META "License: UNKNOWN\nClassifier: License :: A\n", "foo", "1.2", "A"},
	{META "Classifier: License :: \xff\n", "foo", "1.2", ""},
};

static void test_metadata(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(metadata); i++) {
		struct dist_info_files files = files_of(metadata[i].text, NULL);

		assert_int_equal(read_files(&s, &files), 0);
		assert_string_equal(s.info.package.manager, "pypi");
		assert_string_equal(s.info.package.channel, "pypi");
		assert_string_equal(s.info.package.name, metadata[i].name);
		assert_string_equal(s.info.package.version, metadata[i].version);
		assert_string_equal(s.info.package.license, metadata[i].license);
		assert_string_equal(s.info.package.build, "");
		assert_string_equal(s.info.package.subdir, "");
		assert_int_equal(s.info.package.build_number, PACKAGE_BUILD_NUMBER_UNKNOWN);
		assert_int_equal(s.info.origin, DIST_INFO_INDEX);
		assert_string_equal(s.info.installer, "");
		assert_false(s.info.package.requested);
	}
	stop(&s);
}

static const struct {
	const char *text;
	const char *says;
} bad[] = {
	{"", "no Name"},
	{"\nName: x\nVersion: 1\n", "no Name"},
	{"Name:\nVersion: 1\n", "no Name"},
	{"Name: x\n", "no Version"},
	{"Name: x\nVersion:  \n", "no Version"},
	{"Name: \xff\nVersion: 1\n", "Name is not UTF-8"},
	{"Name: x\nVersion: \xff\n", "Version is not UTF-8"},
	{"\x1f\x8b garbage", "no Name"},
};

static void test_bad(void **state)
{
	struct setup s;
	struct dist_info_files files;
	struct buf text;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		files = files_of(bad[i].text, NULL);
		assert_int_equal(read_files(&s, &files), ERR_INVALID);
		assert_non_null(strstr(s.err.text, bad[i].says));
	}
	files = (struct dist_info_files){.metadata = "Name: a\0b\nVersion: 1\n", .metadata_n = 21};
	assert_int_equal(read_files(&s, &files), ERR_INVALID);
	files = (struct dist_info_files){0};
	assert_int_equal(read_files(&s, &files), ERR_INVALID);

	buf_init(&text, 1 << 20);
	buf_adds(&text, "Name: ");
	for (size_t i = 0; i <= PACKAGE_NAME_MAX; i++)
		buf_addc(&text, 'x');
	files = files_of(buf_cstr(&text), NULL);
	assert_int_equal(read_files(&s, &files), ERR_INVALID);
	assert_non_null(strstr(s.err.text, "Name is too long"));

	/* Beyond the limit nothing is looked at. */
	buf_clear(&text);
	while (text.len < DIST_INFO_METADATA_MAX)
		buf_adds(&text, "Classifier: x\n");
	buf_adds(&text, META);
	files = files_of(buf_cstr(&text), NULL);
	assert_int_equal(read_files(&s, &files), ERR_INVALID);

	/* A license is cut. */
	buf_clear(&text);
	buf_adds(&text, META "License: ");
	for (size_t i = 0; i < PACKAGE_LICENSE_MAX; i++)
		buf_adds(&text, "\xc3\xa9");
	files = files_of(buf_cstr(&text), NULL);
	assert_int_equal(read_files(&s, &files), 0);
	assert_int_equal(strlen(s.info.package.license), PACKAGE_LICENSE_MAX);
	buf_deinit(&text);
	stop(&s);
}

static const struct {
	const char *text;
	enum dist_info_origin origin;
	const char *url;
	const char *revision;
	bool has_sha256;
} urls[] = {
	{"{\"url\":\"https://u:p@h/f.whl\",\"archive_info\":{\"hash\":\"sha256=" HASH "\"}}",
	 DIST_INFO_ARCHIVE, "https://***@h/f.whl", "", true},
	{"{\"archive_info\":{\"hash\":\"md5=0\",\"hashes\":{\"md5\":\"0\",\"sha256\":\"" HASH
	 "\"}},\"url\":\"file:///f.whl\"}",
	 DIST_INFO_ARCHIVE, "file:///f.whl", "", true},
	{"{\"url\":\"https://h/f.whl?X-Sig=1#x\",\"archive_info\":{}}", DIST_INFO_ARCHIVE,
	 "https://h/f.whl?***#x", "", false},
	{"{\"url\":\"https://h/r.git\",\"vcs_info\":{\"vcs\":\"git\",\"requested_revision\":\"m\","
	 "\"commit_id\":\"abc\"},\"subdirectory\":\"d\"}",
	 DIST_INFO_VCS, "git+https://h/r.git@abc", "abc", false},
	{"{\"url\":\"ssh://git@h/r\",\"vcs_info\":{\"vcs\":\"hg\"}}", DIST_INFO_VCS,
	 "hg+ssh://***@h/r", "", false},
	{"{\"url\":\"https://u:p@h/r\",\"vcs_info\":{\"vcs\":\"../x\",\"commit_id\":\"1\"}}",
	 DIST_INFO_VCS, "https://***@h/r@1", "1", false},
	{"{\"url\":\"file:///s\",\"dir_info\":{}}", DIST_INFO_FOLDER, "file:///s", "", false},
	{"{\"url\":\"file:///s\",\"dir_info\":{\"editable\":false}}", DIST_INFO_FOLDER, "file:///s",
	 "", false},
	{"{\"dir_info\":{\"editable\":true},\"url\":\"file:///s\"}", DIST_INFO_EDITABLE,
	 "file:///s#editable", "", false},
	{"{\"url\":\"https://h/x\"}", DIST_INFO_UNKNOWN, "https://h/x", "", false},
	{"", DIST_INFO_UNKNOWN, "", "", false},
	{"[]", DIST_INFO_UNKNOWN, "", "", false},
	{"{\"url\":5}", DIST_INFO_UNKNOWN, "", "", false},
	{"{\"url\":\"x\\u0000\"}", DIST_INFO_UNKNOWN, "", "", false},
	{"{\"url\":\"https://h/x\",\"archive_info\":5}", DIST_INFO_UNKNOWN, "", "", false},
	{"{\"url\":\"https://h/x\",\"archive_info\":{\"hash\":\"sha256=00\"}}", DIST_INFO_UNKNOWN,
	 "", "", false},
	{"{\"url\":\"x\",\"vcs_info\":{\"commit_id\":\"a\",\"commit_id\":1}}", DIST_INFO_UNKNOWN,
	 "", "", false},
	{"{\"url\":\"x\",\"dir_info\":{\"editable\":1}}", DIST_INFO_UNKNOWN, "", "", false},
	{"{\"url\":\"https://h/x\",\"archive_info\":{}} x", DIST_INFO_UNKNOWN, "", "", false},
	{"{\"url\":\"https://h/x\",\"archive_info\":{}", DIST_INFO_UNKNOWN, "", "", false},
};

static void test_direct_url(void **state)
{
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct dist_info_files files = files_of(META, urls[i].text);

		assert_int_equal(read_files(&s, &files), 0);
		if (s.info.origin != urls[i].origin)
			fail_msg("%s: %d", urls[i].text, (int)s.info.origin);
		assert_string_equal(s.info.package.url, urls[i].url);
		assert_string_equal(s.info.revision, urls[i].revision);
		assert_int_equal(s.info.package.has_sha256, urls[i].has_sha256);
		if (urls[i].has_sha256) {
			assert_int_equal(s.info.package.sha256[1], 0x11);
			assert_int_equal(s.info.package.sha256[31], 0xff);
		}
	}
	stop(&s);
}

static void test_direct_url_limits(void **state)
{
	struct dist_info_files files;
	struct setup s;
	struct buf text;

	(void)state;
	start(&s);
	buf_init(&text, 1 << 20);
	buf_adds(&text, "{\"dir_info\":{},\"url\":\"https://h/");
	for (size_t i = 0; i < PACKAGE_URL_MAX; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\"}");
	files = files_of(META, buf_cstr(&text));
	assert_int_equal(read_files(&s, &files), 0);
	assert_int_equal(s.info.origin, DIST_INFO_FOLDER);
	assert_string_equal(s.info.package.url, "");

	buf_clear(&text);
	buf_adds(&text, "{\"dir_info\":{}}");
	while (text.len <= DIST_INFO_DIRECT_URL_MAX)
		buf_addc(&text, ' ');
	files = files_of(META, buf_cstr(&text));
	assert_int_equal(read_files(&s, &files), 0);
	assert_int_equal(s.info.origin, DIST_INFO_UNKNOWN);
	buf_deinit(&text);
	stop(&s);
}

static void test_installer(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} rows[] = {
		{"pip\n", "pip"},
		{"uv", "uv"},
		{" Conda \r\nmore", "conda"},
		{"", ""},
		{"\npip", ""},
		{"\xff\n", ""},
		{"a-name-that-is-longer-than-any-installer", "a-name-that-is-longer-than-any-i"},
	};
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dist_info_files files = files_of(META, NULL);

		files.installer = rows[i].text;
		files.installer_n = strlen(rows[i].text);
		files.requested = true;
		assert_int_equal(read_files(&s, &files), 0);
		assert_string_equal(s.info.installer, rows[i].expected);
		assert_int_equal(s.info.package.installer, package_installer_of(rows[i].expected));
		assert_true(s.info.package.requested);
	}
	stop(&s);
}

static void test_names(void **state)
{
	static const char *const rows[][2] = {
		{"Foo", "foo"},
		{"foo_bar", "foo-bar"},
		{"Foo.-_Bar", "foo-bar"},
		{"a--b", "a-b"},
		{"-a-", "-a-"},
		{"", ""},
		{"zope.interface", "zope-interface"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(
			dist_info_normalise_name(rows[i][0], strlen(rows[i][0]), out, sizeof out),
			0);
		assert_string_equal(out, rows[i][1]);
	}
	assert_int_equal(dist_info_normalise_name("abc", 3, out, 4), 0);
	assert_int_equal(dist_info_normalise_name("abc", 3, out, 3), ERR_LIMIT);
	assert_int_equal(dist_info_normalise_name("", 0, out, 0), ERR_LIMIT);
}

static void test_egg_names(void **state)
{
	static const struct {
		const char *file;
		const char *source;
		int rc;
		const char *name, *version, *url;
	} rows[] = {
		{"Foo_Bar-1.0-py3.11.egg", NULL, 0, "foo-bar", "1.0", ""},
		{"foo-1.0.egg", NULL, 0, "foo", "1.0", ""},
		{"foo.egg", NULL, ERR_INVALID, NULL, NULL, NULL},
		{"-1.0.egg", NULL, ERR_INVALID, NULL, NULL, NULL},
		{".egg", NULL, ERR_INVALID, NULL, NULL, NULL},
		{"foo-\xff.egg", NULL, ERR_INVALID, NULL, NULL, NULL},
		{"foo.dist-info", NULL, ERR_INVALID, NULL, NULL, NULL},
		{"my-pkg.egg-link", "/home/a b/\xff", 0, "my-pkg", "",
		 "file:///home/a%20b/%FF#editable"},
		{"my-pkg.egg-link", "C:\\src", 0, "my-pkg", "", "file:///C:/src#editable"},
		{".egg-link", "/x", ERR_INVALID, NULL, NULL, NULL},
	};
	struct setup s;

	(void)state;
	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct package p;

		assert_int_equal(
			dist_info_from_name(rows[i].file, rows[i].source, &s.arena, &p, &s.err),
			rows[i].rc);
		if (rows[i].rc < 0)
			continue;
		assert_string_equal(p.manager, "pypi");
		assert_string_equal(p.name, rows[i].name);
		assert_string_equal(p.version, rows[i].version);
		assert_string_equal(p.url, rows[i].url);
		assert_int_equal(p.requested, rows[i].source != NULL);
	}
	stop(&s);
}

static void test_egg_link_metadata(void **state)
{
	struct dist_info_files files = files_of(META, NULL);
	struct setup s;

	(void)state;
	start(&s);
	files.source = "/home/ana/src/foo";
	files.requested = true;
	assert_int_equal(read_files(&s, &files), 0);
	assert_int_equal(s.info.origin, DIST_INFO_EDITABLE);
	assert_string_equal(s.info.package.version, "1.2");
	assert_string_equal(s.info.package.url, "file:///home/ana/src/foo#editable");
	stop(&s);
}

static int read_one(void *ctx)
{
	struct dist_info_files files = files_of(META, urls[0].text);
	struct json_reader *reader = NULL;
	struct arena arena;
	struct dist_info info;
	int rc;

	(void)ctx;
	arena_init(&arena, 1 << 16);
	rc = json_reader_new(&limits, &reader);
	if (rc == 0)
		rc = dist_info_read(&files, reader, &arena, &info, NULL);
	if (rc == 0)
		assert_int_equal(info.origin, DIST_INFO_ARCHIVE);
	json_reader_free(reader);
	arena_deinit(&arena);
	return rc;
}

static void test_faults(void **state)
{
	(void)state;
	fault_each_alloc(read_one, NULL, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_direct_url), cmocka_unit_test(test_direct_url_limits),
		cmocka_unit_test(test_installer),  cmocka_unit_test(test_names),
		cmocka_unit_test(test_egg_names),  cmocka_unit_test(test_egg_link_metadata),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
