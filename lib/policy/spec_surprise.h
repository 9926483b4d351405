/*
 * Specs that conda reads differently than the people who write them expect: found by how they are
 * written. What they match is conda's (lib/conda/match_spec.h).
 */
#ifndef ENVWARDEN_LIB_POLICY_SPEC_SURPRISE_H
#define ENVWARDEN_LIB_POLICY_SPEC_SURPRISE_H

struct spec_surprise {
	const char *what;    /* goes on behind the spec in quotes */
	const char *instead; /* what to write */
};

/* The first thing about it; NULL: none. The text parses; name: of the one package it is about, or
 * NULL. */
const struct spec_surprise *spec_surprise(const char *name, const char *text);

#endif
