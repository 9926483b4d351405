#include "lib/policy/reading.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"

#define FIELDS_MAX 16
#define ERROR_MAX 1024

void reading_error(const struct reading *r, const struct yaml_node *at, const char *suggestion,
		   const char *fmt, ...)
{
	const struct problem_at where = {PROBLEM_ERROR, at->line, at->column, suggestion};
	struct buf text;
	va_list ap;

	buf_init(&text, ERROR_MAX);
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	problems_add(r->problems, &where, "%s", buf_cstr(&text));
	buf_deinit(&text);
}

static const struct reading_field *find_field(const struct reading_field *fields, size_t n,
					      const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].key, key) == 0)
			return &fields[i];
	return NULL;
}

const char *reading_suggestion(const struct reading *r, const char *given, const char *const *names,
			       size_t n)
{
	struct text_guess meant = {.word = given, .n = strlen(given)};
	const char *text;
	struct buf known;

	for (size_t i = 0; i < n; i++)
		text_guess(&meant, names[i]);
	buf_init(&known, ERROR_MAX);
	if (meant.best)
		buf_addf(&known, "did you mean %s? ", meant.best);
	buf_adds(&known, "known here:");
	for (size_t i = 0; i < n; i++)
		buf_addf(&known, "%s %s", i > 0 ? "," : "", names[i]);
	text = arena_strdup(r->arena, buf_cstr(&known));
	buf_deinit(&known);
	return text;
}

static const char *known_keys(const struct reading *r, const char *given,
			      const struct reading_field *fields, size_t n)
{
	const char *names[FIELDS_MAX];

	for (size_t i = 0; i < n; i++)
		names[i] = fields[i].key;
	return reading_suggestion(r, given, names, n);
}

void reading_map(const struct reading *r, const struct yaml_node *map, const char *what,
		 const struct reading_field *fields, size_t n, void *into)
{
	bool given[FIELDS_MAX] = {false};

	CHECK(n <= FIELDS_MAX);
	if (map->kind != YAML_MAP) {
		reading_error(r, map, NULL, "%s must be a map of keys and values", what);
		return;
	}
	for (const struct yaml_node *value = map->first; value; value = value->next) {
		const struct reading_field *field = find_field(fields, n, value->key->text);

		if (!field) {
			reading_error(r, value->key, known_keys(r, value->key->text, fields, n),
				      "unknown key \"%.64s\" in %s", value->key->text, what);
		} else if (given[field - fields]) {
			reading_error(r, value->key, NULL, "\"%s\" is given twice", field->key);
		} else {
			given[field - fields] = true;
			field->take(r, value, into);
		}
	}
	for (size_t i = 0; i < n; i++)
		if (fields[i].required && !given[i])
			reading_error(r, map, NULL, "%s has no \"%s\"", what, fields[i].key);
}

static bool is_harmless(const char *text, bool lines)
{
	size_t left = strlen(text);

	while (left > 0) {
		uint32_t c;
		size_t n = text_utf8_decode(text, left, &c);

		if (n == 0 || (c < 0x20 && !(lines && c == '\n')) || (c >= 0x7f && c < 0xa0) ||
		    text_is_hidden(c))
			return false;
		text += n;
		left -= n;
	}
	return true;
}

const char *reading_text(const struct reading *r, const struct yaml_node *node, size_t max,
			 bool lines)
{
	if (node->kind != YAML_TEXT || yaml_is_null(node))
		reading_error(r, node, NULL, "a text is expected here");
	else if (strlen(node->text) > max)
		reading_error(r, node, NULL, "longer than %zu bytes", max);
	else if (!is_harmless(node->text, lines))
		reading_error(r, node, NULL, "has control or invisible characters");
	else
		return node->text;
	return "";
}

const char *reading_some_text(const struct reading *r, const struct yaml_node *node, size_t max)
{
	const char *text = reading_text(r, node, max, false);

	if (node->kind == YAML_TEXT && !yaml_is_null(node) && node->text[0] == '\0')
		reading_error(r, node, "leave the key out, or give it a value",
			      "an empty text means nothing here");
	return text;
}

struct texts_list reading_texts(const struct reading *r, const struct yaml_node *node)
{
	const struct yaml_node *item = node->kind == YAML_LIST ? node->first : node;
	size_t n = node->kind == YAML_LIST ? node->n : 1;
	struct texts_list list = {0};
	const char **items;

	if (n == 0 || n > POLICY_ITEMS_MAX) {
		reading_error(r, node, NULL, "a list of 1 to %d is expected here",
			      POLICY_ITEMS_MAX);
		return list;
	}
	items = arena_calloc(r->arena, n, sizeof(*items));
	if (!items) {
		r->problems->out_of_memory = true;
		return list;
	}
	for (size_t i = 0; i < n; i++, item = item->next)
		items[i] = reading_some_text(r, item, POLICY_TEXT_MAX);
	list.items = items;
	list.n = n;
	return list;
}

int64_t reading_duration(const struct reading *r, const struct yaml_node *node)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
	const char *text = reading_some_text(r, node, 32);
	size_t n = strlen(text);
	unsigned long long count;

	if (n == 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (text[n - 1] == units[i].unit && text_to_u64(text, n - 1, &count) == 0 &&
		    count <= 1000000)
			return (int64_t)count * units[i].ms;
	reading_error(r, node, "write it like 14d, 12h or 30m", "\"%s\" is not a length of time",
		      text);
	return -1;
}

int64_t reading_time(const struct reading *r, const struct yaml_node *node)
{
	const char *text = reading_some_text(r, node, 32);
	char whole[64];
	int64_t ms;

	if (!*text)
		return 0;
	(void)snprintf(whole, sizeof(whole), "%s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
	if (clock_parse(whole, &ms) == 0 && ms > 0)
		return ms;
	reading_error(r, node, "write it like 2026-12-06 or 2026-12-06T08:00:00Z",
		      "\"%s\" is not a date", text);
	return 0;
}

int reading_word(const struct reading *r, const struct yaml_node *node, const char *const *names,
		 size_t n)
{
	const char *text = reading_some_text(r, node, 64);
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	if (!*text)
		return -1;
	reading_error(r, node, reading_suggestion(r, text, names, n), "\"%s\" is not known here",
		      text);
	return -1;
}

enum ternary reading_yes_no(const struct reading *r, const struct yaml_node *node)
{
	static const char *const names[] = {"true", "false", "yes", "no"};
	int word = reading_word(r, node, names, ARRAY_SIZE(names));

	if (word < 0)
		return TERNARY_ANY;
	return word % 2 == 0 ? TERNARY_YES : TERNARY_NO;
}
