/*
 * Where a package came from, and URLs with the secrets taken out.
 *
 * A secret here is a URL's user information (user:password@), conda's path token (/t/TOKEN) and a
 * URL's query, which is where mirrors and object stores put signatures and access keys.
 */
#ifndef ENVWARDEN_LIB_CONDA_CHANNEL_H
#define ENVWARDEN_LIB_CONDA_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

/*
 * Appends text with every secret replaced by three stars. text may be one URL or a command line
 * with URLs in its words; the rest is copied as it is. Errors stay in out (buf_rc).
 *
 * Outside URLs a token is a segment after "t/" or "/t/" at the beginning of a word (conda takes
 * channels without a host), or anywhere in it when the segment is as long as tokens are: a folder
 * called "t" must stay readable.
 */
void channel_mask_url(struct buf *out, const char *text, size_t n);

/*
 * Appends the canonical channel of a record: its URL without user information, token, query, file
 * name and subdir, scheme and host in lower case, no slash at the end. It is taken from url when
 * that is a URL, else from the record's own channel field, which may be such a URL with or without
 * subdir, or a bare name ("conda-forge", "pypi", "conda-forge/linux-64"). subdir ("" = unknown)
 * helps to recognise an unusual platform name. Nothing is appended when nothing is known.
 */
void channel_from_record(struct buf *out, const char *url, const char *channel, const char *subdir);

/* Whether a path segment is a platform folder of a channel: "noarch", "linux-64", "win-arm64"... */
bool channel_is_subdir(const char *text, size_t n);

#endif
