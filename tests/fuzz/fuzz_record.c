#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/record.h"

#define NAME_MAX_BYTES 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	const uint8_t *data;
	size_t left;
};

static int64_t read_seven(void *ctx, void *into, size_t cap)
{
	struct source *source = ctx;
	size_t n = source->left < 7 ? source->left : 7;

	n = n < cap ? n : cap;
	memcpy(into, source->data, n);
	source->data += n;
	source->left -= n;
	return (int64_t)n;
}

static void check_text(const char *text, size_t max)
{
	CHECK(text != NULL);
	CHECK(strlen(text) <= max);
	CHECK(text_is_utf8(text, strlen(text)));
}

static void check_record(const struct record *r)
{
	const struct package *p = &r->package;

	check_text(p->name, PACKAGE_NAME_MAX);
	check_text(p->version, PACKAGE_VERSION_MAX);
	check_text(p->build, PACKAGE_BUILD_MAX);
	check_text(p->channel, PACKAGE_CHANNEL_MAX);
	check_text(p->subdir, PACKAGE_SUBDIR_MAX);
	check_text(p->license, PACKAGE_LICENSE_MAX);
	check_text(p->url, PACKAGE_URL_MAX);
	check_text(r->fn, RECORD_FN_MAX);
	check_text(r->site_packages_path, RECORD_PATH_MAX);
	CHECK(p->name[0] != '\0' && p->version[0] != '\0' && p->build_number >= -1);
	CHECK(r->anchors.n <= RECORD_ANCHORS_MAX);
	for (size_t i = 0; i < r->anchors.n; i++)
		check_text(r->anchors.paths[i], RECORD_PATH_MAX);
}

/*
 * The first line is the file's name, the rest its contents. Whole and in pieces give the same, and
 * what is given keeps the limits.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	struct record whole = {0}, pieces = {0};
	struct json_reader *reader;
	struct source source;
	char name[NAME_MAX_BYTES + 1];
	struct arena arena;
	struct err err;
	int rc;

	if (end == NULL || (size_t)(end - data) > NAME_MAX_BYTES)
		return 0;
	memcpy(name, data, (size_t)(end - data));
	name[end - data] = '\0';
	size -= (size_t)(end - data) + 1;
	data = end + 1;

	CHECK(json_reader_new(&record_limits, &reader) == 0);
	arena_init(&arena, 1 << 20);
	json_reader_reset_bytes(reader, data, size);
	rc = record_read(reader, name, &arena, &whole, &err);
	source = (struct source){data, size};
	json_reader_reset(reader, read_seven, &source);
	CHECK(record_read(reader, name, &arena, &pieces, &err) == rc);
	if (rc == 0) {
		check_record(&whole);
		CHECK(package_cmp_all(&whole.package, &pieces.package) == 0);
		CHECK(whole.anchors.n == pieces.anchors.n);
	}
	arena_deinit(&arena);
	json_reader_free(reader);
	return 0;
}
