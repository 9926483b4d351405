/*
 * conda's configuration files, as far as they say where environments are: `envs_dirs` (or its other
 * name `envs_path`), with the marks that steer how the files of a search path are merged. Pure:
 * bytes in, texts as they stand in the file out; expanding and opening is condarc_path's.
 *
 * Read as conda reads it: one YAML document, a mapping; what is no well-formed YAML is no file at
 * all (ERR_INVALID). Nothing given is not the same as an empty list. What is no text inside the
 * list, an alias of YAML included, is left out.
 *
 * Marks are comments, `#!final`, `#!top` and `#!bottom`, at the end of the line of the key
 * or of an item. As in conda, a mark that is followed by a line that is only a comment is none: the
 * two are one comment there.
 */
#ifndef ENVWARDEN_AGENT_READER_CONDARC_H
#define ENVWARDEN_AGENT_READER_CONDARC_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define CONDARC_FILE_MAX (128 * 1024)
#define CONDARC_DEPTH_MAX 32 /* of nested lists and mappings */
#define CONDARC_DIRS_MAX 256 /* items of one list, and of a merged one: ERR_LIMIT, or cut off */
#define CONDARC_ARENA_MAX (512 * 1024)

enum condarc_mark {
	CONDARC_PLAIN,
	CONDARC_FINAL, /* of a key: files that come later do not count */
	CONDARC_TOP,
	CONDARC_BOTTOM,
};

struct condarc_item {
	const char *text;
	enum condarc_mark mark;
};

struct condarc {
	bool given; /* the file has the key */
	bool final;
	struct condarc_item *items;
	size_t n;
};

/* Texts and items in the arena. ERR_INVALID, ERR_LIMIT: too big, deep or long; ERR_NOMEM. */
int condarc_parse(const void *data, size_t n, struct arena *arena, struct condarc *out,
		  struct err *err);

enum condarc_rules {
	CONDARC_BY_CONDA, /* conda/common/configuration.py, SequenceLoadedParameter.merge */
	CONDARC_BY_MAMBA, /* no marks (libmamba configuration_impl.hpp, Source<vector>::merge) */
};

/*
 * One list of several, which come in rising priority; those without the key are passed over. Texts
 * are borrowed, compared as they stand. Past CONDARC_DIRS_MAX they are cut off. ERR_NOMEM.
 */
int condarc_merge(const struct condarc *const *files, size_t n, enum condarc_rules rules,
		  struct arena *arena, const char *const **dirs, size_t *n_dirs);

#endif
