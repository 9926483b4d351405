/*
 * What a stranger sends to the admin API: the first line is a path, the second the place a list
 * goes on from, the rest a body. Whatever is accepted is text the store may be given.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/text.h"
#include "server/api/request.h"
#include "server/api/route.h"

struct filled {
	const char *text;
	struct maybe_bool flag;
	int64_t number;
	struct texts texts;
};

static void check_text(const char *text, size_t max)
{
	CHECK(strlen(text) <= max && text_is_utf8(text, strlen(text)));
}

static void try_body(struct request *r)
{
	static const struct field fields[] = {
		{"text", FIELD_TEXT, false, 64, offsetof(struct filled, text)},
		{"flag", FIELD_BOOL, false, 0, offsetof(struct filled, flag)},
		{"number", FIELD_INT, true, 1000, offsetof(struct filled, number)},
		{"texts", FIELD_TEXTS, false, 4, offsetof(struct filled, texts)},
	};
	struct filled f = {.text = ""};
	size_t i;

	if (request_fields(r, fields, ARRAY_SIZE(fields), &f) < 0)
		return;
	check_text(f.text, 64);
	CHECK(f.number >= 1 && f.number <= 1000);
	CHECK(f.texts.n <= 4);
	for (i = 0; i < f.texts.n; i++)
		check_text(f.texts.items[i], API_BODY_MAX);
}

static void try_query(struct request *r, const char *after)
{
	struct request_pair pairs[] = {{"after", after}, {"limit", after}, {"since", after}};
	struct db_cursor cursor;
	int64_t ms = 0;
	size_t limit;

	r->query = pairs;
	r->n_query = ARRAY_SIZE(pairs);
	if (request_after(r, &cursor) == 0 && cursor.text)
		check_text(cursor.text, strlen(after));
	if (request_limit(r, &limit) == 0)
		CHECK(limit >= 1 && limit <= DB_PAGE_MAX);
	(void)request_query_time(r, "since", &ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;
	const uint8_t *lines[3] = {data, end, end};
	static const struct route small;
	struct request r = {.route = &small};
	char allow[ROUTE_METHODS_MAX];
	const struct route *route;
	struct uuid id;
	char *line;
	size_t i;

	if (n == 0 || n > API_BODY_MAX)
		return 0;
	for (i = 0; i < 2; i++) {
		const uint8_t *at =
			lines[i] < end ? memchr(lines[i], '\n', (size_t)(end - lines[i])) : NULL;

		lines[i + 1] = at ? at + 1 : end;
	}
	arena_init(&r.arena, 1U << 20);
	buf_init(&r.body, API_BODY_MAX);
	line = arena_strndup(&r.arena, (const char *)lines[0], (size_t)(lines[1] - lines[0]));
	CHECK(line != NULL);
	line[strcspn(line, "\n")] = '\0';
	if (route_find("GET", line, &route, &id, allow) == ROUTE_FOUND)
		CHECK(strcmp(route->method, "GET") == 0);
	line = arena_strndup(&r.arena, (const char *)lines[1], (size_t)(lines[2] - lines[1]));
	CHECK(line != NULL);
	line[strcspn(line, "\n")] = '\0';
	try_query(&r, line);
	buf_add(&r.body, lines[2], (size_t)(end - lines[2]));
	try_body(&r);
	arena_deinit(&r.arena);
	buf_deinit(&r.body);
	return 0;
}
