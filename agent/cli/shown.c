#include "agent/cli/shown.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "platform/files.h"
#include "platform/paths.h"

#define DAY_MS INT64_C(86400000)
#define FILE_MAX_BYTES 65536 /* a few hundred environments with something to say */

/* <cache>/envwarden, made if need be */
static int cache_folder(char out[PATHS_MAX])
{
	const char *cache = getenv("XDG_CACHE_HOME");
	char home[PATHS_MAX], fallback[PATHS_MAX];
	int rc;

	if (!cache || !paths_is_absolute(cache)) {
		rc = paths_home(home, NULL);
		if (rc == 0)
			rc = paths_join(fallback, home, ".cache", NULL);
		if (rc < 0)
			return rc;
		cache = fallback;
	}
	rc = paths_join(out, cache, "envwarden", NULL);
	return rc < 0 ? rc : files_mkdir(out, 0700, NULL);
}

/* One line: "<time> <case> <prefix>". */
static void add_line(struct buf *out, int64_t time_ms, const char *key)
{
	buf_addf(out, "%" PRId64 " %s\n", time_ms, key);
}

/* Copies the lines of the last day; true: key is among them, not older than for_ms. A line of it
 * that is older is left out: another will be written. */
static bool keep_recent(const char *text, int64_t now_ms, int64_t for_ms, const char *key,
			struct buf *out)
{
	bool found = false;

	while (*text) {
		size_t n = strcspn(text, "\n");
		const char *blank = memchr(text, ' ', n);
		long long time_ms;

		if (blank && text_to_i64(text, (size_t)(blank - text), &time_ms) == 0 &&
		    time_ms <= now_ms && now_ms - time_ms < DAY_MS) {
			size_t key_n = (size_t)(text + n - blank - 1);
			bool same = key_n == strlen(key) && memcmp(blank + 1, key, key_n) == 0;
			bool recent = now_ms - time_ms < for_ms;

			found = found || (same && recent);
			if (!same || recent) {
				buf_add(out, text, n);
				buf_addc(out, '\n');
			}
		}
		text += n + (text[n] == '\n');
	}
	return found;
}

static void write_file(const char *path, struct buf *text)
{
	FILE *file = buf_rc(text) == 0 ? fopen(path, "wb") : NULL;

	if (!file)
		return;
	(void)fwrite(text->data, 1, text->len, file);
	(void)fclose(file);
}

bool shown_lately(const char *prefix, const char *what, int64_t for_ms, int64_t now_ms)
{
	char folder[PATHS_MAX], path[PATHS_MAX];
	struct buf key, before, after;
	bool found = false;

	if (cache_folder(folder) < 0 || paths_join(path, folder, "shown", NULL) < 0)
		return false;
	buf_init(&key, 8 * PATHS_MAX);
	buf_init(&before, FILE_MAX_BYTES + 1);
	buf_init(&after, FILE_MAX_BYTES);
	text_escape(&key, what, strlen(what));
	buf_addc(&key, ' ');
	text_escape(&key, prefix, strlen(prefix));
	if (files_read_whole(path, FILE_MAX_BYTES, &before, NULL) == 0)
		found = keep_recent(buf_cstr(&before), now_ms, for_ms, buf_cstr(&key), &after);
	if (!found) {
		add_line(&after, now_ms, buf_cstr(&key));
		write_file(path, &after);
	}
	buf_deinit(&key);
	buf_deinit(&before);
	buf_deinit(&after);
	return found;
}
