/*
 * Calls of the admin API. TLS is always verified, against --ca or else the system's authorities;
 * there is no way around it.
 */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_CLIENT_H
#define ENVWARDEN_SERVER_ADMIN_CLI_CLIENT_H

#include <jansson.h>

#include "lib/base/buf.h"
#include "server/admin-cli/admin.h"

#define CLIENT_ANSWER_MAX (64U << 20)
#define CLIENT_PATH_MAX (64U << 10)

/* ADMIN_FAILED with a line said. */
enum admin_exit client_new(struct admin *a, struct client **out);
void client_free(struct client *client); /* NULL is fine */

/*
 * method and path below /api/v1; body NULL = none. *out (out may be NULL) is the answer's document,
 * to be released with json_decref; NULL for an empty answer. On failure the reason was said in one
 * line.
 */
enum admin_exit client_call(struct admin *a, const char *method, const char *path,
			    const json_t *body, json_t **out);

/* Appends "?name=value" or "&name=value", escaped; nothing for a NULL value. */
void client_query(struct buf *path, const char *name, const char *value);

/*
 * GETs all pages of a list, at most `limit` items, and calls `each` for every item of the array
 * `key`. Another result than ADMIN_OK ends it.
 */
typedef enum admin_exit (*client_each_cb)(void *ctx, json_t *item);
enum admin_exit client_pages(struct admin *a, const struct buf *path, const char *key,
			     uint64_t limit, client_each_cb each, void *ctx);

/* The same into a new array. */
enum admin_exit client_list(struct admin *a, const struct buf *path, const char *key,
			    uint64_t limit, json_t **out);

#endif
