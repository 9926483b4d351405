#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/conda/dist_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
	CHECK(text != NULL);
	CHECK(strlen(text) <= max);
	CHECK(text_is_utf8(text, strlen(text)));
}

/* Three files, parted by zeroes: METADATA, direct_url.json, INSTALLER. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct json_limits limits = {
		.max_depth = 16, .max_string = 8192, .max_bytes = DIST_INFO_DIRECT_URL_MAX};
	const uint8_t *parts[3] = {0};
	size_t lengths[3] = {0};
	struct dist_info_files files;
	struct json_reader *reader;
	struct dist_info info;
	struct arena arena;
	struct err err;

	for (size_t i = 0; i < 3 && size > 0; i++) {
		const uint8_t *end = i < 2 ? memchr(data, '\0', size) : NULL;

		parts[i] = data;
		lengths[i] = end != NULL ? (size_t)(end - data) : size;
		size -= lengths[i] + (end != NULL);
		data += lengths[i] + (end != NULL);
	}
	files = (struct dist_info_files){.metadata = parts[0],
					 .metadata_n = lengths[0],
					 .direct_url = parts[1],
					 .direct_url_n = lengths[1],
					 .installer = parts[2],
					 .installer_n = lengths[2]};
	CHECK(json_reader_new(&limits, &reader) == 0);
	arena_init(&arena, 1 << 20);
	if (dist_info_read(&files, reader, &arena, &info, &err) == 0) {
		check_text(info.package.name, PACKAGE_NAME_MAX);
		check_text(info.package.version, PACKAGE_VERSION_MAX);
		check_text(info.package.license, PACKAGE_LICENSE_MAX);
		check_text(info.package.url, PACKAGE_URL_MAX);
		check_text(info.installer, DIST_INFO_INSTALLER_MAX);
		check_text(info.revision, DIST_INFO_REVISION_MAX);
		CHECK(info.package.name[0] != '\0' && info.package.version[0] != '\0');
	}
	arena_deinit(&arena);
	json_reader_free(reader);
	return 0;
}
