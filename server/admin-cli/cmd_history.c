#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/since.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/env_ref.h"
#include "server/admin-cli/output.h"

#define CHANGES_DEFAULT 1000
#define PACKAGES_SHOWN 6
#define FOLLOW_MS 2000

static void add_packages(struct buf *line, const json_t *list, const char *sign)
{
	size_t n = json_array_size(list);
	char room[OUTPUT_ROOM];
	size_t i;

	for (i = 0; i < n && i < PACKAGES_SHOWN; i++) {
		const json_t *p = json_array_get(list, i);

		buf_addf(line, " %s%s %s", sign, output_text(p, "name", room),
			 output_text(p, "version", room));
	}
	if (n > PACKAGES_SHOWN)
		buf_addf(line, " %sand %zu more", sign, n - PACKAGES_SHOWN);
}

/* 2026-11-22 17:17 installed  host:/prefix  ana, conda:  +numpy 1.26.4 */
static void print_change(const struct admin *a, const json_t *change)
{
	char room[OUTPUT_ROOM];
	struct buf line;

	buf_init(&line, 65536);
	buf_addf(&line, "%s", output_text(change, "@time", room));
	buf_addf(&line, "  %-9s", output_text(change, "kind", room));
	buf_addf(&line, "  %s:", output_text(change, "machine.hostname", room));
	buf_addf(&line, "%s", output_text(change, "environment.prefix", room));
	buf_addf(&line, "  %s", output_text(change, "actor.user", room));
	if (*output_text(change, "tool", room))
		buf_addf(&line, ", %s", output_text(change, "tool", room));
	add_packages(&line, json_object_get(change, "added"), "+");
	add_packages(&line, json_object_get(change, "removed"), "-");
	admin_print(a, "%s", buf_cstr(&line));
	buf_deinit(&line);
}

/* The server lists the newest first; people and programs read the oldest first. */
static enum admin_exit print_all(struct admin *a, const json_t *newest_first)
{
	size_t n = json_array_size(newest_first);
	enum admin_exit result = ADMIN_OK;
	json_t *list;

	if (!a->options.values[OPT_JSON]) {
		while (n-- > 0)
			print_change(a, json_array_get(newest_first, n));
		return ADMIN_OK;
	}
	list = json_array();
	while (n-- > 0)
		if (json_array_append(list, json_array_get(newest_first, n)) < 0)
			result = admin_fail(a, ADMIN_FAILED, "out of memory");
	if (result == ADMIN_OK)
		result = output_list(a, "history", "changes", list);
	json_decref(list);
	return result;
}

/* --- following --- */

#define REACHED ADMIN_USAGE /* ends a walk at what was shown before; never leaves here */

struct fresh {
	json_int_t seen;
	json_t *list;
};

static enum admin_exit take_fresh(void *ctx, json_t *change)
{
	struct fresh *f = ctx;

	if (json_integer_value(json_object_get(change, "id")) <= f->seen)
		return REACHED;
	return json_array_append(f->list, change) == 0 ? ADMIN_OK : ADMIN_FAILED;
}

/* One change a line from here on. */
static enum admin_exit print_fresh(struct admin *a, const struct fresh *f)
{
	enum admin_exit result = ADMIN_OK;
	size_t n = json_array_size(f->list);

	while (n-- > 0 && result == ADMIN_OK) {
		if (a->options.values[OPT_JSON])
			result = output_json(a, json_array_get(f->list, n));
		else
			print_change(a, json_array_get(f->list, n));
	}
	if (result == ADMIN_OK && (fflush(a->out) != 0 || ferror(a->out)))
		result = ADMIN_FAILED; /* whoever read it has gone */
	return result;
}

static enum admin_exit follow_once(struct admin *a, const struct buf *path, uint64_t limit,
				   struct fresh *f)
{
	enum admin_exit result;

	f->list = json_array();
	if (!f->list)
		return admin_fail(a, ADMIN_FAILED, "out of memory");
	result = client_pages(a, path, "changes", limit, take_fresh, f);
	if (result == ADMIN_OK || result == REACHED)
		result = print_fresh(a, f);
	if (json_array_size(f->list) > 0)
		f->seen = json_integer_value(json_object_get(json_array_get(f->list, 0), "id"));
	json_decref(f->list);
	return result;
}

static enum admin_exit follow(struct admin *a, const struct buf *path, uint64_t limit)
{
	struct fresh fresh = {0};
	enum admin_exit result = follow_once(a, path, limit, &fresh);

	while (result == ADMIN_OK) {
		uv_sleep(FOLLOW_MS);
		result = follow_once(a, path, UINT64_MAX, &fresh);
	}
	return result;
}

/* --- the command --- */

static enum admin_exit run(struct admin *a, const struct buf *path, uint64_t limit)
{
	enum admin_exit result;
	json_t *list;

	if (buf_rc(path) < 0)
		return admin_fail(a, ADMIN_FAILED, "%s", err_text(buf_rc(path)));
	if (a->options.values[OPT_FOLLOW])
		return follow(a, path, limit);
	result = client_list(a, path, "changes", limit, &list);
	if (result != ADMIN_OK)
		return result;
	result = print_all(a, list);
	json_decref(list);
	return result;
}

enum admin_exit cmd_env_history(struct admin *a, const char *const *words, size_t n)
{
	const char *since = a->options.values[OPT_SINCE];
	enum admin_exit result = ADMIN_OK;
	char text[CLOCK_TEXT_MAX];
	struct err err = ERR_INIT;
	json_t *env = NULL;
	struct buf path;
	uint64_t limit;
	int64_t ms;

	if (options_number(&a->options, OPT_LIMIT, CHANGES_DEFAULT, &limit, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "%s", err.text);
	if (since && since_parse(since, admin_now_ms(), &ms, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "--since: %s", err.text);
	if (n > 0)
		result = env_resolve(a, words[0], true, &env);
	if (result != ADMIN_OK)
		return result;
	buf_init(&path, CLIENT_PATH_MAX / 2);
	buf_adds(&path, "/history");
	client_query(&path, "environment", json_string_value(json_object_get(env, "id")));
	if (since) {
		clock_format(ms, text);
		client_query(&path, "since", text);
	}
	result = run(a, &path, limit);
	buf_deinit(&path);
	json_decref(env);
	return result;
}
