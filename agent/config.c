#include "agent/config.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/text.h"

enum kind {
	KIND_TEXT,
	KIND_LEVEL,
	KIND_NUMBER,
	KIND_LIST,
	KIND_PATHS,
	KIND_PATTERNS,
	KIND_LABELS,
	KIND_SWITCH
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t min;
	int64_t max;
	const char *help;
};

#define AT(member) offsetof(struct config, member)

static const struct key keys[] = {
	{"server", KIND_LIST, AT(server), 0, 0,
	 "org server, host:port; several: one a line or separated by commas, tried in order"},
	{"labels", KIND_LABELS, AT(labels), 0, 0,
	 "labels this machine would like to have; the organisation decides"},
	{"proxy", KIND_TEXT, AT(proxy), 0, 0, "HTTP proxy to reach the server, host:port"},
	{"roots", KIND_PATHS, AT(roots), 0, 0, "more folders to search for environments"},
	{"exclude", KIND_PATHS, AT(exclude), 0, 0, "folders that are left alone"},
	{"running", KIND_SWITCH, AT(running), 0, 0,
	 "on or off: let running programs tell where environments are"},
	{"hash_paths", KIND_PATTERNS, AT(hash_paths), 0, 0,
	 "paths (with * and **; all below, too) the server is told as keyed hashes only; on = all"},
	{"settle_ms", KIND_NUMBER, AT(settle_ms), 50, 60000,
	 "quiet time after which an environment is read"},
	{"sweep_s", KIND_NUMBER, AT(sweep_s), 10, 86400,
	 "time between sweeps for what watches missed"},
	{"blocked_look_s", KIND_NUMBER, AT(blocked_look_s), 5, 3600,
	 "time between looks at what runs in blocked environments; none while nothing is blocked"},
	{"poll_s", KIND_NUMBER, AT(poll_s), 5, 3600, "time between looks at what can't be watched"},
	{"journal_max_mb", KIND_NUMBER, AT(journal_max_mb), 1, 4096,
	 "size of the journal; beyond it acknowledged changes are dropped, then others folded"},
	{"last_used", KIND_SWITCH, AT(last_used), 0, 0,
	 "on or off: keep, show and report when an environment was last used"},
	{"log_level", KIND_LEVEL, AT(log_level), 0, 0, "error, warn, info or debug"},
};

void config_init(struct config *config)
{
	*config = (struct config){.proxy = "",
				  .log_level = "info",
				  .settle_ms = 250,
				  .sweep_s = 3600,
				  .blocked_look_s = 60,
				  .poll_s = 30,
				  .journal_max_mb = 64,
				  .running = true,
				  .last_used = true};
}

static const struct key *find_key(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == n && memcmp(keys[i].name, name, n) == 0)
			return &keys[i];
	return NULL;
}

static const char *nearest(const char *name, size_t n)
{
	struct text_guess guess = {.word = name, .n = n};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		text_guess(&guess, keys[i].name);
	return guess.best;
}

static int unknown_key(const char *name, size_t n, struct err *err)
{
	const char *near = nearest(name, n);
	struct buf shown;

	buf_init(&shown, 256);
	text_escape(&shown, name, n < 40 ? n : 40);
	err_set(err, ERR_INVALID, "unknown key \"%s\"%s%s%s", buf_cstr(&shown),
		near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
		near != NULL ? "\"?" : "");
	buf_deinit(&shown);
	return ERR_INVALID;
}

static bool is_list(const struct key *key)
{
	return key->kind == KIND_LIST || key->kind == KIND_PATHS || key->kind == KIND_PATTERNS ||
	       key->kind == KIND_LABELS;
}

/* As the server takes them. */
static bool is_label(const char *item)
{
	size_t n = strlen(item);

	return n <= CONFIG_LABEL_MAX &&
	       strspn(item,
		      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-") == n;
}

static int check_item(const struct key *key, const char *item, struct err *err)
{
	if (key->kind == KIND_PATHS && item[0] != '/')
		return err_set(err, ERR_INVALID, "%s: needs absolute paths", key->name);
	if (key->kind == KIND_LABELS && !is_label(item))
		return err_set(err, ERR_INVALID,
			       "%s: a label has up to %d letters, digits and . _ : / -", key->name,
			       CONFIG_LABEL_MAX);
	if (key->kind == KIND_PATTERNS && item[0] != '/' && strcmp(item, "on") != 0)
		return err_set(err, ERR_INVALID, "%s: needs absolute paths, or \"on\"", key->name);
	return 0;
}

static int set_list(const struct key *key, const char *value, struct arena *arena,
		    struct config_list *list, struct err *err)
{
	while (*value != '\0') {
		size_t n = strcspn(value, ",");
		size_t used = n;

		while (used > 0 && (value[used - 1] == ' ' || value[used - 1] == '\t'))
			used--;
		if (list->n == CONFIG_LIST_MAX)
			return err_set(err, ERR_LIMIT, "%s: more than %d values", key->name,
				       CONFIG_LIST_MAX);
		if (used > 0) {
			const char *item = arena_strndup(arena, value, used);
			int rc = item != NULL ? check_item(key, item, err) : err_nomem(err);

			if (rc < 0)
				return rc;
			list->items[list->n++] = item;
		}
		value += n + (value[n] == ',');
		value += strspn(value, " \t");
	}
	return 0;
}

static int set_switch(const struct key *key, const char *value, bool *out, struct err *err)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return err_set(err, ERR_INVALID, "%s: needs \"on\" or \"off\"", key->name);
	*out = strcmp(value, "on") == 0;
	return 0;
}

