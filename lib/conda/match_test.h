/* What a match spec asks of one field of a package. Internal to match_spec.c. */
#ifndef ENVWARDEN_LIB_CONDA_MATCH_TEST_H
#define ENVWARDEN_LIB_CONDA_MATCH_TEST_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/conda/channel_name.h"
#include "lib/conda/glob.h"
#include "lib/conda/match_spec.h"
#include "lib/conda/match_text.h"
#include "lib/conda/regex.h"
#include "lib/conda/version_spec.h"

enum test_kind {
	TEST_TEXT, /* equal to `text` */
	TEST_GLOB,
	TEST_REGEX,
	TEST_VERSION,  /* a version spec */
	TEST_RELATION, /* of the build number */
	TEST_CHANNEL,
	TEST_ALWAYS,
	TEST_NEVER,
	TEST_UNKNOWN, /* no package has the field */
};

struct match_test {
	enum match_field field;
	enum test_kind kind;
	const char *text; /* what the spec says, as conda holds it */
	size_t n;
	struct glob glob;
	struct regex regex;
	struct version_spec versions;
	enum version_relation relation;
	struct version than;
	struct channel_name channel;
	bool unsteady; /* in brackets its text would say something else */
};

/*
 * Fills *test for what the spec says about a field; `one_feature`: commas part no features. Errors
 * as match_spec_parse.
 */
int match_test_init(struct match_test *test, enum match_field field, struct match_piece value,
		    bool one_feature, struct arena *arena, struct err *err);

/* 1, 0, ERR_INVALID: see match_spec_match. */
int match_test_match(const struct match_test *test, const struct match_subject *subject);

/* How conda writes down a channel that was written some other way. */
const char *match_test_channel(const struct channel_name *channel);

#endif
