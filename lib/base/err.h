/*
 * Errors. A fallible function returns 0 or a negative code: one of ours from the table below, or a
 * libuv code as it is (ours start at -50001, clear of libuv, lmdb and mbedtls, whose codes are
 * translated where the library is wrapped and travel no further).
 *
 * A function whose reason a person will read takes a `struct err *err` as its last parameter. It is
 * untouched on success, may be NULL, and each level adds its context in front:
 *   load config: /etc/envwarden/agent.conf: line 12: unknown key "x"
 */
#ifndef ENVWARDEN_LIB_BASE_ERR_H
#define ENVWARDEN_LIB_BASE_ERR_H

#include "lib/base/compiler.h"

/* name, text. Codes are dense from -50001 downwards in this order. Append only. */
#define ERR_MAP(X)                                                                                 \
	X(NOMEM, "out of memory")                                                                  \
	X(INVALID, "malformed input")                                                              \
	X(LIMIT, "over a limit")                                                                   \
	X(TRUNCATED, "input ends too early")                                                       \
	X(NOTFOUND, "not found")                                                                   \
	X(EXISTS, "exists already")                                                                \
	X(PERM, "not permitted")                                                                   \
	X(IO, "input/output error")                                                                \
	X(FULL, "no space left")                                                                   \
	X(CORRUPT, "stored data is damaged")                                                       \
	X(BUSY, "busy, try again")                                                                 \
	X(TIMEOUT, "timed out")                                                                    \
	X(CLOSED, "closed by the peer")                                                            \
	X(UNREACHABLE, "peer not reachable")                                                       \
	X(UNSUPPORTED, "not supported")                                                            \
	X(VERIFY, "signature or certificate does not verify")                                      \
	X(EXPIRED, "expired")                                                                      \
	X(STALE, "older than what is held")                                                        \
	X(CONFLICT, "conflicts with the present state")                                            \
	X(USAGE, "wrong usage")                                                                    \
	X(CANCELED, "canceled")                                                                    \
	X(PROTOCOL, "peer broke the protocol")                                                     \
	X(INTERNAL, "internal error")

/* The codes proper: ERR_NOMEM == -50001 and so on downwards. */
enum {
	ERR_INDEX_START_ = 0,
#define X(name, text) ERR_INDEX_##name,
	ERR_MAP(X)
#undef X
	ERR_INDEX_END_
};
#define ERR_CODE_(name) (-50000 - ERR_INDEX_##name)
#define ERR_NOMEM ERR_CODE_(NOMEM)
#define ERR_INVALID ERR_CODE_(INVALID)
#define ERR_LIMIT ERR_CODE_(LIMIT)
#define ERR_TRUNCATED ERR_CODE_(TRUNCATED)
#define ERR_NOTFOUND ERR_CODE_(NOTFOUND)
#define ERR_EXISTS ERR_CODE_(EXISTS)
#define ERR_PERM ERR_CODE_(PERM)
#define ERR_IO ERR_CODE_(IO)
#define ERR_FULL ERR_CODE_(FULL)
#define ERR_CORRUPT ERR_CODE_(CORRUPT)
#define ERR_BUSY ERR_CODE_(BUSY)
#define ERR_TIMEOUT ERR_CODE_(TIMEOUT)
#define ERR_CLOSED ERR_CODE_(CLOSED)
#define ERR_UNREACHABLE ERR_CODE_(UNREACHABLE)
#define ERR_UNSUPPORTED ERR_CODE_(UNSUPPORTED)
#define ERR_VERIFY ERR_CODE_(VERIFY)
#define ERR_EXPIRED ERR_CODE_(EXPIRED)
#define ERR_STALE ERR_CODE_(STALE)
#define ERR_CONFLICT ERR_CODE_(CONFLICT)
#define ERR_USAGE ERR_CODE_(USAGE)
#define ERR_CANCELED ERR_CODE_(CANCELED)
#define ERR_PROTOCOL ERR_CODE_(PROTOCOL)
#define ERR_INTERNAL ERR_CODE_(INTERNAL)

#define ERR_TEXT_MAX 512

struct err {
	int code;
	char text[ERR_TEXT_MAX]; /* always ended; cut at the end when it does not fit */
};

/* A starting value: code 0, empty text. */
#define ERR_INIT ((struct err){0})

/* Fills *err (if not NULL) and returns the code, so that one can `return err_set(err, ...)`. */
int err_set(struct err *err, int code, const char *fmt, ...) EW_PRINTF(3, 4);

/* Puts "<context>: " in front of the text; returns err->code (ERR_INTERNAL if err is NULL). */
int err_context(struct err *err, const char *fmt, ...) EW_PRINTF(2, 3);

/* err_set(err, ERR_NOMEM, "out of memory") */
int err_nomem(struct err *err);

/*
 * Sets the error for a failed libc call: the code comes from err_from_errno, the text is
 * "<context>: <strerror>".
 */
int err_errno(struct err *err, int errno_value, const char *fmt, ...) EW_PRINTF(3, 4);

/* ENOENT -> ERR_NOTFOUND, EACCES and EPERM -> ERR_PERM, ENOSPC and EDQUOT -> ERR_FULL, ... */
int err_from_errno(int errno_value);

/*
 * All four always return a failure. The static analyser cannot see that from another file and would
 * follow paths on which a function failed and yet went on: it is told here.
 */
#if defined(__clang_analyzer__) && !defined(ERR_DEFINITIONS)
static inline int err_is_failure(int rc)
{
	return rc < 0 ? rc : ERR_INTERNAL;
}
#define err_set(...) err_is_failure(err_set(__VA_ARGS__))
#define err_context(...) err_is_failure(err_context(__VA_ARGS__))
#define err_nomem(...) err_is_failure(err_nomem(__VA_ARGS__))
#define err_errno(...) err_is_failure(err_errno(__VA_ARGS__))
#endif

/* Our codes' short name ("NOMEM") and text ("out of memory"), else "UNKNOWN", "unknown error". */
const char *err_name(int code);
const char *err_text(int code);

#endif