static int set_value(const struct key *key, const char *value, struct arena *arena,
		     struct config *config, struct err *err)
{
	char *field = (char *)config + key->offset;
	enum log_level level;
	long long number;

	switch (key->kind) {
	case KIND_LIST:
	case KIND_PATHS:
	case KIND_PATTERNS:
	case KIND_LABELS:
		return set_list(key, value, arena, (struct config_list *)(void *)field, err);
	case KIND_NUMBER:
		if (text_to_i64(value, strlen(value), &number) < 0 || number < key->min ||
		    number > key->max)
			return err_set(err, ERR_INVALID, "%s: needs a number from %lld to %lld",
				       key->name, (long long)key->min, (long long)key->max);
		*(int64_t *)(void *)field = number;
		return 0;
	case KIND_SWITCH:
		return set_switch(key, value, (bool *)(void *)field, err);
	case KIND_LEVEL:
		if (log_level_parse(value, &level) < 0)
			return err_set(err, ERR_INVALID, "%s: %s", key->name, key->help);
		break;
	case KIND_TEXT:
		break;
	}
	*(const char **)(void *)field = value;
	return 0;
}

static int parse_line(const char *line, size_t n, struct arena *arena, struct config *config,
		      struct err *err)
{
	const char *equals;
	const struct key *key;
	const char *value;
	size_t name_n;

	while (n > 0 && (*line == ' ' || *line == '\t'))
		line++, n--;
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '\r'))
		n--;
	if (n == 0 || *line == '#')
		return 0;
	equals = memchr(line, '=', n);
	if (equals == NULL)
		return err_set(err, ERR_INVALID, "needs \"key = value\"");
	name_n = (size_t)(equals - line);
	while (name_n > 0 && (line[name_n - 1] == ' ' || line[name_n - 1] == '\t'))
		name_n--;
	key = find_key(line, name_n);
	if (key == NULL)
		return unknown_key(line, name_n, err);
	n -= (size_t)(equals + 1 - line);
	line = equals + 1;
	while (n > 0 && (*line == ' ' || *line == '\t'))
		line++, n--;
	if (n > CONFIG_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "%s: the value is too long", key->name);
	if (memchr(line, '\0', n) != NULL || !text_is_utf8(line, n))
		return err_set(err, ERR_INVALID, "%s: the value is not UTF-8 text", key->name);
	value = arena_strndup(arena, line, n);
	return value != NULL ? set_value(key, value, arena, config, err) : err_nomem(err);
}

int config_parse(const char *text, size_t n, struct arena *arena, struct config *config,
		 struct err *err)
{
	size_t line_no = 0;

	if (n > CONFIG_FILE_MAX)
		return err_set(err, ERR_LIMIT, "larger than %d bytes", CONFIG_FILE_MAX);
	while (n > 0) {
		const char *end = memchr(text, '\n', n);
		size_t len = end != NULL ? (size_t)(end - text) : n;
		int rc = parse_line(text, len, arena, config, err);

		line_no++;
		if (rc < 0) {
			err_context(err, "line %zu", line_no);
			return rc;
		}
		len += end != NULL;
		text += len;
		n -= len;
	}
	return 0;
}

void config_print(const struct config *config, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *key = &keys[i];
		const char *field = (const char *)config + key->offset;

		buf_addf(out, "# %s\n", key->help);
		if (key->kind == KIND_NUMBER) {
			buf_addf(out, "%s = %lld\n", key->name,
				 (long long)*(const int64_t *)(const void *)field);
		} else if (key->kind == KIND_SWITCH) {
			buf_addf(out, "%s = %s\n", key->name,
				 *(const bool *)(const void *)field ? "on" : "off");
		} else if (is_list(key)) {
			const struct config_list *list = (const void *)field;

			if (list->n == 0)
				buf_addf(out, "# %s =\n", key->name);
			for (size_t k = 0; k < list->n; k++)
				buf_addf(out, "%s = %s\n", key->name, list->items[k]);
		} else {
			const char *value = *(const char *const *)(const void *)field;

			buf_addf(out, "%s%s = %s\n", value[0] == '\0' ? "# " : "", key->name,
				 value);
		}
	}
}
