/*
 * What a channel is called: conda lets one write "conda-forge", "conda-forge/linux-64",
 * "https://conda.anaconda.org/conda-forge/noarch" or "defaults", and knows which mean the same.
 *
 * Words. A channel has a place (host and perhaps a folder) and a name there. The alias is the place
 * of channels that are named without one. A multichannel is a name for several. The canonical name
 * is what one channel is called however it is written: its name, if it is at the alias or of a
 * known name; the multichannel's name, if it is called as one of its members; else its whole URL.
 *
 * Source of the rules: conda's conda/models/channel.py and conda/common/url.py with their oddities;
 * the alias and the known channels are those of an unconfigured conda (for every platform).
 */
#ifndef ENVWARDEN_LIB_CONDA_CHANNEL_NAME_H
#define ENVWARDEN_LIB_CONDA_CHANNEL_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define CHANNEL_NAME_MAX 4096 /* bytes of what is parsed */

/* Texts live in the arena. */
struct channel_name {
	const char *name; /* at its place; may be "" */
	const char *canonical;
	const char
		*base_url;  /* scheme, place and name; NULL of multichannels and the unknown one */
	const char *subdir; /* NULL = none was written */
	const char *file;   /* of a URL that names a package: its last part; NULL = none */
	bool elsewhere;	    /* at a place that is not the alias */
	bool is_url;	    /* written with a scheme */
};

/*
 * text == NULL is the unknown channel. ERR_INVALID, ERR_LIMIT, ERR_NOMEM; ERR_UNSUPPORTED for a
 * path that is relative to something (a folder, a home, a drive).
 */
int channel_name_parse(const char *text, size_t n, struct arena *arena, struct channel_name *out,
		       struct err *err);

/* Whether text begins with a scheme, "https://". */
bool channel_name_has_scheme(const char *text, size_t n);

/* Bytes of the extension if text ends as packages do (".conda", ".tar.bz2"), else 0. */
size_t channel_name_extension(const char *text, size_t n);

/* Whether what is called `other` may be meant by `wanted` (no glob). */
bool channel_name_match(const struct channel_name *wanted, const struct channel_name *other);

#endif
