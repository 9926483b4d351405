#define ERR_DEFINITIONS
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	const char *text;
} table[] = {
#define X(name, text) {#name, text},
	ERR_MAP(X)
#undef X
};

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

/* "<context>: <text>" into err->text, where text may lie in err->text itself. */
EW_PRINTF(3, 0)
static void put_context(struct err *err, const char *text, const char *fmt, va_list ap)
{
	char joined[ERR_TEXT_MAX];
	size_t n;

	vsnprintf(joined, sizeof(joined), fmt, ap);
	n = strlen(joined);
	snprintf(joined + n, sizeof(joined) - n, ": %s", text);
	memcpy(err->text, joined, sizeof(joined));
}

int err_context(struct err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return ERR_INTERNAL;
	va_start(ap, fmt);
	put_context(err, err->text, fmt, ap);
	va_end(ap);
	return err->code;
}

int err_nomem(struct err *err)
{
	return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
}

int err_errno(struct err *err, int errno_value, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return err_from_errno(errno_value);
	va_start(ap, fmt);
	put_context(err, strerror(errno_value), fmt, ap);
	va_end(ap);
	err->code = err_from_errno(errno_value);
	return err->code;
}

int err_from_errno(int errno_value)
{
	static const struct {
		int from;
		int to;
	} map[] = {
		{ENOMEM, ERR_NOMEM},
		{EINVAL, ERR_INVALID},
		{ENAMETOOLONG, ERR_LIMIT},
		{EMFILE, ERR_LIMIT},
		{ENFILE, ERR_LIMIT},
		{EFBIG, ERR_LIMIT},
		{ENOENT, ERR_NOTFOUND},
		{ENOTDIR, ERR_NOTFOUND},
		{EEXIST, ERR_EXISTS},
		{EACCES, ERR_PERM},
		{EPERM, ERR_PERM},
		{EROFS, ERR_PERM},
		{ENOSPC, ERR_FULL},
		{EAGAIN, ERR_BUSY},
		{EBUSY, ERR_BUSY},
		{ETIMEDOUT, ERR_TIMEOUT},
		{EPIPE, ERR_CLOSED},
		{ECONNRESET, ERR_CLOSED},
		{ECONNREFUSED, ERR_UNREACHABLE},
		{ENETUNREACH, ERR_UNREACHABLE},
		{EHOSTUNREACH, ERR_UNREACHABLE},
		{ENOSYS, ERR_UNSUPPORTED},
		{ENOTSUP, ERR_UNSUPPORTED},
		{ECANCELED, ERR_CANCELED},
#ifdef EDQUOT
		{EDQUOT, ERR_FULL},
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		if (map[i].from == errno_value)
			return map[i].to;
	}
	return ERR_IO;
}

static int index_of(int code)
{
	bool ours = code <= ERR_NOMEM && code > ERR_NOMEM - (int)ARRAY_SIZE(table);

	return ours ? ERR_NOMEM - code : -1;
}

const char *err_name(int code)
{
	int i = index_of(code);

	return i < 0 ? "UNKNOWN" : table[i].name;
}

const char *err_text(int code)
{
	int i = index_of(code);

	return i < 0 ? "unknown error" : table[i].text;
}
