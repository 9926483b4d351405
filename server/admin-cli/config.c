#include "server/admin-cli/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "platform/files.h"
#include "platform/secret.h"

#define FILE_MAX 16384

struct key {
	const char *name;
	size_t offset;
	size_t cap;
};
static const struct key keys[] = {
	{"server", offsetof(struct config, server), CONFIG_SERVER_MAX},
	{"ca", offsetof(struct config, ca), PATHS_MAX},
	{"token", offsetof(struct config, token), CONFIG_TOKEN_MAX},
};

static int file_path(char out[PATHS_MAX], struct err *err)
{
	const char *own = getenv("ENVWARDEN_ADMIN_CONFIG");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	char folder[PATHS_MAX];
	int rc;

	if (own && *own) {
		if (strlen(own) >= PATHS_MAX)
			return err_set(err, ERR_LIMIT, "ENVWARDEN_ADMIN_CONFIG: too long a path");
		(void)snprintf(out, PATHS_MAX, "%s", own);
		return 0;
	}
	if (xdg && paths_is_absolute(xdg)) {
		rc = paths_join(folder, xdg, "envwarden", err);
	} else {
		char home[PATHS_MAX];

		rc = paths_home(home, err);
		if (rc == 0)
			rc = paths_join(folder, home, ".config/envwarden", err);
	}
	return rc < 0 ? rc : paths_join(out, folder, "admin.conf", err);
}

static void trim(const char **text, size_t *n)
{
	while (*n > 0 && strchr(" \t\r", (*text)[0])) {
		(*text)++;
		(*n)--;
	}
	while (*n > 0 && strchr(" \t\r", (*text)[*n - 1]))
		(*n)--;
}

static int take_value(struct config *c, const char *name, size_t name_n, const char *value,
		      size_t n, struct err *err)
{
	char *at;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == name_n && memcmp(keys[i].name, name, name_n) == 0)
			break;
	if (i == ARRAY_SIZE(keys))
		return err_set(err, ERR_INVALID, "unknown key \"%.*s\"", (int)name_n, name);
	if (n >= keys[i].cap || memchr(value, '\0', n))
		return err_set(err, ERR_INVALID, "%s: not a text of at most %zu bytes",
			       keys[i].name, keys[i].cap - 1);
	at = (char *)c + keys[i].offset;
	memcpy(at, value, n);
	at[n] = '\0';
	return 0;
}

static int take_line(struct config *c, const char *line, size_t n, struct err *err)
{
	const char *equals;
	const char *value;
	size_t value_n;

	trim(&line, &n);
	if (n == 0 || line[0] == '#')
		return 0;
	equals = memchr(line, '=', n);
	if (!equals)
		return err_set(err, ERR_INVALID, "not \"key = value\"");
	value = equals + 1;
	value_n = n - (size_t)(value - line);
	n = (size_t)(equals - line);
	trim(&line, &n);
	trim(&value, &value_n);
	return take_value(c, line, n, value, value_n, err);
}

static int parse(struct config *c, const char *text, size_t n, struct err *err)
{
	int line = 1;
	int rc;

	for (; n > 0; line++) {
		const char *end = memchr(text, '\n', n);
		size_t one = end ? (size_t)(end - text) : n;

		rc = take_line(c, text, one, err);
		if (rc < 0)
			return err_context(err, "%s: line %d", c->path, line);
		one += end ? 1 : 0;
		text += one;
		n -= one;
	}
	return 0;
}

static void wipe(struct buf *b)
{
	if (b->data)
		crypto_wipe(b->data, b->cap);
	buf_deinit(b);
}

int config_load(struct config *out, struct err *err)
{
	struct config c = {0};
	struct buf text;
	int rc;

	buf_init(&text, FILE_MAX + 1);
	rc = file_path(c.path, err);
	if (rc == 0) {
		rc = secret_read(c.path, FILE_MAX, &text, err);
		if (rc == 0)
			rc = parse(&c, text.data, text.len, err);
		else if (rc == ERR_NOTFOUND)
			rc = 0;
	}
	wipe(&text);
	if (rc == 0)
		*out = c;
	crypto_wipe(&c, sizeof(c));
	return rc;
}

int config_save(const struct config *config, struct err *err)
{
	char folder[PATHS_MAX];
	struct buf text;
	size_t i;
	int rc;

	buf_init(&text, FILE_MAX);
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *value = (const char *)config + keys[i].offset;

		if (*value)
			buf_addf(&text, "%s = %s\n", keys[i].name, value);
	}
	rc = buf_rc(&text);
	if (rc < 0)
		(void)err_set(err, rc, "%s: %s", config->path, err_text(rc));
	/* A bare name lies in a folder that is there. */
	if (rc == 0 && paths_parent(folder, config->path, NULL) == 0)
		rc = files_mkdir(folder, 0700, err);
	if (rc == 0)
		rc = secret_write(config->path, text.data ? text.data : "", text.len, err);
	wipe(&text);
	return rc;
}

int config_read_token(const char *path, char token[CONFIG_TOKEN_MAX], struct err *err)
{
	const char *at;
	struct buf text;
	size_t n;
	int rc;

	buf_init(&text, CONFIG_TOKEN_MAX + 1);
	rc = secret_read(path, CONFIG_TOKEN_MAX - 1, &text, err);
	if (rc == 0) {
		at = text.data ? text.data : "";
		n = strcspn(buf_cstr(&text), "\r\n");
		trim(&at, &n);
		memcpy(token, at, n);
		token[n] = '\0';
	}
	wipe(&text);
	return rc;
}
