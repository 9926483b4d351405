/*
 * The few words of HTTP an agent needs to pass a proxy: CONNECT and the head of the answer. Pure.
 */
#ifndef ENVWARDEN_LIB_NET_HTTP_CONNECT_H
#define ENVWARDEN_LIB_NET_HTTP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/net/address.h"

#define HTTP_CONNECT_HEAD_MAX 8192

/*
 * Appends the request for a tunnel to `to`. credentials: "user:password" sent as Basic, or NULL.
 * ERR_INVALID: control characters in the credentials; else buf_rc(out).
 */
int http_connect_request(const struct address *to, const char *credentials, struct buf *out,
			 struct err *err);

/*
 * Reads what came so far. 0 and *done == false: more is needed. 0 and *done: the tunnel stands.
 * ERR_PERM: the proxy wants (other) credentials; ERR_UNREACHABLE: it refused, with its status;
 * ERR_PROTOCOL: not HTTP, or bytes after the head; ERR_LIMIT: head over HTTP_CONNECT_HEAD_MAX.
 */
int http_connect_parse(const void *data, size_t n, bool *done, struct err *err);

#endif
