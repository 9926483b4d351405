#include "agent/core/expand.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

void expand_normalise(char *path)
{
	char *out = path + 1;
	const char *in = path;

	while (*in != '\0') {
		size_t n;

		while (*in == '/')
			in++;
		n = strcspn(in, "/");
		if (n == 0)
			break;
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path + 1 && *--out != '/')
				;
		} else if (n != 1 || in[0] != '.') {
			if (out > path + 1)
				*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	*out = '\0';
}

static bool is_set(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static const char *variable(const struct expand_context *c, const char *name, size_t n)
{
	const struct {
		const char *name;
		const char *value;
	} known[] = {{"HOME", c->home},
		     {"USER", c->user},
		     {"LOGNAME", c->user},
		     {"CONDA_PREFIX", c->conda_prefix},
		     {"CONDA_ROOT", c->base}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == n && memcmp(known[i].name, name, n) == 0)
			return is_set(known[i].value) ? known[i].value : NULL;
	return NULL;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* "$NAME" and "${NAME}", once: a value is not looked at again. */
static void add_with_variables(const struct expand_context *c, const char *text, struct buf *out)
{
	while (*text != '\0') {
		const char *name = text + 1;
		const char *value = NULL;
		size_t n = 0;
		size_t whole = 1;

		if (*text == '$' && *name == '{') {
			name++;
			n = strcspn(name, "}");
			whole = name[n] == '}' ? n + 3 : 1;
		} else if (*text == '$') {
			while (is_word(name[n]))
				n++;
			whole = n + 1;
		}
		if (whole > 1)
			value = variable(c, name, n);
		if (value != NULL)
			buf_adds(out, value);
		else
			buf_add(out, text, whole);
		text += whole;
	}
}

/* "~" and "~name" at the beginning; one of nobody known stays. */
static void add_with_home(const struct expand_context *c, const char *text, struct buf *out)
{
	size_t n = text[0] == '~' ? strcspn(text, "/") : 0;
	char home[EXPAND_PATH_MAX];
	char name[256];

	if (n == 1 && is_set(c->home)) {
		buf_adds(out, c->home);
		text += n;
	} else if (n > 1 && n <= sizeof name && c->home_of != NULL) {
		memcpy(name, text + 1, n - 1);
		name[n - 1] = '\0';
		if (c->home_of(c->ctx, name, home)) {
			buf_adds(out, home);
			text += n;
		}
	}
	buf_adds(out, text);
}

/* Nothing in it stands for something else: so it is with nearly every path that is asked about. */
static bool is_plain(const char *text)
{
	return text[0] == '/' && strchr(text, '$') == NULL;
}

int expand_path(const struct expand_context *context, const char *text, char out[EXPAND_PATH_MAX])
{
	struct buf plain;
	struct buf path;
	const char *result;
	size_t n = strlen(text);
	int rc;

	if (is_plain(text) && n < EXPAND_PATH_MAX) {
		memcpy(out, text, n + 1);
		expand_normalise(out);
		return 0;
	}
	buf_init(&plain, 2 * EXPAND_PATH_MAX);
	buf_init(&path, 4 * EXPAND_PATH_MAX);
	add_with_variables(context, text, &plain);
	if (plain.len > 0 && plain.data[0] != '/' && plain.data[0] != '~' && is_set(context->cwd))
		buf_addf(&path, "%s/", context->cwd);
	add_with_home(context, buf_cstr(&plain), &path);
	result = buf_cstr(&path);
	if (buf_rc(&plain) < 0 || buf_rc(&path) < 0)
		rc = buf_rc(&plain) < 0 ? buf_rc(&plain) : buf_rc(&path);
	else if (result[0] != '/' || text[0] == '\0')
		rc = ERR_INVALID;
	else
		rc = path.len < EXPAND_PATH_MAX ? 0 : ERR_LIMIT;
	if (rc == 0) {
		memcpy(out, result, path.len + 1);
		expand_normalise(out);
	}
	buf_deinit(&plain);
	buf_deinit(&path);
	return rc;
}

bool expand_is_personal(const char *text)
{
	return text[0] == '~' || strchr(text, '$') != NULL;
}
