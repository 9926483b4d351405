/*
 * Inside lib/policy: an environment's facts, made quick to ask. Packages are grouped by the values
 * that conditions ask about, so that a value is looked at once, however many packages have it; and
 * patterns that can't match any value of a kind are told by their letters (lib/base/grams.h).
 */
#ifndef ENVWARDEN_LIB_POLICY_UNIVERSE_H
#define ENVWARDEN_LIB_POLICY_UNIVERSE_H

#include "lib/base/grams.h"
#include "lib/conda/match_spec.h"
#include "lib/policy/package_set.h"

struct channel_name;

#define UNIVERSE_LEVELS (POLICY_DEPTH_MAX + 2) /* of conditions in conditions */

/* The packages that share a value of one kind. */
struct group {
	const char *value;
	const uint32_t *members;
	size_t n;
};

struct groups {
	struct group *items;
	size_t n;
	struct grams *grams; /* of what patterns are matched with; NULL: not made yet */
};

/* A package prepared for matching when a spec first asks about it. */
struct subject {
	enum {
		SUBJECT_NEW,
		SUBJECT_MADE,
		SUBJECT_ODD, /* nothing a spec could say is true of it */
	} state;
	struct match_subject match;
};

struct universe {
	const struct policy_facts *facts;
	int64_t now_ms;
	struct arena *arena;
	size_t size;
	struct groups names;
	struct groups channels; /* these when a condition first asks: */
	struct groups licenses;
	struct groups managers;
	struct subject *subjects;	    /* by package */
	struct channel_name *channel_names; /* by group of channels */
	set_word *scratch;		    /* a set for each level of conditions in conditions */
	unsigned depth;
	const atomic_bool *canceled; /* or NULL */
};

/* Each groups once; again is nothing. ERR_NOMEM. */
int universe_group_channels(struct universe *u);
int universe_group_licenses(struct universe *u);
int universe_group_managers(struct universe *u);
int universe_gram_names(struct universe *u); /* for patterns about names */

/* What patterns about a channel, by its group, may be about; some are NULL. */
#define UNIVERSE_CHANNEL_FORMS 4
void universe_channel_forms(const struct universe *u, size_t i,
			    const char *forms[UNIVERSE_CHANNEL_FORMS]);

#endif
