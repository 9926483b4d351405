/* Bytes in the documents of the API (base64), and files of them. */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_BYTES_H
#define ENVWARDEN_SERVER_ADMIN_CLI_BYTES_H

#include <jansson.h>

#include "server/admin-cli/admin.h"

/*
 * Whether a file may be written there, or "-" was given: what is there already is replaced with
 * --force only (a link itself, not what it leads to), and only a file. Asked before the server is.
 */
enum admin_exit bytes_may_save(struct admin *a, const char *path);
/*
 * Writes the bytes of a member to a file of this account's alone, or to stdout ("-"). Failures are
 * said.
 */
enum admin_exit bytes_save(struct admin *a, const json_t *document, const char *key,
			   const char *path);
/* A file of at most max bytes as a member of a document. */
enum admin_exit bytes_load(struct admin *a, const char *path, size_t max, json_t *document,
			   const char *key);

#endif
